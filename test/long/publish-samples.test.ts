import { afterAll, expect, test } from "vitest";
import { sampleNames } from "../fixtures/samples/make.ts";
import { waysOfBeingKilled, waysOfFailing } from "../support/faults.ts";
import { partName, partOf } from "../support/part.ts";
import { openPublishFaults } from "../support/publish-faults.ts";

/** As publish-faults.test.ts, over all samples: each request in one way, that of its number, being killed among them. */
const world = await openPublishFaults(sampleNames);
afterAll(() => world[Symbol.asyncDispose]());

const ways = [...waysOfFailing(world.elsewhere.url), ...waysOfBeingKilled];
const cases = partOf([...world.asked.entries()]).map(([at, asked]) => {
	const possible = ways.filter((way) => way.applies?.(asked) ?? true);
	return { at, way: possible[at % possible.length]! };
});

test(`each of ${world.asked.length} requests for all samples goes wrong in one way (${partName()}, ${cases.length} injections)`, async () => {
	const wrong: string[] = [];
	for (const { at, way } of cases) wrong.push(...(await world.inject(way, at)));
	expect(wrong).toEqual([]);
});
