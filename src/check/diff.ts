import { linesOf, type Edit } from "./edit.ts";

/** Lines around a change. */
const context = 3;

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
			body.push(...lines.slice(at, start).map((line) => marked(" ", line)));
			body.push(...lines.slice(start, start + count).map((line) => marked("-", line)));
			body.push(...next.map((line) => marked("+", line)));
			at = start + count;
			grown += next.length - count;
		}
		body.push(...lines.slice(at, end).map((line) => marked(" ", line)));
		const length = end - first;
		out.push(`@@ -${first + 1},${length} +${first + 1 + shift},${length + grown} @@\n`, ...body);
		shift += grown;
	}
	return out.join("");
}

function marked(mark: string, line: string): string {
	return line.endsWith("\n") ? mark + line : `${mark}${line}\n\\ No newline at end of file\n`;
}
