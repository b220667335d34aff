import { LexError } from "./lex-error.ts";
import { findMatch, matchPrefix, matchSuffix, parsePattern } from "./pattern.ts";
import { isSpace } from "./text.ts";

export interface WordOptions {
	/** The escape character of the Dockerfile. */
	readonly escape: string;
	readonly variables: ReadonlyMap<string, string>;
	/** Leave quotes and escapes in, and variables without a value as they are written. */
	readonly raw?: boolean;
	/** Leave variables without a value as they are written; otherwise they are empty. */
	readonly keepUnset?: boolean;
	readonly budget: Budget;
}

/**
 * What expansion may still cost, in characters: `ARG A=$A$A`, thirty times, would make a gigabyte.
 * Shared by all words of one Dockerfile.
 */
export interface Budget {
	left: number;
}

/** Of one Dockerfile; real ones need some hundred. */
export const expansionBudget = 4_000_000;
const maximumDepth = 100;

interface Lexer extends WordOptions {
	readonly text: string;
	at: number;
	rawEscapes: boolean;
	depth: number;
}

/** Removes quotes and escapes and expands variables, as BuildKit's shell lexer does. Throws `LexError`. */
export function expandWord(text: string, options: WordOptions): string {
	return readUntil(start(text, options), "", false);
}

/** The same, split at white space that is not quoted. */
export function expandWords(text: string, options: WordOptions): readonly string[] {
	const words = wordList();
	readUntil(start(text, options), "", options.raw === true, words);
	return words.done();
}

function start(text: string, options: WordOptions): Lexer {
	return { ...options, text, at: 0, rawEscapes: options.raw === true, depth: 0 };
}

interface WordList {
	/** Part of a word, whatever it is. */
	raw(text: string): void;
	/** Text whose white space ends words. */
	split(text: string): void;
	done(): readonly string[];
}

function wordList(): WordList {
	const words: string[] = [];
	let word = "";
	const end = (): void => {
		if (word !== "") words.push(word);
		word = "";
	};
	return {
		raw(text) {
			word += text;
		},
		split(text) {
			let begin = 0;
			for (let at = 0; at < text.length; at++) {
				if (!isSpace(text.charCodeAt(at))) continue;
				word += text.slice(begin, at);
				end();
				begin = at + 1;
			}
			word += text.slice(begin);
		},
		done() {
			end();
			return words;
		},
	};
}

/** Reads up to and with `stop`; an empty `stop` is the end of the text. */
function readUntil(lexer: Lexer, stop: string, rawEscapes: boolean, words?: WordList): string {
	const outer = lexer.rawEscapes;
	lexer.rawEscapes = rawEscapes;
	let result = "";
	const add = (text: string, splits: boolean): void => {
		result += text;
		if (splits) words?.split(text);
		else words?.raw(text);
	};
	while (lexer.at < lexer.text.length) {
		const character = lexer.text.charAt(lexer.at);
		if (character === stop) {
			lexer.at++;
			lexer.rawEscapes = outer;
			return result;
		}
		if (character === "$") add(readDollar(lexer), true);
		else if (character === "'") add(readSingleQuoted(lexer), false);
		else if (character === '"') add(readDoubleQuoted(lexer), false);
		else if (character === "<") add(readLess(lexer), false);
		else if (character === lexer.escape) {
			const next = lexer.text.charAt(lexer.at + 1);
			lexer.at += 2;
			add(rawEscapes ? character + next : next, false);
		} else {
			const begin = lexer.at++;
			while (lexer.at < lexer.text.length && !isSpecial(lexer.text.charAt(lexer.at), lexer.escape, stop)) lexer.at++;
			add(lexer.text.slice(begin, lexer.at), true);
		}
	}
	if (stop !== "") throw new LexError(`"${stop}" is missing after "\${"`);
	lexer.rawEscapes = outer;
	return result;
}

function isSpecial(character: string, escape: string, stop: string): boolean {
	return character === escape || character === stop || "$'\"<".includes(character);
}

/** Between `<<` and the name of a heredoc there may be blanks: they do not end the word. */
function readLess(lexer: Lexer): string {
	const begin = lexer.at++;
	if (lexer.text.charAt(lexer.at) !== "<") return "<";
	lexer.at++;
	while (lexer.at < lexer.text.length && "\t\r ".includes(lexer.text.charAt(lexer.at))) lexer.at++;
	return lexer.text.slice(begin, lexer.at);
}

function readSingleQuoted(lexer: Lexer): string {
	const end = lexer.text.indexOf("'", lexer.at + 1);
	if (end < 0) throw new LexError("a single quote is not closed");
	const text = lexer.raw === true ? lexer.text.slice(lexer.at, end + 1) : lexer.text.slice(lexer.at + 1, end);
	lexer.at = end + 1;
	return text;
}

function readDoubleQuoted(lexer: Lexer): string {
	const quote = lexer.raw === true ? '"' : "";
	let result = quote;
	lexer.at++;
	while (lexer.at < lexer.text.length) {
		const character = lexer.text.charAt(lexer.at);
		if (character === '"') {
			lexer.at++;
			return result + quote;
		}
		if (character === "$") {
			result += readDollar(lexer);
			continue;
		}
		lexer.at++;
		if (character !== lexer.escape) {
			result += character;
			continue;
		}
		if (lexer.rawEscapes) result += character;
		const next = lexer.text.charAt(lexer.at);
		// Only these can be escaped between quotes; before anything else the escape character stands for itself.
		if (next === '"' || next === "$" || next === lexer.escape) {
			lexer.at++;
			result += next;
		} else if (next !== "") result += character;
	}
	throw new LexError("a double quote is not closed");
}

function readDollar(lexer: Lexer): string {
	lexer.at++;
	if (lexer.text.charAt(lexer.at) !== "{") {
		const name = readName(lexer);
		if (name === "") return "$";
		return valueOf(lexer, name) ?? (lexer.keepUnset === true ? `$${name}` : "");
	}
	if (++lexer.depth > maximumDepth) throw new LexError(`"\${" is nested more than ${maximumDepth} times`);
	const value = readBraces(lexer);
	lexer.depth--;
	return value;
}

function readBraces(lexer: Lexer): string {
	lexer.at++;
	if (["", "{", "}", ":"].includes(lexer.text.charAt(lexer.at))) throw new LexError('"${" has no name');
	const name = readName(lexer);
	let operator = lexer.text.charAt(lexer.at++);
	if (operator === "}") return valueOf(lexer, name) ?? (lexer.keepUnset === true ? `\${${name}}` : "");
	if (operator === "/") return readReplacement(lexer, name);
	const colon = operator === ":";
	if (colon) operator = lexer.text.charAt(lexer.at++);
	const isPattern = operator === "#" || operator === "%";
	if (colon ? isPattern : !"+-?#%".includes(operator) || operator === "") {
		throw new LexError(`"\${${name}${colon ? ":" : ""}${operator}" has an operator that is not known`);
	}
	const word = readUntil(lexer, "}", isPattern);
	const value = valueOf(lexer, name);
	if (value === undefined && lexer.keepUnset === true) return `\${${name}${colon ? ":" : ""}${operator}${word}}`;
	const missing = value === undefined || (colon && value === "");
	switch (operator) {
		case "-":
			return missing ? word : value;
		case "+":
			return missing ? "" : word;
		case "?":
			if (missing) throw new LexError(`${name}: ${word === "" ? "has no value" : word}`);
			return value;
		case "#":
		case "%":
			return trimPattern(lexer, operator, word, value ?? "");
		default:
			throw new LexError(`"\${${name}:${operator}" has an operator that is not known`);
	}
}

/** `${name#pattern}`: the shortest beginning is taken off; `##`: the longest; `%` and `%%`: an ending. */
function trimPattern(lexer: Lexer, operator: "#" | "%", word: string, value: string): string {
	const longest = word.startsWith(operator);
	const tokens = parsePattern(longest ? word.slice(1) : word);
	spend(lexer, (tokens.length + 1) * (value.length + 1));
	if (operator === "#") return value.slice(Math.max(0, matchPrefix(tokens, value, longest)));
	return value.slice(0, value.length - Math.max(0, matchSuffix(tokens, value, longest)));
}

/** `${name/pattern/text}` replaces the first match, `${name//pattern/text}` all. */
function readReplacement(lexer: Lexer, name: string): string {
	const all = lexer.text.charAt(lexer.at) === "/";
	if (all) lexer.at++;
	const pattern = readUntil(lexer, "/", true);
	const replacement = readUntil(lexer, "}", true);
	const value = valueOf(lexer, name);
	if (value === undefined && lexer.keepUnset === true) return `\${${name}/${pattern}/${replacement}}`;
	const tokens = parsePattern(pattern);
	let rest = value ?? "";
	let result = "";
	for (;;) {
		spend(lexer, (tokens.length + 1) * (rest.length + 1) + replacement.length);
		const match = findMatch(tokens, rest);
		if (match === undefined) return result + rest;
		// After a match of nothing the next character is passed over, or there would be no end.
		const skip = match.end === match.start ? 1 : 0;
		result += rest.slice(0, match.start) + replacement + rest.slice(match.end, match.end + skip);
		rest = rest.slice(match.end + skip);
		if (!all || rest === "") return result + rest;
	}
}

function readName(lexer: Lexer): string {
	const special = lexer.text.charAt(lexer.at);
	const pattern = /\p{Nd}/u.test(special) ? /\p{Nd}+/uy : /[\p{L}\p{Nd}_]+|[@*#?$!-]/uy;
	pattern.lastIndex = lexer.at;
	const name = pattern.exec(lexer.text)?.[0] ?? "";
	lexer.at += name.length;
	return name;
}

function valueOf(lexer: Lexer, name: string): string | undefined {
	const value = lexer.variables.get(name);
	if (value !== undefined) spend(lexer, value.length);
	return value;
}

function spend(lexer: Lexer, amount: number): void {
	lexer.budget.left -= amount;
	if (lexer.budget.left < 0) throw new LexError("the variables expand to far too much text");
}
