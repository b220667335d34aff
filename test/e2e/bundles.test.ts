import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
	copyFileSync,
	cpSync,
	existsSync,
	mkdirSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
	renameSync,
	rmSync,
	statSync,
	symlinkSync,
	truncateSync,
	writeFileSync,
} from "node:fs";
import os from "node:os";
import path from "node:path";
import { performance } from "node:perf_hooks";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import type { LegResult } from "../../src/build/index.ts";
import type { Report } from "../../src/report/index.ts";
import { makeRepository } from "../support/git-repository.ts";
import { startGitServer } from "../support/git-server.ts";
import { openCommandWorld, type CommandWorld, type Place } from "../support/command.ts";
import { openJob, type Job, type JobOptions, type StepResult } from "../support/runner.ts";
import { writeSampleConfig } from "../support/sample-world.ts";

const root = path.resolve(import.meta.dirname, "../..");
let world: CommandWorld;
let folder: string;

beforeAll(async () => {
	folder = mkdtempSync(path.join(os.tmpdir(), "brewline-jobs-"));
	world = await openCommandWorld();
});
afterAll(async () => {
	await world[Symbol.asyncDispose]();
	rmSync(folder, { recursive: true, force: true });
});

const auth = { kind: "basic", username: "somebody", password: 'p4ss%word:with "signs"' } as const;

interface MatrixLeg {
	readonly id: string;
	readonly arch: string;
	readonly runner: string;
	readonly digest: string;
}

/** A job with the program's configuration in its checkout. */
async function job(place: Place, options: Partial<JobOptions> = {}): Promise<Job> {
	const opened = await openJob({ root: folder, ...options });
	await writeSampleConfig(path.join(opened.workspace, "brewline.yaml"), place.program);
	return opened;
}

function work(of: Job, ...names: string[]): string {
	return path.join(of.workspace, ".brewline", ...names);
}

/** What the workflow's artifacts carry from the job that plans to another one. */
function handOver(from: Job, to: Job): void {
	mkdirSync(work(to), { recursive: true });
	for (const name of ["plan.json", "sources.json", "legs"])
		if (existsSync(work(from, name))) cpSync(work(from, name), work(to, name), { recursive: true });
}

function handResult(from: Job, to: Job, { id }: MatrixLeg): void {
	mkdirSync(work(to, "results"), { recursive: true });
	copyFileSync(work(from, "results", `${id}.json`), work(to, "results", `${id}.json`));
}

function legsOf(planned: StepResult): readonly MatrixLeg[] {
	return JSON.parse(planned.outputs["matrix"] ?? "[]") as MatrixLeg[];
}

/** A plan in a job of its own, and a job for what comes after it. */
async function planned(place: Place, options: Partial<JobOptions> = {}) {
	await using first = await job(place, options);
	const step = await first.run("plan");
	expect(step.exitCode).toBe(0);
	const next = await job(place, options);
	handOver(first, next);
	const [leg] = legsOf(step);
	return { step, next, legs: legsOf(step), leg: leg!, digest: step.outputs["digest"]! };
}

function reportOf(of: Job): Report {
	return JSON.parse(readFileSync(work(of, "report.json"), "utf8")) as Report;
}

function outputsOf(action: string): string[] {
	const file = parse(readFileSync(path.join(root, "actions", action, "action.yml"), "utf8")) as { outputs: object };
	return Object.keys(file.outputs);
}

function sha256(bytes: string | Buffer): string {
	return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

/** All that is left of a job, by path. */
function filesOf(directory: string): Map<string, string> {
	return new Map(
		readdirSync(directory, { recursive: true, withFileTypes: true })
			.filter((entry) => entry.isFile())
			.map((entry) => path.join(entry.parentPath, entry.name))
			.map((file) => [file, readFileSync(file, "latin1")]),
	);
}

function annotations(step: StepResult, level: "error" | "warning" = "error"): string[] {
	return step.commands.filter(({ name }) => name === level).map(({ message }) => message);
}

describe("plan, one build for each leg, publish", () => {
	it("brings what is defined to its tags, and the next time changes nothing", async () => {
		const place = await world.place();
		await using first = await job(place);
		const plan = await first.run("plan");
		expect(plan.exitCode).toBe(0);
		expect(Object.keys(plan.outputs)).toEqual(outputsOf("plan"));
		expect(plan.outputs).toMatchObject({ legs: "3", waiting: "0" });
		expect(plan.outputs["digest"]).toBe(sha256(readFileSync(work(first, "plan.json"))));
		const legs = legsOf(plan);
		expect(legs.map(({ arch, runner }) => [arch, runner])).toEqual([
			["amd64", "ubuntu-24.04"],
			["arm64v8", "ubuntu-24.04-arm"],
			["s390x", "ubuntu-24.04"],
		]);
		for (const leg of legs) {
			expect(Object.keys(leg)).toEqual(["id", "arch", "runner", "digest"]);
			expect(leg.digest).toBe(sha256(readFileSync(work(first, "legs", `${leg.id}.json`))));
		}
		expect(plan.summary).toContain("**3** to build");
		expect(plan.summary).toContain("| imported:1.0 | s390x | planned | this content was never built |");
		expect(place.writes()).toEqual([]);

		await using last = await job(place);
		handOver(first, last);
		for (const leg of legs) {
			await using own = await openJob({ root: folder });
			handOver(first, own);
			const build = await own.run("build", { leg: leg.id, digest: leg.digest, job: "815" });
			expect(build.exitCode).toBe(0);
			expect(Object.keys(build.outputs)).toEqual(outputsOf("build"));
			expect(build.outputs["state"]).toBe("built");
			expect(build.outputs["result"]).toBe(work(own, "results", `${leg.id}.json`));
			const result = JSON.parse(readFileSync(build.outputs["result"]!, "utf8")) as LegResult;
			expect(result).toMatchObject({
				leg: leg.id,
				run: { id: "4711", attempt: 1 },
				builds: [
					{
						status: "built",
						digest: build.outputs["image"],
						log: "https://github.com/example/images/actions/runs/4711/job/815",
					},
				],
			});
			expect(build.log).toContain(`built ${leg.id}: ${build.outputs["image"]}`);
			expect(build.summary).toContain(`| imported:1.0 | ${leg.arch} | built |`);
			expect(reportOf(own).outcome).toBe("complete");
			handResult(own, last, leg);
		}

		const publish = await last.run("publish", { digest: plan.outputs["digest"]! });
		expect(publish.exitCode).toBe(0);
		expect(Object.keys(publish.outputs)).toEqual(outputsOf("publish"));
		expect(publish.outputs).toEqual({
			changed: "3",
			held: "0",
			again: "false",
			report: work(last, "report.json"),
			"report-digest": sha256(readFileSync(work(last, "report.json"))),
		});
		const report = reportOf(last);
		expect(report).toMatchObject({ outcome: "complete", library: "0123456789abcdef0123456789abcdef01234567" });
		expect(report.builds.map(({ state }) => state)).toEqual(["built", "built", "built"]);
		for (const { reference, platforms, digest } of report.tags) {
			expect(platforms).toEqual(["linux/amd64", "linux/arm64/v8", "linux/s390x"]);
			expect(publish.summary).toContain(`| ${reference} | created | ${platforms.join(", ")} | \`${digest}\` |`);
			// The log of a job is what people open first.
			expect(publish.log).toContain(reference);
		}

		const before = place.content();
		place.requests.length = 0;
		await using later = await job(place, { run: { id: "4712", attempt: 1 } });
		const again = await later.run("plan");
		expect(again.outputs).toMatchObject({ matrix: "[]", legs: "0", waiting: "0" });
		const unchanged = await later.run("publish", { digest: again.outputs["digest"]! });
		expect(unchanged.exitCode).toBe(0);
		expect(unchanged.outputs).toMatchObject({ changed: "0", held: "0" });
		expect(unchanged.summary).toContain("**3** tags unchanged");
		expect(place.writes()).toEqual([]);
		expect(place.content()).toEqual(before);
	});

	it("plans only the architectures that are asked for, and says why the others wait", async () => {
		const place = await world.place();
		await using first = await job(place);
		const plan = await first.run("plan", { architectures: "s390x, amd64" });
		expect(legsOf(plan).map(({ arch }) => arch)).toEqual(["amd64", "s390x"]);
		expect(plan.outputs["waiting"]).toBe("1");
		expect(plan.summary).toContain("### Waiting");
		expect(plan.summary).toMatch(
			/\| imported:1\.0 \| arm64v8 \| .*arm64v8 is none of the architectures that this plan is for/,
		);
	});

	it("publishes what is there, and says what waits and why", async () => {
		const place = await world.place();
		await using own = await job(place);
		const plan = await own.run("plan", { architectures: "amd64" });
		const [leg] = legsOf(plan);
		await own.run("build", { leg: leg!.id, digest: leg!.digest });
		const publish = await own.run("publish", { digest: plan.outputs["digest"]! });
		// A run that follows at once has the same choice, and gets no further.
		expect([publish.exitCode, publish.outputs["again"]]).toEqual([7, "false"]);
		const others = ["arm64v8", "s390x"].map((arch) => ({
			tag: "imported:1.0",
			arch,
			reason: `imported:1.0: ${arch} is none of the architectures that this plan is for`,
			wave: null,
		}));
		expect(reportOf(own).waiting).toEqual(others);
		expect(publish.summary).toContain("### Waiting");
		expect(publish.summary).toMatch(/\| imported:1\.0 \| arm64v8 \| imported:1\.0: arm64v8 is none of the arch/);
		expect(publish.log).toContain("imported:1.0 arm64v8: imported:1.0: arm64v8 is none of the architectures");
	});

	it("says what would be published, and changes nothing, in a dry run", async () => {
		const place = await world.place();
		const { next, legs, digest } = await planned(place);
		await using own = next;
		for (const leg of legs) await own.run("build", { leg: leg.id, digest: leg.digest });
		const before = place.content();
		const publish = await own.run("publish", { digest, "dry-run": "true" });
		expect(publish.exitCode).toBe(0);
		expect(publish.outputs["changed"]).toBe("3");
		expect(publish.summary).toContain("(dry run)");
		expect(place.content()).toEqual(before);
	});

	it("finds what is staged already, in a second attempt", async () => {
		const place = await world.place();
		const { next, leg } = await planned(place);
		await using own = next;
		const build = await own.run("build", { leg: leg.id, digest: leg.digest });
		const again = await own.run("build", { leg: leg.id, digest: leg.digest });
		expect(again.exitCode).toBe(0);
		expect(again.outputs).toEqual({ ...build.outputs, state: "present" });
	});

	it("fails a leg visibly, and publishes what the other architectures have", async () => {
		const place = await world.place();
		const { next, legs, digest } = await planned(place);
		await using own = next;
		place.fail(({ path: target }) =>
			target.includes("/staging-arm64v8/") && target.includes("/uploads/")
				? { kind: "answer", status: 403, body: '{"errors":[{"code":"DENIED","message":"not yours"}]}' }
				: undefined,
		);
		const states: Record<string, string | undefined> = {};
		for (const leg of legs) {
			const build = await own.run("build", { leg: leg.id, digest: leg.digest });
			states[leg.arch] = build.outputs["state"];
			expect(build.exitCode).toBe(leg.arch === "arm64v8" ? 1 : 0);
			if (leg.arch !== "arm64v8") continue;
			expect(Object.keys(build.outputs)).toEqual(outputsOf("build"));
			expect(build.outputs["image"]).toBe("");
			expect(annotations(build).join()).toMatch(/imported:1\.0.*arm64v8.*not yours/s);
			expect(build.summary).toMatch(/\| imported:1\.0 \| arm64v8 \| failed \| .*not yours/);
		}
		expect(states).toEqual({ amd64: "built", arm64v8: "failed", s390x: "built" });
		place.fail(() => undefined);
		const publish = await own.run("publish", { digest });
		expect(publish.exitCode).toBe(1);
		expect(annotations(publish).join()).toMatch(/imported:1\.0.*arm64v8.*not yours/s);
		expect(reportOf(own).tags[0]).toMatchObject({
			change: "created",
			platforms: ["linux/amd64", "linux/s390x"],
			notes: [expect.stringContaining("arm64v8: missing")],
		});
	});
});

describe("the log-in of a step", () => {
	const login = (place: Place) => ({
		registry: place.registry.host,
		username: auth.username,
		password: auth.password,
	});
	const encoded = Buffer.from(`${auth.username}:${auth.password}`).toString("base64");

	it("is its own, is masked, and leaves nothing", async () => {
		const place = await world.place({ auth });
		await using own = await job(place);
		const inputs = login(place);
		const plan = await own.run("plan", inputs);
		const steps = [plan];
		for (const leg of legsOf(plan))
			steps.push(await own.run("build", { ...inputs, leg: leg.id, digest: leg.digest, "git-token": "t0ken-of-git" }));
		steps.push(await own.run("publish", { ...inputs, digest: plan.outputs["digest"]! }));
		expect(steps.map(({ exitCode }) => exitCode)).toEqual([0, 0, 0, 0, 0]);
		const secrets = [auth.password, "t0ken-of-git", encoded];
		for (const step of steps) {
			const masks = step.commands.filter(({ name }) => name === "add-mask").map(({ message }) => message);
			expect(masks).toEqual(step.action === "build" ? secrets : [auth.password, encoded]);
			const said = [
				step.log,
				step.summary,
				JSON.stringify([step.outputs, step.commands.filter((c) => c.name !== "add-mask")]),
			];
			for (const secret of secrets) expect(said.join("\n")).not.toContain(secret);
			expect(Object.keys(step.state)).toEqual(["docker-config"]);
			expect(existsSync(step.state["docker-config"]!)).toBe(false);
		}
		expect(readdirSync(own.temporary)).toEqual([]);
		expect(readdirSync(own.home)).toEqual([]);
		const holding = [...filesOf(own.workspace)].filter(([, text]) => secrets.some((secret) => text.includes(secret)));
		expect(holding.map(([file]) => file)).toEqual([]);
	});

	it("is in force while the step runs, for nobody else to read, and what a killed step left is removed", async () => {
		const place = await world.place({ auth });
		await using own = await job(place);
		const held = hold(place, () => true);
		const step = await own.start("plan", login(place));
		await Promise.race([held.reached, step.result]);
		const [name] = readdirSync(own.temporary);
		const config = path.join(own.temporary, name!, "config.json");
		expect(statSync(path.dirname(config)).mode & 0o777).toBe(0o700);
		expect(statSync(config).mode & 0o777).toBe(0o600);
		expect(JSON.parse(readFileSync(config, "utf8"))).toEqual({ auths: { [place.registry.host]: { auth: encoded } } });
		step.child.kill("SIGKILL");
		expect((await step.result).exitCode).toBeNull();
		expect(readdirSync(own.temporary)).toEqual([name]);
		held.release();
		// A step without a log-in cleans up too.
		await own.run("plan");
		expect(readdirSync(own.temporary)).toEqual([]);
	});

	it.each(["plan", "build", "publish"])("is refused in %s with the address and the way to mend it", async (action) => {
		const place = await world.place({ auth });
		await using own = await job(place);
		const plan = await own.run("plan", login(place));
		const leg = legsOf(plan)[0]!;
		place.requests.length = 0;
		const inputs = {
			plan: {},
			build: { leg: leg.id, digest: leg.digest },
			publish: { digest: plan.outputs["digest"]! },
		}[action];
		const step = await own.run(action, { ...inputs, ...login(place), password: "wr0ng-secret" });
		expect(step.exitCode).toBe(action === "build" ? 1 : 5);
		expect(annotations(step).join("\n")).toContain(place.registry.host);
		expect(annotations(step).join("\n")).toMatch(/401.*check/s);
		expect(step.summary).toContain("401");
		expect(place.writes()).toEqual([]);
		const said = step.raw.replaceAll(/^::add-mask::.*$/gm, "") + step.summary;
		expect(said).not.toContain("wr0ng-secret");
		expect(readdirSync(own.temporary)).toEqual([]);
	});

	it.each([
		["without a name", { registry: "registry.invalid", password: "half-a-secret" }, "belong together"],
		["without a registry", { username: "a", password: "half-a-secret" }, "belong together"],
		["with a colon in the name", { registry: "r.invalid", username: "a:b", password: "half-a-secret" }, "no colon"],
		[
			"with a registry that is an address",
			{ registry: "https://r.invalid/", username: "a", password: "half-a-secret" },
			"HOST",
		],
	])("is refused %s, and masked all the same", async (_, inputs, why) => {
		const place = await world.place();
		await using own = await job(place);
		const step = await own.run("plan", inputs);
		expect(step.exitCode).toBe(2);
		expect(annotations(step).join()).toContain(why);
		expect(step.commands[0]).toMatchObject({ name: "add-mask", message: "half-a-secret" });
		expect(place.requests).toEqual([]);
	});
});

describe("inputs", () => {
	it.each([
		["build", {}, ["input leg: is required", "input digest: is required"]],
		["build", { leg: "x", digest: "sha256:abc" }, ["input digest: must be sha256: and 64 hex digits"]],
		["publish", {}, ["input digest: is required"]],
		["publish", { digest: sha256(""), "dry-run": "yes" }, ["input dry-run: "]],
		["plan", { config: "missing.yaml" }, ["missing.yaml"]],
		["plan", { architectures: "amd64,pdp11" }, ["nothing builds pdp11 here"]],
	] as const)("of %s are checked: %j", async (action, inputs, messages) => {
		const place = await world.place();
		await using own = await job(place);
		const step = await own.run(action, inputs);
		expect(step.exitCode).toBe(2);
		expect(annotations(step)).toEqual(messages.map((message) => expect.stringContaining(message)));
		for (const message of messages) expect(step.summary).toContain(message.replaceAll("_", "&#95;"));
		expect(place.writes()).toEqual([]);
	});

	it("that an action does not have are warned about", async () => {
		const place = await world.place();
		await using own = await job(place);
		const step = await own.run("plan", { architecture: "amd64" });
		expect(step.exitCode).toBe(0);
		expect(annotations(step, "warning")).toEqual([
			expect.stringMatching(/^there is no input architecture; .*architectures/),
		]);
	});
});

describe("files from other jobs", () => {
	it.each([
		["leg", "build"],
		["plan", "publish"],
		["sources", "publish"],
	])("are refused where the digest of the %s differs", async (which, action) => {
		const place = await world.place();
		const { next, leg, digest } = await planned(place);
		await using own = next;
		const file = work(own, { leg: `legs/${leg.id}.json`, plan: "plan.json", sources: "sources.json" }[which]!);
		// Still valid, and of the same meaning.
		writeFileSync(file, `${readFileSync(file, "utf8")}\n`);
		place.requests.length = 0;
		const step = await own.run(action, action === "build" ? { leg: leg.id, digest: leg.digest } : { digest });
		expect(step.exitCode).toBe(3);
		expect(annotations(step).join()).toContain("its SHA-256 differs");
		expect(place.requests).toEqual([]);
		expect(existsSync(work(own, "results"))).toBe(false);
	});

	it.each([
		["plan", "publish"],
		["leg", "build"],
	])("are refused where the %s is of a version that this program does not know", async (which, action) => {
		const place = await world.place();
		const { next, leg } = await planned(place);
		await using own = next;
		const file = work(own, which === "leg" ? `legs/${leg.id}.json` : "plan.json");
		const text = readFileSync(file, "utf8").replace('"version": 1', '"version": 2');
		writeFileSync(file, text);
		place.requests.length = 0;
		const step = await own.run(action, { ...(action === "build" ? { leg: leg.id } : {}), digest: sha256(text) });
		expect(step.exitCode).toBe(3);
		expect(annotations(step).join()).toMatch(/has version 2 of the format brewline-\w+; this program knows version 1/);
		expect(place.requests).toEqual([]);
	});

	it.each(["../../../etc/passwd", "..", "a/b", "A", ".hidden", "x".repeat(64)])(
		"are not looked for at the leg %j",
		async (leg) => {
			const place = await world.place();
			await using own = await job(place);
			const step = await own.run("build", { leg, digest: sha256("") });
			expect(step.exitCode).toBe(2);
			expect(annotations(step).join()).toContain("there is no leg");
		},
	);
});

describe("results of legs, which any job may have written", () => {
	/** All legs but the first are built; the result of the first is to be forged. */
	async function staged(place: Place) {
		const run = await planned(place);
		for (const leg of run.legs.slice(1)) await run.next.run("build", { leg: leg.id, digest: leg.digest });
		const file = work(run.next, "results", `${run.leg.id}.json`);
		const { builds } = JSON.parse(readFileSync(work(run.next, "legs", `${run.leg.id}.json`), "utf8")) as {
			builds: { buildId: string }[];
		};
		const forged = (more: object = {}, build: object = {}): string =>
			JSON.stringify({
				format: "brewline-result",
				version: 1,
				leg: run.leg.id,
				run: { id: "4711", attempt: 1 },
				builds: [
					{
						buildId: builds[0]!.buildId,
						status: "built",
						digest: sha256("nothing"),
						start: "2026-01-01T00:00:00Z",
						seconds: 1,
						emulated: false,
						log: null,
						error: null,
						...build,
					},
				],
				...more,
			});
		return { ...run, file, forged };
	}

	it("count as failed where they say built and nothing is staged", async () => {
		const place = await world.place();
		const { next, digest, file, forged } = await staged(place);
		await using own = next;
		// The digest of what another leg staged: it is there, but not for this architecture.
		const { builds } = JSON.parse(
			readFileSync(work(own, "results", readdirSync(work(own, "results"))[0]!), "utf8"),
		) as LegResult;
		writeFileSync(file, forged({}, { digest: builds[0]!.digest }));
		const publish = await own.run("publish", { digest });
		expect(publish.exitCode).toBe(1);
		const report = reportOf(own);
		expect(report.outcome).toBe("failed");
		expect(report.builds.map(({ arch, state }) => `${arch} ${state}`)).toEqual([
			"amd64 failed",
			"arm64v8 built",
			"s390x built",
		]);
		expect(report.builds[0]!.error?.message).toContain("it says that it was built, but there is nothing at");
		expect(report.tags.map(({ platforms }) => platforms)).toEqual(
			Array.from({ length: 3 }, () => ["linux/arm64/v8", "linux/s390x"]),
		);
		expect(annotations(publish).join()).toContain("there is nothing at");
	});

	it("do not take away what is staged, where they say failed", async () => {
		const place = await world.place();
		const { next, leg, digest, file, forged } = await staged(place);
		await using own = next;
		await own.run("build", { leg: leg.id, digest: leg.digest });
		const error = { code: "build", message: "no", hint: null, lines: [] };
		writeFileSync(file, forged({}, { status: "failed", digest: null, error }));
		const publish = await own.run("publish", { digest });
		expect(publish.exitCode).toBe(0);
		expect(reportOf(own).tags[0]!.platforms).toEqual(["linux/amd64", "linux/arm64/v8", "linux/s390x"]);
	});

	const lies: readonly (readonly [string, string, (forge: Awaited<ReturnType<typeof staged>>) => void])[] = [
		[
			"of another run",
			"belongs to run 1, attempt 1",
			(f) => writeFileSync(f.file, f.forged({ run: { id: "1", attempt: 1 } })),
		],
		[
			"of another attempt",
			"attempt 2, not to run 4711, attempt 1",
			(f) => writeFileSync(f.file, f.forged({ run: { id: "4711", attempt: 2 } })),
		],
		["of another leg", "is the result of", (f) => writeFileSync(f.file, f.forged({ leg: f.legs[1]!.id }))],
		["with a path for a leg", "leg: ", (f) => writeFileSync(f.file, f.forged({ leg: "../../plan" }))],
		["of another version", "has version 2", (f) => writeFileSync(f.file, f.forged({ version: 2 }))],
		["that are no JSON", "not JSON", (f) => writeFileSync(f.file, "{")],
		["that are huge", "bytes", (f) => (writeFileSync(f.file, ""), truncateSync(f.file, 2 ** 34))],
		[
			"that are symlinks to a good one",
			"no file",
			(f) => {
				const other = work(f.next, "elsewhere.json");
				writeFileSync(other, f.forged());
				symlinkSync(other, f.file);
			},
		],
		["that never end", "no file", (f) => symlinkSync("/dev/zero", f.file)],
		["that wait for a writer", "no file", (f) => execFileSync("mkfifo", [f.file])],
		["that are folders", "no file", (f) => mkdirSync(f.file)],
		["that are not there", "it left no result", () => {}],
	];
	it.each(lies)("are left out, with a warning, where they are %s", async (_, warning, lie) => {
		const place = await world.place();
		const forge = await staged(place);
		await using own = forge.next;
		lie(forge);
		// Names that climb are no leg's, so nothing reads them.
		writeFileSync(work(own, "results", "..%2f..%2fplan.json"), "{");
		const publish = await own.run("publish", { digest: forge.digest });
		expect(annotations(publish, "warning").join()).toContain(warning);
		expect(publish.exitCode).toBe(7);
		expect(reportOf(own).builds.map(({ arch, state }) => `${arch} ${state}`)).toEqual([
			"amd64 planned",
			"arm64v8 built",
			"s390x built",
		]);
	});
});

/** Lets requests wait from now on, those that it is asked to; they go on once `release` is called. */
function hold(place: Place, which: (method: string, target: string) => boolean) {
	const reached = Promise.withResolvers<void>();
	const over = Promise.withResolvers<void>();
	place.fail(({ method, path: target }) => {
		if (!which(method, target)) return undefined;
		reached.resolve();
		return { kind: "wait", until: over.promise };
	});
	return {
		reached: reached.promise,
		release: () => {
			place.fail(() => undefined);
			over.resolve();
		},
	};
}

describe("a cancelled step", () => {
	it.each([
		["while it looks at staging", (method: string) => method === "HEAD" || method === "GET"],
		["while it uploads", (method: string) => method === "POST"],
		["while it finishes", (method: string, target: string) => method === "PUT" && target.includes("/manifests/")],
	])("writes the leg's result and ends within five seconds %s", async (_, which) => {
		const place = await world.place();
		const { next, leg } = await planned(place);
		await using own = next;
		const held = hold(place, which);
		const started = await own.start("build", { leg: leg.id, digest: leg.digest });
		await Promise.race([held.reached, started.result]);
		const step = await started.cancel();
		held.release();
		expect(step.milliseconds).toBeLessThan(5000);
		expect(step.exitCode).toBe(130);
		expect(step.outputs["state"]).toBe("cancelled");
		expect(JSON.parse(readFileSync(work(own, "results", `${leg.id}.json`), "utf8"))).toMatchObject({
			builds: [{ status: "cancelled", digest: null }],
		});
		expect(step.summary).toContain("cancelled");
		expect((await own.post(step)).exitCode).toBe(0);
		expect(readdirSync(work(own, "scratch"))).toEqual([]);
	});

	it("that plans or publishes ends within five seconds, and its log-in is gone", async () => {
		const place = await world.place({ auth });
		const login = { registry: place.registry.host, username: auth.username, password: auth.password };
		await using own = await job(place);
		const plan = await own.run("plan", login);
		for (const leg of legsOf(plan)) await own.run("build", { ...login, leg: leg.id, digest: leg.digest });
		for (const [action, inputs] of [
			["plan", login],
			["publish", { ...login, digest: plan.outputs["digest"]! }],
		] as const) {
			const held = hold(place, (method) => method === (action === "plan" ? "GET" : "PUT"));
			const started = await own.start(action, inputs);
			await Promise.race([held.reached, started.result]);
			const step = await started.cancel();
			held.release();
			expect(step.milliseconds).toBeLessThan(5000);
			expect(step.exitCode).toBe(130);
			await own.post(step);
			expect(readdirSync(own.temporary)).toEqual([]);
		}
		// The next run goes on from what is there.
		const publish = await own.run("publish", { ...login, digest: plan.outputs["digest"]! });
		expect(publish.exitCode).toBe(0);
		expect(reportOf(own).tags.every(({ platforms }) => platforms.length === 3)).toBe(true);
	});
});

describe("text from outside", () => {
	const hostile = [
		"x",
		"::set-output name=state::present",
		"::add-mask::a",
		"\u0085::stop-commands::never",
		"##[set-env name=PATH]/tmp",
		"\u001b[31m<img src=x onerror=alert(1)> **bold** [click](https://evil.example) @everyone | `code` #1",
	].join("\n");

	/** It is shown, and does nothing: neither the runner nor Markdown takes it for more than text. */
	function expectHarmless(step: StepResult, masks: readonly string[] = []): void {
		expect(step.commands.filter(({ name }) => !["debug", "notice", "warning", "error"].includes(name))).toEqual(
			masks.map((message) => ({ name: "add-mask", properties: {}, message })),
		);
		for (const command of step.commands)
			expect(Object.keys(command.properties).filter((key) => !["title", "file", "line", "col"].includes(key))).toEqual(
				[],
			);
		expect(Object.keys(step.outputs).filter((name) => !outputsOf(step.action).includes(name))).toEqual([]);
		expect(step.raw).not.toContain("\u001b");
		for (const mark of ["<img", "**bold", "[click]", "@everyone", "`code`", "https://evil", "\u001b", "\n#1"])
			expect(step.summary).not.toContain(mark);
	}

	it("in a registry's answer", async () => {
		const place = await world.place();
		const { next, leg, digest } = await planned(place);
		await using own = next;
		place.fail(() => ({
			kind: "answer",
			status: 400,
			body: JSON.stringify({ errors: [{ code: hostile, message: hostile, detail: hostile }] }),
		}));
		const build = await own.run("build", { leg: leg.id, digest: leg.digest });
		expect(build.outputs["state"]).toBe("failed");
		expect(build.log).toContain("set-output");
		expect(build.summary).toContain("set-output");
		expectHarmless(build);
		for (const [action, inputs] of [
			["plan", {}],
			["publish", { digest }],
		] as const) {
			const step = await own.run(action, inputs);
			expect(step.exitCode).not.toBe(0);
			expectHarmless(step);
		}
	});

	it("in an input, in a configuration, and in definitions", async () => {
		const place = await world.place();
		await using own = await job(place);
		const inputs = await own.run("plan", {
			config: hostile,
			architectures: hostile,
			[`x ${hostile.slice(0, 40)}`]: "y",
		});
		expect(inputs.exitCode).not.toBe(0);
		expectHarmless(inputs);

		const library = path.join(own.workspace, "library");
		cpSync(place.program.library, library, { recursive: true });
		const configure = (change: object): Promise<void> =>
			writeSampleConfig(path.join(own.workspace, "brewline.yaml"), { ...place.program, library, ...change });
		await configure({ name: hostile.replaceAll("\n", " ") });
		const named = await own.run("plan");
		expectHarmless(named);
		await configure({});
		writeFileSync(path.join(library, "::set-output name=legs::9"), `${hostile}\n`);
		writeFileSync(path.join(library, "broken"), `Maintainers: ${hostile}\nTags: ##[set-env name=a]b, <img>\n`);
		const definitions = await own.run("plan");
		expect(definitions.exitCode).toBe(3);
		expect(definitions.outputs).toEqual({});
		expectHarmless(definitions);
		writeFileSync(
			path.join(own.workspace, "brewline.yaml"),
			JSON.stringify({ [hostile]: hostile, program: { name: 1, [hostile]: 1 } }),
		);
		const config = await own.run("plan");
		expect(config.exitCode).toBe(2);
		expectHarmless(config);
	});

	it("in a result", async () => {
		const place = await world.place();
		const { next, leg, digest } = await planned(place);
		await using own = next;
		const { builds } = JSON.parse(readFileSync(work(own, "legs", `${leg.id}.json`), "utf8")) as {
			builds: { buildId: string }[];
		};
		mkdirSync(work(own, "results"));
		writeFileSync(
			work(own, "results", `${leg.id}.json`),
			JSON.stringify({
				format: "brewline-result",
				version: 1,
				leg: leg.id,
				run: { id: "4711", attempt: 1 },
				builds: [
					{
						buildId: builds[0]!.buildId,
						status: "failed",
						digest: null,
						start: "2026-01-01T00:00:00Z",
						seconds: 1,
						emulated: false,
						log: "https://evil.example/log",
						error: { code: "build", message: hostile, hint: hostile, lines: [hostile, hostile] },
					},
				],
			}),
		);
		const publish = await own.run("publish", { digest });
		expect(publish.exitCode).toBe(1);
		expect(publish.log).toContain("set-output");
		expect(publish.summary).toContain("set-output");
		expectHarmless(publish);
	});
});

describe("what is remembered", () => {
	/** A run whose arm64v8 leg fails and whose s390x leg leaves no result, with the job that is to remember it. */
	async function failing(place: Place) {
		const served = mkdtempSync(path.join(folder, "state-"));
		const repository = makeRepository(path.join(served, "images.git"));
		const server = await startGitServer({ root: served, push: true });
		const state = `${server.url}/images.git`;
		const first = await job(place);
		const plan = await first.run("plan", { state });
		const digest = plan.outputs["digest"]!;
		const last = await job(place);
		handOver(first, last);
		for (const name of ["builds.json", "cache.json"]) copyFileSync(work(first, name), work(last, name));
		place.fail(({ path: target, method }) =>
			method === "POST" && target.startsWith("/v2/staging-arm64v8/") ? { kind: "answer", status: 403 } : undefined,
		);
		for (const leg of legsOf(plan).filter(({ arch }) => arch !== "s390x")) {
			await last.run("build", { leg: leg.id, digest: leg.digest });
		}
		const publish = await last.run("publish", { digest });
		const inputs = { digest, state, "report-digest": publish.outputs["report-digest"]! };
		place.requests.length = 0;
		const records = (): Record<string, object> => {
			const text = repository.git("show", "brewline-state:queue/imported.json");
			return (JSON.parse(text) as { records: Record<string, object> }).records;
		};
		const stop = async (): Promise<void> => {
			await server.close();
			await first[Symbol.asyncDispose]();
		};
		return { last, digest, state, inputs, records, repository, [Symbol.asyncDispose]: stop };
	}

	it("goes into the state from the files of the other jobs, without a question to a registry; a lost leg is a try", async () => {
		const place = await world.place();
		await using run = await failing(place);
		await using own = run.last;
		const step = await own.run("remember", run.inputs);
		expect(step.exitCode).toBe(0);
		expect(step.outputs).toEqual({ tries: "2", tags: "3" });
		expect(place.requests).toEqual([]);
		expect(Object.values(run.records())).toMatchObject([
			{ count: 1, identifier: "imported:1.0", url: expect.stringContaining("/actions/runs/4711") },
			{ count: 1, identifier: "imported:1.0" },
		]);
		const unproved = await own.run("remember", { digest: run.digest, state: run.state });
		expect([unproved.exitCode, unproved.outputs["tags"]]).toEqual([0, "0"]);
		expect(annotations(unproved, "warning").join()).toContain("is not the one that publishing named");
		// The next plan has it from there.
		place.fail(() => undefined);
		await using next = await job(place);
		const plan = await next.run("plan", { state: run.state });
		expect(plan.summary).toMatch(/\| imported:1\.0 \| arm64v8 \| planned \| .*tried once without success/);
	});

	it("takes the report from where it was unpacked, which may be a folder of its own", async () => {
		const place = await world.place();
		await using run = await failing(place);
		await using own = run.last;
		mkdirSync(work(own, "report"));
		renameSync(work(own, "report.json"), work(own, "report/report.json"));
		expect((await own.run("remember", run.inputs)).outputs["tags"]).toBe("0");
		const step = await own.run("remember", { ...run.inputs, report: ".brewline/report/report.json" });
		expect(step.outputs).toEqual({ tries: "2", tags: "3" });
	});

	it.each(["plan.json", "sources.json", "builds.json", "cache.json"])(
		"does not come from a %s that is not the planned one",
		async (name) => {
			const place = await world.place();
			await using run = await failing(place);
			await using own = run.last;
			writeFileSync(work(own, name), `${readFileSync(work(own, name), "utf8")}\n`);
			const step = await own.run("remember", { digest: run.digest, state: run.state });
			expect(step.exitCode).toBe(3);
			expect(annotations(step).join()).toMatch(/its SHA-256 differs/);
			expect(() => run.records()).toThrow("brewline-state");
		},
	);

	it.each([
		["no JSON", "x"],
		["another file", "{}"],
		["tags that are none", '{"format":"brewline-report","version":1,"tags":[{"reference":"../x"}]}'],
	])("leaves out a report with %s", async (_, text) => {
		const place = await world.place();
		await using run = await failing(place);
		await using own = run.last;
		writeFileSync(work(own, "report.json"), text);
		const step = await own.run("remember", { digest: run.digest, state: run.state });
		expect([step.exitCode, step.outputs["tags"]]).toEqual([0, "0"]);
		expect(annotations(step, "warning").join()).toMatch(/not used: .*report\.json/);
		// What the legs say is still known.
		expect(Object.values(run.records())).toMatchObject([{ count: 1 }, { count: 0 }, { count: 0 }]);
	});

	it("tells publishing what tags are made from, if the report is the one that its job names, and what was decided", async () => {
		const place = await world.place();
		const served = mkdtempSync(path.join(folder, "state-"));
		makeRepository(path.join(served, "images.git"));
		await using server = await startGitServer({ root: served, push: true });
		const state = `${server.url}/images.git`;
		/** Of publishing, about staging. */
		let asked = Infinity;
		/** A run of the workflow; its report, with what the next one knows of it. */
		const run = async (believed: (digest: string) => Record<string, string>): Promise<Report> => {
			await using first = await job(place);
			await using last = await job(place);
			const plan = await first.run("plan", { state });
			const digest = plan.outputs["digest"]!;
			handOver(first, last);
			for (const name of ["builds.json", "cache.json"]) copyFileSync(work(first, name), work(last, name));
			for (const leg of legsOf(plan)) await last.run("build", { leg: leg.id, digest: leg.digest });
			place.requests.length = 0;
			const publish = await last.run("publish", { digest, state });
			asked = place.requests.filter((request) => request.includes("/staging-")).length;
			expect(publish.exitCode).toBe(0);
			const given = { digest, state, ...believed(publish.outputs["report-digest"]!) };
			expect((await last.run("remember", given)).exitCode).toBe(0);
			return reportOf(last);
		};
		const remembered = ({ tags }: Report): number => tags.filter((tag) => tag.remembered).length;
		await run(() => ({}));
		expect(remembered(await run(() => ({ "report-digest": sha256("another") })))).toBe(0);
		expect(remembered(await run((digest) => ({ "report-digest": digest })))).toBe(0);
		expect(asked).toBeGreaterThan(0);
		expect(remembered(await run(() => ({})))).toBeGreaterThan(0);
		// What the plan found, and nothing has to be done for, is not asked for.
		expect(asked).toBe(0);

		await place.configure({ state: { ...place.program.state, repository: state } });
		expect((await place.brewline("hold --all --reason incident --by me")).code).toBe(0);
		const { tags, outcome } = await run(() => ({}));
		expect(new Set(tags.map(({ change, decision }) => `${change} ${decision}`))).toEqual(new Set(["held stop"]));
		expect(outcome).toBe("complete");
	});

	it("needs a repository that is named, by an address", async () => {
		const place = await world.place();
		const { next, digest } = await planned(place);
		await using own = next;
		const none = await own.run("remember", { digest });
		expect([none.exitCode, annotations(none).join()]).toEqual([
			2,
			expect.stringContaining("no repository for the state"),
		]);
		for (const state of ["/etc", "ext::sh -c id", "--upload-pack=x"]) {
			const step = await own.run("remember", { digest, state });
			expect([step.exitCode, annotations(step).join()]).toEqual([4, expect.stringContaining("not a git address")]);
		}
	});
});

describe("what was tested", () => {
	it("is believed by publishing where a job named the digest of the file, and remembered by its report", async () => {
		const place = await world.place();
		const served = mkdtempSync(path.join(folder, "state-"));
		const repository = makeRepository(path.join(served, "images.git"));
		await using server = await startGitServer({ root: served, push: true });
		const state = `${server.url}/images.git`;
		const withPolicy = async (): Promise<Job> => {
			const opened = await job(place);
			const policies = [{ require: ["test"] as const }];
			await writeSampleConfig(path.join(opened.workspace, "brewline.yaml"), { ...place.program, policies });
			return opened;
		};
		/** A run of the workflow up to publishing, which a test may come before. */
		const begin = async () => {
			const first = await withPolicy();
			const last = await withPolicy();
			const plan = await first.run("plan", { state });
			handOver(first, last);
			for (const name of ["builds.json", "cache.json"]) copyFileSync(work(first, name), work(last, name));
			for (const leg of legsOf(plan)) await last.run("build", { leg: leg.id, digest: leg.digest });
			await first[Symbol.asyncDispose]();
			return { last, inputs: { digest: plan.outputs["digest"]!, state } };
		};
		const { last, inputs } = await begin();
		await using own = last;
		const untested = await own.run("publish", inputs);
		expect([untested.exitCode, untested.outputs["changed"]]).toEqual([7, "0"]);
		expect(untested.summary).toContain("no passing test result for sha256:");

		const { builds } = reportOf(own);
		let named: StepResult | undefined;
		for (const { buildId, digest } of builds) {
			named = await own.run("tested", { build: buildId, digest: digest!, result: "passed", id: "all", seconds: "2" });
			expect(named.exitCode).toBe(0);
		}
		const file = work(own, "tests/all.json");
		expect(Object.keys(named!.outputs)).toEqual(outputsOf("tested"));
		expect(named!.outputs["file-digest"]).toBe(sha256(readFileSync(file)));
		// Any job could have uploaded it.
		const forged = await own.run("publish", inputs);
		expect([forged.exitCode, annotations(forged, "warning").join()]).toEqual([
			7,
			expect.stringMatching(/all\.json is not believed: no job that tests named its digest/),
		]);
		const wrong = await own.run("publish", { ...inputs, tests: "passed" });
		expect([wrong.exitCode, annotations(wrong).join()]).toEqual([2, expect.stringContaining("input tests")]);
		const tests = `${named!.outputs["file-digest"]}\n\n`;
		const bytes = readFileSync(file);
		writeFileSync(file, `${bytes.toString()}\n`);
		expect((await own.run("publish", { ...inputs, tests })).exitCode).toBe(7);
		writeFileSync(file, bytes);
		const published = await own.run("publish", { ...inputs, tests });
		expect([published.exitCode, published.outputs["changed"]]).toEqual([0, "3"]);

		// Of a report that anybody may have made nothing is remembered.
		const remembered = (): string[] => repository.git("ls-tree", "-r", "--name-only", "brewline-state").split("\n");
		expect((await own.run("remember", inputs)).exitCode).toBe(0);
		expect(remembered()).not.toContain("tested/imported.json");
		const given = { ...inputs, "report-digest": published.outputs["report-digest"]! };
		expect((await own.run("remember", given)).exitCode).toBe(0);
		expect(remembered()).toContain("tested/imported.json");
		const next = await begin();
		await using other = next.last;
		const again = await other.run("publish", { ...next.inputs, audit: "true" });
		expect([again.exitCode, again.outputs["held"]]).toEqual([0, "0"]);
	});

	it.each([
		[{ build: "x", digest: sha256("x"), result: "passed" }, "neither the id of a build"],
		[{ build: "0".repeat(64), digest: "x", result: "passed" }, "x is no digest"],
		[{ build: "0".repeat(64), digest: sha256("x"), result: "good" }, "input result"],
		[{ build: "0".repeat(64), digest: sha256("x"), result: "passed", id: "../x" }, "../x is no id"],
	])("is refused where it is %j", async (inputs, message) => {
		const place = await world.place();
		await using own = await job(place);
		const step = await own.run("tested", inputs);
		expect([step.exitCode, annotations(step).join()]).toEqual([2, expect.stringContaining(message)]);
		expect(existsSync(work(own, "tests"))).toBe(false);
	});
});

describe("the weight of a bundle", () => {
	it("is printed", () => {
		const actions = readdirSync(path.join(root, "actions"));
		const bundles = readdirSync(path.join(root, "dist")).filter((name) =>
			actions.some((action) => name === `${action}.js` || name === `${action}-post.js`),
		);
		const http = path.join(folder, "http.mjs");
		writeFileSync(http, 'import "node:http";\n');
		const starts = [http, ...bundles.map((name) => path.join(root, "dist", name))];
		const best = new Map(starts.map((file) => [file, Infinity]));
		for (let round = 0; round < 20; round++) {
			for (const file of starts) {
				const began = performance.now();
				// Inputs that cannot be used, so that there is nothing to do.
				const { status } = spawnSync(process.execPath, [file], { cwd: folder, env: { INPUT_REGISTRY: "no registry" } });
				best.set(file, Math.min(best.get(file)!, performance.now() - began));
				expect(status).toBe(file === http || file.endsWith("-post.js") ? 0 : 2);
			}
		}
		const base = best.get(http)!;
		for (const file of starts.slice(1))
			console.log(
				`load time of ${path.relative(root, file)}: ${(best.get(file)! - base).toFixed(0)} ms more than node:http (${base.toFixed(0)} ms)`,
			);
	});
});
