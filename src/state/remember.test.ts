import { describe, expect, test } from "vitest";
import { planWorld, type PlannedImage, type PlanWorld } from "../../test/support/plan-world.ts";
import { allRecords, emptyState, joinState, readStateFile, remember, splitState } from "./index.ts";

const hour = 3_600_000;
const image = (content: string): PlannedImage => ({ name: "app", tags: ["1"], arches: ["amd64"], content });

/** Two runs of a definition, without success. */
async function failTwice(w: PlanWorld, content: string): Promise<void> {
	w.define([image(content)]);
	for (let run = 0; run < 2; run++) await w.carryOut(await w.plan(), () => false);
}

const recordsOf = (w: PlanWorld) => Object.values(allRecords(w.state!.queue));

describe("a run that does not know a build", () => {
	test("leaves its tries, back-off and first-seen time alone", async () => {
		const w = planWorld();
		await failTwice(w, "new");
		const [before] = recordsOf(w);
		// An old run is started again, or somebody's laptop has another commit; once it fails, once it succeeds.
		for (const succeeds of [false, true]) {
			w.define([image("old")]);
			await w.carryOut(await w.plan(), () => succeeds);
			expect(recordsOf(w)).toContainEqual(before);
		}
		w.define([image("new")]);
		const { plan } = await w.plan();
		expect(plan.waiting.map(({ why }) => why)).toEqual(["back-off"]);
	});

	test("forgets it 30 days after its last try", async () => {
		const w = planWorld();
		await failTwice(w, "new");
		w.define([image("old")]);
		await w.carryOut(await w.plan());
		w.clock.advance(30 * 24 * hour - 60_000);
		await w.carryOut(await w.plan());
		expect(recordsOf(w)).toMatchObject([{ count: 2 }]);
		w.clock.advance(60_000);
		await w.carryOut(await w.plan());
		expect(recordsOf(w)).toEqual([]);
	});

	test("forgets at once what has no time at all", async () => {
		const w = planWorld();
		w.define([image("new")]);
		const { sources, builds, cache } = await w.plan();
		const state = { ...emptyState, queue: { app: { ["0".repeat(64)]: { count: 2, lastTime: null } } } };
		const when = "2026-01-01T00:00:00Z";
		const after = remember(state, { sources, builds, cache, tries: [], built: new Set(), tags: {}, when });
		expect(Object.keys(allRecords(after.queue))).toEqual(Object.keys(builds));
	});
});

test("what was made since the plan needs no record any more", async () => {
	const w = planWorld();
	await failTwice(w, "new");
	const { sources, builds, cache } = await w.plan();
	const happened = { sources, builds, cache, tries: [], tags: {}, when: "2026-01-02T00:00:00Z" };
	expect(remember(w.state!, { ...happened, built: new Set() }).queue).toEqual(w.state!.queue);
	expect(remember(w.state!, { ...happened, built: new Set(Object.keys(builds)) }).queue).toEqual({});
});

describe("a test that was passed", () => {
	const digest = `sha256:${"a".repeat(64)}`;
	const log = "https://example.com/log";
	const tested = (buildId: string, more: object = {}) => ({
		buildId,
		digest,
		passed: true,
		when: "2026-01-02T00:00:00Z",
		log,
		...more,
	});

	test("is remembered by its digest, until a test of the same is not passed, or nothing has had it for 30 days", async () => {
		const w = planWorld();
		w.define([image("new")]);
		const { sources, builds, cache } = await w.plan();
		const [id] = Object.keys(builds);
		const happened = { sources, builds, cache, tries: [], built: new Set<string>(), tags: {} };
		const first = remember(emptyState, { ...happened, tests: [tested(id!)], when: "2026-01-02T01:00:00Z" });
		expect(first.tested).toEqual({ app: { [digest]: { when: "2026-01-02T00:00:00Z", log } } });
		// Written and read again.
		const texts = [...splitState(first)].map(([path, text]) => [path, readStateFile(path, text)] as const);
		expect(joinState(new Map(texts)).tested).toEqual(first.tested);
		const late = remember(first, { ...happened, when: "2026-01-31T00:00:00Z" });
		expect(late.tested).toEqual(first.tested);
		expect(remember(first, { ...happened, when: "2026-02-02T00:00:00Z" }).tested).toEqual({});
		const failed = { ...happened, tests: [tested(id!, { passed: false })], when: "2026-01-03T00:00:00Z" };
		expect(remember(first, failed).tested).toEqual({});
		// As long as it is staged it stays.
		const [build] = Object.values(builds);
		const resolved = {
			schemaVersion: 2,
			mediaType: "application/vnd.oci.image.index.v1+json",
			manifests: [{ mediaType: "application/vnd.oci.image.manifest.v1+json", digest, size: 1 }],
		} as const;
		const there = { [id!]: { ...build!, build: { ...build!.build, resolved } } };
		expect(remember(first, { ...happened, builds: there, when: "2027-01-01T00:00:00Z" }).tested).toEqual(first.tested);
	});

	test("of an unknown build, or that is none, is left out", async () => {
		const w = planWorld();
		w.define([image("new")]);
		const { sources, builds, cache } = await w.plan();
		const [id] = Object.keys(builds);
		const tests = [
			tested("0".repeat(64)),
			tested(id!, { digest: "latest" }),
			tested(id!, { when: "yesterday" }),
			tested(id!, { log: "two\nlines" }),
		];
		const when = "2026-01-02T00:00:00Z";
		const after = remember(emptyState, { sources, builds, cache, tries: [], built: new Set(), tags: {}, tests, when });
		expect(after.tested).toEqual({});
	});
});

test("of two tries that end in the same second each counts, by its log, and the same one counts once", async () => {
	const w = planWorld();
	w.define([image("new")]);
	const { sources, builds, cache } = await w.plan();
	const buildId = Object.keys(builds)[0]!;
	const happened = { sources, builds, cache, built: new Set<string>(), tags: {}, when: "2026-01-02T00:00:00Z" };
	const attempt = (end: number, url: string | null) => ({
		buildId,
		start: end - 1,
		end,
		url,
		identifier: "app:1",
		reason: "it was planned",
	});
	const [one, two] = ["https://example.com/1", "https://example.com/2"];
	let state = emptyState;
	const counts: number[] = [];
	for (const tries of [
		[attempt(100, one)],
		[attempt(100, one)],
		[attempt(100, two)],
		[attempt(100, null)],
		[attempt(99, one)],
	]) {
		state = remember(state, { ...happened, tries });
		counts.push(Object.values(allRecords(state.queue))[0]!.count);
	}
	expect(counts).toEqual([1, 1, 2, 2, 2]);
});
