import { afterAll, describe, expect, test } from "vitest";
import { waysOfBeingKilled, waysOfFailing, type Way } from "../support/faults.ts";
import { partName, partOf } from "../support/part.ts";
import { openPublishFaults } from "../support/publish-faults.ts";

/**
 * The fault matrix: whatever goes wrong with whichever request of a publish run, the next run ends with what an undisturbed
 * one gives, and no tag ever points at what is incomplete, another architecture's, or less than it had.
 */
const world = await openPublishFaults(["tool"]);
afterAll(() => world[Symbol.asyncDispose]());

const applicable = (way: Way): number[] =>
	[...world.asked.keys()].filter((at) => way.applies?.(world.asked[at]!) ?? true);
const ways = [...waysOfFailing(world.elsewhere.url), ...waysOfBeingKilled].map((way) => ({
	way,
	name: way.name,
	cases: partOf(applicable(way)),
}));
const count = ways.reduce((sum, { cases }) => sum + cases.length, 0);

describe(`each of ${world.asked.length} requests goes wrong in each of ${ways.length} ways (${partName()}, ${count} injections)`, () => {
	test.each(ways.filter(({ cases }) => cases.length > 0))("$name, $cases.length times", async ({ way, cases }) => {
		const wrong: string[] = [];
		for (const at of cases) wrong.push(...(await world.inject(way, at)));
		expect(wrong).toEqual([]);
		expect(world.elsewhere.headers.filter(({ authorization }) => authorization !== undefined)).toEqual([]);
	});
});
