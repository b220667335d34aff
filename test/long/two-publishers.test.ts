import { afterAll, expect, test } from "vitest";
import { failing, waysOfBeingKilled } from "../support/faults.ts";
import { partName, partOf } from "../support/part.ts";
import { openPublishFaults } from "../support/publish-faults.ts";
import { takingTurns } from "../support/turns.ts";

/** Two runs that publish the same at the same time: no tag ever points at what is incomplete, and the end is that of one. */
const world = await openPublishFaults(["tool"]);
afterAll(() => world[Symbol.asyncDispose]());

type Choose = (waiting: readonly number[]) => number;

/** The second one begins, and ends, after so many requests of the first. */
const overtaking = (after: number): Choose => {
	let done = 0;
	return (waiting) => (waiting.includes(0) && (done < after || !waiting.includes(1)) ? (done++, 0) : 1);
};

/** A request or a few of one, then of the other, as many as this number's digits of base 4 say. */
const alternating = (number: number): Choose => {
	const lengths = [0, 2, 4, 6].map((shift) => ((number >> shift) & 3) + 1);
	const turns = lengths.flatMap((length, turn) => Array.from({ length }, () => turn % 2));
	let at = 0;
	return (waiting) => {
		const wanted = turns[at++ % turns.length]!;
		return waiting.includes(wanted) ? wanted : waiting[0]!;
	};
};

const schedules = [
	{ name: "one overtakes the other", choices: partOf([...world.asked.keys()].map(overtaking)) },
	{ name: "they take turns", choices: partOf(Array.from({ length: 256 }, (_, number) => alternating(number))) },
];

test.each(schedules)(`$name (${partName()}, $choices.length schedules)`, async ({ choices }) => {
	const wrong: string[] = [];
	for (const [number, choose] of choices.entries()) {
		const faults = await world.fromBeginning(async (publishing) => {
			const runs = takingTurns(2, choose).map(({ wrap, end }) => publishing(wrap).finally(end));
			return (await Promise.all(runs)).flat();
		});
		wrong.push(...faults.map((fault) => `schedule ${number}: ${fault}`));
	}
	expect(wrong).toEqual([]);
});

const [, killed] = waysOfBeingKilled;
const kills = partOf([...world.asked.keys()]);

test(`one is killed while they take turns (${partName()}, ${kills.length} schedules)`, async () => {
	const wrong: string[] = [];
	for (const at of kills) {
		const faults = await world.fromBeginning(async (publishing) => {
			const [one, other] = takingTurns(2, alternating(at));
			const [, second] = await Promise.all([
				publishing((send) => one!.wrap(failing(send, killed!.make(at)))).finally(one!.end),
				publishing(other!.wrap).finally(other!.end),
			]);
			return second;
		});
		wrong.push(...faults.map((fault) => `killed at ${at}: ${fault}`));
	}
	expect(wrong).toEqual([]);
});
