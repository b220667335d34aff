import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { QueueRecord } from "../../src/builds/index.ts";
import { nodeIo } from "../../src/io/index.ts";
import { type Explanation, force, openWorkspace, type Workspace } from "../../src/pipeline/index.ts";
import type { Report } from "../../src/report/index.ts";
import {
	type CommandWorld,
	type Ended,
	nextSecond,
	openCommandWorld,
	type Place,
	reportOf,
} from "../support/command.ts";
import { makeRepository } from "../support/git-repository.ts";

// What is remembered between runs, and what people decide, by the commands as a user starts them.

let world: CommandWorld;
let place: Place;
beforeAll(async () => {
	world = await openCommandWorld();
});
afterAll(() => world[Symbol.asyncDispose]());
beforeEach(async () => {
	place = await world.place();
});

const succeed = (args: string | readonly string[]): Promise<Ended> => place.succeed(args);

/** A file of the state's branch. */
function remembered(file: string): Readonly<Record<"forced" | "records" | "tags", Readonly<Record<string, object>>>> {
	const git = ["--git-dir", place.file("state/repository.git"), "show", `brewline-state:${file}`];
	return JSON.parse(execFileSync("git", git, { encoding: "utf8" })) as ReturnType<typeof remembered>;
}

describe("a forced build", () => {
	const byFirst = /is built again anyway: forced by First, .*: one$/m;
	const decide = (reason: string, ...more: string[]) =>
		place.brewline(["force", "imported:latest", "amd64", "--reason", reason, "--by", "Somebody", ...more]);

	it("is built once, with who and why; then there is nothing to do, and no way back", async () => {
		const before = reportOf(await succeed("run --json"));
		const old = before.builds.find(({ arch }) => arch === "amd64")!;
		const forced = await decide("the mirror served an old package");
		expect(forced).toMatchObject({
			code: 0,
			stdout: expect.stringMatching(
				/^imported:latest amd64: is built again by the next plan\nit is in the state at .*, which runs with this work folder obey and no others: /,
			),
		});
		const { forced: decided } = remembered("decisions.json");
		expect(decided).toEqual({
			[old.buildId]: { text: "the mirror served an old package", by: "Somebody", when: expect.stringMatching(/Z$/) },
		});
		const again = new RegExp(
			`^imported:1\\.0 amd64 is made again instead of ${old.buildId.slice(0, 12)}, by Somebody, .*: the`,
		);
		expect((await succeed("decisions")).stdout).toMatch(again);

		const planned = reportOf(await succeed("plan --json")).builds.filter(({ state }) => state === "planned");
		expect(planned).toMatchObject([
			{ arch: "amd64", reason: expect.stringMatching(/^forced by Somebody, .*: the mirror served an old package$/) },
		]);
		expect(planned[0]!.buildId).not.toBe(old.buildId);
		// What is not built yet takes nothing away.
		place.requests.length = 0;
		expect((await place.brewline("publish")).code).toBe(7);
		expect(place.writes()).toEqual([]);

		await succeed("run");
		for (const again of ["plan --json", "run --json"]) {
			const { builds } = reportOf(await succeed(again));
			expect(new Set(builds.map(({ state }) => state))).toEqual(new Set(["present"]));
			expect(builds.map(({ buildId }) => buildId)).toContain(planned[0]!.buildId);
			expect(builds.map(({ buildId }) => buildId)).not.toContain(old.buildId);
		}
		// The same again, for the same reason, is another build.
		await decide("the mirror served an old package");
		const third = reportOf(await succeed("plan --json")).builds.filter(({ state }) => state === "planned");
		expect(third).toHaveLength(1);
		expect([old.buildId, planned[0]!.buildId]).not.toContain(third[0]!.buildId);
	});

	it("stays as who came first decided it, also where both begin at once", async () => {
		await succeed("run");
		const request = { reference: "imported", arch: "amd64" };
		const deciding = (options: { readonly meanwhile?: () => Promise<unknown> } = {}): Workspace => {
			const workspace = openWorkspace(place.program, nodeIo(), { work: place.file(".") });
			const update: Workspace["memory"]["update"] = async (...change) => {
				await options.meanwhile?.();
				await workspace.memory.update(...change);
			};
			return { ...workspace, memory: { ...workspace.memory, update } };
		};
		await using first = deciding();
		await using second = deciding({ meanwhile: () => force(first, { ...request, reason: "one", by: "First" }) });
		const taken = [{ tag: "imported:1.0", arch: "amd64", buildId: null, note: expect.stringMatching(byFirst) }];
		expect(await force(second, { ...request, reason: "two", by: "Second" })).toEqual(taken);
		expect(Object.values(remembered("decisions.json").forced)).toMatchObject([{ text: "one", by: "First" }]);
		const later = await place.brewline("force imported:latest amd64 --reason three");
		expect(later).toMatchObject({ code: 7, stdout: expect.stringMatching(byFirst) });
		expect(Object.values(remembered("decisions.json").forced)).toMatchObject([{ text: "one", by: "First" }]);
	});

	it("is not one of what is not built, not defined, or without a reason; a dry run decides nothing", async () => {
		expect(await decide("x")).toMatchObject({
			code: 7,
			stdout: "imported:latest amd64: is not built yet: it is planned anyway\n",
		});
		await succeed("run");
		expect(await decide("x", "--dry-run")).toMatchObject({
			code: 0,
			stdout: "imported:latest amd64: would be built again by the next plan\nnothing was written\n",
		});
		expect(remembered("decisions.json").forced).toEqual({});
		const unknown = await place.brewline("force nothing --reason x");
		expect(unknown.code).toBe(3);
		expect(unknown.stderr).toContain("reference: nothing is defined under nothing");
		const elsewhere = await place.brewline("force imported riscv64 --reason x");
		expect(elsewhere.stderr).toContain("imported is not defined for riscv64\n  it is for amd64, arm64v8, s390x");
		expect((await place.brewline("force imported")).code).toBe(2);
		expect(await decide("two\nlines")).toMatchObject({ code: 2, stderr: expect.stringContaining("must be one line") });
		for (const by of ["", "two\nlines"]) {
			for (const command of ["force imported --reason x", "release imported"]) {
				const nobody = await place.brewline([...command.split(" "), "--by", by]);
				expect(nobody).toMatchObject({ code: 2, stderr: expect.stringContaining("must be one line") });
			}
		}
		expect(remembered("decisions.json").forced).toEqual({});
	});

	it("is not one of what nothing builds here: what there is of it would be given up for nothing", async () => {
		await succeed("run");
		await place.configure({ policies: [{ architectures: ["amd64"], runner: null }] });
		const nothing = "imported:latest amd64: nothing builds amd64 here (it has no runner in the configuration)\n";
		expect(await decide("x")).toMatchObject({ code: 7, stdout: nothing });
		expect(remembered("decisions.json").forced).toEqual({});
	});
});

describe("explain", () => {
	it("fetches nothing for a name that nothing has", async () => {
		const mistyped = await place.brewline("explain importd:1");
		expect(mistyped).toEqual({
			code: 3,
			stdout: "",
			stderr: "reference: nothing is defined under importd:1\n  did you mean imported?\n",
		});
		const unknown = await place.brewline("explain imported:2");
		expect(unknown.stderr).toContain("nothing is defined under imported:2\n  write NAME or NAME:TAG");
	});

	it("says of each image why it is built or not, where it is, and what it stands on", async () => {
		const before = await succeed("explain imported:latest amd64");
		expect(before.stdout).toMatch(
			/^imported:1\.0 amd64: to build: this content was never built\n {2}from https:.*\n {2}.*staging-amd64:[0-9a-f]{64} \(nothing there\)\n {2}on scratch\n$/,
		);
		expect(existsSync(place.file("plan.json"))).toBe(false);
		await succeed("run");
		const after = JSON.parse((await succeed("explain imported --json")).stdout) as Explanation[];
		expect(after.map(({ arch, state, digest }) => [arch, state, digest?.slice(0, 7)])).toEqual(
			["amd64", "arm64v8", "s390x"].map((arch) => [arch, "present", "sha256:"]),
		);
		await place.brewline(["force", "imported", "s390x", "--reason", "why not", "--by", "me"]);
		expect((await succeed("explain imported s390x")).stdout).toContain("to build: forced by me, ");
	});

	it("says once what several images have in common, however many ways lead to it", async () => {
		const repository = makeRepository(path.join(world.repositories, "samples-ladder.git"));
		const levels = 10;
		const files = ["a", "b"].flatMap((tag) =>
			Array.from({ length: levels }, (_, level) => {
				const froms = level === 0 ? "FROM scratch\n" : `FROM l${level - 1}:a AS other\nFROM l${level - 1}:b\n`;
				return { level, tag, blob: repository.object("blob", `# ${tag}\n${froms}`) };
			}),
		);
		const folders = files.map(
			({ level, tag, blob }) => ["40000", `${tag}${level}`, repository.tree([["100644", "Dockerfile", blob]])] as const,
		);
		const commit = repository.commit(repository.tree(folders));
		repository.ref("refs/heads/main", commit);
		const head = `Maintainers: Test <test@example.com> (@test)\nGitRepo: https://github.com/brewline/samples-ladder.git\nGitFetch: refs/heads/main\nGitCommit: ${commit}\n`;
		await place.define(
			Object.fromEntries(
				Array.from({ length: levels }, (_, level) => [
					`l${level}`,
					head + ["a", "b"].map((tag) => `\nTags: ${tag}\nDirectory: ${tag}${level}\n`).join(""),
				]),
			),
		);
		const { stdout } = await succeed(`explain l${levels - 1}:a`);
		const said = stdout.split("\n").filter((line) => / amd64: (?:to build|waits): /.test(line));
		expect(said).toHaveLength(2 * levels - 1);
		expect(stdout).toMatch(/^ +on l0:a \(not there\), as said above$/m);
	});
});

describe("tries", () => {
	it("of an architecture that fails are remembered, while the rest goes on; what is required holds the tag", async () => {
		await place.configure({ policies: [{ platforms: "required", architectures: ["arm64v8"] }] });
		place.fail(({ method, path: target }) =>
			method === "POST" && target.startsWith("/v2/staging-arm64v8/") ? { kind: "answer", status: 403 } : undefined,
		);
		const first = reportOf(await place.brewline("run --json"));
		expect(first.outcome).toBe("failed");
		expect(first.builds.map(({ arch, state }) => [arch, state])).toEqual([
			["amd64", "built"],
			["arm64v8", "failed"],
			["s390x", "built"],
		]);
		expect(first.tags.map(({ change, digest }) => [change, digest])).toEqual(
			Array.from({ length: 3 }, () => ["held", null]),
		);
		expect(first.tags[0]!.notes.at(-1)).toMatch(/^held: arm64v8 is required/);
		const { records } = remembered("queue/imported.json");
		expect(Object.values(records)).toMatchObject([
			{ count: 1, identifier: "imported:1.0", reason: "this content was never built" },
		]);

		await nextSecond();
		// The second try comes at once, the third after an hour.
		expect(reportOf(await place.brewline("run --json")).builds.map(({ state }) => state)).toEqual([
			"present",
			"failed",
			"present",
		]);
		const third = reportOf(await place.brewline("run --json"));
		expect(third.outcome).toBe("incomplete");
		expect(third.waiting).toMatchObject([
			{ arch: "arm64v8", reason: expect.stringContaining("tried 2 times without success") },
		]);
		place.fail(() => undefined);
		const mended = reportOf(await succeed("run --retry --json"));
		expect(new Set(mended.tags.map(({ change }) => change))).toEqual(new Set(["created"]));
		// What is built needs no memory of its tries.
		expect(() => remembered("queue/imported.json")).toThrow("queue/imported.json");
	});

	it("by single steps are remembered by a step of its own, each once", async () => {
		place.fail(({ method, path: target }) =>
			method === "POST" && target.startsWith("/v2/staging-arm64v8/") ? { kind: "answer", status: 403 } : undefined,
		);
		for (const step of ["sources", "plan"]) await succeed(step);
		expect((await place.brewline("build")).code).toBe(1);
		expect((await place.brewline("publish")).code).toBe(1);
		for (let round = 0; round < 2; round++) {
			await succeed("remember");
			const { records } = remembered("queue/imported.json");
			expect(Object.values(records)).toMatchObject([{ count: 1 }]);
		}
		expect(Object.keys(remembered("published/imported.json").tags)).toEqual([
			"imported:1",
			"imported:1.0",
			"imported:latest",
		]);
	});
});

describe("results of other jobs", () => {
	it.each<[string, Record<string, unknown>]>([
		["a time that is none", { start: "2026-99-99T99:99:99Z" }],
		["a time to come", { start: "9999-01-01T00:00:00Z" }],
		["a duration without end", { seconds: 1e300 }],
		["an address of two lines", { log: "https://example.org/\n/1" }],
	])("with %s cost neither the memory of the run nor more than a try", async (_, forged) => {
		place.fail(({ method, path: target }) =>
			method === "POST" && target.startsWith("/v2/staging-arm64v8/") ? { kind: "answer", status: 403 } : undefined,
		);
		for (const step of ["sources", "plan"]) await succeed(step);
		expect((await place.brewline("build")).code).toBe(1);
		expect((await place.brewline("publish")).code).toBe(1);
		const name = readdirSync(place.file("results")).find((file) => file.includes("arm64v8"))!;
		const file = place.file(`results/${name}`);
		const result = JSON.parse(readFileSync(file, "utf8")) as { builds: object[] };
		result.builds = result.builds.map((build) => ({ ...build, ...forged }));
		writeFileSync(file, JSON.stringify(result));
		const report = JSON.parse(readFileSync(place.file("report.json"), "utf8")) as Report;
		report.tags[0]!.platforms.push("no platform");
		writeFileSync(place.file("report.json"), JSON.stringify(report));
		await succeed("remember");
		const records = Object.values(remembered("queue/imported.json").records) as QueueRecord[];
		expect(records).toMatchObject([{ count: 1 }]);
		expect(records[0]!.lastTime).toBeLessThanOrEqual(Date.now() / 1000 + 1);
		expect(Object.keys(remembered("published/imported.json").tags)).toHaveLength(2);
	});

	it("are not said to be remembered where the state cannot be written", async () => {
		await succeed("run");
		const repository = path.join(world.repositories, "nothing.git");
		await place.configure({ state: { ...place.program.state, repository } });
		const { code, stdout } = await place.brewline("remember");
		expect([code, stdout]).toEqual([4, ""]);
	});
});

describe("the state", () => {
	it("in a repository of its own serves another machine: nothing is asked of git, and lookups are known", async () => {
		const served = path.join(world.repositories, "state-of-images.git");
		makeRepository(served);
		await place.configure({ state: { ...place.program.state, repository: served } });
		await succeed("run");
		rmSync(place.file("."), { recursive: true, force: true });
		const before = world.git.requests.length;
		place.requests.length = 0;
		expect(reportOf(await succeed("run --json")).outcome).toBe("complete");
		expect(world.git.requests.slice(before)).toEqual([]);
		expect(place.writes()).toEqual([]);
		expect(existsSync(place.file("state/repository.git"))).toBe(false);
	});

	it("is not emptied by a run where nothing is defined", async () => {
		await succeed("run");
		const head = (): string =>
			execFileSync("git", ["--git-dir", place.file("state/repository.git"), "rev-parse", "brewline-state"], {
				encoding: "utf8",
			});
		const before = head();
		await place.define({});
		const ended = await succeed("run");
		expect(ended.stderr).toContain("holds no definitions");
		expect(head()).toBe(before);
	});

	it("that is damaged is refused, with the way out, and not begun anew", async () => {
		await succeed("run");
		const repository = place.file("state/repository.git");
		const git = (...args: string[]): string =>
			execFileSync("git", ["--git-dir", repository, ...args], {
				encoding: "utf8",
				env: { ...process.env, ...person },
			}).trim();
		const blob = execFileSync("git", ["--git-dir", repository, "hash-object", "-w", "--stdin"], { input: "{}" })
			.toString()
			.trim();
		const tree = execFileSync("git", ["--git-dir", repository, "mktree"], {
			input: `100644 blob ${blob}\tformat.json\n`,
		})
			.toString()
			.trim();
		git("update-ref", "refs/heads/brewline-state", git("commit-tree", tree, "-m", "x"));
		const head = git("rev-parse", "brewline-state");
		for (const command of ["plan", "run", "explain imported", "force imported --reason x"]) {
			const { code, stderr } = await place.brewline(command);
			expect({ command, code }).toEqual({ command, code: 3 });
			expect(stderr).toMatch(
				/the state cannot be used: .*\n {2}push a commit of brewline-state that was sound back to it/,
			);
		}
		expect(git("rev-parse", "brewline-state")).toBe(head);
	});

	it("does not go out where there is none: files of its names may lie there", async () => {
		writeFileSync(path.join(place.folder, "sources.json"), "{}\n");
		const none = await place.brewline("state export");
		expect(none).toMatchObject({
			code: 3,
			stdout: "",
			stderr: expect.stringMatching(/^handover: there is no state at /),
		});
		expect(readFileSync(path.join(place.folder, "sources.json"), "utf8")).toBe("{}\n");
	});

	it("goes out as the files of the existing system, and comes back in as it was", async () => {
		await succeed("run");
		const files = ["sources.json", "builds.json", "cache.json"];
		await succeed("state export out");
		const out = (name: string): string => readFileSync(path.join(place.folder, "out", name), "utf8");
		for (const name of files) expect(out(name)).toBe(readFileSync(place.file(name), "utf8"));
		const sourcesOut = () => JSON.parse(out("sources.json")) as Record<string, object>;
		const tree = (): string =>
			execFileSync("git", ["--git-dir", place.file("state/repository.git"), "rev-parse", "brewline-state^{tree}"], {
				encoding: "utf8",
			});
		const before = tree();
		await succeed("state import --sources out/sources.json --builds out/builds.json --cache out/cache.json");
		expect(tree()).toBe(before);
		const { code, stderr } = await place.brewline("state import --sources out/builds.json --builds out/builds.json");
		expect({ code, stderr }).toMatchObject({ code: 3, stderr: expect.stringContaining("out/builds.json") });
		// Files that do not belong together, also for who only wants to know.
		const { [Object.keys(sourcesOut())[0]!]: _gone, ...others } = sourcesOut();
		writeFileSync(path.join(place.folder, "others.json"), JSON.stringify(others));
		for (const more of ["", " --dry-run"]) {
			const refused = await place.brewline(`state import --sources others.json --builds out/builds.json${more}`);
			expect(refused).toMatchObject({
				code: 3,
				stderr: expect.stringContaining("the builds are not those of the sources"),
			});
		}
		expect(tree()).toBe(before);
		expect((await succeed(`state import --sources out/sources.json --builds out/builds.json --dry-run`)).stdout).toBe(
			"3 sources and 3 builds can be taken over\n",
		);
	});
});

describe("a registry that answers 401 to everything, and was read before", () => {
	it.each(["plan", "run"])("%s: nothing is planned, no tag shrinks, and the credential is named", async (command) => {
		await succeed("run");
		const content = place.content();
		// Only the state knows: another machine has no files.
		for (const file of ["cache.json", "builds.json", "sources.json", "plan.json"])
			rmSync(place.file(file), { force: true });
		if (command === "plan") await succeed("sources");
		place.fail(() => ({ kind: "answer", status: 401 }));
		place.requests.length = 0;
		const { code, stderr, stdout } = await place.brewline(command);
		expect({ code, output: stderr + stdout }).toMatchObject({
			code: 5,
			output: expect.stringMatching(/refused without credentials|Log in with/),
		});
		expect(place.writes()).toEqual([]);
		place.fail(() => undefined);
		expect(place.content()).toEqual(content);
	});
});

describe("a registry of which much is missing that was known", () => {
	it("stops the plan with the list of it, unless it is told that this is so", async () => {
		await succeed("run");
		const content = place.content();
		const hide = (...arches: string[]): void =>
			place.fail(({ path: target }) =>
				arches.some((arch) => target.includes(`/staging-${arch}/manifests/`))
					? { kind: "answer", status: 404 }
					: undefined,
			);
		// One of three is no reason to stop.
		hide("amd64");
		const few = reportOf(await succeed("run --dry-run --json"));
		expect(few.builds.map(({ state }) => state)).toEqual(["planned", "present", "present"]);
		hide("amd64", "arm64v8");
		place.requests.length = 0;
		for (const command of ["plan", "run"]) {
			const { code, stderr } = await place.brewline(command);
			expect({ command, code }).toEqual({ command, code: 5 });
			expect(stderr).toMatch(
				/^registry: 2 of 3 images that were known to be staged are not there: .*staging-amd64:[0-9a-f]{64}, .*\n {2}check the registry/m,
			);
		}
		expect(place.writes()).toEqual([]);
		// A decision that is made meanwhile does not make the plan forget what it knew.
		await succeed("force imported s390x --reason meanwhile --by Somebody");
		expect((await place.brewline("plan")).code).toBe(5);
		const { builds } = reportOf(await succeed("plan --accept-missing --json"));
		expect(builds.map(({ state, reason }) => [state, reason])).toEqual([
			["planned", "built before, and not in the staging repository any more"],
			["planned", "built before, and not in the staging repository any more"],
			["planned", expect.stringContaining("forced by Somebody")],
		]);
		place.fail(() => undefined);
		expect(place.content()).toEqual(content);
	});
});

const person = {
	GIT_AUTHOR_NAME: "Somebody",
	GIT_AUTHOR_EMAIL: "somebody@example.org",
	GIT_COMMITTER_NAME: "Somebody",
	GIT_COMMITTER_EMAIL: "somebody@example.org",
};
