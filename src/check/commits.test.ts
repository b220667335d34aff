import { expect, test } from "vitest";
import { dockerProgram } from "../config/index.ts";
import { parseDefinition, type Selection } from "../definition/index.ts";
import type { GitStore, History, WantedCommit } from "../git/index.ts";
import { checkCommits } from "./commits.ts";

const commit = "0123456789012345678901234567890123456789";

function selection(...entries: readonly string[]): Selection {
	const head = `Maintainers: Ada Lovelace <ada@example.com> (@ada)\nGitRepo: https://git.example.com/app.git\nGitCommit: ${commit}\n`;
	const definition = parseDefinition([head, ...entries.map((entry) => `${entry}\n`)].join("\n"), {
		file: "library/app",
		architectures: Object.keys(dockerProgram.architectures),
		defaultArchitecture: dockerProgram.defaultArchitecture,
	});
	return { reference: "app", name: "app", tag: null, definition, entries: definition.entries };
}

test("one commit behind several refs is looked for behind each of them, and told of once", async () => {
	const asked: WantedCommit[] = [];
	const history: History = {
		unfetchable: new Map([
			["refs/heads/one", "gone"],
			["refs/heads/two", "gone"],
		]),
		outside: [{ commit, fetch: "refs/heads/three" }],
		modified: [],
	};
	const git = {
		repository: () => ({ history: async (wanted: readonly WantedCommit[]) => (asked.push(...wanted), history) }),
	} as unknown as Pick<GitStore, "repository">;
	const entries = ["one", "two", "three", "one"].map(
		(name, at) => `Tags: ${at}\nGitFetch: refs/heads/${name}\nDirectory: ${at}`,
	);
	const drafts = await checkCommits([selection(...entries)], git, dockerProgram.checks);
	expect(asked.map(({ fetch }) => fetch)).toEqual(["refs/heads/one", "refs/heads/two", "refs/heads/three"]);
	expect(drafts.map(({ tag, message }) => [tag, message])).toEqual([
		[
			"0",
			`commit ${commit}: refs/heads/one cannot be fetched; refs/heads/two cannot be fetched; it is not behind refs/heads/three`,
		],
	]);
});
