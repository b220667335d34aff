import { takeFlags } from "./flags.ts";
import { LexError } from "./lex-error.ts";
import { cutWord, trim } from "./text.ts";
import { expandWords, expansionBudget } from "./words.ts";

export interface Heredoc {
	/** The line that ends it. */
	readonly name: string;
	/** `<<-`: tabs in front of the closing line do not count. */
	readonly tabs: boolean;
}

const takers: ReadonlySet<string> = new Set(["run", "copy", "add"]);
// BuildKit looks for heredocs with this escape character, whatever the directive says.
const escape = "\\";

/** The heredocs that follow an instruction, in order. `line` is all of it, with its name and flags. */
export function heredocs(
	instruction: { readonly name: string; readonly rest: string },
	line: string,
	lineEscape: string,
): readonly Heredoc[] {
	if (!line.includes("<<")) return [];
	let { name, rest } = instruction;
	if (name === "onbuild") {
		const [inner, args] = cutWord(rest);
		name = inner.toLowerCase();
		rest = trim(takeFlags(args, lineEscape).rest);
	}
	if (!takers.has(name) || isStringArray(rest)) return [];
	return words(line).flatMap((word) => heredoc(word) ?? []);
}

/** `<<NAME`, `3<<NAME`, `<<-NAME`, `<<"NAME"`. */
function heredoc(word: string): Heredoc | undefined {
	const operator = word.indexOf("<<");
	if (operator < 0 || !/^[0-9]*$/.test(word.slice(0, operator))) return undefined;
	const tabs = word.charAt(operator + 2) === "-";
	const name = word.slice(operator + (tabs ? 3 : 2)).trimStart();
	if (name === "" || name.includes("<")) return undefined;
	const names = expandWords(name, { escape, variables: new Map(), keepUnset: true, budget: { left: expansionBudget } });
	return names.length === 1 ? { name: names[0]!, tabs } : undefined;
}

/** No words at all where a quote or brace is not closed: BuildKit then sees no heredoc in the line. */
function words(line: string): readonly string[] {
	try {
		return expandWords(line, {
			escape,
			variables: new Map(),
			raw: true,
			keepUnset: true,
			budget: { left: expansionBudget },
		});
	} catch (error) {
		if (error instanceof LexError) return [];
		throw error;
	}
}

/** The JSON form of an instruction, which has no heredocs. */
function isStringArray(text: string): boolean {
	if (!isFlatArray(text)) return false;
	try {
		JSON.parse(text);
		return true;
	} catch {
		return false;
	}
}

/** Whether there is nothing but strings between the brackets: `JSON.parse` must not see a million open ones. */
function isFlatArray(text: string): boolean {
	if (!text.startsWith("[") || !text.endsWith("]")) return false;
	let quoted = false;
	for (let at = 1; at < text.length - 1; at++) {
		const character = text.charAt(at);
		if (character === '"') quoted = !quoted;
		else if (quoted && character === "\\") at++;
		else if (!quoted && !", \t\r\n".includes(character)) return false;
	}
	return !quoted;
}
