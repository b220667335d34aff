import { describe, expect, test } from "vitest";
import { pipeline, sourcesOf, stageImage } from "../../test/support/publishing.ts";
import type { PolicyRule } from "../config/index.ts";
import type { Sources } from "../sources/index.ts";
import { waitingRule, type PublishResult, type TestVerdict } from "./index.ts";

// What a policy requires a test for is published by its digest, once that passed.

type At = Awaited<ReturnType<typeof pipeline>>;
const arches = ["amd64", "arm32v7", "arm64v8"] as const;
const everywhere = (...tags: readonly string[]) => Object.fromEntries(arches.map((arch) => [arch, tags]));
const passed: TestVerdict = { result: "passed", start: "2026-01-01T00:00:00Z", log: null };
const required: readonly PolicyRule[] = [{ images: ["x"], require: ["test"] }];

async function staged(at: At, version = "1", tags: readonly string[] = ["x:1"]): Promise<Sources> {
	const sources = sourcesOf(at.program, [{ name: "x", version, arches: everywhere(...tags) }]);
	for (const arch of arches) await at.stage(sources, arch);
	return sources;
}

/** By architecture, the digest of the image that is staged. */
async function digests(at: At, sources: Sources): Promise<Readonly<Record<string, string>>> {
	const builds = Object.values(await at.find(sources));
	return Object.fromEntries(builds.map(({ build }) => [build.arch, build.resolved!.manifests[0]!.digest]));
}

const publish = (
	at: At,
	sources: Sources,
	tests: Readonly<Record<string, TestVerdict>>,
	policies: readonly PolicyRule[] = required,
): Promise<PublishResult> => {
	const program = { ...at.program, policies };
	const mustWait = waitingRule(program, new Set());
	return at.publish(sources, { program, mustWait, tests: new Map(Object.entries(tests)) });
};
const told = ({ tags }: PublishResult) => tags.map(({ change, platforms, notes }) => ({ change, platforms, notes }));

describe("require: [test]", () => {
	test("what was not tested is held, under the joined tag and the architecture's own; what passed is published", async () => {
		await using at = await pipeline();
		const sources = await staged(at);
		const of = await digests(at, sources);
		at.requests.length = 0;
		const untested = await publish(at, sources, {});
		expect(told(untested)).toEqual([
			{
				change: "held",
				platforms: [],
				notes: arches.map((arch) => `${arch}: missing: no passing test result for ${of[arch]}`),
			},
		]);
		expect(untested.archTags.map(({ change }) => change)).toEqual(["held", "held", "held"]);
		expect(untested.archTags[0]!.notes).toEqual([`amd64: no passing test result for ${of["amd64"]}`]);
		expect(at.writes()).toEqual([]);

		const all = Object.fromEntries(Object.values(of).map((digest) => [digest, passed]));
		const tested = await publish(at, sources, all);
		expect(told(tested)).toMatchObject([{ change: "created", notes: [] }]);
		expect(tested.tags[0]!.from).toMatch(/^[0-9a-f]{64}$/);
		expect(tested.tests.map(({ digest }) => digest).sort()).toEqual(Object.values(of).sort());
		// What earlier runs saw is not told again.
		const known = Object.fromEntries(
			Object.keys(all).map((digest) => [digest, { ...passed, remembered: true as const }]),
		);
		expect((await publish(at, sources, known)).tests).toEqual([]);
	});

	test.each([
		["failed", "its test failed (https://example.com/log)"],
		["timed-out", "its test timed out (https://example.com/log)"],
		["skipped", "its test was skipped (https://example.com/log)"],
	] as const)("one that %s is held, and says so", async (result, text) => {
		await using at = await pipeline();
		const sources = await staged(at);
		const of = await digests(at, sources);
		const tests = {
			[of["amd64"]!]: passed,
			[of["arm32v7"]!]: { ...passed, result, log: "https://example.com/log" },
			[of["arm64v8"]!]: passed,
		};
		const note = `arm32v7: missing: no passing test result for ${of["arm32v7"]}: ${text}`;
		expect(told(await publish(at, sources, tests))).toEqual([
			{ change: "created", platforms: ["linux/amd64", "linux/arm64/v8"], notes: [note] },
		]);
		expect(await at.index("arm32v7/x:1")).toBeUndefined();
		expect(await at.index("arm64v8/x:1")).toBeDefined();
	});

	test("a new digest has to be tested anew, and until then the tag keeps the one that it has", async () => {
		await using at = await pipeline();
		const sources = await staged(at);
		const old = await digests(at, sources);
		const tests = Object.fromEntries(Object.values(old).map((digest) => [digest, passed]));
		await publish(at, sources, tests);
		const before = await at.index("library/x:1");
		// The same build, staged again as something else.
		const [build] = Object.values(await at.find(sources)).filter(({ build: { arch } }) => arch === "amd64");
		await stageImage(at.client, build!.build.img, at.program.architectures["amd64"]!.platform, "other content");
		const now = await digests(at, sources);
		expect(now["amd64"]).not.toBe(old["amd64"]);
		at.requests.length = 0;
		const { tags } = await publish(at, sources, tests);
		expect(tags).toMatchObject([
			{ change: "unchanged", notes: [`amd64: kept as it was: no passing test result for ${now["amd64"]}`] },
		]);
		expect(tags[0]!.from).toBeUndefined();
		expect(at.writes()).toEqual([]);
		expect(await at.index("library/x:1")).toEqual(before);
		const next = await publish(at, sources, { ...tests, [now["amd64"]!]: passed });
		expect(told(next)).toMatchObject([{ change: "updated", notes: [] }]);
		expect((await at.index("library/x:1"))!.manifests[0]!.digest).toBe(now["amd64"]);
	});

	test("it holds for the architectures and images of its rule, and a later rule takes it back", async () => {
		await using at = await pipeline();
		const sources = await staged(at, "1", ["x:1", "x:1-slim"]);
		const policies: readonly PolicyRule[] = [
			{ require: ["test"] },
			{ architectures: ["arm32v7", "arm64v8"], require: [] },
			{ images: ["y"], architectures: ["arm64v8"], require: ["test"] },
		];
		const { amd64 } = await digests(at, sources);
		expect(told(await publish(at, sources, {}, policies))).toMatchObject([
			{ platforms: ["linux/arm64/v8", "linux/arm/v7"], notes: [`amd64: missing: no passing test result for ${amd64}`] },
			{ platforms: ["linux/arm64/v8", "linux/arm/v7"] },
		]);
		// A rule for one tag of a build is one for what all of its tags hold.
		const other = await staged(at, "2", ["x:2", "x:2-slim"]);
		const { notes } = (await publish(at, other, {}, [{ images: ["x:*-slim"], require: ["test"] }])).tags[0]!;
		expect(notes.every((note) => note.includes("no passing test result"))).toBe(true);
		expect(notes).toHaveLength(3);
	});

	test("a tag waits for the test of what is required, and of what is optional until there is a result", async () => {
		await using at = await pipeline();
		const sources = await staged(at);
		const of = await digests(at, sources);
		const others = { [of["arm32v7"]!]: passed, [of["arm64v8"]!]: passed };
		const rule = (platforms: "required" | "optional"): readonly PolicyRule[] => [
			...required,
			{ architectures: ["amd64"], platforms },
		];
		const why = `amd64: missing: no passing test result for ${of["amd64"]}`;
		expect(told(await publish(at, sources, others, rule("required")))).toEqual([
			{
				change: "held",
				platforms: [],
				notes: [why, "held: amd64 is required, and what is defined for it has not passed its test"],
			},
		]);
		expect(told(await publish(at, sources, others, rule("optional")))).toEqual([
			{ change: "held", platforms: [], notes: [why, "held: amd64 is optional, and is not tested yet"] },
		]);
		const failed = { ...others, [of["amd64"]!]: { ...passed, result: "failed" as const } };
		expect(told(await publish(at, sources, failed, rule("required")))).toMatchObject([{ change: "held" }]);
		expect(told(await publish(at, sources, failed, rule("optional")))).toEqual([
			{ change: "created", platforms: ["linux/arm64/v8", "linux/arm/v7"], notes: [`${why}: its test failed`] },
		]);
	});

	test("what nothing here builds is not unserved where it is there and was not tested", async () => {
		await using at = await pipeline();
		const sources = await staged(at);
		const of = await digests(at, sources);
		const policies: readonly PolicyRule[] = [...required, { architectures: ["amd64"], runner: null }];
		const tests = { [of["arm32v7"]!]: passed, [of["arm64v8"]!]: passed };
		const { tags } = await publish(at, sources, tests, policies);
		expect(tags[0]!.unserved).toBeUndefined();
		expect(tags[0]!.notes).toEqual([`amd64: missing: no passing test result for ${of["amd64"]}`]);
	});

	test("without a policy nothing has to be tested", async () => {
		await using at = await pipeline();
		const sources = await staged(at);
		expect(told(await publish(at, sources, {}, []))).toMatchObject([{ change: "created", notes: [] }]);
	});
});
