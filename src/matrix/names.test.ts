import { describe, expect, it, test } from "vitest";
import { matrixOf, versionsFile } from "../../test/support/image-repository.ts";
import { nodeIo } from "../io/index.ts";
import { type Alias, dayOf, type MatrixEntry, type Value } from "./index.ts";

type Versions = Parameters<typeof versionsFile>[0];

/** Entries of versions that need no Dockerfile. */
function entriesOf(yaml: string, versions: Versions): readonly MatrixEntry[] {
	return matrixOf(`requireDockerfile: false\n${yaml}`, { "versions.json": versionsFile(versions) }).entries;
}

/** What names stand for, in each entry. */
function valuesOf(yaml: string, versions: Versions, ...names: readonly string[]): readonly (readonly Value[])[] {
	return entriesOf(yaml, versions).map(({ scope }) => names.map((name) => scope.get(name)));
}

describe("aliases", () => {
	const of = (yaml: string, versions: Versions): Readonly<Record<string, readonly Alias[]>> =>
		Object.fromEntries(
			matrixOf(yaml, { "versions.json": versionsFile(versions) }).versions.map(({ key, aliases }) => [key, aliases]),
		);
	const texts = (yaml: string, versions: Versions): Readonly<Record<string, string>> =>
		Object.fromEntries(
			Object.entries(of(yaml, versions)).map(([key, aliases]) => [key, aliases.map(({ text }) => text).join(" ")]),
		);

	it("that two rules give are the first one's", () => {
		const yaml = 'aliases: { list: ["{full}", "{version}", "1.0"], extra: { "1.0": ["1.0", x] } }';
		expect(of(yaml, [["1.0", "1.0"]])).toEqual({
			"1.0": [
				{ text: "1.0", rule: "aliases.list.0" },
				{ text: "x", rule: "aliases.extra" },
			],
		});
	});

	it("that are pinned go to that version whatever the condition says, and to no other", () => {
		const versions = [
			["2-rc", "2.0rc1"],
			["1", "1.0"],
			["0", "0.9"],
		] as const;
		const list = '{ alias: latest, once: true, if: { stable: "true" } }';
		expect(texts(`aliases: { list: [${list}], pin: { latest: 2-rc } }`, versions)).toEqual({
			"2-rc": "latest",
			"1": "",
			"0": "",
		});
		expect(texts(`aliases: { list: [${list}, { alias: old }], pin: { old: "0" } }`, versions)).toEqual({
			"2-rc": "",
			"1": "latest",
			"0": "old",
		});
	});

	it("that may be had once are not had beside a version that has them in any way", () => {
		const yaml =
			'aliases: { list: [{ alias: x, if: { version: "2" } }, { alias: x, once: true, if: { version: "1" } }] }';
		const versions = [
			["2", "2.0"],
			["1", "1.0"],
		] as const;
		expect(texts(yaml, versions)).toEqual({ "2": "x", "1": "" });
		const { latest } = matrixOf("aliases: { list: [latest] }", { "versions.json": versionsFile(versions) });
		expect(latest).toBe("2");
	});

	test.each([
		['{ truncate: "{full}", until: "{doc.none}" }', { version: "1.2.3" }, "1.2.3 1.2"],
		['{ truncate: "{full}", until: "{version}" }', { version: "1" }, ""],
		['{ truncate: "{full}", separators: "-" }', { version: "1.2-b-3" }, "1.2-b-3 1.2-b 1.2"],
		['{ truncate: "{full}" }', { version: "-1.2" }, "-1.2 -1"],
		['{ truncate: "{full}" }', { version: "" }, ""],
		['{ truncate: "{full}", if: { version: "2" } }', { version: "1.2" }, ""],
		['"{full}"', {}, ""],
	])("of %s at %j are %j", (rule, data, expected) => {
		const found = of(`aliases: { list: [${rule}] }`, [["1", data]])["1"]!;
		expect(found.map(({ text }) => text)).toEqual(expected.split(" ").filter(Boolean));
	});
});

describe("what is known of a version", () => {
	const names = ["base", "stable", "seriesMajor", "major", "first", "basename"];
	const known = (yaml: string, key: string, full: string): readonly Value[] =>
		valuesOf(
			`versions: { order: version-desc${yaml} }`,
			[
				["0", "0"],
				[key, full],
			] as const,
			...names,
		)[0]!;
	test.each([
		["", "8.5-rc", "8.5.0RC1", ["8.5", "false", "8", "8", "0", "8.5-rc"]],
		["", "8.5", "8.5.0RC1", ["8.5", "true", "8", "8", "0", "8.5"]],
		[', prerelease: "RC[0-9]+$"', "8.5", "8.5.0RC1", ["8.5", "false", "8", "8", "0", "8.5"]],
		[", prereleaseSuffix: rc", "8rc", "9-rc1", ["8", "false", "8", "9", "0", "8rc"]],
		[", prereleaseSuffix: rc", "rc", "9.1", ["rc", "true", "rc", "9", "0", "rc"]],
		[', prereleaseSuffix: ""', "8-rc", "8.1", ["8-rc", "true", "8", "8", "0", "8-rc"]],
		["", "debian/trixie", "13.1", ["debian/trixie", "true", "debian/trixie", "13", "0", "trixie"]],
	])("with%s: %s at %s", (yaml, key, full, expected) => {
		expect(known(yaml, key, full)).toEqual(expected);
	});

	it("are the others with its full version, and none where it has none", () => {
		const versions = [
			["c", "1.0"],
			["b", "1.0"],
			["a", "2.0"],
			["y", {}],
			["x", { version: { of: "none" } }],
		] as const;
		const yaml = "versions: { order: file, full: version }";
		expect(valuesOf(yaml, versions, "full", "equals")).toEqual([
			["1.0", ["b"]],
			["1.0", ["c"]],
			["2.0", []],
			[undefined, []],
			[undefined, []],
		]);
	});

	it("has its data's keys in their order, and of lists what is plain", () => {
		const versions = '{"1": {"z": {"10": 1, "9": 2}, "list": [1, null, {"a": 1}, "x", true], "no": null, "yes": true}}';
		const { entries } = matrixOf("requireDockerfile: false\nmatrix: { v: [ { path: z, prefix: v } ] }", {
			"versions.json": versions,
		});
		expect(entries.map(({ directory }) => directory)).toEqual(["1/v10", "1/v9"]);
		const { scope } = entries[0]!;
		expect(["doc.z", "doc.list", "doc.no", "doc.yes", "doc.z.10"].map((name) => scope.get(name))).toEqual([
			["10", "9"],
			["1", "x", "true"],
			undefined,
			"true",
			"1",
		]);
	});
});

it("the day is the one that is given, or the clock's in UTC", () => {
	const clock = { now: () => Date.UTC(2026, 0, 2, 23, 59, 59, 999), sleep: async () => {} };
	const io = { ...nodeIo(), clock };
	expect([dayOf(io), dayOf(io, "2024-02-29")]).toEqual(["2026-01-02", "2024-02-29"]);
	for (const day of ["", "today", "2026-1-2", "2026-13-01", "2026-02-30", "2026-01-02T00:00"]) {
		expect(() => dayOf(io, day)).toThrow("today must be a day, YYYY-MM-DD, and not ");
	}
});

describe("axes", () => {
	it("change the slower the earlier they stand, and have each value once", () => {
		const yaml = 'matrix: { a: [x, y, "{doc.none}", x], b: [ { path: v }, "" ] }';
		expect(entriesOf(yaml, [["1", { v: ["p", "q", "p"] }]]).map(({ directory }) => directory)).toEqual([
			"1/x/p",
			"1/x/q",
			"1/x",
			"1/y/p",
			"1/y/q",
			"1/y",
		]);
	});

	it("are split into groups: one that takes no part is empty, and without a match there are none", () => {
		const yaml = 'matrix: { v: [a-b, b, "1"] }\nsplit: { v: "^(?:(?<one>[a-z])-)?(?<two>[a-z])$" }';
		expect(valuesOf(yaml, [["1", {}]], "one", "two")).toEqual([
			["a", "b"],
			["", "b"],
			[undefined, undefined],
		]);
	});

	it("are looked at of the version, or of all, for the first that matches", () => {
		const yaml = `matrix: { v: [ { path: v } ] }
vars:
  here: { axis: v, first: "a*", except: a1 }
  all: { axis: v, first: "a*", scope: definition }
  none: { axis: v, first: "a*", except: ["a*", b], default: "-" }`;
		const versions = [
			["2", { v: ["b", "a1"] }],
			["1", { v: ["a1", "a2"] }],
		] as const;
		expect(valuesOf(yaml, versions, "here", "all", "none")).toEqual([
			[undefined, "a1", "-"],
			[undefined, "a1", "-"],
			["a2", "a1", "-"],
			["a2", "a1", "-"],
		]);
	});
});

describe("variables", () => {
	test.each([
		['{ value: x-1.2, capture: "([0-9])[.]([0-9])" }', "1"],
		['{ value: x-1.2, capture: "[0-9][.][0-9]" }', "1.2"],
		['{ value: x, capture: "x(y)?", default: d }', ""],
		['{ value: x, capture: y, default: "{version}!" }', "1!"],
		["{ path: empty, default: d }", ""],
		["{ path: [of, '{version}'] }", "one"],
		["{ path: [of, '{doc.none}'], default: d }", "d"],
		["{ path: list, capture: '^[a-z]$' }", ["a", "b"]],
		["{ map: { '1': 'v{version}', '2': b } }", "v1"],
		["{ map: { '1': a, '2': b }, key: '{doc.two}' }", "b"],
		["{ map: { '2': b }, default: d }", "d"],
		["'{doc.none}'", undefined],
	])("%s", (variable, expected) => {
		const data = { empty: "", of: { "1": "one" }, list: ["a", "1", "b"], two: 2 };
		expect(valuesOf(`vars: { x: ${variable} }`, [["1", data]], "x")).toEqual([[expected]]);
	});
});

describe("conditions", () => {
	const data = { empty: "", text: "a/b.c", list: ["x1", "y"], date: "2026-01-02" };
	test.each([
		["doc.text: a*", true],
		["doc.text: '*c'", true],
		["doc.text: '*/*.*'", true],
		["doc.text: 'a*a'", false],
		["doc.text: 'a/b*b.c'", false],
		["doc.text: '{doc.text}'", true],
		["doc.text: '{doc.none}*'", false],
		["doc.text: ['{doc.none}', x, '*']", true],
		["doc.none: '*'", false],
		["doc.none: ''", false],
		["not: { doc.none: '*' }", true],
		["not: { version: '1' }", false],
		["doc.empty: ''", true],
		["doc.list: y", true],
		["doc.list: { matches: '^x[0-9]$' }", true],
		["doc.list: { matches: '^z' }", false],
		["doc.text: { matches: b }", true],
		["doc.date: { le: '{today}' }", true],
		["doc.date: { ge: '{today}' }", true],
		["doc.date: { le: '2026-01-01' }", false],
		["doc.date: { ge: '2026-01-03' }", false],
		["doc.date: { le: '{doc.none}' }", false],
		["doc.date: { ge: '{doc.empty}' }", false],
		["doc.empty: { le: '{today}' }", false],
		["any: [ { version: '2' }, { version: '1' } ]", true],
		["any: [ { version: '2' }, { version: '3' } ]", false],
		["any: [ { version: '1' } ], doc.list: z", false],
	])("%s: %s", (condition, expected) => {
		const [found] = entriesOf(`aliases: { list: [ { alias: holds, if: { ${condition} } } ] }`, [["1", data]]);
		expect(found!.aliases.length === 1).toBe(expected);
	});
});

describe("entries with a full version of their own", () => {
	it("have its major and aliases, those that one version has once too, and know all of them", () => {
		const { entries } = matrixOf(
			`
versions: { entryFull: { dockerfile: "{directory}/Dockerfile", env: V } }
aliases: { list: [ "{full}", { alias: "{major}", once: true }, { alias: latest, once: true } ] }
matrix: { v: [a, b, c] }`,
			{
				"versions.json": versionsFile([
					["2", "2.1"],
					["1", "1.1"],
				]),
				"2/a/Dockerfile": "FROM x\nENV V=2.1\n",
				"2/b/Dockerfile": "FROM x\nENV V=3.0\n",
				"2/c/Dockerfile": "FROM x\n",
				"1/a/Dockerfile": "FROM x\nENV V=2.0\n",
			},
		);
		const shown = entries.map(({ directory, scope }) =>
			[directory, ...["full", "major", "aliases", "latestVersion"].map((name) => scope.get(name))].flat().join(" "),
		);
		expect(shown).toEqual([
			"2/a 2.1 2 2.1 2 latest 2",
			"2/b 3.0 3 3.0 3 latest 2",
			"2/c 2.1 2 2.1 2 latest 2",
			"1/a 2.0 2 2.0 2",
		]);
	});
});
