import { BrewlineError } from "../errors.ts";
import { printable } from "../io/printable.ts";
import { takeFlags } from "./flags.ts";
import { heredocs, type Heredoc } from "./heredoc.ts";
import { cutWord, trim, trimEnd, trimStart } from "./text.ts";

export interface Instruction {
	/** In lower case. */
	readonly name: string;
	/** Without quotes and escapes. */
	readonly flags: readonly string[];
	/** What follows the flags. */
	readonly rest: string;
	/** Where it starts, from 1. */
	readonly line: number;
	/** Its last line, or that of its last heredoc. */
	readonly end: number;
}

export interface Instructions {
	readonly instructions: readonly Instruction[];
	/** The escape character. */
	readonly escape: string;
}

/** Splits a Dockerfile into its instructions: directives, comments, continuations and heredocs are dealt with. */
export function readInstructions(text: string, file: string): Instructions {
	const fail = (line: number, problem: string, hint?: string): never => {
		throw new BrewlineError("dockerfile", `${printable(file)}, line ${line}: ${problem}`, {
			at: { file, line },
			...(hint === undefined ? {} : { hint }),
		});
	};
	const lines = text.split("\n");
	// A closing newline ends the last line, it does not begin another.
	if (lines.at(-1) === "") lines.pop();
	const { escape, next } = readDirectives(lines, fail);
	const instructions: Instruction[] = [];
	let at = next;
	while (at < lines.length) {
		const line = at + 1;
		let part = continued(trimStart(withoutReturn(lines[at++]!)), escape);
		if (part.text.startsWith("#") || (part.text === "" && !part.continues)) continue;
		const parts = [part.text];
		while (part.continues && at < lines.length) {
			const raw = withoutReturn(lines[at++]!);
			const trimmed = trimStart(raw);
			if (trimmed === "" || trimmed.startsWith("#")) continue;
			// Blanks in front of a continuation stay, and nothing is put between the parts: a word can go on.
			part = continued(raw, escape);
			parts.push(part.text);
		}
		const whole = parts.join("");
		const [name, args] = cutWord(trim(whole));
		const { flags, rest } = takeFlags(args, escape);
		const instruction = { name: name.toLowerCase(), flags, rest: trim(rest), line, end: at };
		for (const heredoc of heredocs(instruction, whole, escape)) {
			at = skipHeredoc(heredoc, lines, at);
			instruction.end = at;
			if (at > lines.length) {
				fail(
					line,
					`the heredoc "${printable(heredoc.name, 40)}" is never closed`,
					"End it with a line of its name alone.",
				);
			}
		}
		instructions.push(instruction);
	}
	return { instructions, escape };
}

/** `# escape=` and its like: comments of the form `# name=value`, above everything else. */
function readDirectives(
	lines: readonly string[],
	fail: (line: number, problem: string, hint?: string) => never,
): { escape: string; next: number } {
	const seen = new Set<string>();
	let escape = "\\";
	let next = 0;
	for (; next < lines.length; next++) {
		const directive = readDirective(lines[next]!);
		if (directive === undefined) break;
		if (seen.has(directive.name)) fail(next + 1, `the directive "${directive.name}" stands twice`);
		seen.add(directive.name);
		if (directive.name !== "escape") continue;
		if (directive.value !== "\\" && directive.value !== "`") {
			fail(next + 1, "the escape character is neither ` nor \\", "Write `# escape=`` or leave it out.");
		}
		escape = directive.value;
	}
	return { escape, next };
}

function readDirective(line: string): { name: string; value: string } | undefined {
	const comment = trim(line);
	if (!comment.startsWith("#")) return undefined;
	const equals = comment.indexOf("=");
	if (equals < 0) return undefined;
	const name = trim(comment.slice(1, equals)).toLowerCase();
	const value = trim(comment.slice(equals + 1));
	// The first comment that is no directive ends them, and so does a directive that nobody knows.
	return ["syntax", "escape", "check"].includes(name) && value !== "" ? { name, value } : undefined;
}

function withoutReturn(line: string): string {
	let end = line.length;
	while (end > 0 && line.charCodeAt(end - 1) === 0x0d) end--;
	return line.slice(0, end);
}

/**
 * A line whose last character, white space aside, is the escape character goes on in the next one. BuildKit says
 * no where another one stands before it; ids depend on the old program's answer (spec/sources.md, FROMs).
 */
function continued(line: string, escape: string): { text: string; continues: boolean } {
	const end = trimEnd(line);
	return end.endsWith(escape) && !line.startsWith("#")
		? { text: end.slice(0, -1), continues: true }
		: { text: line, continues: false };
}

/** The line after the heredoc's end; beyond the last line where it does not end. */
function skipHeredoc(heredoc: Heredoc, lines: readonly string[], from: number): number {
	for (let at = from; at < lines.length; at++) {
		let line = withoutReturn(lines[at]!);
		if (heredoc.tabs) {
			let start = 0;
			while (line.charCodeAt(start) === 0x09) start++;
			line = line.slice(start);
		}
		if (line === heredoc.name) return at + 1;
	}
	return lines.length + 1;
}
