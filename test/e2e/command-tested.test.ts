import { rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { parsePlatform } from "../../src/oci/index.ts";
import type { Report } from "../../src/report/index.ts";
import {
	type CommandWorld,
	commitVersion,
	definition,
	type Ended,
	openCommandWorld,
	type Place,
	reportOf,
} from "../support/command.ts";
import { makeRepository, type TestRepository } from "../support/git-repository.ts";

// A policy that requires a test, by the commands as a user starts them.

const address = "https://github.com/brewline/samples-hello.git";
const arches = ["amd64", "arm64v8", "s390x"] as const;
const platforms = { amd64: "linux/amd64", arm64v8: "linux/arm64/v8", s390x: "linux/s390x" } as const;
let world: CommandWorld;
let place: Place;
let repository: TestRepository;
beforeAll(async () => {
	world = await openCommandWorld();
	repository = makeRepository(path.join(world.repositories, "samples-hello.git"));
});
afterAll(() => world[Symbol.asyncDispose]());
beforeEach(async () => {
	place = await world.place();
	await nextVersion();
});

let made = 0;

/** Defines another version of the image, of other content, which has to be tested. */
async function nextVersion(): Promise<void> {
	made++;
	const folder = path.join(world.folder, `version-${made}`);
	const parsed = Object.fromEntries(arches.map((arch) => [arch, parsePlatform(platforms[arch])]));
	const fields = await commitVersion(repository, folder, parsed, String(made));
	await place.define({ hello: definition(address, fields) });
	const library = path.join(place.folder, "library");
	await place.configure({ library, policies: [{ images: ["hello"], require: ["test"] }] });
}

const latest = (report: Report) => report.tags.find(({ reference }) => reference.endsWith("/hello:latest"))!;
const staged = (report: Report, arch: string) => report.builds.find((build) => build.arch === arch)!;

/** Says what came of the test of what is staged for an architecture. */
const test = (report: Report, arch: string, result: string, ...more: string[]): Promise<Ended> => {
	const { buildId, digest } = staged(report, arch);
	return place.brewline(["tested", buildId, "--digest", digest!, "--result", result, ...more]);
};

describe("require: [test]", () => {
	it("holds what was built until a test of its digest passed, architecture by architecture", async () => {
		const run = await place.brewline("run --json");
		const built = reportOf(run);
		expect([run.code, built.outcome]).toEqual([7, "incomplete"]);
		const note = (arch: string, more = "") =>
			`${arch}: missing: no passing test result for ${staged(built, arch).digest}${more}`;
		expect(latest(built)).toMatchObject({ change: "held", digest: null, notes: arches.map((arch) => note(arch)) });
		expect(built.tests).toBeUndefined();
		const explained = await place.brewline("explain hello:latest amd64");
		expect(explained.stdout).toContain(`held: no passing test result for ${staged(built, "amd64").digest}\n`);

		const said = await test(built, "amd64", "passed", "--id", "amd64");
		expect(said).toMatchObject({ code: 0, stdout: expect.stringMatching(/amd64\.json, whose digest is sha256:/) });
		await test(built, "arm64v8", "passed", "--id", "arm64v8");
		await test(built, "s390x", "failed", "--id", "s390x", "--log", "https://example.com/log");
		const two = await place.brewline("publish --json");
		expect(two.code).toBe(7);
		expect(latest(reportOf(two))).toMatchObject({
			change: "created",
			platforms: [platforms.amd64, platforms.arm64v8],
			notes: [note("s390x", ": its test failed (https://example.com/log)")],
		});
		expect(reportOf(two).tests).toHaveLength(3);

		await test(built, "s390x", "passed", "--id", "s390x");
		const all = await place.brewline("publish --json");
		expect(all.code).toBe(0);
		expect(latest(reportOf(all))).toMatchObject({ change: "updated", platforms: Object.values(platforms), notes: [] });
		expect((await place.brewline("explain hello:latest amd64")).stdout).not.toContain("held");
	});

	it("is remembered for the digest, and another digest is another matter", async () => {
		const built = reportOf(await place.brewline("run --json"));
		for (const arch of arches) await test(built, arch, "passed");
		expect((await place.brewline("publish")).code).toBe(0);
		expect((await place.brewline("remember")).code).toBe(0);
		const published = latest(reportOf(await place.brewline("run --json")));
		rmSync(place.file("tests"), { recursive: true });
		// Where everything is looked at, too, nothing has to be tested again.
		expect(latest(reportOf(await place.brewline("publish --json --audit")))).toEqual({
			...published,
			remembered: undefined,
			change: "unchanged",
		});

		await nextVersion();
		const dry = await place.brewline("run --json --dry-run");
		expect(latest(reportOf(dry))).toMatchObject({ change: "unchanged", digest: published.digest });
		const next = await place.brewline("run --json");
		expect(next.code).toBe(7);
		expect(latest(reportOf(next))).toMatchObject({
			change: "unchanged",
			digest: published.digest,
			notes: arches.map(
				(arch) => `${arch}: kept as it was: no passing test result for ${staged(reportOf(next), arch).digest}`,
			),
		});
		// A run has what was tested meanwhile, and remembers it.
		for (const arch of arches) await test(reportOf(next), arch, "passed");
		expect(latest(reportOf(await place.brewline("run --json")))).toMatchObject({ change: "updated", notes: [] });
		rmSync(place.file("tests"), { recursive: true });
		expect((await place.brewline("publish --audit")).code).toBe(0);
	});

	it("believes no file that is too large, broken, or of another kind, and says so", async () => {
		const built = reportOf(await place.brewline("run --json"));
		for (const arch of arches.slice(1)) await test(built, arch, "passed");
		writeFileSync(place.file("tests/large.json"), Buffer.alloc(4 * 1024 * 1024 + 1, " "));
		writeFileSync(place.file("tests/report.json"), JSON.stringify(built));
		const publish = await place.brewline("publish --json");
		expect(publish.code).toBe(7);
		expect(publish.stderr).toMatch(/large\.json has 4194305 bytes; at most 4194304 are read/);
		expect(publish.stderr).toMatch(/report\.json is no brewline-tests file/);
		expect(latest(reportOf(publish)).notes).toEqual([
			`amd64: missing: no passing test result for ${staged(built, "amd64").digest}`,
		]);
	});

	it.each([
		["--result passed", /required option '--digest <digest>' not specified/],
		["--digest latest --result passed", /latest is no digest/],
		[`--digest sha256:${"0".repeat(64)}`, /required option '--result <result>' not specified/],
		[`--digest sha256:${"0".repeat(64)} --result good`, /Allowed choices are passed, failed, skipped, timed-out/],
	])("is not told by: tested ID %s", async (flags, message) => {
		const ended = await place.brewline(`tested ${"0".repeat(64)} ${flags}`);
		expect([ended.code, ended.stderr]).toEqual([2, expect.stringMatching(message)]);
	});
});
