import * as fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import {
	composed,
	imageConfig,
	parentDefinition,
	type TestFiles,
	versionsFile,
} from "../../test/support/image-repository.ts";
import { parseDefinition } from "../definition/index.ts";
import { explainTag, explanationText, type Generated } from "./index.ts";

const seed = Number(process.env["FC_SEED"] ?? 1);
const os = parentDefinition(
	["12, bookworm", "amd64, i386, s390x"],
	["13, trixie, latest", "amd64, arm64v8, s390x", "shared"],
);

const commit = (query: number): string => query.toString(16).padStart(40, "0");

describe("a definition", () => {
	it("has all that the configuration says, to the byte", () => {
		const config = imageConfig(`
header:
  repository: https://git.example.com/app
  self: generate.sh
  maintainers: ["A <a@example.com> (@a)", "B <b@example.com> (@b)"]
  fields: { Builder: buildkit, GitFetch: refs/heads/main }
aliases: { list: ["{full}", "{version}", { alias: latest, once: true }] }
matrix: { path: [ { path: variants } ] }
split: { path: "^(?<dir>.*/)?(?<variant>[^/]+)$" }
vars: { suite: { from: "{directory}/Dockerfile", capture: ":([^-]+)" } }
tags:
  - "{variant}"
  - { suffix: "{suite}", if: { variant: slim } }
  - { suffix: "", if: { variant: slim } }
sharedTags: [ { suffix: windows, if: { path: "windows/*" } } ]
architectures:
  - { if: { path: "windows/*" }, static: [windows-amd64] }
  - { parents: [from] }
builder: [ { value: classic, if: { path: "windows/*" } } ]
constraints: [ { value: "{variant}", if: { path: "windows/*" } } ]`);
		const generated = composed(
			config,
			{
				"versions.json": versionsFile([
					["2.10", { version: "2.10.1", variants: ["slim", "windows/ltsc2025"] }],
					["2.9", { version: "2.9.7", variants: ["slim"] }],
				]),
				"2.10/slim/Dockerfile": "FROM os:13\nCOPY --from=os:12 /x /y\nCOPY a b-* c/ /\n",
				"2.10/windows/ltsc2025/Dockerfile": "FROM mcr.example.com/windows:ltsc2025\n",
				"2.9/slim/Dockerfile": "FROM os:trixie\n",
			},
			{ definitions: { os } },
		);
		expect(generated.text).toBe(`# this file is generated via https://git.example.com/app/blob/${commit(0)}/generate.sh

Maintainers: A <a@example.com> (@a),
             B <b@example.com> (@b)
GitRepo: https://git.example.com/app.git
GitFetch: refs/heads/main
Builder: buildkit

Tags: 2.10.1-slim, 2.10-slim, slim, 2.10.1-13, 2.10-13, 13, 2.10.1, 2.10, latest
Architectures: amd64, arm64v8, s390x
GitCommit: ${commit(1)}
Directory: 2.10/slim

Tags: 2.10.1-ltsc2025, 2.10-ltsc2025, ltsc2025
SharedTags: 2.10.1-windows, 2.10-windows, windows
Architectures: windows-amd64
GitCommit: ${commit(2)}
Directory: 2.10/windows/ltsc2025
Constraints: ltsc2025
Builder: classic

Tags: 2.9.7-slim, 2.9-slim, 2.9.7-trixie, 2.9-trixie, 2.9.7, 2.9
Architectures: amd64, arm64v8, s390x
GitCommit: ${commit(3)}
Directory: 2.9/slim
`);
		expect(generated.survey).toMatchObject({
			parents: ["os"],
			queries: [
				{ directory: "", paths: ["generate.sh"] },
				{ directory: "2.10/slim", paths: ["Dockerfile", "a", "b-*", "c/"] },
				{ directory: "2.10/windows/ltsc2025", paths: ["Dockerfile"] },
				{ directory: "2.9/slim", paths: ["Dockerfile"] },
			],
		});
		expect(generated.parents).toEqual(["os:13", "os:trixie"]);
	});

	it("may have its fields in another order, no directory, and fields of each architecture", () => {
		const config = imageConfig(`
header:
  repository: https://git.example.com/app
  self: generate.sh
  maintainers: ["A <a@example.com> (@a)"]
  comment: "by {self} at {commit}"
  selfCommit: head
  fields: { GitCommit: { paths: ["[^.]*/**"] } }
  trailingBlankLine: true
versions: { list: [latest] }
aliases: { list: [latest] }
matrix: { variant: [linux, nano] }
requireDockerfile: false
tags: ["{variant}"]
architectures:
  - { if: { variant: nano }, glob: "{arch}/nano/hello.txt", prefix: windows- }
  - { glob: "{arch}/h*o" }
archFields:
  - { field: Directory, value: "{arch}", if: { variant: linux } }
  - { field: Directory, value: "{arch}/nano", if: { variant: nano } }
omitDirectory: true
commit: none
fieldOrder: [Architectures, ArchFields, Tags]`);
		const { text } = composed(config, { "amd64/hello": "x", "s390x/hello": "x", "amd64/nano/hello.txt": "x" });
		expect(text).toBe(`# by generate.sh at ${"f".repeat(40)}

Maintainers: A <a@example.com> (@a)
GitRepo: https://git.example.com/app.git
GitCommit: ${commit(1)}

Architectures: amd64, s390x
amd64-Directory: amd64
s390x-Directory: s390x
Tags: linux

Architectures: windows-amd64
windows-amd64-Directory: amd64/nano
Tags: nano

`);
	});

	it("may be of branches, one for each architecture, with an entry that unites others", () => {
		const config = imageConfig(`
header:
  repository: https://git.example.com/app
  self: generate.sh
  maintainers: ["A <a@example.com> (@a)"]
  branchFields: "dist-{arch}"
  fields: { File: index.json, GitCommit: { head: true } }
aliases: { list: ["{full}", latest] }
matrix: { variant: [glibc, musl, ""] }
requireDockerfile: false
tags: ["{variant}"]
tagUnique: definition
architectures: [ { branches: "dist-{arch}", requires: "{directory}/{arch}/rootfs.tar.gz", union: variant } ]
archFields: [ { field: Directory, value: "{directory}/{arch}" } ]
omitDirectory: true
commit: none
fieldOrder: [Tags, Architectures, ArchFields]`);
		const branches = new Map([
			["dist-s390x", "b".repeat(40)],
			["dist-amd64", "a".repeat(40)],
			["dist-vax", "c".repeat(40)],
		]);
		const generated = composed(
			config,
			{
				"versions.json": versionsFile([
					["2", "2.0"],
					["1", "1.0"],
				]),
			},
			{
				branches,
				existing: (object) => !/glibc\/s390x|^a+:1\/musl/.test(object),
			},
		);
		expect(generated.text).toBe(`# this file is generated via https://git.example.com/app/blob/${commit(0)}/generate.sh

Maintainers: A <a@example.com> (@a)
GitRepo: https://git.example.com/app.git
GitCommit: ${"f".repeat(40)}
File: index.json
# https://git.example.com/app/tree/dist-amd64
amd64-GitFetch: refs/heads/dist-amd64
amd64-GitCommit: ${"a".repeat(40)}
# https://git.example.com/app/tree/dist-s390x
s390x-GitFetch: refs/heads/dist-s390x
s390x-GitCommit: ${"b".repeat(40)}

Tags: 2.0-glibc, glibc
Architectures: amd64
amd64-Directory: 2/glibc/amd64

Tags: 2.0-musl, musl
Architectures: amd64, s390x
amd64-Directory: 2/musl/amd64
s390x-Directory: 2/musl/s390x

Tags: 2.0, latest
Architectures: amd64, s390x
amd64-Directory: 2/glibc/amd64
s390x-Directory: 2/musl/s390x

Tags: 1.0-glibc
Architectures: amd64
amd64-Directory: 1/glibc/amd64

Tags: 1.0-musl
Architectures: s390x
s390x-Directory: 1/musl/s390x

Tags: 1.0
Architectures: amd64, s390x
amd64-Directory: 1/glibc/amd64
s390x-Directory: 1/musl/s390x
`);
	});
});

describe("the order of fields", () => {
	const files = {
		"versions.json": versionsFile([["1", "1.0"]]),
		"1/windows.Dockerfile": "FROM os:13\n",
	};
	const fields = (yaml: string): readonly string[] => {
		const more =
			"file: windows.Dockerfile\nconstraints: [ { value: a }, { value: b } ]\nbuilder: [ { value: classic } ]";
		const { text } = composed(imageConfig(`${yaml}\n${more}`), files, { definitions: { os } });
		return text.trimEnd().split("\n\n").at(-1)!.split("\n");
	};

	it("has all fields, also where some only are named", () => {
		const usual = [
			"Tags: 1.0",
			"Architectures: amd64, arm64v8, s390x",
			`GitCommit: ${commit(1)}`,
			"Directory: 1",
			"File: windows.Dockerfile",
			"Constraints: a, b",
			"Builder: classic",
		];
		expect(fields("")).toEqual(usual);
		expect(fields("fieldOrder: [Builder, Directory, Builder]")).toEqual([6, 3, 0, 1, 2, 4, 5].map((at) => usual[at]));
	});
});

describe("tags", () => {
	const files = {
		"versions.json": versionsFile([
			["cli", "2.1"],
			["1-rc", "1.1rc1"],
		]),
		"cli/Dockerfile": "FROM os\n",
		"1-rc/Dockerfile": "FROM os\n",
	};
	const tags = (yaml: string): readonly string[] => {
		const generated = composed(imageConfig(yaml), files, { definitions: { os } });
		return generated.entries.map((entry) => entry.tags.map(({ tag }) => tag).join(" "));
	};
	test.each([
		[
			'tagPrefix: "{version}"\naliases: { list: ["{full}", latest] }\ntags: [slim, ""]',
			["cli-2.1-slim cli-slim cli-2.1 cli", "1-rc-1.1rc1-slim 1-rc-slim 1-rc-1.1rc1 1-rc"],
		],
		[
			'aliases: { list: ["{full}", "{version}"] }\ntags: [ { suffix: x, aliases: first }, { suffix: "", aliases: ["y-{version}"] } ]',
			["2.1-x y-cli", "1.1rc1-x y-1-rc"],
		],
		[
			'aliases: { list: ["{full}", "a-{full}", "0"] , extra: { cli: [z] } }\ntags: [""]\ntagSort: true\ntagUnique: definition',
			["0 2.1 a-2.1 z", "1.1rc1 a-1.1rc1"],
		],
		['vars: { none: { path: [nothing] } }\ntags: ["{none}", "", "{version}-{none}"]', ["2.1", "1.1rc1"]],
	])("%s", (yaml, expected) => {
		expect(tags(yaml)).toEqual(expected);
	});

	it("that two entries would have are refused, with both rules", () => {
		expect(() => tags('aliases: { list: [latest] }\ntags: ["", x]')).toThrow(
			/two entries have the tag latest: cli by tags\.0, 1-rc by tags\.0/,
		);
		expect(() => tags('aliases: { list: ["{full}"] }\nsharedTags: [ { suffix: "", aliases: ["2.1"] } ]')).toThrow(
			/cli has the tag 2\.1 twice: by tags\.0, and by sharedTags\.0/,
		);
	});

	it("that cannot be ones are refused", () => {
		expect(() => tags('tags: ["a b"]')).toThrow(/tags\.0 makes "2\.1-a b", which cannot be a tag/);
		expect(() => tags(`tags: ["${"x".repeat(130)}"]`)).toThrow(/cannot be a tag/);
	});
});

describe("architectures", () => {
	const one = (yaml: string, dockerfile: string, data: object = {}, definitions: Record<string, string> = { os }) =>
		composed(
			imageConfig(yaml),
			{ "versions.json": versionsFile([["1", { version: "1.0", ...data }]]), "1/Dockerfile": dockerfile },
			{ definitions },
		).entries[0]!;
	const arches = { amd64: { url: "x" }, s390x: { url: null }, arm64v8: {}, i386: { url: false } };

	test.each<readonly [yaml: string, dockerfile: string, expected: string]>([
		["", "FROM os:13\n", "amd64 arm64v8 s390x"],
		["", "FROM os\n", "amd64 arm64v8 s390x"],
		["", "FROM os:shared\n", "amd64 arm64v8 s390x"],
		["", "ARG T=12\nFROM os:$T AS build\nFROM build\nFROM scratch\nFROM example.com/x/y:1\n", "amd64 i386 s390x"],
		["", "FROM os:13\nFROM os:12\nCOPY --from=other:1 / /\n", "amd64 s390x"],
		["", `FROM os:13@sha256:${"0".repeat(64)}\n`, "amd64 arm64v8 s390x"],
		[
			"architectures: [ { parents: [from, copy] } ]",
			"FROM os:13\nCOPY --from=os:12 / /\nCOPY --from=example.com/x/y:1 / /\n",
			"amd64 s390x",
		],
		["architectures: [ { parents: [from], dockerfile: '{version}/Dockerfile' } ]", "FROM os:12\n", "amd64 i386 s390x"],
		["architectures: [ { static: [s390x, amd64] } ]", "FROM x/y\n", "s390x amd64"],
		["architectures: [ { data: arches } ]", "FROM x/y\n", "amd64 s390x arm64v8 i386"],
		["architectures: [ { data: [of, list], prefix: windows- } ]", "FROM x/y\n", "windows-amd64"],
		[
			"architectures: [ { parents: [from], intersect: [ { path: arches, order: data } ] } ]",
			"FROM os:13\n",
			"amd64 s390x arm64v8",
		],
		["architectures: [ { parents: [from], intersect: [ { path: arches, where: url } ] } ]", "FROM os:13\n", "amd64"],
		[
			"architectures: [ { parents: [from], intersect: [ { path: [of, prefixed], stripPrefix: alpine- } ] } ]",
			"FROM os:13\n",
			"s390x",
		],
		[
			"architectures: [ { parents: [from], intersect: [ { path: arches, version: '{latestVersion}', where: url }, { path: arches, if: { version: x } } ] } ]",
			"FROM os:13\n",
			"amd64 arm64v8 s390x",
		],
		[
			"excludeArchitectures: [ { arches: [s390x], if: { version: '1' } }, { arches: [amd64], if: { version: '2' } } ]",
			"FROM os:13\n",
			"amd64 arm64v8",
		],
		["excludeArchitectures: [ { only: [s390x, i386] } ]", "FROM os:13\n", "s390x"],
	])("%s from %j", (yaml, dockerfile, expected) => {
		const data = { arches, of: { list: ["amd64"], prefixed: ["alpine-s390x", "amd64"] } };
		expect(one(yaml, dockerfile, data).architectures.join(" ")).toBe(expected);
	});

	it("of the image's own tags are found in the definition itself, through all that is between", () => {
		const config = imageConfig(
			`matrix: { variant: [c, b, a] }\ntags: ["{variant}"]\nsharedTags: [ { suffix: s, if: { variant: b } } ]`,
		);
		const files = (a: string): TestFiles => ({
			"versions.json": versionsFile([["1", "1.0"]]),
			"1/c/Dockerfile": "FROM app:1.0-s\n",
			"1/b/Dockerfile": "FROM app:1.0-a\nFROM os:12\n",
			"1/a/Dockerfile": `FROM ${a}\n`,
		});
		const generated = composed(config, files("os:13"), { definitions: { os } });
		expect(generated.entries.map(({ architectures }) => architectures.join(" "))).toEqual([
			"amd64 s390x",
			"amd64 s390x",
			"amd64 arm64v8 s390x",
		]);
		expect(generated.survey.parents).toEqual(["os"]);
		expect(() => composed(config, files("app:1.0-c"), { definitions: { os } })).toThrow(
			/circle: 1\/c → 1\/b → 1\/a → 1\/c/,
		);
		expect(() => composed(config, files("app:2"), { definitions: { os } })).toThrow(
			/1\/a is built from app:2: the definition that is generated has no such tag/,
		);
	});

	it("that nobody names are an error, and so are parents that are not there", () => {
		expect(() => one("", "FROM x/y\n")).toThrow(/1\/Dockerfile has no parent in the library/);
		expect(() => one("", "FROM nowhere:1\n")).toThrow(/1 is built from nowhere:1: the library has no such image/);
		expect(() => one("", "FROM os:14\n")).toThrow(/1 is built from os:14: the library's os has no such tag/);
		expect(() => one("", "FROM os:13\n", {}, { os: "Tags: x\n" })).toThrow(/Maintainers/);
		expect(() => one("excludeArchitectures: [ { only: [] } ]", "FROM os\n")).toThrow(/no entry is left of app/);
	});

	it("that are missing have the rule or the parent that took them away", () => {
		const yaml = `architectures: [ { static: [] , if: { version: x } }, { parents: [from], intersect: [ { path: arches, where: url } ] } ]
excludeArchitectures: [ { arches: [amd64], reason: "broken: #1", if: { version: x } }, { only: [] } ]`;
		const config = imageConfig(yaml.replace("only: []", "only: [amd64]"));
		const generated = composed(
			config,
			{
				"versions.json": versionsFile([["1", { version: "1.0", arches }]]),
				"1/Dockerfile": "FROM os:13\nFROM os:12\n",
			},
			{
				definitions: { os },
				architectures: ["amd64", "arm64v8", "i386", "s390x", "vax"],
			},
		);
		expect(generated.entries[0]!.missing).toEqual([
			{ architecture: "arm64v8", rule: "architectures.1", reason: "os:12 does not have it" },
			{ architecture: "i386", rule: "architectures.1", reason: "os:13 does not have it" },
			{ architecture: "s390x", rule: "architectures.1.intersect.0", reason: "arches of 1 (url) does not have it" },
			{ architecture: "vax", rule: "architectures.1", reason: "os:13 does not have it" },
		]);
		expect(explanationText(config, explainTag(generated, "1.0"))).toBe(`app:1.0 is version 1
  from          1/Dockerfile
  tag           tags.0: ""
  alias         1.0, by aliases.list.0: "{full}"
  commit        ${commit(1)}
  built for     amd64
  not for       arm64v8: os:12 does not have it (architectures.1)
  not for       i386: os:13 does not have it (architectures.1)
  not for       s390x: arches of 1 (url) does not have it (architectures.1.intersect.0)
  not for       vax: os:13 does not have it (architectures.1)`);
		expect(() => explainTag(generated, "1.1")).toThrow(/app has no tag 1\.1/);
	});
});

describe("what comes out of data", () => {
	it("makes no field of its own", () => {
		const config = imageConfig("constraints: [ { value: '{doc.v}' } ]");
		const files = {
			"versions.json": versionsFile([["1", { version: "1", v: "x\nTags: evil" }]]),
			"1/Dockerfile": "FROM os\n",
		};
		expect(() => composed(config, files, { definitions: { os } })).toThrow(
			/Constraints would be "x\\u\{a\}Tags: evil"/,
		);
	});

	it("is never taken for something that the language has", () => {
		const config = imageConfig("vars: { a: { path: ['{doc.key}'] } }\ntags: ['{a}', '']");
		for (const key of ["__proto__", "constructor", "toString"]) {
			const files = { "versions.json": `{"1": {"version": "1", "key": "${key}"}}`, "1/Dockerfile": "FROM os\n" };
			expect(composed(config, files, { definitions: { os } }).entries[0]!.tags.map(({ tag }) => tag)).toEqual(["1"]);
		}
	});
});

describe("properties", () => {
	const yaml = `
aliases: { list: [ { truncate: "{full}", until: "{base}" }, "{version}", { alias: "{seriesMajor}", once: true, if: { stable: "true" } }, { alias: latest, once: true, if: { stable: "true" } } ] }
matrix: { variant: [ { path: variants } ] }
vars: { debian: { axis: variant, first: "*", except: "alpine*" } }
tags: [ "{variant}", { suffix: "", if: { variant: "{debian}" } } ]`;
	const config = imageConfig(yaml);
	const variants = fc.uniqueArray(fc.constantFrom("trixie", "bookworm", "alpine3.22", "alpine3.23"), { minLength: 1 });
	const version = fc.record({
		major: fc.integer({ min: 1, max: 3 }),
		minor: fc.nat(11),
		patch: fc.nat(12),
		rc: fc.boolean(),
		variants,
	});
	const versions = fc.uniqueArray(version, {
		minLength: 1,
		maxLength: 8,
		selector: ({ major, minor, rc }) => `${major}.${minor}${rc ? "-rc" : ""}`,
	});
	type Versions = readonly {
		readonly major: number;
		readonly minor: number;
		readonly patch: number;
		readonly rc: boolean;
		readonly variants: readonly string[];
	}[];

	function repository(list: Versions): TestFiles {
		const files: Record<string, string> = {
			"versions.json": versionsFile(
				list.map(({ major, minor, patch, rc, variants: all }) => [
					`${major}.${minor}${rc ? "-rc" : ""}`,
					{ version: `${major}.${minor}.${patch}${rc ? "rc1" : ""}`, variants: all },
				]),
			),
		};
		for (const { major, minor, rc, variants: all } of list) {
			for (const variant of all) files[`${major}.${minor}${rc ? "-rc" : ""}/${variant}/Dockerfile`] = "FROM os:13\n";
		}
		return files;
	}
	const run = (list: Versions): Generated => composed(config, repository(list), { definitions: { os } });

	test("no tag stands twice, and the definition is valid, the same each time", () => {
		fc.assert(
			fc.property(versions, (list) => {
				const generated = run(list);
				const tags = generated.entries.flatMap((entry) => entry.tags.map(({ tag }) => tag));
				expect(new Set(tags).size).toBe(tags.length);
				expect(
					parseDefinition(generated.text, {
						file: "app",
						architectures: ["amd64", "arm64v8", "s390x"],
						defaultArchitecture: "amd64",
					}).unmerged.map(({ Tags }) => Tags),
				).toEqual(generated.entries.map((entry) => entry.tags.map(({ tag }) => tag)));
				expect(run(list).text).toBe(generated.text);
			}),
			{ seed, numRuns: 150 },
		);
	});

	test("the order of versions in the file does not matter where versions have an order of their own", () => {
		fc.assert(
			fc.property(
				versions.chain((list) => fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length }))),
				([list, other]) => {
					expect(run(other).text).toBe(run(list).text);
				},
			),
			{ seed, numRuns: 100 },
		);
	});

	test("a version of another major changes nothing of the others but latest", () => {
		fc.assert(
			fc.property(versions, version, (list, more) => {
				const other = { ...more, major: 9, minor: 1, rc: false };
				const without = (generated: Generated): readonly string[] =>
					generated.entries
						.filter((entry) => !entry.version.startsWith("9."))
						.map(
							(entry) =>
								`${entry.directory}: ${entry.tags
									.filter(({ alias }) => alias !== "latest")
									.map(({ tag }) => tag)
									.join(" ")}`,
						);
				expect(without(run([...list, other]))).toEqual(without(run(list)));
			}),
			{ seed, numRuns: 100 },
		);
	});
});
