import { afterAll, expect, test } from "vitest";
import { waysOfBeingKilled, waysOfFailing } from "../support/faults.ts";
import { partName, partOf } from "../support/part.ts";
import { openPublishFaults } from "../support/publish-faults.ts";
import { sampleNames } from "../fixtures/samples/make.ts";

/** As publish-faults.test.ts, over all samples: each request in one way, by its number, and the process killed after each. */
const world = await openPublishFaults(sampleNames);
afterAll(() => world[Symbol.asyncDispose]());

const [, killed] = waysOfBeingKilled;
const ways = waysOfFailing(world.elsewhere.url);
const failed = partOf([...world.asked.entries()]).map(([at, asked]) => {
	const possible = ways.filter((way) => way.applies?.(asked) ?? true);
	return { at, way: possible[at % possible.length]! };
});
const ended = partOf([...world.asked.keys()]).map((at) => ({ at, way: killed! }));

test.each([
	{ name: "goes wrong in one way", cases: failed },
	{ name: "is the last one of a process that is killed", cases: ended },
])(
	`each of ${world.asked.length} requests for all samples $name (${partName()}, $cases.length injections)`,
	async ({ cases }) => {
		const wrong: string[] = [];
		for (const { at, way } of cases) wrong.push(...(await world.inject(way, at)));
		expect(wrong).toEqual([]);
	},
);
