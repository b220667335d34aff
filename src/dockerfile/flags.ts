import { isSpace } from "./text.ts";

/**
 * The flags (`--name=value`) in front of an instruction's arguments, without their quotes and escapes, up to the
 * first word that is none, or to `--`.
 */
export function takeFlags(text: string, escape: string): { flags: readonly string[]; rest: string } {
	const flags: string[] = [];
	let at = 0;
	for (;;) {
		while (at < text.length && isSpace(text.charCodeAt(at))) at++;
		if (!text.startsWith("--", at)) return { flags, rest: text.slice(at) };
		let word = "";
		let quote = "";
		for (; at < text.length; at++) {
			const character = text.charAt(at);
			if (character === escape) word += text.charAt(++at);
			else if (quote !== "") {
				if (character === quote) quote = "";
				else word += character;
			} else if (character === "'" || character === '"') quote = character;
			else if (isSpace(text.charCodeAt(at))) break;
			else word += character;
		}
		if (word === "--") return { flags, rest: text.slice(at) };
		flags.push(word);
	}
}

/** The value of each flag of this name that has one. */
export function flagValues(flags: readonly string[], name: string): readonly string[] {
	const prefix = `--${name}=`;
	return flags.filter((flag) => flag.startsWith(prefix)).map((flag) => flag.slice(prefix.length));
}
