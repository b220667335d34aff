/**
 * Text from outside, safe to show: control characters (so ANSI sequences and new lines of a log), separators and
 * direction marks become `\u{…}`; cut to `limit` characters.
 */
export function printable(text: string, limit = 500): string {
	const cut = text.length > limit ? `${text.slice(0, limit)}…` : text;
	return cut.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, (character) =>
		character === "\t" ? " " : `\\u{${character.codePointAt(0)!.toString(16)}}`,
	);
}

/** The same for a text of several lines, such as a diff: all of it, with its line breaks and tabs. */
export function printableLines(text: string): string {
	return text.replace(/[^\n\t]+/g, (line) => printable(line, line.length));
}

/** A number with the word for what it counts: `1 tag`, `2 tags`, `0 entries`. */
export function counted(number: number, one: string, many = `${one}s`): string {
	return `${number} ${number === 1 ? one : many}`;
}
