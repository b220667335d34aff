import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { planWorld, type PlannedImage, type Planned, type PlanWorld } from "../../test/support/plan-world.ts";
import { printLeg, printPlan } from "./index.ts";

const seed = Number(process.env["BREWLINE_SEED"] ?? 20_260_901);
const arches = ["amd64", "arm64v8", "s390x"] as const;
const outside = ["debian:12", "alpine:3"] as const;

/** Images over two bases from outside; each may stand on what comes before it. */
const images = fc
	.array(
		fc.record({
			arches: fc.subarray([...arches], { minLength: 1 }),
			base: fc.constantFrom(...outside, "scratch"),
			on: fc.array(fc.nat(20), { maxLength: 3 }),
			content: fc.constantFrom("1", "2"),
		}),
		{ minLength: 1, maxLength: 8 },
	)
	.map((list) =>
		list.map(({ base, on, ...rest }, index): PlannedImage => {
			const parents = index === 0 ? [] : [...new Set(on.map((number) => `image-${number % index}:1`))];
			return { name: `image-${index}`, tags: ["1"], froms: [...parents, base], ...rest };
		}),
	);

/** What can happen between two plans. */
const event = fc.oneof(
	fc.record({ kind: fc.constant("build" as const), fails: fc.nat(255) }),
	fc.record({ kind: fc.constant("change" as const), image: fc.nat(20) }),
	fc.record({
		kind: fc.constant("base" as const),
		base: fc.constantFrom(...outside),
		content: fc.constantFrom("1", "2"),
	}),
	fc.record({ kind: fc.constant("wait" as const), hours: fc.nat(40) }),
	fc.record({ kind: fc.constant("force" as const), image: fc.nat(20) }),
	fc.record({ kind: fc.constant("lose" as const) }),
);
const history = fc.array(event, { maxLength: 12 });

async function live(
	defined: readonly PlannedImage[],
	events: readonly (typeof event extends fc.Arbitrary<infer T> ? T : never)[],
	each: (w: PlanWorld, planned: Planned) => Promise<void> | void,
): Promise<PlanWorld> {
	const w = planWorld();
	for (const base of outside) w.outside(base, arches);
	let now = defined;
	w.define(now);
	for (const [number, one] of events.entries()) {
		const planned = await w.plan();
		await each(w, planned);
		if (one.kind === "build") {
			let bit = 0;
			await w.carryOut(planned, () => ((one.fails >> (bit++ % 8)) & 1) === 0);
		} else if (one.kind === "change") {
			now = now.map((image, index) => (index === one.image % now.length ? { ...image, content: `${number}` } : image));
			w.define(now);
		} else if (one.kind === "base") w.outside(one.base, arches, one.content);
		else if (one.kind === "wait") w.clock.advance(one.hours * 3_600_000);
		else if (one.kind === "lose") w.state = undefined;
		else {
			const all = Object.values(planned.builds).filter(({ build }) => build.resolved !== null);
			const build = all[one.image % Math.max(1, all.length)];
			if (build !== undefined) {
				const when = new Date(w.clock.now()).toISOString();
				w.decide({ [build.buildId]: { text: `again ${number}`, by: "somebody", when } });
			}
		}
	}
	return w;
}

describe("any history of plans", () => {
	test(
		"a leg's builds have all parents, which the registry has; a plan twice is the same bytes",
		{ timeout: 120_000 },
		async () => {
			await fc.assert(
				fc.asyncProperty(images, history, async (defined, events) => {
					await live(defined, events, async (w, planned) => {
						const held = new Set(
							[...w.registry.values()].flatMap(({ manifests }) => manifests.map(({ digest }) => digest)),
						);
						for (const { builds } of planned.legs) {
							for (const { buildId, parents } of builds) {
								const froms = Object.keys(
									planned.builds[buildId]!.source.arches[planned.builds[buildId]!.build.arch]!.parents,
								);
								expect(parents.map(({ from }) => from)).toEqual(froms.filter((from) => from !== "scratch"));
								for (const { digest } of parents) expect(held).toContain(digest);
								expect(planned.builds[buildId]!.build.resolved).toBeNull();
							}
						}
						const again = await w.plan();
						expect(printPlan(again.plan)).toBe(printPlan(planned.plan));
						expect(again.legs.map(printLeg)).toEqual(planned.legs.map(printLeg));
					});
				}),
				{ seed, numRuns: 60 },
			);
		},
	);

	test(
		"each pair of source and architecture is there, in a leg, or waits with a reason: none twice",
		{ timeout: 120_000 },
		async () => {
			await fc.assert(
				fc.asyncProperty(images, history, async (defined, events) => {
					await live(defined, events, (_, { plan, builds, sources }) => {
						const pairs = [
							...Object.values(builds)
								.filter(({ build }) => build.resolved !== null)
								.map(({ build }) => `${build.sourceId} ${build.arch}`),
							...plan.legs.flatMap((leg) => leg.builds.map(({ id }) => `${builds[id]!.build.sourceId} ${leg.arch}`)),
							...plan.waiting.map(({ source, arch }) => `${source} ${arch}`),
						];
						const all = Object.entries(sources).flatMap(([id, { arches: own }]) =>
							Object.keys(own).map((arch) => `${id} ${arch}`),
						);
						expect(pairs.sort()).toEqual(all.sort());
						for (const { reason } of plan.legs.flatMap((leg) => leg.builds)) expect(reason).toMatch(/\w{4}/);
					});
				}),
				{ seed, numRuns: 60 },
			);
		},
	);

	test(
		"with the state and without it the ids are the same, but for decisions; back-off alone delays",
		{ timeout: 120_000 },
		async () => {
			const withoutForce = history.map((events) => events.filter(({ kind }) => kind !== "force"));
			await fc.assert(
				fc.asyncProperty(images, withoutForce, async (defined, events) => {
					await live(defined, events, async (w, planned) => {
						const { state } = w;
						w.state = undefined;
						const without = await w.plan();
						w.state = state;
						expect(Object.keys(planned.builds)).toEqual(Object.keys(without.builds));
						const ids = (of: Planned): string[] => of.plan.legs.flatMap((leg) => leg.builds.map(({ id }) => id)).sort();
						const delayed = planned.plan.waiting.filter(({ why }) => why === "back-off");
						const backingOff = Object.values(planned.builds)
							.filter(({ build }) =>
								delayed.some(({ source, arch }) => source === build.sourceId && arch === build.arch),
							)
							.map(({ buildId }) => buildId);
						expect([...ids(planned), ...backingOff].sort()).toEqual(ids(without));
					});
				}),
				{ seed, numRuns: 60 },
			);
		},
	);

	test("ends with nothing to do when all builds succeed", { timeout: 120_000 }, async () => {
		await fc.assert(
			fc.asyncProperty(images, history, async (defined, events) => {
				const w = await live(defined, events, () => {});
				for (let round = 0; round <= defined.length; round++) {
					w.clock.advance(40 * 3_600_000);
					await w.carryOut(await w.plan());
				}
				const { plan, builds } = await w.plan();
				expect(plan.legs).toEqual([]);
				expect(Object.values(builds).every(({ build }) => build.resolved !== null)).toBe(true);
				// A parent that is not defined for an architecture is all that a child may wait for.
				expect(plan.waiting.every(({ why, wave }) => why === "parent" && wave === null)).toBe(true);
			}),
			{ seed, numRuns: 60 },
		);
	});
});

test("a wave is one more than the last of its parents', and what unblocks more comes first", async () => {
	await fc.assert(
		fc.asyncProperty(images, async (defined) => {
			const w = planWorld();
			for (const base of outside) w.outside(base, arches);
			w.define(defined);
			let planned = await w.plan();
			let waves = 0;
			for (; planned.legs.length > 0; waves++) {
				await w.carryOut(planned);
				const next = await w.plan();
				// What was said to come in the next wave comes in it.
				const said = planned.plan.waiting
					.filter((item) => item.wave === 1)
					.map(({ source, arch }) => `${source} ${arch}`);
				const come = next.plan.legs.flatMap((leg) =>
					leg.builds.map(({ id }) => `${next.builds[id]!.build.sourceId} ${leg.arch}`),
				);
				expect(come.sort()).toEqual(said.sort());
				planned = next;
			}
			expect(planned.plan.waiting.filter((item) => item.wave !== null)).toEqual([]);
			expect(waves).toBeLessThanOrEqual(defined.length);
		}),
		{ seed, numRuns: 100 },
	);
});
