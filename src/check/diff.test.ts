import { applyPatch, parsePatch } from "diff";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fileDiff } from "./diff.ts";

const seed = Number(process.env["FC_SEED"] ?? 1);

/** Another program's reading of a diff. */
function applied(before: string, diff: string): string | false {
	const [patch] = parsePatch(
		diff.replace(/^(?:diff --git|old mode|new mode|new file mode|deleted file mode) .*\n/gm, ""),
	);
	return patch === undefined ? before : applyPatch(before, patch);
}

describe("the diff of a file", () => {
	test("makes the one text of the other, whatever they are", () => {
		const line = fc.constantFrom("a", "b", "c", "", "-", "+x", "@@ -1 +1 @@", "--- a", "\\ No newline");
		const text = fc
			.tuple(fc.array(line, { maxLength: 30 }), fc.constantFrom("", "\n"))
			.map(([lines, end]) => (lines.length === 0 ? "" : lines.join("\n") + end));
		fc.assert(
			fc.property(text, text, (before, after) => {
				const diff = fileDiff("x", { text: before, mode: "100644" }, { text: after, mode: "100644" });
				expect(diff === "").toBe(before === after);
				expect(applied(before, diff)).toBe(after);
			}),
			{ seed, numRuns: 500 },
		);
	});

	test("has git's lines for files that come, go or change their mode", () => {
		const file = (text: string, mode = "100644") => ({ text, mode });
		expect(fileDiff("a b", undefined, file("1\n2\n", "100755"))).toBe(
			"diff --git a/a b b/a b\nnew file mode 100755\n--- /dev/null\n+++ b/a b\t\n@@ -0,0 +1,2 @@\n+1\n+2\n",
		);
		expect(fileDiff("x", file("1"), undefined)).toBe(
			"diff --git a/x b/x\ndeleted file mode 100644\n--- a/x\n+++ /dev/null\n@@ -1,1 +0,0 @@\n-1\n\\ No newline at end of file\n",
		);
		expect(fileDiff("x", undefined, file(""))).toBe("diff --git a/x b/x\nnew file mode 100644\n");
		expect(fileDiff("x", file(""), undefined)).toBe("diff --git a/x b/x\ndeleted file mode 100644\n");
		expect(fileDiff("x", file("1\n"), file("1\n", "100755"))).toBe(
			"diff --git a/x b/x\nold mode 100644\nnew mode 100755\n",
		);
		expect(fileDiff("x", file("1\n"), file("1\n"))).toBe("");
	});

	test("of much that differs takes all lines out and puts the new ones in", () => {
		const lines = (name: string) => Array.from({ length: 5000 }, (_, index) => `${name}${index}\n`).join("");
		const diff = fileDiff("x", { text: lines("a"), mode: "100644" }, { text: lines("b"), mode: "100644" });
		expect(diff).toContain("@@ -1,5000 +1,5000 @@\n-a0\n-a1\n");
		expect(diff.match(/^[+-][ab]\d/gm)).toHaveLength(10_000);
	});

	test("of a megabyte of lines is had, whatever they are", () => {
		const file = (text: string) => ({ text, mode: "100644" });
		const [before, after] = ["a\n", "b\n"].map((line) => line.repeat(250_000)) as [string, string];
		for (const [old, next] of [
			[before, after],
			[before, before + after],
			[after + before, before],
		] as const) {
			const diff = fileDiff("x", file(old), file(next));
			const count = (mark: string): number => diff.split("\n").filter((line) => line.startsWith(mark)).length - 1;
			expect(count("+") - count("-")).toBe((next.length - old.length) / 2);
		}
	});

	test("that there is no time for any more takes all lines out, and none where nothing differs", () => {
		const file = (text: string, mode = "100644") => ({ text, mode });
		expect(fileDiff("x", file("1\n2\n"), file("1\n3\n"), 0)).toContain("@@ -1,2 +1,2 @@\n-1\n-2\n+1\n+3\n");
		expect(fileDiff("x", file("1\n"), file("1\n", "100755"), -5)).not.toContain("@@");
	});
});
