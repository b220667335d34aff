import * as fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { matrixOf as matrix, versionsFile } from "../../test/support/image-repository.ts";
import { compareKeys, compareVersions } from "./index.ts";

const seed = Number(process.env["FC_SEED"] ?? 1);

/** The aliases of each version, in order. */
function aliases(yaml: string, versions: Parameters<typeof versionsFile>[0]): readonly string[] {
	const { versions: found } = matrix(yaml, { "versions.json": versionsFile(versions) });
	return found.map(({ key, aliases }) => `${key}: ${aliases.map(({ text }) => text).join(" ")}`);
}

describe("versions", () => {
	const versions = [
		["18", "18.1"],
		["9", "9.6"],
		["17", null],
		["19-rc", "19beta3"],
		["tip", "0"],
		["16", "16.4"],
	] as const;
	test.each([
		["", "tip 19-rc 18 16 9"],
		["versions: { order: version-desc }", "tip 19-rc 18 16 9"],
		["versions: { order: file }", "18 9 19-rc tip 16"],
		["versions: { order: name }", "16 18 19-rc 9 tip"],
		["versions: { order: name-desc }", "tip 9 19-rc 18 16"],
		['versions: { order: ["9", nowhere, tip] }', "9 tip 18 19-rc 16"],
		['versions: { list: ["16", other] }', "other 16"],
	])("%s", (yaml, order) => {
		const { versions: found } = matrix(yaml, { "versions.json": versionsFile(versions) });
		expect(found.map(({ key }) => key).join(" ")).toBe(order);
	});

	it("may be directories, and have what a Dockerfile says", () => {
		const { versions: found, entries } = matrix(
			`versions:
  directories: true
  full: { dockerfile: "{version}/Dockerfile", env: APP_VERSION }
vars: { suite: { from: "{version}/Dockerfile", capture: ":([^-]+)" } }`,
			{
				"2.4/Dockerfile": "ARG S=trixie\nFROM debian:$S-slim\nENV APP_VERSION 2.4.6\n",
				"2.2/Dockerfile": 'FROM debian:bookworm\nENV A=1 APP_VERSION="2.2.1"\n',
				"docs/Dockerfile": "FROM scratch\n",
				"3.0": "a file",
			},
		);
		expect(found.map(({ key, full }) => `${key} ${full}`)).toEqual(["2.4 2.4.6", "2.2 2.2.1"]);
		expect(entries.map(({ scope }) => scope.get("suite"))).toEqual(["trixie", "bookworm"]);
	});

	test.each([
		["8.5.0RC1", "8.5.0", false],
		["8.5.1RC1", "8.5.0", true],
		["8.4.9RC1", "8.5.0", false],
		["1.16beta1", "1.16", false],
		["1.16.10-rc.1", "1.16.9", true],
		["1.16.9-rc.1", "1.16.10", false],
		// What begins with the release goes, even if it is above: so do the scripts.
		["1.16.10-rc.1", "1.16.1", false],
		["8.5.0-1", "8.5.0", false],
	])("a prerelease at %s beside %s stays: %s", (prerelease, release, stays) => {
		const versions = versionsFile([
			["1", release],
			["1-rc", prerelease],
		]);
		const { versions: found, left } = matrix("requireDockerfile: false", { "versions.json": versions });
		expect(found.map(({ key }) => key)).toEqual(stays ? ["1-rc", "1"] : ["1"]);
		expect(left.map(({ what, rule }) => [what, rule])).toEqual(
			stays ? [] : [["1-rc", "versions.dropSupersededPrereleases"]],
		);
	});

	it("that are listed have the data that a file has of them", () => {
		const yaml = `requireDockerfile: false
versions: { list: [a, b, c], file: facts.json, order: file }
vars: { x: { path: x, default: none } }`;
		const { entries, data } = matrix(yaml, { "facts.json": '{"c": null, "b": {"x": 1}, "d": {"x": 2}}' });
		expect(entries.map(({ directory, scope }) => [directory, scope.get("x")])).toEqual([
			["a", "none"],
			["b", "1"],
			["c", "none"],
		]);
		expect([...data.keys()]).toEqual(["a", "b", "c"]);
	});

	it("are left out by conditions, and prereleases may stay beside their release", () => {
		const files = {
			"versions.json": versionsFile([
				["beta", "7.1"],
				["latest", "7.1"],
				["1-rc", "1.0"],
				["1", "1.0"],
			]),
		};
		const yaml = `requireDockerfile: false
versions: { order: file, dropSupersededPrereleases: false, drop: [{ if: { version: beta, equals: latest } }] }`;
		expect(matrix(yaml, files).versions.map(({ key }) => key)).toEqual(["latest", "1-rc", "1"]);
		expect(matrix(yaml, files).left).toMatchObject([{ what: "beta", rule: "versions.drop.0" }]);
	});
});

describe("aliases", () => {
	it("are truncated until the bound, at all separators or some", () => {
		const of = (rule: string, full: string, key = "10.1"): string =>
			aliases(`aliases: { list: [${rule}] }`, [[key, full]])[0]!;
		expect(of('{ truncate: "{full}", until: "{version}" }', "10.1.0-M17")).toBe("10.1: 10.1.0-M17 10.1.0");
		expect(of('{ truncate: "{full}", until: "{version}", inclusive: true }', "10.1.2")).toBe("10.1: 10.1.2 10.1");
		expect(of('{ truncate: "{full}" }', "10.1.2")).toBe("10.1: 10.1.2 10.1 10");
		expect(of('{ truncate: "{full}", separators: "." }', "10.1.2-1")).toBe("10.1: 10.1.2-1 10.1 10");
		expect(of('{ truncate: "{full}", until: "{version}" }', "26.7.0", "innovation")).toBe("innovation: 26.7.0 26.7");
		expect(of('{ truncate: "{full}", until: "{version}" }', "8.10.1", "8.1")).toBe("8.1: 8.10.1 8.10");
	});

	it("go once to the first that may have them, unless one is pinned or added", () => {
		const list = `[ "{full}", { alias: "{major}", once: true, if: { stable: "true" } }, { alias: latest, once: true, if: { stable: "true" } } ]`;
		const versions = [
			["9.1-rc", "9.1.0RC1"],
			["9.0", "9.0.2"],
			["8.4", "8.4.1"],
		] as const;
		expect(aliases(`aliases: { list: ${list} }`, versions)).toEqual([
			"9.1-rc: 9.1.0RC1",
			"9.0: 9.0.2 9 latest",
			"8.4: 8.4.1 8",
		]);
		expect(
			aliases(`aliases: { list: ${list}, pin: { latest: "8.4", "9": gone }, extra: { "8.4": [lts] } }`, versions),
		).toEqual(["9.1-rc: 9.1.0RC1", "9.0: 9.0.2 9", "8.4: 8.4.1 8 latest lts"]);
		const gone = `requireDockerfile: false\naliases: { list: ["{full}"], pin: { latest: "8.4", "9": gone }, extra: { "8.3": [lts] } }`;
		expect(matrix(gone, { "versions.json": versionsFile(versions) }).left).toEqual([
			{ what: "the pin of 9", rule: "aliases.pin", reason: "there is no version gone" },
			{ what: "lts", rule: "aliases.extra", reason: "there is no version 8.3" },
		]);
	});

	it("are not needed where an axis has no values, which is said", () => {
		const yaml = "matrix: { os: [debian], variant: [ { path: variants } ] }\nrequireDockerfile: false";
		const versions = versionsFile([
			["2", { version: "2.0", variants: ["slim"] }],
			["1", { version: "1.0", variant: ["slim"] }],
		]);
		const { entries, left } = matrix(yaml, { "versions.json": versions });
		expect(entries.map(({ directory }) => directory)).toEqual(["2/debian/slim"]);
		expect(left).toEqual([{ what: "1", rule: "matrix.variant", reason: "it has no values there" }]);
	});

	it("depend on the day that is given", () => {
		const yaml = `
versionVars: { lts: { path: lts, default: "" } }
aliases: { list: [ { alias: current, once: true, if: { any: [ { lts: "" }, { lts: { ge: "{today}" } } ] } }, { alias: lts, once: true, if: { lts: { le: "{today}" } } } ] }`;
		const versions = versionsFile([
			["25", { version: "25.0" }],
			["24", { version: "24.1", lts: "2025-10-28" }],
			["22", { version: "22.1", lts: "2024-10-29" }],
		]);
		const of = (today: string): unknown =>
			matrix(yaml, { "versions.json": versions }, today).versions.map(({ aliases: found }) =>
				found.map(({ text }) => text).join(" "),
			);
		expect(of("2026-01-02")).toEqual(["current", "lts", ""]);
		expect(of("2025-01-02")).toEqual(["current", "", "lts"]);
	});

	it("are those of the entry where its full version differs", () => {
		const { entries } = matrix(
			`
versions: { full: { dockerfile: "{version}/debian/Dockerfile", env: V }, entryFull: { dockerfile: "{directory}/Dockerfile", env: V } }
aliases: { list: [ { truncate: "{full}" }, { alias: latest, once: true } ] }
matrix: { variant: [debian, alpine, slim] }`,
			{
				"versions.json": versionsFile([["22", {}]]),
				"22/debian/Dockerfile": "FROM debian\nENV V=22.3.1\n",
				"22/alpine/Dockerfile": "FROM alpine\nENV V=22.3.0\n",
				"22/slim/Dockerfile": "FROM debian\n",
			},
		);
		expect(entries.map(({ aliases: found }) => found.map(({ text }) => text).join(" "))).toEqual([
			"22.3.1 22.3 22 latest",
			"22.3.0 22.3 22 latest",
			"22.3.1 22.3 22 latest",
		]);
	});
});

describe("the matrix", () => {
	it("is the product of axes, of lists and of data, without what has no Dockerfile", () => {
		const { entries, left } = matrix(
			`
matrix: { php: [ { path: php } ], variant: [ { path: variants }, "", { path: [windows, variants], prefix: windows/ } ] }
split: { variant: "^(?<dir>.*/)?(?<sapi>[^/-]*)" }
vars:
  usual: { axis: variant, first: "*", except: ["windows/*", ""] }
  last: { axis: sapi, scope: definition, first: "f*" }`,
			{
				"versions.json": versionsFile([
					["2", { version: "2.0", php: ["8.5", "8.4"], variants: ["apache", "fpm"], windows: { variants: ["ltsc"] } }],
					["1", { version: "1.0", php: ["8.4"], variants: { cli: 1 } }],
				]),
				"2/8.5/apache/Dockerfile": "FROM x\n",
				"2/8.5/fpm/Dockerfile": "link:../apache/Dockerfile",
				"2/8.5/Dockerfile": "FROM x\n",
				"2/8.4/windows/ltsc/Dockerfile": "FROM x\n",
				"1/8.4/cli/Dockerfile": "FROM x\n",
			},
		);
		const shown = entries.map(({ directory, scope }) =>
			[directory, ...["dir", "sapi", "usual", "last"].map((name) => scope.get(name))].join("|"),
		);
		expect(shown).toEqual([
			"2/8.5/apache||apache|apache|fpm",
			"2/8.5|||apache|fpm",
			"2/8.4/windows/ltsc|windows/|ltsc|apache|fpm",
			"1/8.4/cli||cli|cli|fpm",
		]);
		expect(left.map(({ what }) => what)).toContain("2/8.5/fpm/Dockerfile");
	});

	test.each<readonly [what: string, yaml: string, versions: string, message: RegExp]>([
		["not JSON", "", "{", /versions\.json is not JSON/],
		["bytes of another encoding", "", '{"1": {"version": "1.\udcff"}}', /versions\.json is not UTF-8/],
		["a byte order mark", "", '\uFEFF{"1": {"version": "1.0"}}', /begins with a byte order mark/],
		["a list", "", "[]", /must be a JSON object/],
		["nested without end", "", "[".repeat(100_000), /nested/],
		["a key that leads out", "", '{"../../x": {"version": "1"}}', /cannot be the key of a version/],
		["a key of two lines", "", JSON.stringify({ "1\nTags: x": {} }), /cannot be the key of a version/],
		[
			"a value that leads out",
			"matrix: { variant: [ { path: v } ] }",
			versionsFile([["1", { v: ["../.."] }]]),
			/no path inside it/,
		],
		[
			"a matrix without end",
			`matrix: { ${"abcdef"
				.split("")
				.map((axis) => `${axis}: [ { path: v } ]`)
				.join(", ")} }`,
			versionsFile([["1", { v: Array.from({ length: 100 }, (_, i) => i) }]]),
			/1000000000000 combinations/,
		],
		[
			"versions without end",
			"",
			JSON.stringify(Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`v${i}`, {}]))),
			/2000 versions/,
		],
		[
			"variables in a circle",
			"vars: { a: '{b}', b: { value: '{a}' } }\nfile: '{a}'",
			versionsFile([["1", "1.0"]]),
			/circle: a → b → a/,
		],
		["a list where a text must be", "directory: '{doc.v}'", versionsFile([["1", { v: ["a"] }]]), /is a list here/],
		["a directory that is none", "directory: '{doc.v}'", versionsFile([["1", {}]]), /a name in it has no value/],
	])("refuses %s", (_what, yaml, versions, message) => {
		expect(() => matrix(yaml, { "versions.json": versions })).toThrow(message);
	});

	it("says where versions.json would have to be", () => {
		expect(() => matrix("versions: { file: a/versions.json }", {})).toThrow(/a\/versions\.json is missing/);
	});
});

describe("orders", () => {
	it("of keys are natural: numbers as numbers", () => {
		// What `sort -V` gives.
		const sorted = "1.9 1.10~b 1.10 1.10a 1.10b 1.10+1 1.10-rc 1.10.1 1.10_2 02 2 10 devel tip".split(" ");
		expect(sorted.toReversed().toSorted(compareKeys)).toEqual(sorted);
		expect(sorted.toSorted(compareKeys)).toEqual(sorted);
	});

	it("of full versions have prereleases below their release", () => {
		const sorted = [
			"1.15.9",
			"1.16alpha2",
			"1.16BETA0",
			"1.16beta1",
			"1.16beta10",
			"1.16RC0",
			"1.16rc1",
			"1.16",
			"1.16.1",
			"10.1.0-M9",
			"10.1.0-M17",
			"10.1.0",
		];
		expect(sorted.toReversed().toSorted(compareVersions)).toEqual(sorted);
	});

	const text = fc.string({ unit: fc.constantFrom(..."019.-~aR/é".split("")), maxLength: 8 });
	test.each([
		["of keys", compareKeys],
		["of full versions", compareVersions],
	] as const)("%s are orders", (_what, compare) => {
		fc.assert(
			fc.property(text, text, text, (a, b, c) => {
				expect(Math.sign(compare(a, b))).toBe(-Math.sign(compare(b, a)) + 0);
				const [x, y, z] = [a, b, c].sort(compare);
				expect(compare(x!, z!)).toBeLessThanOrEqual(0);
				expect(compare(x!, y!)).toBeLessThanOrEqual(0);
			}),
			{ seed, numRuns: 2000 },
		);
	});
});
