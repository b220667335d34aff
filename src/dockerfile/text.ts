/** White space as BuildKit knows it: Unicode's, so with U+0085, and without U+FEFF, which JavaScript's `trim` takes. */
export function isSpace(code: number): boolean {
	if (code < 0x80) return code === 0x20 || (code >= 0x09 && code <= 0x0d);
	return (
		code === 0x85 ||
		code === 0xa0 ||
		code === 0x1680 ||
		(code >= 0x2000 && code <= 0x200a) ||
		code === 0x2028 ||
		code === 0x2029 ||
		code === 0x202f ||
		code === 0x205f ||
		code === 0x3000
	);
}

/** What separates the words of an instruction: ASCII white space alone. */
function isBlank(code: number): boolean {
	return code === 0x20 || (code >= 0x09 && code <= 0x0d);
}

// Loops instead of regular expressions: `\s+$` takes quadratic time on a long run of blanks that is not at the end.

export function trimStart(text: string): string {
	let start = 0;
	while (start < text.length && isSpace(text.charCodeAt(start))) start++;
	return text.slice(start);
}

export function trimEnd(text: string): string {
	let end = text.length;
	while (end > 0 && isSpace(text.charCodeAt(end - 1))) end--;
	return text.slice(0, end);
}

export function trim(text: string): string {
	return trimStart(trimEnd(text));
}

/** The first word, and what follows the blanks after it. */
export function cutWord(text: string): readonly [word: string, rest: string] {
	let end = 0;
	while (end < text.length && !isBlank(text.charCodeAt(end))) end++;
	let next = end;
	while (next < text.length && isBlank(text.charCodeAt(next))) next++;
	return [text.slice(0, end), text.slice(next)];
}

/** The words between blanks. */
export function splitBlanks(text: string): string[] {
	const words: string[] = [];
	for (let start = 0, at = 0; at <= text.length; at++) {
		if (at < text.length && !isBlank(text.charCodeAt(at))) continue;
		if (at > start) words.push(text.slice(start, at));
		start = at + 1;
	}
	return words;
}
