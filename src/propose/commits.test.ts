import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { makeRepository } from "../../test/support/git-repository.ts";
import { nodeIo } from "../io/index.ts";
import { changesBetween } from "./commits.ts";

let directory: string;
beforeEach(() => {
	directory = mkdtempSync(path.join(tmpdir(), "commits-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

test("messages that are as long as somebody likes are read to a limit, and the commits after them as well", async () => {
	const repository = makeRepository(directory);
	const tree = repository.tree([]);
	const long = `é${"x".repeat(8 * 1024 * 1024)}\n`;
	const first = repository.commit(tree);
	let head = repository.commit(tree, { parents: [first], message: "Mend CVE-2026-12345\n", date: 1_700_000_001 });
	for (let number = 2; number < 7; number++) {
		head = repository.commit(tree, { parents: [head], message: `${number}${long}`, date: 1_700_000_000 + number });
	}
	const definitions = (commit: string) => new Map([["tool", `GitCommit: ${commit}\n`]]);
	const local = { folder: directory, gitDirectory: directory };
	const { commits, more, security } = await changesBetween(nodeIo(), local, definitions(first), definitions(head));
	expect(commits.map(({ subject }) => subject.slice(0, 4))).toEqual(["6éxx", "5éxx", "4éxx", "3éxx", "2éxx", "Mend"]);
	expect(Math.max(...commits.map(({ subject }) => subject.length))).toBe(65_536);
	expect({ more, security }).toEqual({ more: 0, security: true });
});
