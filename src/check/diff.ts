import { diffArrays } from "diff";
import { linesOf, type Edit } from "./edit.ts";

/** Lines around a change. */
const context = 3;

/** A file as a diff knows it; git's modes: `100644`, `100755`, `120000`. */
export interface DiffFile {
	readonly text: string;
	readonly mode?: string;
}

/** Changed lines after which a diff is not looked for any longer: all lines are then taken out, and the new ones put in. */
const maxEditLength = 4000;
const maxMilliseconds = 1000;

/** What makes one text of another. */
function editsBetween(before: string, after: string, milliseconds: number): readonly Edit[] {
	if (before === after) return [];
	const lines = [...linesOf(before)];
	const next = [...linesOf(after)];
	const timeout = Math.min(milliseconds, maxMilliseconds);
	const parts = timeout > 0 ? diffArrays(lines, next, { maxEditLength, timeout }) : undefined;
	if (parts === undefined) return [{ start: 0, count: lines.length, lines: next }];
	const edits: { start: number; count: number; lines: string[] }[] = [];
	let at = 0;
	for (const { added, removed, value } of parts) {
		const last = edits.at(-1);
		const open = last !== undefined && last.start + last.count === at ? last : undefined;
		if (!added && !removed) at += value.length;
		else {
			const edit = open ?? { start: at, count: 0, lines: [] };
			if (open === undefined) edits.push(edit);
			if (added) append(edit.lines, value);
			else {
				edit.count += value.length;
				at += value.length;
			}
		}
	}
	return edits;
}

/** As `push(...)`, which takes no more items than there is room for on the stack. */
function append<Item>(list: Item[], items: readonly Item[]): void {
	for (const item of items) list.push(item);
}

/**
 * The diff from one state of a file to another; `undefined`: it is not there. Empty where nothing differs. Where it is not
 * found in so many milliseconds, and in a second at most, all lines are taken out and the new ones put in.
 */
export function fileDiff(
	path: string,
	before: DiffFile | undefined,
	after: DiffFile | undefined,
	milliseconds = maxMilliseconds,
): string {
	if (before !== undefined && after !== undefined && isLink(before) !== isLink(after)) {
		// A patch makes no file of a link, it takes the one away and adds the other.
		return fileDiff(path, before, undefined) + fileDiff(path, undefined, after);
	}
	const modes: string[] = [];
	if (before === undefined) modes.push(`new file mode ${after?.mode ?? "100644"}\n`);
	else if (after === undefined) modes.push(`deleted file mode ${before.mode ?? "100644"}\n`);
	else if (before.mode !== after.mode) modes.push(`old mode ${before.mode}\n`, `new mode ${after.mode}\n`);
	const text = before?.text ?? "";
	const body = unifiedDiff(path, text, editsBetween(text, after?.text ?? "", milliseconds));
	const name = `diff --git a/${path} b/${path}\n`;
	if (modes.length === 0) return body;
	const hunks = body
		.slice(name.length)
		.replace(/^--- .*$/m, (line) => (before === undefined ? "--- /dev/null" : line))
		.replace(/^\+\+\+ .*$/m, (line) => (after === undefined ? "+++ /dev/null" : line));
	return name + modes.join("") + hunks;
}

function isLink({ mode }: DiffFile): boolean {
	return mode === "120000";
}

/** A unified diff that `git apply` takes; `path` is relative to the repository, with `/`. Empty without edits. */
export function unifiedDiff(path: string, text: string, edits: readonly Edit[]): string {
	if (edits.length === 0) return "";
	const lines = linesOf(text);
	const sorted = edits.toSorted((a, b) => a.start - b.start);
	const hunks: Edit[][] = [];
	for (const edit of sorted) {
		const last = hunks.at(-1);
		const end = last === undefined ? -Infinity : last.at(-1)!.start + last.at(-1)!.count;
		if (last !== undefined && edit.start - end <= 2 * context) last.push(edit);
		else hunks.push([edit]);
	}
	// As git does it: a tab says where a name with a blank ends.
	const tab = path.includes(" ") ? "\t" : "";
	const out = [`diff --git a/${path} b/${path}\n--- a/${path}${tab}\n+++ b/${path}${tab}\n`];
	let shift = 0;
	for (const hunk of hunks) {
		const first = Math.max(0, hunk[0]!.start - context);
		const end = Math.min(lines.length, hunk.at(-1)!.start + hunk.at(-1)!.count + context);
		const body: string[] = [];
		let at = first;
		let grown = 0;
		for (const { start, count, lines: next } of hunk) {
			for (const line of lines.slice(at, start)) body.push(marked(" ", line));
			for (const line of lines.slice(start, start + count)) body.push(marked("-", line));
			for (const line of next) body.push(marked("+", line));
			at = start + count;
			grown += next.length - count;
		}
		for (const line of lines.slice(at, end)) body.push(marked(" ", line));
		const length = end - first;
		out.push(`@@ -${range(first, length)} +${range(first + shift, length + grown)} @@\n`);
		append(out, body);
		shift += grown;
	}
	return out.join("");
}

/** Where lines begin, and how many there are; of none, where the line before them is. */
function range(first: number, length: number): string {
	return `${length === 0 ? first : first + 1},${length}`;
}

function marked(mark: string, line: string): string {
	return line.endsWith("\n") ? mark + line : `${mark}${line}\n\\ No newline at end of file\n`;
}
