import { compareCodePoints } from "../json/index.ts";

/** The rank of a character of a key where it is no digit: the end and digits, then letters, then all others. */
function rank(character: string | undefined): number {
	if (character === undefined || isDigit(character)) return 0;
	if (character === "~") return -1;
	return /[A-Za-z]/.test(character) ? character.charCodeAt(0) : character.charCodeAt(0) + 65_536;
}

function isDigit(character: string | undefined): boolean {
	return character !== undefined && character >= "0" && character <= "9";
}

/** The natural order of keys, as `sort -V` has it but for its endings of file names: `8.1`, `8.5`, `8.5-rc`, `8.10`, `tip`. */
export function compareKeys(a: string, b: string): number {
	let i = 0;
	let j = 0;
	while (i < a.length || j < b.length) {
		while ((i < a.length && !isDigit(a[i])) || (j < b.length && !isDigit(b[j]))) {
			const difference = rank(a[i]) - rank(b[j]);
			if (difference !== 0) return difference;
			i++;
			j++;
		}
		const x = /^0*([0-9]*)/.exec(a.slice(i))!;
		const y = /^0*([0-9]*)/.exec(b.slice(j))!;
		const difference = x[1]!.length - y[1]!.length || compareCodePoints(x[1]!, y[1]!);
		if (difference !== 0) return difference;
		i += x[0].length;
		j += y[0].length;
	}
	// Keys that differ in leading zeros alone still have one order.
	return compareCodePoints(a, b);
}

/**
 * The order of full versions: numbers as numbers, and a prerelease below its release, however it is written: `1.16beta1`,
 * `8.4.0RC1` and `10.1.0-M17` are below `1.16`, `8.4.0` and `10.1.0`.
 */
export function compareVersions(a: string, b: string): number {
	const x = a.match(/[0-9]+|[A-Za-z]+/g) ?? [];
	const y = b.match(/[0-9]+|[A-Za-z]+/g) ?? [];
	for (let at = 0; at < Math.max(x.length, y.length); at++) {
		const [p, q] = [x[at], y[at]];
		if (p === undefined) return isDigit(q![0]) ? -1 : 1;
		if (q === undefined) return isDigit(p[0]) ? 1 : -1;
		const numbers = [isDigit(p[0]), isDigit(q[0])];
		if (numbers[0] !== numbers[1]) return numbers[0] ? 1 : -1;
		const difference = numbers[0] ? compareKeys(p, q) : compareCodePoints(p.toLowerCase(), q.toLowerCase());
		if (difference !== 0) return difference;
	}
	return 0;
}
