import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { dockerProgram } from "../config/index.ts";
import { parseDefinition, type Selection } from "../definition/index.ts";
import { BrewlineError } from "../errors.ts";
import { openGitStore, type GitStore } from "../git/index.ts";
import { nodeIo, runCommand, type LogEvent } from "../io/index.ts";
import { sources } from "./sources.ts";
import type { Sources } from "./types.ts";

const events: LogEvent[] = [];
const io = nodeIo({ log: (event) => events.push(event) });
const architectures = Object.keys(dockerProgram.architectures);
let folder = "";
let store: GitStore;
/** Two commits: the second one changes the base. */
const commits: string[] = [];

const files = (base: string): Readonly<Record<string, string>> => ({
	"base/Dockerfile": "FROM scratch\n",
	"base/content": base,
	"middle/Dockerfile": "FROM base:1\n",
	"top/Dockerfile": "FROM debian:12 AS build\nFROM middle:latest\nCOPY --from=build / /\n",
	"other/Dockerfile": "FROM debian:12\n",
	"circle/Dockerfile": "FROM circle\n",
	"broken/Dockerfile": "FROM\n",
});

beforeAll(async () => {
	folder = await mkdtemp(path.join(tmpdir(), "sources-"));
	const repository = path.join(folder, "remote", "x.git");
	const date = "1700000000 +0000";
	const who = (role: string) => ({
		[`GIT_${role}_NAME`]: "x",
		[`GIT_${role}_EMAIL`]: "x@example.com",
		[`GIT_${role}_DATE`]: date,
	});
	const env = { ...who("AUTHOR"), ...who("COMMITTER") };
	const git = (...args: readonly string[]) => runCommand(io, ["git", ...args], { cwd: repository, env });
	await mkdir(repository, { recursive: true });
	await git("init", "--quiet", "--initial-branch=master");
	for (const base of ["1\n", "2\n"]) {
		for (const [file, content] of Object.entries(files(base))) {
			await mkdir(path.join(repository, path.dirname(file)), { recursive: true });
			await writeFile(path.join(repository, file), content);
		}
		await git("add", "--all");
		await git("commit", "--quiet", "--message=x");
		commits.push((await git("rev-parse", "HEAD")).stdout.toString().trim());
	}
	store = openGitStore(io, {
		directory: path.join(folder, "cache"),
		rewrite: { "https://example.com/": `${path.join(folder, "remote")}/` },
	});
});

afterAll(async () => {
	await store.close();
	await rm(folder, { recursive: true });
});

function select(name: string, more: { readonly commit?: string; readonly lines?: readonly string[] } = {}): Selection {
	const definition = parseDefinition(
		[
			"Maintainers: X <x@example.com> (@x)",
			"GitRepo: https://example.com/x.git",
			`GitCommit: ${more.commit ?? commits[0]!}`,
			"Architectures: amd64, arm64v8",
			"",
			"Tags: 1, latest",
			`Directory: ${name}`,
			...(more.lines ?? []),
			"",
		].join("\n"),
		{ file: `library/${name}`, architectures, defaultArchitecture: "amd64" },
	);
	return { reference: name, name, tag: null, definition, entries: definition.entries };
}

async function compute(
	selections: readonly Selection[],
	more: { readonly previous?: Sources; readonly git?: Pick<GitStore, "repository"> } = {},
): Promise<Sources> {
	return sources(
		{ selections, pins: new Map(), ...(more.previous === undefined ? {} : { previous: more.previous }) },
		io,
		{
			program: dockerProgram,
			git: more.git ?? store,
		},
	);
}

async function errorOf(promise: Promise<unknown>): Promise<BrewlineError> {
	const error: unknown = await promise.then(
		() => new Error("there was no error"),
		(reason: unknown) => reason,
	);
	if (error instanceof BrewlineError) return error;
	throw error;
}

const firstTags = (result: Sources): readonly string[] =>
	Object.values(result).map(({ arches }) => arches["amd64"]!.tags[0]!);

test("parents come before children, whatever order they are given in", async () => {
	const all = ["other", "top", "middle", "base"].map((name) => select(name));
	expect(firstTags(await compute(all))).toEqual(["other:1", "base:1", "middle:1", "top:1"]);
	const result = await compute(all.toReversed());
	expect(firstTags(result)).toEqual(["base:1", "middle:1", "top:1", "other:1"]);
	const [base, middle, top] = Object.values(result);
	expect(middle!.arches["arm64v8"]!.parents).toEqual({ "base:1": { sourceId: base!.sourceId, pin: null } });
	expect(top!.arches["amd64"]!.parents).toEqual({
		"debian:12": { sourceId: null, pin: null },
		"middle:latest": { sourceId: middle!.sourceId, pin: null },
	});
	expect(top!.arches["amd64"]!.lastStageFrom).toBe("middle:latest");
	expect(top!.entries[0]!.SOURCE_DATE_EPOCH).toBe(1_700_000_000);
});

test("ids do not depend on what else there is, nor on its order", async () => {
	const names = ["base", "middle", "top", "other"];
	const whole = await compute(names.map((name) => select(name)));
	const idOf = (result: Sources, name: string) =>
		Object.values(result).find(({ arches }) => arches["amd64"]!.tags[0] === `${name}:1`)?.sourceId;
	await fc.assert(
		fc.asyncProperty(fc.shuffledSubarray(names, { minLength: 1 }), async (some) => {
			const part = await compute(some.map((name) => select(name)));
			expect(Object.keys(part).length).toBe(some.length);
			for (const name of some) expect(idOf(part, name)).toBe(idOf(whole, name));
		}),
		{ seed: Number(process.env["FC_SEED"] ?? 1), numRuns: 20 },
	);
});

test("content that did not change keeps its id in another commit, and both commits are kept", async () => {
	const before = await compute([select("base"), select("other")]);
	const after = await compute([select("base", { commit: commits[1]! }), select("other", { commit: commits[1]! })]);
	const changed = Object.keys(after).filter((id) => !(id in before));
	expect(changed.map((id) => after[id]!.arches["amd64"]!.tags[0])).toEqual(["base:1"]);
	const lines = ["", "Tags: 2", "Directory: other", `GitCommit: ${commits[1]!}`];
	const [merged] = Object.values(await compute([select("other", { lines })]));
	expect(merged!.entries.map(({ GitCommit }) => GitCommit)).toEqual(commits);
	expect(merged!.arches["amd64"]!.tags).toEqual(["other:1", "other:latest", "other:2"]);
});

test("git is asked only for what a previous run does not know", async () => {
	const asked: string[] = [];
	const git: Pick<GitStore, "repository"> = {
		repository: (address) => {
			const repository = store.repository(address);
			return {
				...repository,
				checksum: (commit, directory) => {
					asked.push(directory);
					return repository.checksum(commit, directory);
				},
			};
		},
	};
	const previous = await compute([select("base"), select("middle")]);
	const all = [select("base"), select("middle"), select("top")];
	const result = await compute(all, { previous, git });
	expect(new Set(asked)).toEqual(new Set(["top"]));
	expect(result).toEqual(await compute(all));
	await expect(
		sources({ selections: all, pins: new Map(), previous: result }, io, { program: dockerProgram }),
	).resolves.toEqual(result);
	expect(events.at(-1)).toMatchObject({
		text: "3 sources; git was asked for 0 of 6 (entries, each on an architecture)",
	});
});

describe("errors", () => {
	test("of all entries come at once, and nothing else does", async () => {
		const error = await errorOf(
			compute([select("broken"), select("base"), select("none"), select("other", { lines: ["amd64-File: x"] })]),
		);
		expect(error.code).toBe("failed");
		expect(error.errors.map(({ code }) => code)).toEqual(["dockerfile", "dockerfile", "git", "git", "git"]);
		expect(error.message).toContain(
			"library/broken: broken:1 (amd64): broken/Dockerfile, line 1: FROM without an image",
		);
		expect(error.message).toContain("library/none: none:1 (arm64v8): ");
		expect(error.message).toContain("library/other: other:1 (amd64): ");
	});

	test("a circle of FROMs", async () => {
		expect((await errorOf(compute([select("circle")]))).code).toBe("cycle");
	});

	test("an architecture that the program does not have", async () => {
		const program = { architectures: { amd64: dockerProgram.architectures["amd64"]! } };
		const error = await errorOf(
			sources({ selections: [select("base")], pins: new Map() }, io, { program, git: store }),
		);
		expect(error.message).toBe("library/base: base:1 (arm64v8): the program has no such architecture");
	});

	test.each(["https://u:p@ss@example.com/x.git", "ext::sh -c id"])(
		"an address that is never fetched from, also where the content is known: %s",
		async (address) => {
			const previous = await compute([select("base")]);
			const before = events.length;
			const error = await errorOf(compute([select("base", { lines: [`GitRepo: ${address}`] })], { previous }));
			expect(error.errors.map(({ at }) => at)).toEqual(
				Array.from({ length: 2 }, () => ({ file: "library/base", line: 6, column: 1 })),
			);
			expect(error.message).toContain("library/base: base:1 (amd64): not a git address: ");
			expect(error.message).not.toContain("ss@");
			// Nor is it in the log.
			expect(events.slice(before)).toEqual([]);
		},
	);

	test("what no previous run knows, where git may not be asked", async () => {
		const error = await errorOf(
			sources({ selections: [select("base")], pins: new Map() }, io, { program: dockerProgram }),
		);
		expect(error.code).toBe("git");
		expect(error.message).toContain(
			"library/base: base:1 (amd64): it is not in the previous sources, and git may not be asked",
		);
	});
});
