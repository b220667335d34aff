import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { makeRepository, type TestEntry, type TestRepository } from "../../test/support/git-repository.ts";
import { type GitServer, startGitServer } from "../../test/support/git-server.ts";
import { nodeIo } from "../io/index.ts";
import { type GitStore, openGitStore } from "./index.ts";

const root = mkdtempSync(path.join(tmpdir(), "brewline-behind-"));
const archive = { inPath: ".tar", size: 1000 };
let repository: TestRepository;
let server: GitServer;
let git: GitStore;
let address: string;

beforeAll(async () => {
	repository = makeRepository(path.join(root, "a.git"));
	server = await startGitServer({ root });
	address = `${server.url}/a.git`;
	git = openGitStore(nodeIo({ log: () => {} }), { directory: path.join(root, "cache") });
});

afterAll(async () => {
	await git.close();
	await server.close();
	rmSync(root, { recursive: true });
});

const binary = (size: number): string =>
	repository.object("blob", Buffer.concat([Buffer.from([0]), randomBytes(size - 1)]));
const text = (size: number): string => repository.object("blob", "a\n".repeat(size / 2));

/** Commits one after another, each with these files. */
function chain(...trees: readonly (readonly TestEntry[])[]): readonly string[] {
	const commits: string[] = [];
	for (const [index, entries] of trees.entries()) {
		const parent = commits.at(-1);
		commits.push(
			repository.commit(repository.tree(entries), {
				parents: parent === undefined ? [] : [parent],
				date: 1_700_000_000 + index,
			}),
		);
	}
	return commits;
}

test("tells what a commit changes that is binary, large and named so, and what of the asked it is behind", async () => {
	const commits = chain(
		[["100644", "x.tar.xz", binary(2000)]],
		[["100644", "x.tar.xz", binary(1000)]],
		[["100644", "x.tar.xz", binary(999)]],
		[["100644", "x.tar.xz", text(2000)]],
		[["100644", "x.TAR", binary(2000)]],
		[["100644", "x.TAR", binary(2000)]],
	);
	repository.ref("refs/heads/changes", commits.at(-1)!);
	const fetch = "refs/heads/changes";
	const found = await git.repository(address).history([{ commit: commits[5]!, fetch }], archive);
	expect(
		found.modified.map(({ commit, path: file, size, behind }) => [commits.indexOf(commit), file, size, behind]),
	).toEqual(
		// The fourth is text that was binary before: git calls that a change of a binary file.
		[1, 3]
			.map((index) => [index, "x.tar.xz", [0, 1000, 0, 2000][index], commits[5]])
			.toSorted(([a], [b]) => (commits[a as number]! < commits[b as number]! ? -1 : 1)),
	);
	const earlier = await git.repository(address).history([{ commit: commits[1]!, fetch }], archive);
	expect(earlier.modified.map(({ commit, behind }) => [commit, behind])).toEqual([[commits[1], commits[1]]]);
	expect(earlier.outside).toEqual([]);
});

test("a name is looked for as it is written, and shown as it is", async () => {
	const name = "[é] *?\\.tar";
	const commits = chain([["100644", name, binary(2000)]], [["100644", name, binary(2000)]]);
	repository.ref("refs/heads/names", commits[1]!);
	const wanted = [{ commit: commits[1]!, fetch: "refs/heads/names" }];
	const look = async (inPath: string) =>
		(await git.repository(address).history(wanted, { ...archive, inPath })).modified.map((one) => one.path);
	expect(await look(".tar")).toEqual([name]);
	expect(await look("*?\\.tar")).toEqual([name]);
	expect(await look("[é]")).toEqual([name]);
	expect(await look("[x]")).toEqual([]);
	expect(await look("*.tar")).toEqual([]);
});

test("tells a ref that is not there from a commit that is not behind it", async () => {
	const [first, second] = chain([], [["100644", "a", text(2)]]);
	const [other] = chain([["100644", "b", text(2)]]);
	repository.ref("refs/heads/old", first!);
	repository.ref("refs/heads/new", second!);
	repository.ref("refs/heads/other", other!);
	const found = await git.repository(address).history(
		[
			{ commit: first!, fetch: "refs/heads/new" },
			{ commit: second!, fetch: "refs/heads/old" },
			{ commit: other!, fetch: "refs/heads/gone" },
		],
		archive,
	);
	expect(found.outside).toEqual([{ commit: second, fetch: "refs/heads/old" }]);
	expect([...found.unfetchable.keys()]).toEqual(["refs/heads/gone"]);
});

test("a cache of commits without their history gets all of it", async () => {
	const commits = chain(
		[["100644", "y.tar", binary(2000)]],
		[["100644", "y.tar", binary(2000)]],
		[["100644", "y.tar", text(2)]],
	);
	repository.ref("refs/heads/deep", commits[2]!);
	const wanted = [{ commit: commits[2]!, fetch: "refs/heads/deep" }];
	const cached = git.repository(address);
	await cached.ensure(wanted);
	expect((await cached.history(wanted, archive)).modified.map(({ commit }) => commit)).toEqual([commits[1]]);
	expect(await cached.commitEpoch(commits[2]!)).toBe(1_700_000_002);
});

test("a commit that cannot be had, and a repository that is not there, are errors", async () => {
	const wanted = [{ commit: "0".repeat(40), fetch: "refs/heads/changes" }];
	await expect(git.repository(address).history(wanted, archive)).rejects.toMatchObject({ code: "git" });
	await expect(git.repository(`${server.url}/none.git`).history(wanted, archive)).rejects.toMatchObject({
		code: expect.stringMatching(/git|credentials/),
	});
	await expect(
		git.repository(address).history([{ commit: "0".repeat(40), fetch: "--upload-pack=x" }], archive),
	).rejects.toMatchObject({ code: "git" });
});
