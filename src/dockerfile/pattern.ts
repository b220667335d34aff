import { LexError } from "./lex-error.ts";

/** A part of a pattern: a character, `?` (any one) or `*` (any number). */
type Token = { readonly any: "one" | "many" } | { readonly character: string };

/** The pattern of `${name%PATTERN}` and its like: `*`, `?`, and `\` before one of `*?\/}`. No brackets. */
export function parsePattern(pattern: string): readonly Token[] {
	const tokens: Token[] = [];
	for (let at = 0; at < pattern.length; at++) {
		const character = pattern.charAt(at);
		if (character === "*") tokens.push({ any: "many" });
		else if (character === "?") tokens.push({ any: "one" });
		else if (character === "\\") {
			const next = pattern.charAt(++at);
			if (next === "" || !"*?\\/}".includes(next)) throw new LexError("a pattern escapes what needs no escape");
			tokens.push({ character: next });
		} else tokens.push({ character });
	}
	return tokens;
}

/** The shortest or longest beginning of `value` that the pattern matches, as its length; -1: none. */
export function matchPrefix(tokens: readonly Token[], value: string, longest: boolean): number {
	const starts = reach(tokens, value, false);
	return longest ? starts.lastIndexOf(0) : starts.indexOf(0);
}

/** The same from the end: the length of the matched ending. */
export function matchSuffix(tokens: readonly Token[], value: string, longest: boolean): number {
	return matchPrefix([...tokens].reverse(), value.split("").reverse().join(""), longest);
}

/** The leftmost match, and of those the longest. */
export function findMatch(tokens: readonly Token[], value: string): { start: number; end: number } | undefined {
	const starts = reach(tokens, value, true);
	let start = Infinity;
	for (const each of starts) if (each >= 0 && each < start) start = each;
	return start === Infinity ? undefined : { start, end: starts.lastIndexOf(start) };
}

/**
 * For each position the smallest start of a match that ends there, or -1. Takes pattern × value steps whatever
 * the pattern, where a regular expression would try all ways to spread several stars.
 */
function reach(tokens: readonly Token[], value: string, anywhere: boolean): number[] {
	let starts = Array.from({ length: value.length + 1 }, (_, position) => (anywhere || position === 0 ? position : -1));
	for (const token of tokens) {
		const next = starts.map(() => -1);
		if ("any" in token && token.any === "many") {
			let smallest = -1;
			for (const [position, start] of starts.entries()) {
				if (start >= 0 && (smallest < 0 || start < smallest)) smallest = start;
				next[position] = smallest;
			}
		} else {
			for (let position = 0; position < value.length; position++) {
				if ("any" in token || token.character === value.charAt(position)) next[position + 1] = starts[position]!;
			}
		}
		starts = next;
	}
	return starts;
}
