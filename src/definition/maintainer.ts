import type { Maintainer } from "./types.ts";

const plain = /^[^\t\n\f\r <>()]+$/;

/**
 * `Name <address> (@handle)` or `Name (@handle)`; null where it is neither (spec/manifest.md, Grammar).
 * Read from the end: as one expression, the spec's backtracks quadratically on a long name of blanks.
 */
export function parseMaintainer(text: string): Maintainer | null {
	const open = text.lastIndexOf("(@");
	if (open === -1 || !text.endsWith(")")) return null;
	const handle = text.slice(open + 2, -1);
	if (!plain.test(handle)) return null;
	if (!isSpace(text, open - 1)) return null;
	let nameEnd = open - 1;
	let email = "";
	const less = text.indexOf("<");
	if (less !== -1 && less < open) {
		let addressEnd = nameEnd;
		while (addressEnd > less && isSpace(text, addressEnd - 1)) addressEnd -= 1;
		if (text[addressEnd - 1] !== ">") return null;
		email = text.slice(less + 1, addressEnd - 1);
		if (!plain.test(email) || !isSpace(text, less - 1)) return null;
		nameEnd = less - 1;
	}
	const name = text.slice(0, nameEnd);
	if (!/^[^\t\n\f\r <>()][^<>()]*$/.test(name)) return null;
	return { name, email, handle };
}

function isSpace(text: string, index: number): boolean {
	return index >= 0 && "\t\n\f\r ".includes(text[index]!);
}

export function printMaintainer({ name, email, handle }: Maintainer): string {
	return email === "" ? `${name} (@${handle})` : `${name} <${email}> (@${handle})`;
}
