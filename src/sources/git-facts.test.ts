import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { dockerProgram } from "../config/index.ts";
import { BrewlineError } from "../errors.ts";
import { openGitStore, type GitStore } from "../git/index.ts";
import { nodeIo, runCommand, type LogEvent } from "../io/index.ts";
import type { SourceCandidate } from "./assemble.ts";
import { gitFacts } from "./git-facts.ts";

const events: LogEvent[] = [];
const io = nodeIo({ log: (event) => events.push(event) });
const platformOf = (arch: string) => dockerProgram.architectures[arch]!.platform;
let folder = "";
let commit = "";
let store: GitStore;

beforeAll(async () => {
	folder = await mkdtemp(path.join(tmpdir(), "facts-"));
	const repository = path.join(folder, "remote", "a.git");
	const files: Readonly<Record<string, string>> = {
		"1/Dockerfile": "FROM debian:12\n",
		"1/copy": "FROM debian:12\n",
		"2/Dockerfile": "FROM debian:12\n",
		"arch/Dockerfile": "FROM base:$TARGETARCH\n",
		"broken/Dockerfile": "FROM debian:12\nCOPY --from=9 / /\n",
		"layout/index.json": "{}\n",
		"many/Dockerfile": Array.from({ length: 201 }, (_, number) => `FROM base:${number}\n`).join(""),
	};
	for (const [file, content] of Object.entries(files)) {
		await mkdir(path.join(repository, path.dirname(file)), { recursive: true });
		await writeFile(path.join(repository, file), content);
	}
	await symlink("../..", path.join(repository, "out"));
	const env = {
		GIT_AUTHOR_NAME: "a",
		GIT_AUTHOR_EMAIL: "a@example.com",
		GIT_COMMITTER_NAME: "a",
		GIT_COMMITTER_EMAIL: "a@example.com",
		GIT_AUTHOR_DATE: "1700000000 +0000",
		GIT_COMMITTER_DATE: "1700000001 +0100",
	};
	const git = (...args: readonly string[]) => runCommand(io, ["git", ...args], { cwd: repository, env });
	await git("init", "--quiet", "--initial-branch=master");
	await git("add", "--all");
	await git("commit", "--quiet", "--message=x");
	commit = (await git("rev-parse", "HEAD")).stdout.toString().trim();
	store = openGitStore(io, {
		directory: path.join(folder, "cache"),
		rewrite: { "https://example.com/": `${path.join(folder, "remote")}/` },
	});
});

afterAll(async () => {
	await store.close();
	await rm(folder, { recursive: true });
});

function candidate(
	directory: string,
	more: Partial<SourceCandidate["place"] & { arch: string }> = {},
): SourceCandidate {
	const { arch = "amd64", ...place } = more;
	return {
		name: "a",
		tags: [directory],
		arch,
		at: { file: "library/a", line: 3 },
		place: {
			GitRepo: "https://example.com/a.git",
			GitFetch: "refs/heads/master",
			GitCommit: commit,
			Directory: directory,
			File: "Dockerfile",
			Builder: "buildkit",
			...place,
		},
	};
}

test("each fact is asked for once", async () => {
	const reads: string[] = [];
	const fetches: number[] = [];
	const counting: Pick<GitStore, "repository"> = {
		repository: (address) => {
			const repository = store.repository(address);
			return {
				...repository,
				ensure: (wanted) => {
					fetches.push(wanted.length);
					return repository.ensure(wanted);
				},
				readFile: (...args) => {
					reads.push(`${args[1]}/${args[2]}`);
					return repository.readFile(...args);
				},
			};
		},
	};
	const candidates = [
		candidate("1"),
		candidate("1", { arch: "s390x" }),
		candidate("1", { File: "copy" }),
		candidate("2"),
		candidate("arch"),
		candidate("arch", { arch: "arm64v8" }),
		candidate("layout", { Builder: "oci-import", File: "index.json" }),
	];
	const { facts, errors } = await gitFacts(candidates, io, { git: counting, platformOf });
	expect(errors).toEqual([]);
	expect(candidates.map((each) => facts.get(each)!.froms)).toEqual([
		["debian:12"],
		["debian:12"],
		["debian:12"],
		["debian:12"],
		["base:amd64"],
		["base:arm64"],
		["scratch"],
	]);
	expect(new Set([...facts.values()].map(({ epoch }) => epoch))).toEqual(new Set([1700000001]));
	expect(new Set([...facts.values()].map(({ checksum }) => checksum)).size).toBe(4);
	expect(facts.get(candidates[0]!)!.checksum).toBe(
		await store.repository("https://example.com/a.git").checksum(commit, "1"),
	);
	expect(fetches).toEqual([1]);
	expect(reads.sort()).toEqual(["1/Dockerfile", "arch/Dockerfile"]);
	expect(events).toContainEqual({
		type: "progress",
		task: "git https://example.com/a.git",
		state: "running",
		detail: "1 commit",
	});
});

describe("what cannot be had", () => {
	const missing = "9".repeat(40);

	test("is told for each candidate, by its definition and tag, in their order; the others are there", async () => {
		const candidates = [
			candidate("none"),
			candidate("1"),
			candidate("broken"),
			candidate("many"),
			candidate("out"),
			candidate("1", { File: "none" }),
			candidate("1", { GitCommit: missing }),
			candidate("1", { GitCommit: "--upload-pack=x" }),
			candidate("1", { GitFetch: "+refs/heads/*" }),
			candidate("1", { GitRepo: "ext::sh -c true" }),
			candidate("1", { GitRepo: "https://example.com/none.git" }),
		];
		const { facts, errors } = await gitFacts(candidates, io, { git: store, platformOf });
		expect([...facts.keys()]).toEqual([candidates[1]]);
		const expected: readonly (readonly [string, RegExp])[] = [
			["git", /^library\/a: a:none \(amd64\): .*none/],
			["dockerfile", /^library\/a: a:broken \(amd64\): broken\/Dockerfile, line 2: there is no stage 9 here$/],
			["dockerfile", /: many\/Dockerfile needs 201 images, and at most 200 are looked up for one$/],
			["git", /^library\/a: a:out \(amd64\): /],
			["git", /^library\/a: a:1 \(amd64\): .*none/],
			["git", new RegExp(`^library/a: a:1 \\(amd64\\): cannot fetch ${missing} of https://example.com/a.git`)],
			["definition", /^library\/a: a:1 \(amd64\): GitCommit "--upload-pack=x" is no commit id$/],
			["definition", /^library\/a: a:1 \(amd64\): GitFetch "\+refs\/heads\/\*" is no branch or tag$/],
			["git", /^library\/a: a:1 \(amd64\): not a git address/],
			["git", /^library\/a: a:1 \(amd64\): cannot fetch .* of https:\/\/example.com\/none.git/],
		];
		expect(errors.map(({ code }) => code)).toEqual(expected.map(([code]) => code));
		for (const [index, [, message]] of expected.entries()) expect(errors[index]!.message).toMatch(message);
		for (const error of errors) expect(error.at).toEqual({ file: "library/a", line: 3 });
	});

	test("because the program is ended is no error of a candidate", async () => {
		const ended = nodeIo({ log: () => {}, signal: AbortSignal.abort(new BrewlineError("cancelled", "ended")) });
		await expect(gitFacts([candidate("1")], ended, { git: store, platformOf })).rejects.toThrow("ended");
	});
});
