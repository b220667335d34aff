import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import type { TestEntry, TestRepository } from "../../test/support/git-repository.ts";
import { testIo } from "../../test/support/scripted.ts";
import { added, adding, buildIdOfNumber, stateRef, stateTree, stateWorld } from "../../test/support/state-world.ts";
import type { Io } from "../io/index.ts";
import { emptyState, splitState } from "./index.ts";

describe("reading and writing", () => {
	test("the first state is a commit without a parent; what changes is one file, and nothing is no commit", async () => {
		await using w = await stateWorld();
		await using store = w.open();
		expect(await store.read()).toEqual({ state: emptyState, commit: null });
		const first = await store.update(adding(1), "Force a build");
		expect(first).toMatchObject({ changed: true, commit: w.log()[0] });
		expect(w.log()).toHaveLength(1);
		const second = await store.update(
			(state) => ({
				...state,
				queue: { ...state.queue, base: { [buildIdOfNumber(2)]: { count: 3, lastTime: null } } },
			}),
			"Remember a try",
		);
		expect(w.repository.git("diff-tree", "--name-only", "-r", first.commit!, second.commit!)).toBe("queue/base.json");
		expect(await store.update((state) => state, "Nothing")).toMatchObject({ changed: false, commit: second.commit });
		await store.update((state) => ({ ...state, queue: { tool: state.queue["tool"]! } }), "Forget it");
		expect(w.repository.git("ls-tree", "-r", "--name-only", stateRef).split("\n")).toEqual([
			"decisions.json",
			"format.json",
			"queue/tool.json",
		]);
		expect(w.log()).toHaveLength(3);
		expect(w.repository.git("log", "--format=%an <%ae> %cn %at %s", stateRef).split("\n")).toEqual([
			"Brewline <brewline@example.org> Brewline 1767225600 Forget it",
			"Brewline <brewline@example.org> Brewline 1767225600 Remember a try",
			"Brewline <brewline@example.org> Brewline 1767225600 Force a build",
		]);
		expect(Object.fromEntries(splitState(w.now()))).toEqual(Object.fromEntries(splitState((await store.read()).state)));
		expect(w.repository.git("show", `${stateRef}:format.json`)).toBe(
			'{\n\t"format": "brewline-state",\n\t"version": 1\n}',
		);
	});

	test("the same change at the same time is the same commit", async () => {
		await using one = await stateWorld();
		await using other = await stateWorld();
		const ids = [];
		for (const w of [one, other]) {
			await using store = w.open();
			ids.push((await store.update(adding(1), "Force a build")).commit);
		}
		expect(ids[0]).toBe(ids[1]);
	});

	test.each(["sha1", "sha256"] as const)("a bare repository of this machine, with %s ids", async (format) => {
		await using w = await stateWorld({ format });
		w.repository.ref("refs/heads/main", w.repository.commit(w.repository.tree([])));
		w.repository.git("symbolic-ref", "HEAD", "refs/heads/main");
		await using store = w.open({ address: w.repository.directory });
		await store.update(adding(1), "Force a build");
		const { commit } = await store.update(adding(2), "Force another one");
		expect(commit).toHaveLength(format === "sha1" ? 40 : 64);
		expect(w.log()).toHaveLength(2);
		expect(added(w.now())).toEqual([1, 2]);
	});

	test("with a token, which no command line has; without one that may write it is said so", async () => {
		await using w = await stateWorld({
			auth: { username: "x-access-token", password: "s3cret" },
			fail: ({ path }) =>
				path.startsWith("/renamed.git") ? { location: path.replace("renamed", "library") } : undefined,
		});
		const real = testIo({ env: { PATH: process.env["PATH"], TOKEN: "s3cret", OTHER: "wr0ng" } });
		const argv: string[] = [];
		const io: Io = { ...real, exec: (args, options) => (argv.push(...args), real.exec(args, options)) };
		const credentials = (tokenVariable: string) => ({ [w.server.url]: { tokenVariable } });
		await using store = w.open({ credentials: credentials("TOKEN") }, io);
		await store.update(adding(1), "Force a build");
		expect(w.log()).toHaveLength(1);
		expect(argv.join(" ")).not.toMatch(/s3cret|Basic/);
		await using renamed = w.open({ credentials: credentials("TOKEN"), address: `${w.server.url}/renamed.git` }, io);
		await renamed.update(adding(2), "Force another one");
		expect(w.log()).toHaveLength(2);
		await using wrong = w.open({ credentials: credentials("OTHER") }, io);
		await expect(wrong.read()).rejects.toMatchObject({ code: "credentials" });
		await using readOnly = await stateWorld({
			push: false,
		});
		await using cannot = readOnly.open();
		await expect(cannot.update(adding(1), "Force a build")).rejects.toMatchObject({
			code: "credentials",
			hint: expect.stringContaining("contents: write"),
		});
		expect(readOnly.log()).toEqual([]);
	});

	test("a server that takes no push to the branch is not asked again and again", async () => {
		await using w = await stateWorld();
		await using store = w.open();
		await store.update(adding(1), "Force a build");
		const hook = join(w.repository.directory, "hooks/pre-receive");
		mkdirSync(dirname(hook), { recursive: true });
		writeFileSync(hook, "#!/bin/sh\necho protected by a rule >&2\nexit 1\n", { mode: 0o755 });
		const pushes = () => w.server.requests.filter(({ path }) => path.endsWith("/git-receive-pack")).length;
		const before = pushes();
		await expect(store.update(adding(2), "Force another one")).rejects.toMatchObject({
			code: "git",
			message: expect.stringContaining("protected by a rule"),
			hint: expect.stringContaining("may be pushed to"),
		});
		expect(pushes() - before).toBe(1);
		expect(w.log()).toHaveLength(1);
	});
});

describe("several writers", () => {
	test("two that begin at once: one commit without a parent, and nothing is lost", async () => {
		await using w = await stateWorld();
		await using one = w.open();
		await using other = w.open();
		await Promise.all([one.update(adding(1), "One"), other.update(adding(2), "Other")]);
		expect(added(w.now())).toEqual([1, 2]);
		expect(w.log()).toHaveLength(2);
	});

	test("one that is always outrun gives up after some tries, with longer and longer pauses", async () => {
		await using w = await stateWorld();
		await using slow = w.open({ tries: 4 }, testIo());
		await using fast = w.open();
		const io = testIo();
		await using bounded = w.open({ tries: 4 }, io);
		let number = 0;
		const outrun = bounded.update(async (state) => {
			await fast.update(adding(number++), "Faster");
			return adding(100)(state);
		}, "Slower");
		await expect(outrun).rejects.toMatchObject({ code: "git", hint: expect.stringContaining("try again") });
		expect(io.clock.slept).toEqual([100, 200, 400]);
		expect(added((await slow.read()).state)).toEqual([0, 1, 2, 3]);
	});

	test("a push whose answer is lost is not made again, also where others pushed on top of it", async () => {
		let lose = false;
		let lost = false;
		let after = () => {};
		await using w = await stateWorld({
			fail: ({ method, path }) => {
				if (lose && method === "POST" && path.endsWith("git-receive-pack")) {
					lose = false;
					lost = true;
					return "lost";
				}
				if (lost) after();
				lost = false;
				return undefined;
			},
		});
		await using store = w.open();
		await store.update(adding(1), "Begin");
		after = () => {
			const { repository } = w;
			const tree = repository.git("rev-parse", `${stateRef}^{tree}`);
			repository.ref(stateRef, repository.commit(tree, { parents: [repository.git("rev-parse", stateRef)] }));
		};
		lose = true;
		let calls = 0;
		await store.update((state) => {
			calls++;
			return adding(2)(state);
		}, "Go on");
		expect({ calls, lose, length: w.log().length }).toEqual({ calls: 1, lose: false, length: 3 });
		expect(added(w.now())).toEqual([1, 2]);
	});
});

describe("a branch that holds something else", () => {
	const blob = (repository: TestRepository, text: string | Buffer) => repository.object("blob", text);
	const file = (path: string) => JSON.parse(splitState(emptyState).get(path)!) as Record<string, unknown>;
	const folder = (repository: TestRepository, name: string, entry: TestEntry): TestEntry => [
		"40000",
		name,
		repository.tree([entry]),
	];
	const cases: Readonly<Record<string, (repository: TestRepository) => string>> = {
		"a name that climbs out": (r) => stateTree(r, [["100644", "..", blob(r, "{}")]]),
		"a folder that climbs out": (r) => stateTree(r, [folder(r, "..", ["100644", "x.json", blob(r, "{}")])]),
		"an image that climbs out": (r) => stateTree(r, [folder(r, "images", ["100644", "...json", blob(r, "{}")])]),
		"an image with a slash": (r) => stateTree(r, [folder(r, "images", ["100644", "a/b.json", blob(r, "{}")])]),
		"a folder in a folder": (r) =>
			stateTree(r, [folder(r, "queue", folder(r, "tool.json", ["100644", "x", blob(r, "{}")]))]),
		"a symlink for a folder": (r) => stateTree(r, [["120000", "images", blob(r, "/etc")]]),
		"a symlink for a file": (r) => stateTree(r, [["120000", "decisions.json", blob(r, "format.json")]]),
		"an executable": (r) => stateTree(r, [["100755", "decisions.json", blob(r, "{}")]]),
		"a submodule": (r) => stateTree(r, [["160000", "images", "1".repeat(40)]]),
		"a name that is not UTF-8": (r) =>
			stateTree(r, [
				folder(r, "queue", ["100644", Buffer.from([0x61, 0xff, 0x2e, 0x6a, 0x73, 0x6f, 0x6e]), blob(r, "{}")]),
			]),
		"a file too many": (r) => stateTree(r, [["100644", "README.md", blob(r, "hello")]]),
		"no format": (r) => stateTree(r, [], ["format.json"]),
		"no decisions": (r) => stateTree(r, [], ["decisions.json"]),
		"nothing at all": (r) => r.tree([]),
		"a giant file": (r) =>
			stateTree(r, [["100644", "decisions.json", blob(r, Buffer.alloc(4 * 1024 * 1024 + 1, " "))]]),
		"a newer version": (r) =>
			stateTree(r, [["100644", "format.json", blob(r, JSON.stringify({ ...file("format.json"), version: 2 }))]]),
		"another format": (r) =>
			stateTree(r, [["100644", "format.json", blob(r, JSON.stringify({ ...file("format.json"), format: "other" }))]]),
		"an unknown key": (r) =>
			stateTree(r, [["100644", "decisions.json", blob(r, JSON.stringify({ ...file("decisions.json"), other: {} }))]]),
		"half a file": (r) =>
			stateTree(r, [
				["100644", "decisions.json", blob(r, splitState(emptyState).get("decisions.json")!.slice(0, -20))],
			]),
		"bytes that are not UTF-8": (r) =>
			stateTree(r, [["100644", "decisions.json", blob(r, Buffer.from([0x7b, 0xff, 0x7d]))]]),
	};

	test.each(Object.keys(cases))("%s is refused with the way out, and not written over", async (name) => {
		await using w = await stateWorld();
		w.repository.ref(stateRef, w.repository.commit(cases[name]!(w.repository)));
		const before = w.log();
		await using store = w.open();
		const refusal = { code: "handover", hint: expect.stringContaining("delete the branch") as unknown };
		await expect(store.read()).rejects.toMatchObject(refusal);
		await expect(store.update(adding(1), "Force a build")).rejects.toMatchObject(refusal);
		expect(w.log()).toEqual(before);
		expect(w.server.requests.filter(({ path }) => path.includes("receive-pack"))).toEqual([]);
	});

	test("that is in a damaged repository is said to be, and not to be named wrongly by a definition", async () => {
		await using w = await stateWorld();
		await using store = w.open();
		await store.update(adding(1), "Force a build");
		const blob = w.repository.git("rev-parse", `${stateRef}:decisions.json`);
		rmSync(join(w.repository.directory, "objects", blob.slice(0, 2), blob.slice(2)));
		await using another = w.open({ address: w.repository.directory });
		await expect(another.read()).rejects.toMatchObject({
			code: "git",
			hint: expect.stringContaining("the repository may be damaged: let git fsck look at it"),
		});
	});

	test("an image's name is checked before it becomes a path", async () => {
		await using w = await stateWorld();
		await using store = w.open();
		for (const name of ["../x", "a/b", ".x", "", "a\nb", "x".repeat(200)]) {
			await expect(store.update(adding(1, name), "Force a build")).rejects.toMatchObject({ code: "handover" });
		}
		expect(w.log()).toEqual([]);
	});
});
