import { setImmediate as soon } from "node:timers/promises";
import { expect, test } from "vitest";
import { limit } from "./limit.ts";

test("one that leaves lets the next begin, once, and what comes of it is still told", async () => {
	const run = limit(2, new AbortController().signal);
	const begun: number[] = [];
	const ends = Array.from({ length: 6 }, () => Promise.withResolvers<string>());
	const leaves: (() => void)[] = [];
	const results = ends.map(({ promise }, number) =>
		run(async (leave) => {
			begun.push(number);
			leaves.push(leave);
			return promise;
		}),
	);
	await soon();
	expect(begun).toEqual([0, 1]);
	leaves[0]!();
	leaves[0]!();
	await soon();
	expect(begun).toEqual([0, 1, 2]);
	// It gave its place away already.
	ends[0]!.resolve("first");
	expect(await results[0]).toBe("first");
	await soon();
	expect(begun).toEqual([0, 1, 2]);
	ends[1]!.resolve("second");
	await soon();
	expect(begun).toEqual([0, 1, 2, 3]);
	for (const { resolve } of ends) resolve("last");
	expect(await Promise.all(results)).toEqual(["first", "second", "last", "last", "last", "last"]);
});

test("the failure of one that has left keeps those that wait from beginning", async () => {
	const run = limit(1, new AbortController().signal);
	const failing = Promise.withResolvers<never>();
	const holding = Promise.withResolvers<void>();
	const first = run((leave) => {
		leave();
		return failing.promise;
	});
	const second = run(() => holding.promise);
	const third = run(() => Promise.reject(new Error("never begun")));
	failing.reject(new Error("broken"));
	await expect(first).rejects.toThrow("broken");
	holding.resolve();
	await second;
	await expect(third).rejects.toThrow("broken");
});
