import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Report } from "../../src/report/index.ts";
import {
	type CommandWorld,
	type Ended,
	mainFile,
	openCommandWorld,
	type Place,
	reportOf,
	runProgram,
} from "../support/command.ts";

// The steps and `run`, started as a user starts them, over a registry and a git server that are really there.

let world: CommandWorld;
beforeAll(async () => {
	world = await openCommandWorld();
});
afterAll(() => world[Symbol.asyncDispose]());

/** What a report says, without what differs from run to run. */
const essence = ({ builds, tags, waiting, errors }: Report) => ({
	builds: builds.map(({ buildId, arch, tags, reason, error }) => ({ buildId, arch, tags, reason, error })),
	tags: tags.map(({ reference, platforms, change, notes }) => ({ reference, platforms, change, notes })),
	waiting,
	errors,
});

/** Names of hand-over files and logs. */
const handOver = (place: Place): string[] => Object.keys(place.workFiles()).sort();

const snapshot = (place: Place) => ({ registry: place.content(), files: place.workFiles() });

describe("the steps", () => {
	it("hand over files, and end with the same content as a run", async () => {
		const steps = await world.place();
		await steps.succeed("sources");
		expect(handOver(steps)).toEqual(["sources.json"]);
		expect(steps.requests).toEqual([]);

		await steps.succeed("plan");
		const plan = JSON.parse(readFileSync(steps.file("plan.json"), "utf8")) as { legs: { id: string; arch: string }[] };
		expect(plan.legs.map(({ arch }) => arch)).toEqual(["amd64", "arm64v8", "s390x"]);
		expect(handOver(steps)).toEqual(
			[
				"builds.json",
				"cache.json",
				"plan.json",
				"report.json",
				"sources.json",
				...plan.legs.map(({ id }) => `legs/${id}.json`),
			].sort(),
		);
		expect(steps.writes()).toEqual([]);

		// One leg after another, as the jobs of a workflow would, the last by what is left.
		const [first] = plan.legs;
		await steps.succeed(`build ${first!.id}`);
		const rest = reportOf(await steps.succeed("build --json"));
		expect(rest.builds.map(({ state }) => state)).toEqual(["present", "built", "built"]);
		expect(handOver(steps).filter((name) => name.startsWith("results/"))).toHaveLength(3);
		expect(steps.writes().some((request) => request.includes("/library/"))).toBe(false);

		const published = reportOf(await steps.succeed("publish --json"));
		expect(published.tags.map(({ change }) => change)).toEqual(["created", "created", "created"]);

		const whole = await world.place();
		await whole.succeed("run");
		// The places differ in the port that stands in their references, and in nothing that a registry holds.
		expect(steps.content()).toEqual(whole.content());
		expect(Object.keys(whole.content()).length).toBeGreaterThan(20);
	});

	it("do nothing a second time", async () => {
		const place = await world.place();
		await place.succeed("run");
		const before = place.content();
		place.requests.length = 0;
		for (const step of ["sources", "plan", "build", "publish", "run"]) await place.succeed(step);
		const report = reportOf(await place.succeed("run --json"));
		expect(report.builds.map(({ state }) => state)).toEqual(["present", "present", "present"]);
		expect(report.tags.map(({ change }) => change)).toEqual(["unchanged", "unchanged", "unchanged"]);
		expect(place.writes()).toEqual([]);
		expect(place.content()).toEqual(before);
	});

	it("say which step is missing", async () => {
		const place = await world.place();
		for (const [step, missing, hint] of [
			["plan", "sources.json", "brewline sources"],
			["build", "plan.json", "brewline plan"],
			["publish", "sources.json", "brewline sources"],
		] as const) {
			const { code, stderr } = await place.brewline(step);
			expect(code).toBe(3);
			expect(stderr).toMatch(new RegExp(`^handover: there is no .*${missing}\n  it is written by: ${hint}\n$`));
		}
		expect(handOver(place)).toEqual([]);
	});

	it("build the architectures that are named, and hold the tags back for the others", async () => {
		const place = await world.place();
		const ended = await place.brewline("run --arch amd64,s390x --json");
		expect(ended.code).toBe(7);
		const report = reportOf(ended);
		expect(report.outcome).toBe("incomplete");
		expect(report.builds.map(({ arch, state }) => [arch, state])).toEqual([
			["amd64", "built"],
			["s390x", "built"],
		]);
		expect(report.waiting.map(({ arch, reason }) => [arch, reason])).toEqual([
			["arm64v8", expect.stringContaining("arm64v8 is none of the architectures that this plan is for")],
		]);
		const unknown = await place.brewline("run --arch sparc");
		expect(unknown.code).toBe(2);
		expect(unknown.stderr).toBe(
			"usage: nothing builds sparc here\n  the architectures with a runner are: amd64, arm64v8, s390x\n",
		);
	});
});

describe("policies", () => {
	const ofTags = (report: Report) => report.tags.map(({ change, platforms }) => [change, platforms.length]);

	it("for images that there are not are warned of", async () => {
		const place = await world.place();
		await place.configure({ policies: [{ images: ["imported", "importd:*"], platforms: "required" }] });
		expect((await place.succeed("sources")).stderr).toContain(
			"policies name what the library has no tag of: program.policies.0.images.1: importd:*\n",
		);
	});

	it("hold each tag for what is required, in a dry run as in a real one, and the exit status says so", async () => {
		const place = await world.place();
		await place.configure({ policies: [{ platforms: "required", architectures: ["arm64v8"] }] });
		const first = await place.brewline("run --arch amd64,s390x --json");
		expect(first.code).toBe(7);
		const held = reportOf(first);
		expect(held.outcome).toBe("incomplete");
		expect(held.tags.map(({ change, notes }) => [change, notes])).toEqual(
			held.tags.map(() => [
				"held",
				["arm64v8: missing: not built yet", "held: arm64v8 is required, and what is defined for it is not there"],
			]),
		);
		expect(held.tags).toHaveLength(3);
		expect(place.writes().some((request) => request.includes("/library/"))).toBe(false);
		expect(place.writes().some((request) => /\/s390x\/.*\/manifests\/latest$/.test(request))).toBe(true);

		const predicted = reportOf(await place.succeed("run --dry-run --json"));
		const done = reportOf(await place.succeed("run --json"));
		expect(ofTags(done)).toEqual(done.tags.map(() => ["created", 3]));
		expect(ofTags(predicted)).toEqual(ofTags(done));
	});

	it("hold each tag for what is optional as long as its deadline runs, also where the steps are taken one by one", async () => {
		const place = await world.place();
		const optional = { platforms: "optional", architectures: ["arm64v8"] } as const;
		await place.configure({ policies: [optional] });
		for (const step of ["sources", "plan --arch amd64,s390x", "build"]) await place.succeed(step);
		const published = await place.brewline("publish --json");
		expect(published.code).toBe(7);
		expect(reportOf(published).tags[0]!.notes.at(-1)).toBe(
			"held: arm64v8 is optional, and its deadline of 24h is not over",
		);
		await place.configure({ policies: [optional, { platforms: "best-effort", images: ["imported:latest"] }] });
		expect(ofTags(reportOf(await place.brewline("publish --json"))).map(([change]) => change)).toEqual(
			expect.arrayContaining(["created", "held"]),
		);
	});
});

describe("a dry run", () => {
	it("of the whole changes nothing, and says exactly what the real one then does", async () => {
		const place = await world.place();
		const predicted = reportOf(await place.succeed("run --dry-run --json"));
		expect(predicted).toMatchObject({ dryRun: true, outcome: "complete" });
		expect(handOver(place)).toEqual([]);
		expect(place.content()).toEqual({});
		expect(place.writes()).toEqual([]);

		const done = reportOf(await place.succeed("run --json"));
		expect(essence(predicted)).toEqual(essence(done));
		expect(predicted.builds.map(({ state }) => state)).toEqual(["planned", "planned", "planned"]);
		expect(done.builds.map(({ state }) => state)).toEqual(["built", "built", "built"]);

		const again = reportOf(await place.succeed("run --dry-run --json"));
		expect(again.builds.map(({ state }) => state)).toEqual(["present", "present", "present"]);
		const seen = again.tags.map(({ remembered: _remembered, ...tag }) => tag);
		expect(seen).toEqual(done.tags.map((tag) => ({ ...tag, change: "unchanged" })));
	});

	it("of each step changes nothing, and says exactly what the real one then does", async () => {
		const place = await world.place();
		const dry = async (step: string): Promise<Ended> => {
			const before = snapshot(place);
			place.requests.length = 0;
			const ended = await place.succeed(`${step} --dry-run --json`);
			expect({ step, writes: place.writes() }).toEqual({ step, writes: [] });
			expect({ step, ...snapshot(place) }).toEqual({ step, ...before });
			return ended;
		};

		const sources = await dry("sources");
		expect((await place.succeed("sources --json")).stdout).toBe(sources.stdout);
		expect(readFileSync(place.file("sources.json"), "utf8")).toBe(sources.stdout);

		const plan = reportOf(await dry("plan"));
		const planned = reportOf(await place.succeed("plan --json"));
		expect({ ...essence(plan), dryRun: plan.dryRun }).toEqual({ ...essence(planned), dryRun: true });
		expect(planned.dryRun).toBe(false);

		const { legs } = JSON.parse(readFileSync(place.file("plan.json"), "utf8")) as { legs: { id: string }[] };
		await place.succeed(`build ${legs[1]!.id}`);
		const build = reportOf(await dry("build"));
		const built = reportOf(await place.succeed("build --json"));
		expect(build.builds.map(({ state }) => state)).toEqual(["planned", "present", "planned"]);
		expect(built.builds.map(({ state }) => state)).toEqual(["built", "present", "built"]);
		expect(essence(build)).toEqual(essence(built));

		const publish = reportOf(await dry("publish"));
		const published = reportOf(await place.succeed("publish --json"));
		// Everything is staged, so the digests are known as well.
		expect(publish.tags).toEqual(published.tags);
		expect(published.tags.map(({ change }) => change)).toEqual(["created", "created", "created"]);
	});

	it("says for people what would be built, where from and where to", async () => {
		const place = await world.place();
		await place.succeed("sources");
		await place.succeed("plan");
		const { stdout } = await place.succeed("build --dry-run");
		expect(stdout).toMatch(/^imported-1-0-amd64-[0-9a-f]{8} \(linux\/amd64, on ubuntu-24\.04\)$/m);
		expect(stdout).toMatch(/^ {2}oci-import https:\/\/github\.com\/brewline\/samples-imported\.git#[0-9a-f]{40}:/m);
		expect(stdout).toContain(`    to ${place.registry.host}/staging-amd64:`);
		expect(stdout).toMatch(/^complete: dry run, nothing was changed; 3 to build in /m);
	});
});

describe("what is printed", () => {
	it("is JSON alone with --json, and the same as report.json", async () => {
		const place = await world.place();
		for (const step of ["sources", "plan", "build", "publish", "run"]) {
			const { stdout } = await place.succeed(`${step} --json`);
			expect({ step, parsed: typeof JSON.parse(stdout) }).toEqual({ step, parsed: "object" });
			const file = step === "sources" ? "sources.json" : "report.json";
			expect({ step, stdout }).toEqual({ step, stdout: readFileSync(place.file(file), "utf8") });
		}
	});

	it("is plain lines without a terminal, one for each thing that happens, and no colour", async () => {
		const place = await world.place();
		const { stdout, stderr } = await place.brewline("run", { env: { TERM: "xterm-256color" } });
		expect(stdout + stderr).not.toContain("\u001b");
		expect(stdout + stderr).not.toContain("\r");
		const lines = stderr.split("\n");
		expect(lines.filter((line) => line.startsWith("✔ built imported-1-0-"))).toHaveLength(3);
		expect(stdout.trimEnd().split("\n").at(-1)).toMatch(/^complete: 3 built, 3 tags created in \d+\.\d s$/);
	});

	const { error, stdout: version } = spawnSync("script", ["--version"], { encoding: "utf8" });
	const hasScript = error === undefined && version.includes("util-linux");
	it.skipIf(!hasScript)("is drawn in place on a terminal, and left in lines (needs util-linux's script)", async () => {
		const place = await world.place();
		const onTerminal = async (args: string, env: Record<string, string> = {}): Promise<string> => {
			const { code, stdout } = await runProgram(
				"script",
				["-qec", `'${process.execPath}' '${mainFile}' ${args}`, "/dev/null"],
				{ cwd: place.folder, env: { TERM: "xterm", ...env } },
			);
			expect({ args, code }).toEqual({ args, code: 0 });
			return stdout;
		};
		const live = await onTerminal("run");
		expect(live).toContain("\u001b[2m▶ imported-1-0-s390x-");
		expect(live).toContain("\u001b[1A\u001b[0J");
		expect(live).toContain("\u001b[32mcomplete\u001b[39m: 3 built");
		expect(live.split("✔ built")).toHaveLength(4);
		expect(await onTerminal("run --no-progress")).not.toContain("\u001b[0J");
		// NO_COLOR is about colour: the view is still drawn in place.
		const plain = await onTerminal("run", { NO_COLOR: "1" });
		for (const mark of ["\u001b[1m", "\u001b[2m", "\u001b[3"]) expect(plain).not.toContain(mark);
	});

	it("has colour where that is asked for, but never with NO_COLOR", async () => {
		const place = await world.place();
		const coloured = await place.brewline("run --dry-run", { env: { FORCE_COLOR: "1" } });
		expect(coloured.stdout).toContain("\u001b[32mcomplete\u001b[39m");
		const plain = await place.brewline("run --dry-run", { env: { FORCE_COLOR: "1", NO_COLOR: "1" } });
		expect(plain.stdout + plain.stderr).not.toContain("\u001b");
	});

	it("shows what is done in detail with --verbose alone", async () => {
		const place = await world.place();
		await place.succeed("sources");
		const { stderr } = await place.succeed("plan --verbose");
		expect(stderr).toContain("debug planned 3 builds in 3 legs; 0 waiting");
		expect((await place.succeed("plan")).stderr).not.toContain("debug");
	});
});
