import { expect, it } from "vitest";
import { planWorld } from "../../test/support/plan-world.ts";
import type { BuildResult } from "../build/index.ts";
import type { BuildReport } from "../report/index.ts";
import { failedTries } from "./memory.ts";
import { lostTries } from "./remember.ts";

const run = { id: "1", attempt: 1 };

/** The tries of a leg of several builds; of each: what publishing found, and whether a result says something. */
async function lostOf(found: readonly (readonly [state: BuildReport["state"], result: boolean])[]) {
	const w = planWorld();
	w.define(found.map((_, number) => ({ name: "app", tags: [`${number}`], arches: ["amd64"] })));
	const { legs, builds } = await w.plan({ capacity: { legs: 1, buildsPerLeg: found.length } });
	const ids = legs[0]!.builds.map(({ buildId }) => buildId);
	const reported = ids.map((buildId, number) => ({ buildId, state: found[number]![0] }));
	const results = new Map(ids.filter((_, number) => found[number]![1]).map((id) => [id, {} as BuildResult]));
	const report = { builds: reported as BuildReport[] };
	return lostTries(legs, results, report, builds, new Map(), 60, { run }).map(({ identifier, end }) => [
		identifier,
		end,
	]);
}

it.each<[string, Parameters<typeof lostOf>[0], readonly string[]]>([
	[
		"that is lost at its second build",
		[
			["built", false],
			["planned", false],
			["planned", false],
		],
		["app:1"],
	],
	[
		"that is lost at once",
		[
			["planned", false],
			["planned", false],
		],
		["app:0"],
	],
	[
		"with a result that leaves one out",
		[
			["failed", true],
			["planned", false],
			["built", true],
		],
		["app:1"],
	],
	["that left a result", [["failed", true]], []],
	["that pushed all, and then was lost", [["built", false]], []],
])("of a leg %s what it was at counts as tried, and nothing that it had not begun", async (_, found, tried) => {
	expect(await lostOf(found)).toEqual(tried.map((tag) => [tag, 60]));
});

it("a try ended in the same second whenever that is asked, or by the clock of who asks", async () => {
	const w = planWorld();
	w.define([{ name: "app", tags: ["1"], arches: ["amd64"] }]);
	const { builds } = await w.plan();
	const [buildId] = Object.keys(builds);
	const endOf = (start: string, seconds: number, now: number) => {
		const result = { buildId: buildId!, status: "failed", start, seconds, log: null } as BuildResult;
		return failedTries([result], builds, new Map(), now).map((one) => [one.start, one.end]);
	};
	for (const now of [11, 12, 60]) expect(endOf("1970-01-01T00:00:10.100Z", 1.6, now)).toEqual([[10, 11]]);
	expect(endOf("1970-01-01T00:00:10.900Z", 1.3, 60)).toEqual([[10, 12]]);
	expect(endOf("9999-01-01T00:00:00Z", 1e300, 60)).toEqual([[60, 60]]);
});
