import { describe, expect, it } from "vitest";
import { compilePathspecs } from "./pathspec.ts";

const touched = (paths: readonly string[], changed: readonly string[]): boolean => {
	const into = new Set<number>();
	// A fiftieth of the real limit: with coverage each step takes many times as long.
	compilePathspecs([{ directory: "1", paths }], 1_000_000).touched(changed, into);
	return into.has(0);
};
const names = (count: number): readonly string[] => Array.from({ length: count }, (_, index) => `1/f/aab${index}`);

describe("patterns made to take very long", () => {
	it("are given up after some steps: many of them", { timeout: 60_000 }, () => {
		const patterns = Array.from({ length: 4_000 }, (_, index) => `*a*b*z${index}`);
		expect(() => touched(patterns, names(10_000))).toThrow(expect.objectContaining({ code: "limit" }));
	});

	it("are given up after some steps: long ones", { timeout: 60_000 }, () => {
		const pattern = `*${"[ab]".repeat(250_000)}z`;
		expect(() => touched([pattern], [`1/${"a".repeat(1_000_000)}`])).toThrow(
			expect.objectContaining({ code: "limit" }),
		);
	});

	it("are read in time linear in their length", { timeout: 20_000 }, () => {
		expect(touched([`*${"[".repeat(1_000_000)}`, "x[[]?"], ["1/x[y"])).toBe(true);
		expect(touched(["x[[", "[a"], ["1/x[y"])).toBe(false);
	});
});
