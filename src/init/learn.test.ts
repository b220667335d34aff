import { describe, expect, it } from "vitest";
import { blocksOf, sortedBlocksOf } from "./blocks.ts";
import { separate } from "./conditions.ts";
import { interpolate, learn, matches, type Candidate, type LearntRule, type Row } from "./learn.ts";
import { templatesOf } from "./texts.ts";

const vocabulary = {
	asked: ["suite", "sapi", "version"],
	defaults: ["debian", "alpine"],
	isFleeting: (name: string) => name === "version",
	isOfToday: (text: string) => /[0-9]/.test(text),
};

/** Variants as php has them: two of Debian, two of Alpine, three kinds of each. */
const variants = ["8.5", "8.4"].flatMap((version) =>
	["trixie", "bookworm", "alpine3.24", "alpine3.23"].flatMap((suite) =>
		["cli", "apache", "fpm"]
			.filter((sapi) => !(suite.startsWith("alpine") && sapi === "apache"))
			.map((sapi) => ({ version, suite, sapi, debian: "trixie", alpine: "alpine3.24" })),
	),
);

function suffixesOf({ suite, sapi, debian, alpine }: (typeof variants)[number]): readonly string[] {
	const all = [`${sapi}-${suite}`];
	if (sapi === "cli") all.push(suite);
	if (suite === alpine) all.push(`${sapi}-alpine`, ...(sapi === "cli" ? ["alpine"] : []));
	if (suite === debian) all.push(sapi, ...(sapi === "cli" ? [""] : []));
	return all;
}

function candidatesOf(rows: readonly Row[], allowed: readonly string[]): readonly Candidate<string>[] {
	const costs = new Map<string, number>();
	for (const { names, items } of rows) {
		for (const item of items) {
			for (const { template, cost } of templatesOf(item, names, allowed)) costs.set(template, cost);
		}
	}
	return [...costs].map(([rule, cost]) => ({
		rule,
		cost,
		values: (names) => [interpolate(rule, names)].filter((value) => value !== undefined),
	}));
}

function applied(rules: readonly LearntRule<string>[], names: (typeof variants)[number]): readonly string[] {
	return rules.filter((rule) => matches(rule.if, names)).map(({ rule }) => interpolate(rule, names)!);
}

describe("learn", () => {
	it("finds rules that give every row its list again, in its order", () => {
		const rows = variants.map((names) => ({ names, items: suffixesOf(names) }));
		const { rules } = learn(rows, candidatesOf(rows, ["suite", "sapi"]), vocabulary);
		for (const { names, items } of rows) expect(applied(rules, names)).toEqual(items);
		expect(rules.length).toBeLessThanOrEqual(7);
		// They go on holding when the suites of today are replaced.
		const later = { version: "8.6", suite: "forky", sapi: "cli", debian: "forky", alpine: "alpine3.25" };
		expect(applied(rules, later)).toEqual(suffixesOf(later));
	});

	it("leaves what no candidate gives, and says nothing wrong of the rest", () => {
		const rows = [
			{ names: { suite: "trixie" }, items: ["trixie", "odd"] },
			{ names: { suite: "bookworm" }, items: ["bookworm"] },
		];
		const { rules } = learn(
			rows,
			candidatesOf(rows, ["suite"]).filter(({ rule }) => rule !== "odd"),
			vocabulary,
		);
		expect(rules).toEqual([{ rule: "{suite}", once: false, if: {} }]);
	});

	it("gives what only one may have to the first that may have it", () => {
		const names = ["8.6-rc", "8.5", "8.4", "7.4"].map((version) => ({
			version,
			major: version[0]!,
			stable: String(!version.endsWith("-rc")),
		}));
		const items = [["8.6-rc"], ["8.5", "8", "latest"], ["8.4"], ["7.4", "7"]];
		const candidates = ["{version}", "{major}", "latest"].flatMap((rule) =>
			[true, false].map((once) => ({
				rule: { rule, once },
				once,
				cost: once ? 1 : 0,
				values: (row: Readonly<Record<string, string>>) => [interpolate(rule, row)!],
			})),
		);
		const rows = names.map((row, index) => ({ names: row, items: items[index]! }));
		const { rules } = learn(rows, candidates, {
			asked: ["stable", "version"],
			defaults: [],
			isFleeting: (name: string) => name === "version",
			isOfToday: (text: string) => /[0-9]/.test(text),
		});
		expect(rules.map(({ rule, if: condition }) => ({ ...rule, if: condition }))).toEqual([
			{ rule: "{version}", once: false, if: {} },
			{ rule: "{major}", once: true, if: { stable: "true" } },
			{ rule: "latest", once: true, if: { stable: "true" } },
		]);
	});
});

describe("separate", () => {
	it("asks for a default's value rather than for today's", () => {
		const wanted = variants.filter(({ suite }) => suite === "trixie");
		const others = variants.filter(({ suite }) => suite !== "trixie");
		expect(separate(wanted, others, vocabulary).conditions).toEqual([{ suite: "{debian}" }]);
	});

	it("finds parts of names, and lists of them", () => {
		const rows = ["trixie", "slim-trixie", "windowsservercore-1", "windowsservercore-2", "nanoserver-1"].map(
			(suite) => ({ suite, debian: "trixie" }),
		);
		const only = (...suites: string[]) =>
			separate(
				rows.filter(({ suite }) => suites.includes(suite)),
				rows.filter(({ suite }) => !suites.includes(suite)),
				vocabulary,
			).conditions;
		expect(only("slim-trixie")).toEqual([{ suite: "slim-{debian}" }]);
		expect(only("windowsservercore-1", "windowsservercore-2")).toEqual([{ suite: "windowsservercore-*" }]);
		expect(only("trixie", "windowsservercore-1", "windowsservercore-2")).toEqual([
			{ suite: ["windowsservercore-*", "{debian}"] },
		]);
	});

	it("says how many it cannot tell apart", () => {
		expect(separate([{ suite: "a" }], [{ suite: "a" }], vocabulary)).toMatchObject({ conditions: [], missed: 1 });
	});
});

describe("blocksOf", () => {
	it("takes tags apart at their first alias", () => {
		expect(blocksOf(["1.2.3-cli", "1.2-cli", "cli", "1.2.3", "1.2", "latest"], "1.2.3")).toEqual([
			{ suffix: "cli", aliases: ["1.2.3", "1.2", "latest"] },
			{ suffix: "", aliases: ["1.2.3", "1.2", "latest"] },
		]);
		expect(blocksOf(["1.2-cli", "1.2.3-cli"], "1.2.3")).toBeUndefined();
		expect(blocksOf(["1.2.3-cli", "1.2-fpm"], "1.2.3")).toBeUndefined();
	});

	it("takes sorted tags apart by what they end in", () => {
		expect(sortedBlocksOf(["1", "1-alpine", "1.2", "1.2-alpine", "alpine", "latest"], "1.2")).toEqual([
			{ suffix: "alpine", aliases: ["1", "1.2", "latest"] },
			{ suffix: "", aliases: ["1", "1.2", "latest"] },
		]);
	});
});

describe("templatesOf", () => {
	it("puts names in for whole words alone, and what names a release of today last", () => {
		const names = { variant: "alpine3.24", alpine: "3.24", a: "a" };
		expect(templatesOf("alpine3.24", names, Object.keys(names)).map(({ template }) => template)).toEqual([
			"{variant}",
			"alpine{alpine}",
			"alpine3.24",
		]);
		expect(templatesOf("", names, Object.keys(names))).toEqual([{ template: "", cost: 0 }]);
		expect(templatesOf("a*", names, ["a"])).toEqual([]);
	});
});
