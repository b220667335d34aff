import { readdir, readFile } from "node:fs/promises";

/** Its program and arguments; none where it has ended. */
export async function argumentsOf(pid: number): Promise<string[]> {
	// Empty too for one that has ended and that nobody has waited for.
	return (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).split("\0").filter((word) => word !== "");
}

/** The processes that it started and that have not ended. */
export async function childrenOf(pid: number): Promise<number[]> {
	const children: number[] = [];
	for (const name of await readdir("/proc")) {
		if (!/^[1-9][0-9]*$/.test(name)) continue;
		const fields = await statFields(Number(name));
		if (fields?.[1] === String(pid) && fields[0] !== "Z") children.push(Number(name));
	}
	return children;
}

async function statFields(pid: number): Promise<string[] | undefined> {
	const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
	return text?.slice(text.lastIndexOf(")") + 2).split(" ");
}

/** Capabilities of this process by number, as in `linux/capability.h`. */
export async function hasCapability(number: number): Promise<boolean> {
	const status = await readFile("/proc/self/status", "utf8").catch(() => "");
	const mask = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1];
	return mask !== undefined && ((BigInt(`0x${mask}`) >> BigInt(number)) & 1n) === 1n;
}

export interface Mount {
	readonly at: string;
	readonly type: string;
}

/** What is mounted, as this process sees it. */
export async function mounts(): Promise<Mount[]> {
	const text = await readFile("/proc/self/mountinfo", "utf8").catch(() => "");
	return text
		.split("\n")
		.filter((line) => line !== "")
		.map((line) => {
			const fields = line.split(" ");
			return { at: unescape(fields[4] ?? ""), type: fields[fields.indexOf("-") + 1] ?? "" };
		});
}

/** The kernel writes blanks and backslashes of a path as three octal digits. */
function unescape(text: string): string {
	return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
