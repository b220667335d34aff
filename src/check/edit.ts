import { BrewlineError } from "../errors.ts";
import { printable } from "../io/printable.ts";
import { parseDefinition, type Entry } from "../definition/index.ts";
import { compareBytes, isWhiteSpace, skipSpace } from "../definition/text.ts";
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
 * global one where all that inherit it change alike, or a new line behind the tags. What stays keeps its order, blanks, folds and
 * comments; what is new stands where `order` (the program's architectures) has it, if the line follows that order or the bytes',
 * else at the end. An entry that would be left without any architecture is not edited.
 */
export function editsOf(text: string, entries: readonly DerivedEntry[], order: readonly string[]): readonly Edit[] {
	const [first] = entries;
	if (first === undefined) return [];
	const lines = linesOf(text);
	const { global, unmerged } = first.definition;
	const wanted = new Map(
		entries
			.filter(({ architectures }) => architectures.length > 0)
			.map((one) => [one.entry, new Set(one.architectures)]),
	);
	const inheriting = unmerged.filter(({ positions }) => !positions.has("Architectures"));
	const lists = new Set(inheriting.map((entry) => [...(wanted.get(entry) ?? [])].toSorted().join()));
	const globalLine = global.positions.get("Architectures");
	const shared = globalLine !== undefined && lists.size === 1 ? wanted.get(inheriting[0]!) : undefined;
	const inherited =
		globalLine === undefined
			? global.Architectures
			: tokensOf(lines, globalLine.line - 1).flatMap(({ text: item }) => (item === "," ? [] : [item]));
	const edits: Edit[] = [];
	if (shared !== undefined) edits.push(replacing(lines, globalLine!.line - 1, shared, order));
	for (const [entry, architectures] of wanted) {
		const own = entry.positions.get("Architectures");
		if (own !== undefined) edits.push(replacing(lines, own.line - 1, architectures, order));
		else if (shared === undefined) edits.push(adding(lines, entry, arranged(inherited, architectures, order)));
	}
	check(edited(text, edits), first, wanted);
	return edits;
}

/** The items that are wanted in the order in which they stand, with those that are new among them. */
function arranged(items: readonly string[], wanted: ReadonlySet<string>, order: readonly string[]): string[] {
	const byProgram = (a: string, b: string): number => order.indexOf(a) - order.indexOf(b);
	const compare = [byProgram, compareBytes].find((one) => items.toSorted(one).join() === items.join());
	const next = items.filter((item) => wanted.has(item));
	for (const item of [...wanted].filter((one) => !items.includes(one)).toSorted(byProgram)) {
		const at = compare === undefined ? -1 : next.findIndex((other) => compare(other, item) > 0);
		next.splice(at === -1 ? next.length : at, 0, item);
	}
	return next;
}

/** An item of a list or a comma, and the blanks between it and what stands before it in its line. */
interface Token {
	readonly line: number;
	readonly gap: string;
	readonly text: string;
}

/** The list of a field that starts in this line. */
function tokensOf(lines: readonly string[], line: number): readonly Token[] {
	const tokens: Token[] = [];
	const end = endOfField(lines, line);
	for (let at = line; at < end; at++) {
		// A lone full stop stands for nothing.
		if (isComment(lines[at]!) || (at > line && lines[at]!.slice(1).trimEnd() === ".")) continue;
		const value = lines[at]!.slice(at === line ? lines[at]!.indexOf(":") + 1 : 0);
		for (const [, gap, text] of value.matchAll(/([\s\u0085]*)(,|[^,\s\u0085]+)/g)) {
			tokens.push({ line: at, gap: gap!, text: text! });
		}
	}
	return tokens;
}

function replacing(
	lines: readonly string[],
	line: number,
	wanted: ReadonlySet<string>,
	order: readonly string[],
): Edit {
	const before = tokensOf(lines, line);
	const tokens = withTokens(
		before,
		line,
		arranged(
			before.flatMap(({ text }) => (text === "," ? [] : [text])),
			wanted,
			order,
		),
	);
	const end = endOfField(lines, line);
	const next: string[] = [];
	const [oldLines, newLines] = [before, tokens].map((list) => Map.groupBy(list, (token) => token.line));
	const write = (list: readonly Token[]): string => list.map(({ gap, text: item }) => gap + item).join("");
	for (let at = line; at < end; at++) {
		const text = lines[at]!;
		const [old, now] = [oldLines!.get(at) ?? [], newLines!.get(at) ?? []];
		const start = at === line ? text.indexOf(":") + 1 : 0;
		const rest = text.slice(start + write(old).length);
		if (write(old) === write(now)) next.push(text);
		else if (now.length > 0) {
			// What is the first of its line now stands where the first one stood.
			const [first, ...others] = now;
			next.push(text.slice(0, start) + write([{ ...first!, gap: old[0]?.gap ?? " " }, ...others]) + rest);
		} else if (at === line) next.push(text.slice(0, start) + endOf(text));
	}
	// A file whose last line did not end in a newline stays one.
	if (endOf(lines[end - 1]!) === "") next.push(next.pop()!.replace(/\r?\n$/, ""));
	return { start: line, count: end - line, lines: next };
}

/** The tokens without those that are not in the list, with new ones beside what they stand next to in it. */
function withTokens(before: readonly Token[], line: number, list: readonly string[]): readonly Token[] {
	const tokens: Token[] = [];
	for (const token of before) {
		if (token.text === ",") {
			// Of the two commas around what goes, one goes with it.
			if (tokens.length > 0 && tokens.at(-1)!.text !== ",") tokens.push(token);
		} else if (list.includes(token.text)) tokens.push(token);
	}
	if (tokens.at(-1)?.text === ",") tokens.pop();
	const gap = before.find(({ line: at, text }, index) => text !== "," && before[index - 1]?.line === at)?.gap ?? " ";
	for (const [index, item] of list.entries()) {
		if (tokens.some(({ text }) => text === item)) continue;
		const at = index === 0 ? -1 : tokens.findLastIndex(({ text }) => text === list[index - 1]);
		const near = tokens[Math.max(0, at)] ?? { line, gap: " " };
		const comma = { line: near.line, gap: "", text: "," };
		if (tokens.length === 0) tokens.push({ line, gap: " ", text: item });
		else if (at === -1) {
			const [first, ...others] = tokens;
			tokens.splice(0, tokens.length, { ...first!, text: item }, comma, { ...first!, gap }, ...others);
		} else tokens.splice(at + 1, 0, comma, { line: near.line, gap, text: item });
	}
	return tokens;
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
	return line[skipSpace(line, 0, line.length, isWhiteSpace)] === "#";
}

function endOf(line: string): string {
	return /\r?\n?$/.exec(line)![0];
}

/** A proposal that does not say what is meant is worse than none. */
function check(text: string, { definition }: DerivedEntry, wanted: ReadonlyMap<Entry, ReadonlySet<string>>): void {
	const known = new Set([
		...definition.global.Architectures,
		...definition.unmerged.flatMap((entry) => entry.Architectures),
		...[...wanted.values()].flatMap((architectures) => [...architectures]),
	]);
	const { file, defaultArchitecture } = definition;
	const parsed = parseDefinition(text, { file, defaultArchitecture, architectures: known });
	const said = (entry: Entry, architectures: Iterable<string>): string =>
		JSON.stringify([entry.Tags, entry.SharedTags, [...architectures].toSorted()]);
	const is = parsed.unmerged.map((entry) => said(entry, entry.Architectures));
	const meant = definition.unmerged.map((entry) => said(entry, wanted.get(entry) ?? entry.Architectures));
	if (is.join() !== meant.join()) {
		throw new BrewlineError("internal", `${printable(file)}: the edit would not give its entries what was meant`);
	}
}
