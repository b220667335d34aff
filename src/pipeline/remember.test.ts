import { expect, it } from "vitest";
import { planWorld } from "../../test/support/plan-world.ts";
import type { BuildResult } from "../build/index.ts";
import type { BuildReport } from "../report/index.ts";
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
