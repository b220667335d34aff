import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it, test } from "vitest";
import { makeRepository, type TestEntry, type TestRepository } from "../../test/support/git-repository.ts";
import { nodeIo } from "../io/index.ts";
import { newestCommits, type PathQuery } from "./index.ts";

const seed = Number(process.env["FC_SEED"] ?? 1);
let root: string;
let repository: TestRepository;
beforeAll(() => {
	root = mkdtempSync(path.join(tmpdir(), "newest-"));
	repository = makeRepository(path.join(root, "repository"));
});
afterAll(() => {
	rmSync(root, { recursive: true });
});

type Files = Readonly<Record<string, string>>;

function treeOf(files: Files): string {
	const here = new Map<string, string>();
	const below = new Map<string, Record<string, string>>();
	for (const [name, content] of Object.entries(files)) {
		const [first, ...rest] = name.split("/");
		if (rest.length === 0) here.set(first!, content);
		else below.set(first!, { ...below.get(first!), [rest.join("/")]: content });
	}
	const entries: TestEntry[] = [
		...[...here].map(([name, content]) => ["100644", name, repository.object("blob", content)] as const),
		...[...below].map(([name, inner]) => ["40000", name, treeOf(inner)] as const),
	];
	// Git sorts a directory as if its name ended with a slash.
	const key = ([mode, name]: TestEntry): string => `${String(name)}${mode === "40000" ? "/" : ""}`;
	return repository.tree(entries.toSorted((a, b) => (key(a) < key(b) ? -1 : 1)));
}

function gitSays(head: string, { directory, paths }: PathQuery): string | undefined {
	const inside = paths.map((each) => (directory === "" ? each : `${directory}/${each}`));
	return repository.git("log", "-1", "--format=%H", head, "--", ...inside) || undefined;
}

async function newest(head: string, queries: readonly PathQuery[]): Promise<readonly (string | undefined)[]> {
	const local = { folder: repository.directory, gitDirectory: repository.directory };
	return (await newestCommits(nodeIo(), local, head, queries)).commits;
}

const queries: readonly PathQuery[] = [
	{ directory: "a", paths: ["Dockerfile"] },
	{ directory: "a", paths: ["Dockerfile", "x-*"] },
	{ directory: "a", paths: ["."] },
	{ directory: "a/b", paths: ["Dockerfile", "sub/", "./x-1"] },
	{ directory: "", paths: ["generate.sh"] },
	{ directory: "", paths: ["[^.g]*/**"] },
	{ directory: "c", paths: ["x?2", "nothing"] },
	{ directory: "", paths: ["nowhere"] },
	{ directory: "a", paths: ["b"] },
	{ directory: "a/b", paths: ["../x-*"] },
	{ directory: "a", paths: ["../c/x*"] },
	{ directory: "a", paths: ["x\\-1"] },
];
const names = [
	"a/Dockerfile",
	"a/x-1",
	"a/x-2",
	"a/b/Dockerfile",
	"a/b/x-1",
	"a/b/sub/y",
	"c/x-2",
	".g/x",
	"generate.sh",
];

interface Step {
	/** How far back its parents are; the first is what it starts from. */
	readonly parents: readonly number[];
	readonly changes: readonly (readonly [name: number, content: number | null])[];
	readonly date: number;
}

const step: fc.Arbitrary<Step> = fc.record({
	parents: fc.array(fc.nat(4), { minLength: 1, maxLength: 3 }),
	changes: fc.array(fc.tuple(fc.nat(names.length - 1), fc.option(fc.nat(2), { nil: null })), { maxLength: 2 }),
	// Clocks differ: a commit may be older than its parents.
	date: fc.integer({ min: -3, max: 5 }),
});

describe("one walk answers what git answers for each query alone", () => {
	test("in histories with merges of all kinds, reverts and clocks that go wrong", async () => {
		await fc.assert(
			fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 14 }), async (steps) => {
				const commits: { readonly id: string; readonly files: Files }[] = [];
				for (const { parents, changes, date } of steps) {
					const from = [...new Set(parents.map((back) => commits.length - 1 - back).filter((at) => at >= 0))];
					const files: Record<string, string> = { ...commits[from[0] ?? -1]?.files };
					for (const [name, content] of changes) {
						if (content === null) delete files[names[name]!];
						else files[names[name]!] = `${content}\n`;
					}
					const id = repository.commit(treeOf(files), {
						parents: from.map((at) => commits[at]!.id),
						date: 1_700_000_000 + commits.length * 2 + date,
					});
					commits.push({ id, files });
				}
				const head = commits.at(-1)!.id;
				expect(await newest(head, queries)).toEqual(queries.map((query) => gitSays(head, query)));
			}),
			{ seed, numRuns: 60 },
		);
	});

	it("takes a merge only where it differs from all that it merges", async () => {
		const base = repository.commit(treeOf({ "a/Dockerfile": "0", "c/x-2": "0" }));
		const left = repository.commit(treeOf({ "a/Dockerfile": "1", "c/x-2": "0" }), {
			parents: [base],
			date: 1_700_000_001,
		});
		const right = repository.commit(treeOf({ "a/Dockerfile": "0", "c/x-2": "1" }), {
			parents: [base],
			date: 1_700_000_002,
		});
		const merge = repository.commit(treeOf({ "a/Dockerfile": "1", "c/x-2": "1" }), {
			parents: [right, left],
			date: 1_700_000_003,
		});
		const evil = repository.commit(treeOf({ "a/Dockerfile": "2", "c/x-2": "1" }), {
			parents: [right, left],
			date: 1_700_000_003,
		});
		const asked: readonly PathQuery[] = [
			{ directory: "a", paths: ["Dockerfile"] },
			{ directory: "c", paths: ["x-2"] },
			{ directory: "", paths: ["."] },
		];
		expect(await newest(merge, asked)).toEqual([left, right, merge]);
		expect(await newest(evil, asked)).toEqual([evil, right, evil]);
	});

	it("follows the first of the parents that are the same", async () => {
		const base = repository.commit(treeOf({ x: "0" }));
		const [left, right] = [1, 2].map((seconds) =>
			repository.commit(treeOf({ x: "1" }), { parents: [base], date: 1_700_000_000 + seconds }),
		) as [string, string];
		for (const parents of [
			[left, right],
			[right, left],
		]) {
			const merge = repository.commit(treeOf({ x: "1", y: "1" }), { parents, date: 1_700_000_003 });
			const query: PathQuery = { directory: "", paths: ["x"] };
			expect(await newest(merge, [query])).toEqual([parents[0]]);
			expect(gitSays(merge, query)).toBe(parents[0]);
		}
	});

	it("takes names of any form, and paths that lead out for nothing", async () => {
		const odd = "0123456789012345678901234567890123456789 :x (from y)";
		const first = repository.commit(treeOf({ [odd]: "1", "a/[b]*": "1", "a/é": "1" }));
		const head = repository.commit(treeOf({ [odd]: "1", "a/[b]*": "2", "a/é": "1" }), {
			parents: [first],
			date: 1_700_000_001,
		});
		const asked: readonly PathQuery[] = [
			{ directory: "", paths: [odd] },
			{ directory: "a", paths: ["\\[b]\\*"] },
			{ directory: "a", paths: ["é"] },
			{ directory: "a", paths: ["../../a/Dockerfile"] },
			{ directory: "a", paths: [] },
		];
		expect(await newest(head, asked)).toEqual([first, head, first, undefined, undefined]);
	});

	it("believes no id of a parent, and no change, that a message has in it", async () => {
		const first = repository.commit(treeOf({ "a/Dockerfile": "1" }));
		const asked: readonly PathQuery[] = [{ directory: "a", paths: ["Dockerfile"] }];
		const raw = `:100644 100644 ${"0".repeat(7)} ${"1".repeat(7)} M`;
		const subjects = [
			first,
			`${first} (from ${first})`,
			`(from ${first}) is gone`,
			`commit ${first}`,
			raw,
			`x\r${raw}`,
			`x\n\n${raw}\ncommit ${first}\n`,
			"",
		];
		for (const [index, message] of subjects.entries()) {
			const date = 1_700_000_010 + index;
			const head = repository.commit(treeOf({ "a/Dockerfile": "2" }), { parents: [first], date, message });
			expect([message, ...(await newest(head, asked))]).toEqual([message, head]);
			const above = repository.commit(treeOf({ "a/Dockerfile": "2" }), { parents: [head], date: date + 1, message });
			expect([message, ...(await newest(above, asked))]).toEqual([message, head]);
			const merge = repository.commit(treeOf({ "a/Dockerfile": "2" }), {
				parents: [first, head],
				date: date + 2,
				message,
			});
			expect([message, ...(await newest(merge, asked))]).toEqual([message, head]);
		}
	});

	it("ends a pattern that is made to take long", async () => {
		const name = `a/${"a".repeat(200)}`;
		const head = repository.commit(treeOf({ [name]: "1" }));
		const query = { directory: "a", paths: [`${"*a".repeat(100)}*b`] };
		expect(await newest(head, [query])).toEqual([undefined]);
	});
});

describe("a clone without all of its history", () => {
	const clone = (depth: number): string => {
		const folder = path.join(root, `shallow-${depth}`);
		execFileSync("git", ["clone", "--quiet", `--depth=${depth}`, `file://${repository.directory}`, folder], {
			stdio: "pipe",
		});
		return folder;
	};

	it("is refused where what decides was not fetched, and only there", async () => {
		const first = repository.commit(treeOf({ "a/Dockerfile": "1", x: "1" }));
		const second = repository.commit(treeOf({ "a/Dockerfile": "1", x: "2" }), {
			parents: [first],
			date: 1_700_000_001,
		});
		const third = repository.commit(treeOf({ "a/Dockerfile": "1", x: "3" }), {
			parents: [second],
			date: 1_700_000_002,
		});
		repository.ref("refs/heads/main", third);
		// By default it is another one in other versions of git.
		repository.git("symbolic-ref", "HEAD", "refs/heads/main");
		const shallow = { folder: clone(2) };
		const query = (name: string): PathQuery => ({ directory: "", paths: [name] });
		expect((await newestCommits(nodeIo(), shallow, "HEAD", [query("x")])).commits).toEqual([third]);
		await expect(newestCommits(nodeIo(), shallow, "HEAD", [query("x"), query("a")])).rejects.toMatchObject({
			code: "git",
			message: expect.stringContaining(second) as string,
			hint: expect.stringContaining("fetch-depth: 0") as string,
		});
		const bare = { folder: repository.directory, gitDirectory: repository.directory };
		expect((await newestCommits(nodeIo(), bare, third, [query("a")])).commits).toEqual([first]);
	});

	it("is not looked for in a folder that was committed as if it were a repository", async () => {
		await expect(
			newestCommits(nodeIo(), { folder: repository.directory }, "HEAD", [{ directory: "", paths: ["x"] }]),
		).rejects.toMatchObject({ code: "git", message: expect.stringContaining("safe.bareRepository") as string });
	});

	it("has git's own words where there is no such commit", async () => {
		const nowhere = newestCommits(nodeIo(), { folder: repository.directory }, "no-such-branch", queries);
		await expect(nowhere).rejects.toMatchObject({
			code: "git",
			message: expect.stringMatching(/no-such-branch/) as string,
		});
	});
});
