import { BrewlineError } from "../errors.ts";
import { parseDefinition, type Entry } from "../definition/index.ts";
import type { DerivedEntry } from "./derive.ts";

/** Lines of a file that are replaced: `count` from `start`, which counts from 0. */
export interface Edit {
	readonly start: number;
	readonly count: number;
	readonly lines: readonly string[];
}

/** A file's lines, each with what ends it. */
export function linesOf(text: string): readonly string[] {
	return text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
}

/** The text with the edits, which do not overlap. */
export function edited(text: string, edits: readonly Edit[]): string {
	const lines = [...linesOf(text)];
	for (const { start, count, lines: next } of edits.toSorted((a, b) => b.start - a.start))
		lines.splice(start, count, ...next);
	return lines.join("");
}

/**
 * The edits of one definition that give its entries other architectures, and change nothing else: an entry's own line, or the
 * global one where all that inherit it change alike, or a new line behind the tags. An entry that would be left without any
 * is not edited.
 */
export function editsOf(text: string, entries: readonly DerivedEntry[]): readonly Edit[] {
	const [first] = entries;
	if (first === undefined) return [];
	const lines = linesOf(text);
	const { global, unmerged } = first.definition;
	const wanted = new Map(
		entries.filter(({ architectures }) => architectures.length > 0).map((one) => [one.entry, one.architectures]),
	);
	const inheriting = unmerged.filter(({ positions }) => !positions.has("Architectures"));
	const lists = new Set(inheriting.map((entry) => wanted.get(entry)?.join()));
	const shared = global.positions.has("Architectures") && lists.size === 1 ? wanted.get(inheriting[0]!) : undefined;
	const edits: Edit[] = [];
	if (shared !== undefined) edits.push(replacing(lines, global.positions.get("Architectures")!.line - 1, shared));
	for (const [entry, architectures] of wanted) {
		const own = entry.positions.get("Architectures");
		if (own !== undefined) edits.push(replacing(lines, own.line - 1, architectures));
		else if (shared === undefined) edits.push(adding(lines, entry, architectures));
	}
	check(edited(text, edits), first, wanted);
	return edits;
}

function replacing(lines: readonly string[], line: number, architectures: readonly string[]): Edit {
	const text = lines[line]!;
	const [start] = /^[^:]*:[ \t]*/.exec(text)!;
	const key = start.endsWith(":") ? `${start} ` : start;
	// What is folded becomes one line; comments between stay.
	const rest = lines.slice(line + 1, endOfField(lines, line)).filter((next) => isComment(next));
	return {
		start: line,
		count: endOfField(lines, line) - line,
		lines: [`${key}${architectures.join(", ")}${endOf(text)}`, ...rest],
	};
}

function adding(lines: readonly string[], { positions }: Entry, architectures: readonly string[]): Edit {
	const after = Math.max(...["Tags", "SharedTags"].map((key) => positions.get(key)?.line ?? 0)) - 1;
	const start = endOfField(lines, after);
	const before = lines[start - 1]!;
	const ending = endOf(before) || endOf(lines[0]!) || "\n";
	const line = `Architectures: ${architectures.join(", ")}`;
	// At the end of a file without a newline the tags' line needs one.
	return endOf(before) === ""
		? { start: start - 1, count: 1, lines: [`${before}${ending}`, line] }
		: { start, count: 0, lines: [`${line}${ending}`] };
}

/** The line after a field: its continuations begin with a blank, and comments may stand between them. */
function endOfField(lines: readonly string[], line: number): number {
	let end = line + 1;
	for (let next = end; next < lines.length; next++) {
		const text = lines[next]!;
		if (/^[ \t]/.test(text) && !isComment(text)) end = next + 1;
		else if (!isComment(text)) break;
	}
	return end;
}

function isComment(line: string): boolean {
	return /^\s*#/.test(line);
}

function endOf(line: string): string {
	return /\r?\n?$/.exec(line)![0];
}

/** A proposal that does not say what is meant is worse than none. */
function check(text: string, { definition }: DerivedEntry, wanted: ReadonlyMap<Entry, readonly string[]>): void {
	const known = new Set([
		...definition.global.Architectures,
		...definition.unmerged.flatMap((entry) => entry.Architectures),
		...[...wanted.values()].flat(),
	]);
	const { file, defaultArchitecture } = definition;
	const parsed = parseDefinition(text, { file, defaultArchitecture, architectures: known });
	for (const [index, entry] of definition.unmerged.entries()) {
		const is = parsed.unmerged[index]?.Architectures.toSorted().join();
		if (is !== (wanted.get(entry) ?? entry.Architectures).toSorted().join()) {
			throw new BrewlineError("internal", `${file}: the edit of ${entry.Tags[0]} would not give it what was meant`);
		}
	}
}
