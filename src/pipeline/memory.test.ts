import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startGitServer } from "../../test/support/git-server.ts";
import { makeRepository } from "../../test/support/git-repository.ts";
import { nodeIo } from "../io/index.ts";
import { openMemory } from "./memory.ts";

let folder: string;
beforeEach(() => {
	folder = mkdtempSync(path.join(os.tmpdir(), "brewline-memory-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe("a state that is kept elsewhere", () => {
	it("is not read with a git configuration that another job left in the work folder", async () => {
		makeRepository(path.join(folder, "served", "state.git"));
		await using server = await startGitServer({ root: path.join(folder, "served"), push: true });
		const repository = `${server.url}/state.git`;
		const directory = path.join(folder, "work");
		const open = (kept: "work" | "remote") =>
			openMemory(
				{
					state: { repository, branch: "brewline-state", author: { name: "Somebody", email: "somebody@example.com" } },
					git: { rewrite: {}, credentials: {} },
				},
				nodeIo(),
				{ directory, kept, dryRun: false, credentials: {} },
			);
		{
			await using mine = open("work");
			await mine.update((state) => state, "Begin");
		}
		// As an artifact could bring it along: where the state is, or what goes there, is the artifact's to say then.
		for (const name of readdirSync(path.join(directory, "cache")).filter((one) => one.endsWith(".git"))) {
			mkdirSync(path.join(directory, "cache", name), { recursive: true });
			const config = `[core]\n\tbare = true\n[url "http://127.0.0.1:1/"]\n\tinsteadOf = ${server.url}\n`;
			writeFileSync(path.join(directory, "cache", name, "config"), config);
		}
		await using memory = open("remote");
		await memory.read();
		await memory.update(
			(state) => ({
				...state,
				published: {
					x: { "x:1": { digest: `sha256:${"1".repeat(64)}`, platforms: [], when: "2026-01-01T00:00:00Z" } },
				},
			}),
			"Go on",
		);
		expect(Object.keys((await memory.read())?.published ?? {})).toEqual(["x"]);
	});
});
