import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Report, reportSchema } from "../../src/report/index.ts";
import { makeLayout } from "../fixtures/layouts/make-layout.ts";
import {
	type CommandWorld,
	commitFolder,
	definition,
	type Ended,
	mainFile,
	nextSecond,
	openCommandWorld,
	type Place,
	runProgram,
} from "../support/command.ts";
import { makeRepository } from "../support/git-repository.ts";

// What becomes of a run that is ended, killed or refused in the middle. The points are the
// registry's requests, so every run of these tests is the same, however many legs a machine builds at once.

let world: CommandWorld;
let place: Place;
let undisturbed: Place["content"];
beforeAll(async () => {
	world = await openCommandWorld();
	const whole = await world.place();
	const { code, stderr } = await whole.brewline("run");
	if (code !== 0) throw new Error(stderr);
	undisturbed = whole.content;
});
afterAll(() => world[Symbol.asyncDispose]());
beforeEach(async () => {
	place = await world.place();
});

const reportOf = (text: string): Report => reportSchema.parse(JSON.parse(text));

/** Whether a request is the first one of a run that is like this. */
const firstLike = (pattern: RegExp): ((request: { readonly method: string; readonly path: string }) => boolean) => {
	let isMet = false;
	return ({ method, path }) => {
		if (isMet) return false;
		isMet = pattern.test(`${method} ${path}`);
		return isMet;
	};
};

/** Where a run is disturbed: at its first look, in a push, between legs, in an architecture's tag, at the last tag. */
const points: readonly (readonly [point: string, request: RegExp])[] = [
	["the first look at the registry", /^GET .*staging-amd64\/manifests/],
	["an upload", /^PUT .*staging-amd64\/blobs\/uploads/],
	["the second leg", /^POST .*staging-arm64v8\/blobs\/uploads/],
	["the last leg's tag", /^PUT .*staging-s390x\/manifests\/[0-9a-f]{64}$/],
	["an architecture's tag", /^PUT .*\/s390x\/imported\/manifests\/1$/],
	["the index", /^PUT .*\/library\/imported\/manifests\/1\.0$/],
	["the last tag", /^PUT .*\/library\/imported\/manifests\/latest$/],
];

/**
 * Runs, and sends a signal when this request comes in, which is done only when the program was told, or is gone. `milliseconds`:
 * from the signal to the end.
 */
const disturbed = async (
	signal: NodeJS.Signals,
	request: RegExp,
	args: string,
): Promise<Ended & { readonly milliseconds: number }> => {
	const isPoint = firstLike(request);
	let child: ChildProcess | undefined;
	let sent = 0;
	const { promise: told, resolve } = Promise.withResolvers<void>();
	place.fail((asked) => {
		if (!isPoint(asked)) return undefined;
		sent = performance.now();
		child!.kill(signal);
		return { kind: "wait", until: told };
	});
	const ended = await place.brewline(args, {
		started: (running) => {
			child = running;
			running.once("exit", () => resolve());
			running.stderr!.on("data", (chunk: Buffer) => {
				if (chunk.includes("once more to leave at once")) resolve();
			});
		},
	});
	place.fail(() => undefined);
	expect({ request, met: sent > 0 }).toEqual({ request, met: true });
	return { ...ended, milliseconds: performance.now() - sent };
};

/** The next run must do the rest, and leave what an undisturbed one does. */
const finish = async (): Promise<Report> => {
	const { code, stdout, stderr } = await place.brewline("run --json");
	expect({ code, stderr }).toMatchObject({ code: 0 });
	expect(place.content()).toEqual(undisturbed());
	expect(Object.keys(place.workFiles()).filter((name) => name.startsWith("scratch"))).toEqual([]);
	return reportOf(stdout);
};

describe.each(points)("at %s", (_, request) => {
	it("SIGINT ends a run in order, and the next one finishes the rest", async () => {
		const { code, stdout, stderr, milliseconds } = await disturbed("SIGINT", request, "run --json");
		expect(code).toBe(130);
		expect(milliseconds).toBeLessThan(15_000);
		expect(stderr).toContain("ending what runs; once more to leave at once\n");
		const answer = JSON.parse(stdout) as Report;
		// Before anything was tried there is nothing to report.
		const early = answer.outcome === undefined;
		expect(early ? answer.errors.map((error) => error.code) : answer.outcome).toEqual(
			early ? ["cancelled"] : "cancelled",
		);
		const finished = await finish();
		const built = early ? [] : answer.builds.filter(({ state }) => state === "built").map(({ buildId }) => buildId);
		const reused = finished.builds.filter(({ state }) => state === "present").map(({ buildId }) => buildId);
		expect(reused).toEqual(expect.arrayContaining(built));
	});

	it("SIGKILL loses nothing that was done, and the next run finishes the rest", async () => {
		const { code, stdout } = await disturbed("SIGKILL", request, "run --json");
		expect([code, stdout]).toEqual([null, ""]);
		await finish();
	});
});

describe("SIGINT while legs are built", () => {
	it("is reported: what was built, what was ended, and no tag is touched", async () => {
		const { stdout } = await disturbed("SIGINT", /^POST .*staging-arm64v8\/blobs\/uploads/, "run --parallel 1 --json");
		const report = reportOf(stdout);
		expect(report.builds.map(({ arch, state, error }) => [arch, state, error?.code])).toEqual([
			["amd64", "built", undefined],
			["arm64v8", "cancelled", "cancelled"],
			["s390x", "cancelled", "cancelled"],
		]);
		expect(report.tags).toEqual([]);
		expect(reportOf(place.workFiles()["report.json"]!)).toEqual(report);
		expect(place.writes().filter((request) => !request.includes("/staging-"))).toEqual([]);
	});

	it("remembers what failed before, and nothing of what was ended", async () => {
		// Several uploads may begin at once; a second signal would end it at once.
		const told = { sent: false, ...Promise.withResolvers<void>() };
		let child: ChildProcess | undefined;
		place.fail(({ method, path: target }) => {
			if (method === "POST" && target.startsWith("/v2/staging-amd64/")) return { kind: "answer", status: 403 };
			if (method !== "POST" || !target.startsWith("/v2/staging-arm64v8/")) return undefined;
			if (!told.sent) child!.kill("SIGINT");
			told.sent = true;
			return { kind: "wait", until: told.promise };
		});
		const ended = await place.brewline("run --parallel 1 --json", {
			started: (running) => {
				child = running;
				running.stderr!.on("data", (chunk: Buffer) => {
					if (chunk.includes("once more to leave at once")) told.resolve();
				});
			},
		});
		expect(ended.code).toBe(130);
		expect(reportOf(ended.stdout).builds.map(({ state }) => state)).toEqual(["failed", "cancelled", "cancelled"]);
		place.fail(() => undefined);
		const plan = await place.brewline("plan --json");
		expect(plan).toMatchObject({ code: 0 });
		const planned = reportOf(plan.stdout);
		expect(planned.builds.map(({ arch, reason }) => [arch, /tried once/.test(reason)])).toEqual([
			["amd64", true],
			["arm64v8", false],
			["s390x", false],
		]);
		await finish();
	});

	it("a second time leaves at once", async () => {
		const isPoint = firstLike(/^POST .*staging-arm64v8\/blobs\/uploads/);
		let child: ChildProcess | undefined;
		const { promise: held, resolve: release } = Promise.withResolvers<void>();
		let errors = "";
		place.fail((asked) => {
			if (!isPoint(asked)) return undefined;
			child!.kill("SIGINT");
			return { kind: "wait", until: held };
		});
		const { code } = await place.brewline("run", {
			started: (running) => {
				child = running;
				running.stderr!.on("data", (chunk: Buffer) => {
					const before = errors;
					errors += chunk.toString();
					if (errors.includes("once more") && !before.includes("once more")) running.kill("SIGINT");
				});
			},
		});
		release();
		expect(code).toBe(130);
		place.fail(() => undefined);
		await finish();
	});
});

describe("output that nobody reads any more", () => {
	it("ends a run in order, and the next one finishes the rest", async () => {
		const isPoint = firstLike(/^POST .*staging-amd64\/blobs\/uploads/);
		let child: ChildProcess | undefined;
		place.fail((asked) => {
			if (!isPoint(asked)) return undefined;
			const closed = once(child!.stderr!, "close").then(() => undefined);
			child!.stderr!.destroy();
			return { kind: "wait", until: closed };
		});
		const { code, stdout } = await place.brewline("run --parallel 1 --json", {
			started: (running) => {
				child = running;
			},
		});
		expect(code).toBe(130);
		expect(reportOf(stdout).outcome).toBe("cancelled");
		place.fail(() => undefined);
		await finish();
	});

	it("is no error of a command that is done", async () => {
		const { code, stderr } = await place.brewline("inspect list", {
			started: (child) => child.stdout!.destroy(),
		});
		expect([code, stderr]).toEqual([0, ""]);
	});

	it("is an error where it could not be stored", async () => {
		const full = ["/bin/sh", "-c", 'exec "$@" > /dev/full', "sh", process.execPath, mainFile, "inspect", "list"];
		const { code, stderr } = await runProgram(full[0]!, full.slice(1), { cwd: place.folder });
		expect(code).toBe(1);
		expect(stderr).toMatch(/^brewline: cannot write the output: ENOSPC.*\n$/);
	});
});

describe("a leg whose push fails for good", () => {
	it("fails alone: new tags have what is there, and the next run mends it", async () => {
		const refuse: Parameters<Place["fail"]>[0] = ({ method, path }) =>
			method !== "GET" && method !== "HEAD" && path.includes("/staging-arm64v8/")
				? { kind: "answer", status: 403 }
				: undefined;
		place.fail(refuse);
		const failed = await place.brewline("run --json");
		expect(failed.code).toBe(1);
		const report = reportOf(failed.stdout);
		expect(report.outcome).toBe("failed");
		expect(report.builds.map(({ arch, state, error }) => [arch, state, error?.code])).toEqual([
			["amd64", "built", undefined],
			["arm64v8", "failed", "credentials"],
			["s390x", "built", undefined],
		]);
		expect(report.tags.map(({ change, platforms, notes }) => ({ change, platforms, notes }))).toEqual(
			Array.from({ length: 3 }, () => ({
				change: "created",
				platforms: ["linux/amd64", "linux/s390x"],
				notes: ["arm64v8: missing: not built yet"],
			})),
		);
		await nextSecond();
		const shown = await place.brewline("run");
		expect(shown.code).toBe(1);
		expect(shown.stdout).toMatch(
			/failed imported:1\.0 arm64v8 .*\n {4}uploading .* was refused without credentials: HTTP 403\n {6}Log in/,
		);
		expect(shown.stdout).toMatch(/^failed: 2 reused, 1 failed, 3 tags unchanged in /m);

		place.fail(() => undefined);
		// The registry keeps the smaller index as well, so its files are not those of an undisturbed run.
		// After two tries it is left alone for an hour, unless somebody says that it is mended.
		const later = await place.brewline("run --json");
		expect(later.code).toBe(7);
		expect(reportOf(later.stdout).waiting).toMatchObject([
			{
				tag: "imported:1.0",
				arch: "arm64v8",
				reason: expect.stringMatching(/tried 2 times .* it is tried again after/),
			},
		]);
		const mended = await place.brewline("run --retry --json");
		expect(mended.code).toBe(0);
		const { tags } = reportOf(mended.stdout);
		expect(tags.map(({ platforms }) => platforms)).toEqual(
			Array.from({ length: 3 }, () => ["linux/amd64", "linux/arm64/v8", "linux/s390x"]),
		);
	});

	it("keeps an architecture of a tag as it was, beside what is new of the others", async () => {
		const repository = makeRepository(path.join(world.repositories, "samples-two.git"));
		const platforms = {
			amd64: { architecture: "amd64", os: "linux" },
			s390x: { architecture: "s390x", os: "linux" },
		};
		const release = async (created: number): Promise<Record<string, string>> => {
			const fields: Record<string, string> = {};
			for (const [arch, platform] of Object.entries(platforms)) {
				const folder = path.join(world.folder, `two-${arch}-${created}`);
				const { image } = await makeLayout("provenance-v1", folder, { platform, created });
				writeFileSync(path.join(folder, "index.json"), JSON.stringify({ schemaVersion: 2, manifests: [image] }));
				fields[`${arch}-GitCommit`] = commitFolder(repository, folder);
			}
			return fields;
		};
		const define = (fields: Record<string, string>): Promise<void> =>
			place.define({
				two: definition("https://github.com/brewline/samples-two.git", {
					Architectures: "amd64, s390x",
					GitCommit: fields["amd64-GitCommit"]!,
					...fields,
				}),
			});
		const [first, second] = [await release(0), await release(1)];
		await define(first);
		expect((await place.brewline("run")).code).toBe(0);
		const partsOf = async (): Promise<Record<string, string>> => {
			const { stdout } = await place.brewline(`inspect index ${place.registry.host}/library/two:1`);
			return Object.fromEntries(
				stdout.split("\n").map((line) => [line.split(" ")[0]!, /sha256:\S+/.exec(line)?.[0] ?? ""]),
			);
		};
		const before = await partsOf();

		await define(second);
		place.fail(({ method, path }) =>
			method === "POST" && path.includes("/staging-s390x/") ? { kind: "answer", status: 403 } : undefined,
		);
		const { code, stdout } = await place.brewline("run --json");
		expect(code).toBe(1);
		expect(reportOf(stdout).tags.map(({ change, platforms, notes }) => ({ change, platforms, notes }))).toEqual(
			Array.from({ length: 2 }, () => ({
				change: "updated",
				platforms: ["linux/amd64", "linux/s390x"],
				notes: ["s390x: kept as it was: not built yet"],
			})),
		);
		const after = await partsOf();
		expect(after["s390x"]).toBe(before["s390x"]);
		expect(after["amd64"]).not.toBe(before["amd64"]);

		place.fail(() => undefined);
		expect((await place.brewline("run")).code).toBe(0);
		expect((await partsOf())["s390x"]).not.toBe(before["s390x"]);
	});

	it("is said by the steps as well", async () => {
		for (const step of ["sources", "plan"]) expect((await place.brewline(step)).code).toBe(0);
		place.fail(({ method, path }) =>
			method === "POST" && path.includes("/staging-s390x/") ? { kind: "answer", status: 403 } : undefined,
		);
		const build = await place.brewline("build --json");
		expect(build.code).toBe(1);
		expect(reportOf(build.stdout).builds.map(({ state }) => state)).toEqual(["built", "built", "failed"]);
		const publish = await place.brewline("publish --json");
		expect(publish.code).toBe(1);
		const report = reportOf(publish.stdout);
		// The reason comes from the leg's result.
		expect(report.builds.map(({ state, error }) => [state, error?.code])).toEqual([
			["built", undefined],
			["built", undefined],
			["failed", "credentials"],
		]);
		expect(report.tags.map(({ notes }) => notes)).toEqual(
			Array.from({ length: 3 }, () => ["s390x: missing: not built yet"]),
		);
	});
});

describe("a tag that cannot be moved", () => {
	it("fails alone, with the registry's own exit code", async () => {
		place.fail(({ method, path }) =>
			method === "PUT" && path.endsWith("/library/imported/manifests/1") ? { kind: "answer", status: 403 } : undefined,
		);
		const { code, stdout } = await place.brewline("run --json");
		expect(code).toBe(5);
		const report = reportOf(stdout);
		expect(report.outcome).toBe("failed");
		expect(report.tags.map(({ reference, change }) => [reference.split("/").at(-1), change])).toEqual([
			["imported:1.0", "created"],
			["imported:1", "failed"],
			["imported:latest", "created"],
		]);
		expect(report.errors).toEqual([
			{
				code: "credentials",
				message: expect.stringMatching(/library\/imported:1: putting .* was refused/),
				hint: expect.stringContaining("Log in"),
			},
		]);
		place.fail(() => undefined);
		await finish();
	});
});
