import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { deadlineOf, defineProgram, durationOf, policyOf, type PolicyRule, unmatchedImages } from "./index.ts";

const policiesOf = (...policies: readonly PolicyRule[]) => ({ ...defineProgram(), policies });

/** Whether a rule for these images holds for a tag. */
function holds(pattern: string, ...tags: readonly string[]): boolean {
	return policyOf(policiesOf({ images: [pattern], timeLimit: 1 }), tags, "amd64").timeLimit === 1;
}

describe("policyOf", () => {
	it("is what the architecture says where there are no policies", () => {
		expect(policyOf(defineProgram(), ["php:8"], "i386")).toEqual({
			platforms: "best-effort",
			deadline: null,
			timeLimit: 360,
			runner: "ubuntu-24.04",
			builder: null,
			emulate: false,
			via: "amd64",
			require: [],
		});
		const program = defineProgram({
			architectures: { s390x: { runner: null, builder: "tcp://far:1", emulate: true } },
			timeLimit: 5,
		});
		expect(policyOf(program, ["php:8"], "s390x")).toMatchObject({
			timeLimit: 5,
			runner: null,
			builder: "tcp://far:1",
			emulate: true,
		});
	});

	it("knows nothing of an architecture that is none", () => {
		expect(policyOf(defineProgram(), ["php:8"], "constructor")).toMatchObject({ runner: null, via: null });
	});

	it("takes each setting from the last rule that has it", () => {
		const program = policiesOf(
			{ platforms: "optional", deadline: "48h", timeLimit: 10 },
			{ images: ["php"], architectures: ["s390x"], runner: "big", emulate: true, builder: "tcp://far:1", via: "amd64" },
			{ images: ["php:8"], timeLimit: 20 },
			{ images: ["node"], timeLimit: 30, runner: null },
		);
		expect(policyOf(program, ["php:8"], "s390x")).toEqual({
			platforms: "optional",
			deadline: 48 * 3600,
			timeLimit: 20,
			runner: "big",
			builder: "tcp://far:1",
			emulate: true,
			via: "amd64",
			require: [],
		});
		expect(policyOf(program, ["php:7"], "amd64")).toMatchObject({ timeLimit: 10, runner: "ubuntu-24.04", via: null });
		expect(policyOf(program, ["node:1"], "s390x")).toMatchObject({ timeLimit: 30, runner: null, emulate: false });
	});

	it("has a deadline for what is optional only: a day, where no rule says another", () => {
		const optional: PolicyRule = { platforms: "optional" };
		expect(policyOf(policiesOf(optional), ["php:8"], "amd64").deadline).toBe(24 * 3600);
		const program = policiesOf({ ...optional, deadline: "90m" }, { images: ["php"], platforms: "required" });
		expect(policyOf(program, ["node:1"], "amd64").deadline).toBe(90 * 60);
		expect(policyOf(program, ["php:8"], "amd64").deadline).toBeNull();
	});

	it("serves an architecture without a runner for the images that a rule has one for", () => {
		const program = defineProgram({
			architectures: { amd64: {} },
			policies: [{ images: ["php"], architectures: ["s390x"], runner: "big" }],
		});
		expect(policyOf(program, ["php:8"], "s390x").runner).toBe("big");
		expect(policyOf(program, ["node:1"], "s390x").runner).toBeNull();
	});
});

describe("deadlineOf", () => {
	it("is the longest of a build's tags, and there for what is optional under one of them", () => {
		const program = policiesOf(
			{ platforms: "optional", deadline: "48h" },
			{ images: ["php:8"], platforms: "optional", deadline: "7d" },
			{ images: ["php:latest"], platforms: "required" },
		);
		expect(deadlineOf(program, ["php:7", "php:8", "php:latest"], "amd64")).toBe(7 * 24 * 3600);
		expect(deadlineOf(program, ["php:7", "php:latest"], "amd64")).toBe(48 * 3600);
		expect(deadlineOf(program, ["php:latest"], "amd64")).toBeNull();
	});
});

describe("images of a rule", () => {
	it.each([
		["php", "php:8", true],
		["php", "phpx:8", false],
		["php", "xphp:8", false],
		["php", "by/php:8", false],
		["by/php", "by/php:8", true],
		["by/*", "by/php:8", true],
		["php:8", "php:8", true],
		["php:8", "php:8.1", false],
		["php:8*", "php:8.1", true],
		["node:*-alpine*", "node:22-alpine3.21", true],
		["node:*-alpine*", "node:22-alpine", true],
		["node:*-alpine*", "node:alpine", false],
		["*:latest", "php:latest", true],
		["*", "php:8", true],
		["php:*a*a", "php:a", false],
		["php:*a*a", "php:aa", true],
		["php:8.1", "php:8x1", false],
		["php:8-*-8", "php:8-8", false],
		["php**:8", "php:8", true],
	])("%s and %s: %s", (pattern, tag, expected) => {
		expect(holds(pattern, tag)).toBe(expected);
	});

	it("are told where they match nothing that there is", () => {
		const program = policiesOf({ images: ["php:8*", "node"] }, {}, { images: ["phq", "node:*-alpine"], timeLimit: 1 });
		expect(unmatchedImages(program, new Set(["php:8.1", "node:22"]))).toEqual([
			"program.policies.2.images.0: phq",
			"program.policies.2.images.1: node:*-alpine",
		]);
		expect(unmatchedImages(policiesOf({ timeLimit: 1 }), new Set())).toEqual([]);
	});

	it("match if one of several tags does", () => {
		expect(holds("php:8", "php:latest", "php:8")).toBe(true);
		expect(holds("php:8", "php:latest")).toBe(false);
		expect(holds("php:8")).toBe(false);
	});

	it("match what a regular expression of the same meaning does", () => {
		const text = fc.array(fc.constantFrom("a", "b", ".", "-", "*"), { maxLength: 8 }).map((parts) => parts.join(""));
		fc.assert(
			fc.property(text, text, (pattern, tag) => {
				const meaning = `^n:${pattern.replaceAll(".", "\\.").replaceAll(/\*+/g, ".*")}$`;
				expect(holds(`n:${pattern}`, `n:${tag}`)).toBe(new RegExp(meaning).test(`n:${tag}`));
			}),
			{ seed: Number(process.env["FC_SEED"] ?? 1), numRuns: 2_000 },
		);
	});

	it("are cheap to ask for, and a pattern of the worst kind is, too", () => {
		const worst = `n:${"*a".repeat(60)}*b`;
		const images = [worst, ...Array.from({ length: 40 }, (_, number) => `image${number}:*-alpine*`)];
		const program = policiesOf({ images, timeLimit: 1 }, { architectures: ["amd64"], platforms: "required" });
		const tag = `n:${"a".repeat(126)}`;
		const start = process.cpuUsage();
		let limits = 0;
		for (let number = 0; number < 40_000; number++) limits += policyOf(program, [tag], "amd64").timeLimit;
		expect(limits).toBe(40_000 * 360);
		// A regular expression would not end in this life; what is measured here is some hundred milliseconds.
		expect(process.cpuUsage(start).user).toBeLessThan(5_000_000);
	});
});

it.each([
	["90m", 5_400],
	["48h", 172_800],
	["7d", 604_800],
	["7w", undefined],
	["1.5h", undefined],
	["-1h", undefined],
	["", undefined],
])("the duration %s is %s seconds", (text, seconds) => {
	expect(durationOf(text)).toBe(seconds);
});
