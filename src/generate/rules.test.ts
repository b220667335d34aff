import { describe, expect, it, test } from "vitest";
import {
	composed,
	filesOf,
	imageConfig,
	parentDefinition,
	type TestFiles,
	versionsFile,
} from "../../test/support/image-repository.ts";
import { dockerProgram } from "../config/index.ts";
import { compose } from "./compose.ts";
import type { Generated } from "./index.ts";
import { survey } from "./survey.ts";

const definitions = {
	// Not sorted, as a definition by hand may be.
	os: parentDefinition(["13, latest", "s390x, amd64, arm64v8"], ["12", "s390x, i386, amd64"]),
	other: parentDefinition(["1", "amd64, arm64v8"]),
};
const commit = (query: number): string => query.toString(16).padStart(40, "0");

function generated(
	yaml: string,
	files: TestFiles,
	data: Readonly<Record<string, string | object>> = { "1": "1.0" },
): Generated {
	const found = { "versions.json": versionsFile(Object.entries(data)), ...files };
	return composed(imageConfig(yaml), found, { definitions });
}

describe("architectures", () => {
	const arches = { amd64: { url: "x" }, i386: { url: false }, s390x: { url: null }, arm64v8: "x" };
	test.each<readonly [yaml: string, dockerfile: string, expected: string]>([
		["", "FROM os:13\n", "amd64 arm64v8 s390x"],
		["", `FROM os@sha256:${"0".repeat(64)}\n`, "amd64 arm64v8 s390x"],
		["architectures: [ { parents: [from], intersect: [ { path: arches, where: url } ] } ]", "FROM os:12\n", "amd64"],
		[
			"architectures: [ { parents: [from], intersect: [ { path: none, if: { version: '2' } } ] } ]",
			"FROM os:12\n",
			"amd64 i386 s390x",
		],
		[
			"architectures: [ { parents: [from], intersect: [ { path: arches, version: '2' } ] } ]",
			"FROM os:12\n",
			"amd64 i386 s390x",
		],
		[
			"architectures: [ { parents: [from], intersect: [ { path: two }, { path: [of, '{version}'] } ] } ]",
			"FROM os:12\n",
			"s390x",
		],
		["architectures: [ { glob: '{arch}.txt', prefix: arm32 } ]", "FROM x/y\n", "arm32v6 arm32v7"],
		["architectures: [ { glob: '{arch}*.txt', prefix: arm32 } ]", "FROM x/y\n", "arm32v6 arm32v7"],
		["architectures: [ { glob: '{arch}/*.txt', prefix: arm32 } ]", "FROM x/y\n", "arm32v6"],
		["architectures: [ { glob: '*/{arch}/*t', prefix: arm32 } ]", "FROM x/y\n", "arm32v5"],
		["architectures: [ { data: twice } ]", "FROM x/y\n", "s390x amd64"],
		["architectures: [ { data: text } ]", "FROM x/y\n", "amd64"],
	])("%s from %j", (yaml, dockerfile, expected) => {
		const { entries } = generated(
			yaml,
			{
				"1/Dockerfile": dockerfile,
				"v6.txt": "",
				"v7.txt": "",
				"v8.txt": "",
				"v6/x.txt": "",
				"v5/deep/x.txt": "",
				"a/v5/x.txt": "",
				"a/b/v7/x.txt": "",
			},
			{
				"1": {
					version: "1.0",
					arches,
					two: ["i386", "s390x"],
					of: { "1": ["s390x"] },
					twice: ["s390x", "amd64", "s390x"],
					text: "amd64",
				},
			},
		);
		expect(entries[0]!.architectures.join(" ")).toBe(expected);
	});

	it("are those of the newest version too, where a rule says so", () => {
		const yaml =
			"architectures: [ { parents: [from], intersect: [ { path: a, version: '{latestVersion}' } ] } ]\naliases: { list: ['{full}', { alias: latest, once: true, if: { version: '1' } }] }";
		const { entries } = generated(
			yaml,
			{ "2/Dockerfile": "FROM os:13\n", "1/Dockerfile": "FROM os:13\n" },
			{ tip: { version: "tip" }, "2": { version: "2.0", a: [] }, "1": { version: "1.0", a: ["amd64"] } },
		);
		expect(entries.map(({ architectures }) => architectures)).toEqual([["amd64"], ["amd64"]]);
	});

	it("leave an entry out for which there is no rule, or none that is left, and say so", () => {
		const { entries, left } = generated(
			"matrix: { v: [a, b] }\nrequireDockerfile: false\narchitectures: [ { if: { v: a }, static: [amd64] } ]",
			{},
		);
		expect(entries.map(({ directory }) => directory)).toEqual(["1/a"]);
		expect(left).toEqual([{ what: "1/b", rule: "architectures", reason: "no architecture is left" }]);
	});

	it("of a union are those of the entries that are the same but for its axis", () => {
		const yaml = `matrix: { os: [x, y], v: [a, ""] }
requireDockerfile: false
architectures: [ { branches: "{arch}", requires: "{os}/{v}/f", union: v } ]
archFields: [ { field: Directory, value: "{os}-{v}" } ]
tags: ["{os}-{v}"]
commit: none
header: { repository: "https://a.b/c", self: s, maintainers: ["A <a@example.com> (@a)"], branchFields: "{arch}", fields: { GitCommit: { head: true } } }`;
		const branches = new Map([
			["amd64", "a".repeat(40)],
			["s390x", "b".repeat(40)],
		]);
		const { entries, text } = composed(
			imageConfig(yaml),
			{ "versions.json": versionsFile([["1", "1.0"]]) },
			{
				architectures: ["s390x", "amd64"],
				branches,
				existing: (object) => object === `${"a".repeat(40)}:x/a/f` || object === `${"b".repeat(40)}:y/a/f`,
			},
		);
		expect(entries.map(({ axes, architectures }) => `${axes["os"]!} ${axes["v"]!} ${architectures.join()}`)).toEqual([
			"x a amd64",
			"x  amd64",
			"y a s390x",
			"y  s390x",
		]);
		// Whatever order the program has its architectures in.
		expect(text.match(/^.*-GitFetch: .*$/gm)).toEqual(
			["amd64", "s390x"].map((arch) => `${arch}-GitFetch: refs/heads/${arch}`),
		);
		expect(text.match(/^s390x-Directory: .*$/gm)).toEqual(["s390x-Directory: y-a", "s390x-Directory: y-a"]);
	});
});

describe("what is asked of git and the library", () => {
	const input = (yaml: string, files: TestFiles, committed: Readonly<Record<string, string>> = {}) => ({
		config: imageConfig(yaml),
		files: filesOf({ "versions.json": versionsFile([["1", "1.0"]]), ...files }),
		committed: new Map(Object.entries(committed)),
		today: "2026-01-02",
		architectures: Object.keys(dockerProgram.architectures),
		defaultArchitecture: "amd64",
		branches: new Map<string, string>(),
	});

	it("are parents by name, each once", () => {
		const files = { "1/Dockerfile": "FROM os:13\nFROM other:1\nFROM b:1\nFROM a\nFROM os:12\nFROM app:2\n" };
		expect(survey(input("", files)).parents).toEqual(["a", "b", "os", "other"]);
	});

	it("is the commit of what a Dockerfile was that is not committed as it is now", () => {
		const files = { "1/Dockerfile": "FROM os\nCOPY new /\n" };
		const queries = (yaml: string, committed = {}) => survey(input(yaml, files, committed)).queries;
		const self = { directory: "", paths: ["generate.sh"] };
		expect(queries("")).toEqual([self, { directory: "1", paths: ["Dockerfile", "new"] }]);
		const before = 'FROM os\nCOPY --chown=a:b old/ x-* /y\nCOPY ["with blank", "/"]\nCOPY --from=os /no /\n';
		expect(queries("", { "1/Dockerfile": before })).toEqual([
			self,
			{ directory: "1", paths: ["Dockerfile", "old/", "x-*", "with blank"] },
		]);
		expect(queries("commit: directory")).toEqual([self, { directory: "1", paths: ["."] }]);
		expect(queries("commit: none")).toEqual([self]);
	});
});

describe("tags", () => {
	const files = { "2/Dockerfile": "FROM os\n", "1/Dockerfile": "FROM os\n" };
	const data = { "2": "2.0", "1": "1.0" };

	it("that two rules give are the first one's", () => {
		const { entries } = generated('tags: ["", { suffix: "", aliases: ["{full}"] }]', files, data);
		expect(entries[0]!.tags).toEqual([{ tag: "2.0", rule: "tags.0", alias: "2.0", aliasRule: "aliases.list.0" }]);
	});

	it("are sorted by their bytes where that is asked for", () => {
		const yaml =
			'tagSort: true\naliases: { list: ["{full}", "{full}-B", "{full}-a", "{full}.10", "{full}.9"] }\nsharedTags: [y, x]';
		const { entries } = generated(yaml, files, data);
		const [{ tags, sharedTags }] = entries as [Generated["entries"][number]];
		expect(tags.map(({ tag }) => tag)).toEqual(["2.0", "2.0-B", "2.0-a", "2.0.10", "2.0.9"]);
		expect(sharedTags.map(({ tag }) => tag).slice(0, 3)).toEqual(["2.0-B-x", "2.0-B-y", "2.0-a-x"]);
	});

	it("may be shared by entries, but are no tag of one then, not even of the same", () => {
		const shared = 'sharedTags: [ { suffix: "", aliases: [all] } ]';
		expect(generated(shared, files, data).entries.map(({ sharedTags }) => sharedTags[0]!.tag)).toEqual(["all", "all"]);
		for (const more of ["", "\ntagUnique: definition"]) {
			expect(() => generated(`sharedTags: [""]${more}`, files, data)).toThrow(
				"2 has the tag 2.0 twice: by tags.0, and by sharedTags.0",
			);
			const across = `tags: ["", { suffix: "", aliases: [x], if: { version: '1' } }]\nsharedTags: [ { suffix: "", aliases: [x], if: { version: '2' } } ]`;
			expect(() => generated(`${across}${more}`, files, data)).toThrow(
				"two entries have the tag x: 2 by sharedTags.0, 1 by tags.1",
			);
		}
	});

	it("that are the first entry's leave an entry without any out, which is said", () => {
		const { entries, left } = generated("tagUnique: definition\naliases: { list: [latest] }", files, data);
		expect(entries.map(({ directory }) => directory)).toEqual(["2"]);
		expect(left).toEqual([{ what: "1", rule: "tags", reason: "no tag is left" }]);
	});
});

describe("fields", () => {
	const files = { "1/Dockerfile": "FROM os\n", "1/nano.Dockerfile": "FROM x/y\n" };

	it("are the first builder, and all constraints, whose condition holds", () => {
		const yaml = `matrix: { v: [nano, linux] }
directory: "{version}"
vars: { file1: { map: { nano: nano.Dockerfile, linux: Dockerfile }, key: "{v}" } }
file: "{file1}"
tags: ["{v}"]
architectures: [ { static: [amd64] } ]
constraints: [ { value: "{v}server" , if: { v: nano } }, { value: "{doc.none}" }, { value: windowscore, if: { v: nano } } ]
builder: [ { value: first, if: { v: nano } }, { value: second } ]`;
		const paragraphs = generated(yaml, files).text.split("\n\n").slice(2);
		expect(paragraphs[0]!.split("\n").slice(4)).toEqual([
			"File: nano.Dockerfile",
			"Constraints: nanoserver, windowscore",
			"Builder: first",
		]);
		expect(paragraphs[1]!.trimEnd().split("\n").slice(4)).toEqual(["Builder: second"]);
	});

	const header = (more: string): readonly string[] => {
		const fixed = 'repository: "https://a.b/c", self: s, maintainers: ["A <a@example.com> (@a)"]';
		return generated(`header: { ${fixed}, ${more} }`, { "1/Dockerfile": "FROM os\n" })
			.text.split("\n\n")[0]!
			.split("\n");
	};
	it("of the header stand in their own order, and those without a value not at all", () => {
		const maintainers = ["Maintainers: A <a@example.com> (@a)", "GitRepo: https://a.b/c.git"];
		expect(header('comment: ""')).toEqual(maintainers);
		expect(header('comment: "", fields: { File: f, Builder: b, GitCommit: { paths: [x] }, GitFetch: "" }')).toEqual([
			...maintainers,
			`GitCommit: ${commit(1)}`,
			"Builder: b",
			"File: f",
		]);
	});

	it("of the header need the commit that its comment names", () => {
		const config = imageConfig("");
		const input = {
			config,
			files: filesOf({ "versions.json": versionsFile([["1", "1.0"]]), "1/Dockerfile": "FROM os\n" }),
			committed: new Map<string, string>(),
			today: "2026-01-02",
			architectures: ["amd64", "arm64v8", "s390x", "i386"],
			defaultArchitecture: "amd64",
			branches: new Map<string, string>(),
		};
		const asked = { ...input, head: commit(9), existing: [], definitions: new Map(Object.entries(definitions)) };
		const of = (commits: readonly (string | undefined)[], given = config): string =>
			compose({ ...asked, config: given, commits, survey: survey({ ...input, config: given }) }).text;
		expect(() => of([undefined, commit(1)])).toThrow("no commit has generate.sh, which header.self names");
		expect(() => of([commit(0), undefined])).toThrow("1: no commit has its Dockerfile");
		const paths: typeof config = {
			...config,
			header: { ...config.header, fields: { GitCommit: { paths: ["a", "b*"] } } },
		};
		expect(() => of([commit(0), undefined, commit(1)], paths)).toThrow(
			"no commit has a b*, which header.fields.GitCommit names",
		);
		const head: typeof config = { ...config, header: { ...config.header, selfCommit: "head" } };
		expect(of([undefined, commit(1)], head)).toMatch(`/blob/${commit(9)}/generate.sh`);
		const none: typeof config = { ...config, header: { ...config.header, comment: "by hand" } };
		expect(of([undefined, commit(1)], none)).toMatch(/^# by hand\n\nMaintainers/);
	});
});
