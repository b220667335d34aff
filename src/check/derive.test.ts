import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import * as fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { dockerProgram } from "../config/index.ts";
import { parseDefinition, type Selection } from "../definition/index.ts";
import { sha256Of } from "../oci/index.ts";
import { assembleSources, type SourceCandidate, type Sources } from "../sources/index.ts";
import { deriveArchitectures, edited, editsOf, unifiedDiff, type Derived, type DeriveOptions } from "./index.ts";

const seed = Number(process.env["BREWLINE_SEED"] ?? 20_260_901);
const folder = mkdtempSync(path.join(tmpdir(), "brewline-check-"));
afterAll(() => rmSync(folder, { recursive: true }));
const program = dockerProgram;
const signal = new AbortController().signal;

const head = `Maintainers: Test <test@example.com> (@test)
GitRepo: https://git.example.org/x.git
GitCommit: 0123456789abcdef0123456789abcdef01234567
`;

function libraryOf(texts: Readonly<Record<string, string>>): readonly Selection[] {
	return Object.entries(texts).map(([name, text]): Selection => {
		const definition = parseDefinition(text, {
			file: `library/${name}`,
			architectures: Object.keys(program.architectures),
			defaultArchitecture: "amd64",
		});
		return { reference: name, name, tag: null, definition, entries: definition.entries };
	});
}

/** The sources of a library whose entries are built from these images, by `NAME:TAG` of the first tag. */
function sourcesOf(
	library: readonly Selection[],
	froms: Readonly<Record<string, readonly string[]>>,
	pins: ReadonlyMap<string, string> = new Map(),
): Sources {
	const candidates = library.flatMap(({ name, definition }) =>
		definition.unmerged.flatMap((entry) =>
			entry.Architectures.map(
				(
					arch,
				): [
					SourceCandidate,
					Parameters<typeof assembleSources>[0] extends Iterable<infer T>
						? T extends readonly [unknown, infer F]
							? F
							: never
						: never,
				] => {
					const key = `${name}:${entry.Tags[0]}`;
					const place = { ...entry, Directory: key };
					const own = froms[key] ?? ["scratch"];
					return [
						{ name, tags: [...entry.Tags, ...entry.SharedTags], arch, place, at: entry.at },
						{ checksum: sha256Of(key).slice(7), epoch: 1, froms: own, lastStageFrom: own.at(-1)! },
					];
				},
			),
		),
	);
	return assembleSources(candidates, { architectures: program.architectures, pins });
}

function derive(
	texts: Readonly<Record<string, string>>,
	froms: Readonly<Record<string, readonly string[]>>,
	outside: Readonly<Record<string, readonly string[]>>,
	changes: DeriveOptions["changes"] = "drops",
	served: DeriveOptions["program"] = program,
): Promise<Derived> {
	const library = libraryOf(texts);
	return deriveArchitectures(
		library,
		sourcesOf(library, froms),
		{ signal },
		{
			program: served,
			changes,
			architecturesOf: async (reference) => (reference in outside ? new Set(outside[reference]) : undefined),
		},
	);
}

/** The library after the proposal, and the patch. */
function proposed(texts: Readonly<Record<string, string>>, { entries }: Derived) {
	const after: Record<string, string> = { ...texts };
	let patch = "";
	for (const [name, ofFile] of Map.groupBy(entries, ({ image }) => image)) {
		const edits = editsOf(texts[name]!, ofFile, Object.keys(program.architectures));
		after[name] = edited(texts[name]!, edits);
		patch += unifiedDiff(`library/${name}`, texts[name]!, edits);
	}
	return { after, patch };
}

/** What `git apply` makes of it. */
function applied(texts: Readonly<Record<string, string>>, patch: string): Record<string, string> {
	const where = mkdtempSync(path.join(folder, "apply-"));
	mkdirSync(path.join(where, "library"));
	for (const [name, text] of Object.entries(texts)) writeFileSync(path.join(where, "library", name), text);
	if (patch !== "") {
		const env = {
			PATH: process.env["PATH"],
			GIT_CONFIG_GLOBAL: "/dev/null",
			GIT_CONFIG_NOSYSTEM: "1",
			GIT_CEILING_DIRECTORIES: folder,
		};
		execFileSync("git", ["apply", "--whitespace=nowarn", "-"], { cwd: where, input: patch, env });
	}
	return Object.fromEntries(
		Object.keys(texts).map((name) => [name, readFileSync(path.join(where, "library", name), "utf8")]),
	);
}

/** Incident 9: three definitions, two levels above a base from outside. */
const incident = {
	texts: {
		app: `${head}
# the newest
Tags: 2, latest
SharedTags: all
Architectures: amd64, s390x
Directory: 2

Tags: 2-scratch
Architectures: amd64, s390x
Directory: s
`,
		base: `${head}Architectures: amd64, arm64v8, s390x

Tags: 1
Directory: 1

Tags: 1-slim
Directory: slim
`,
		tool: `${head}\r
Tags: 3\r
Architectures: amd64,\r
 s390x\r
Directory: 3\r
\r
Tags: 3-only\r
Architectures: s390x\r
Directory: only`,
	},
	froms: {
		"base:1": ["alpine:3"],
		"base:1-slim": ["alpine:3"],
		"app:2": ["base:1"],
		"tool:3": ["app:2", "alpine:3"],
		"tool:3-only": ["base:1-slim"],
	},
};

describe("a base that drops an architecture", () => {
	const derived = () => derive(incident.texts, incident.froms, { "alpine:3": ["amd64", "arm64v8"] });

	test("takes it from all that stands on it, over all definitions, in one change", async () => {
		const { findings, entries } = await derived();
		expect(
			findings.map(
				({ kind, image, tag, arch, from, base }) => `${kind} ${image}:${tag} ${arch} by ${from} from ${base}`,
			),
		).toEqual([
			"dropped app:2 s390x by base:1 from alpine:3",
			"dropped base:1 s390x by alpine:3 from alpine:3",
			"dropped base:1-slim s390x by alpine:3 from alpine:3",
			"dropped tool:3 s390x by app:2 from alpine:3",
			"dropped tool:3-only s390x by base:1-slim from alpine:3",
		]);
		expect(
			entries.map(({ image, entry, architectures }) => [`${image}:${entry.Tags[0]}`, architectures.join()]),
		).toEqual([
			["app:2", "amd64"],
			["base:1", "amd64,arm64v8"],
			["base:1-slim", "amd64,arm64v8"],
			["tool:3", "amd64"],
			// To be taken out by hand: it is not edited.
			["tool:3-only", ""],
		]);
	});

	test("gives a patch that changes nothing else, and after which there is nothing more to do", async () => {
		const { after, patch } = proposed(incident.texts, await derived());
		expect(patch.replaceAll("\r", "␍")).toMatchInlineSnapshot(`
			"diff --git a/library/app b/library/app
			--- a/library/app
			+++ b/library/app
			@@ -5,7 +5,7 @@
			 # the newest
			 Tags: 2, latest
			 SharedTags: all
			-Architectures: amd64, s390x
			+Architectures: amd64
			 Directory: 2
			 
			 Tags: 2-scratch
			diff --git a/library/base b/library/base
			--- a/library/base
			+++ b/library/base
			@@ -1,7 +1,7 @@
			 Maintainers: Test <test@example.com> (@test)
			 GitRepo: https://git.example.org/x.git
			 GitCommit: 0123456789abcdef0123456789abcdef01234567
			-Architectures: amd64, arm64v8, s390x
			+Architectures: amd64, arm64v8
			 
			 Tags: 1
			 Directory: 1
			diff --git a/library/tool b/library/tool
			--- a/library/tool
			+++ b/library/tool
			@@ -3,8 +3,7 @@
			 GitCommit: 0123456789abcdef0123456789abcdef01234567
			 ␍
			 Tags: 3␍
			-Architectures: amd64,␍
			- s390x␍
			+Architectures: amd64␍
			 Directory: 3␍
			 ␍
			 Tags: 3-only␍
			"
		`);
		expect(applied(incident.texts, patch)).toEqual(after);
		const again = await derive(after, incident.froms, { "alpine:3": ["amd64", "arm64v8"] });
		expect(again.findings.map(({ image, tag }) => `${image}:${tag}`)).toEqual(["tool:3-only"]);
	});
});

describe("a base that gains an architecture", () => {
	const texts = {
		base: `${head}\nTags: 1\nDirectory: 1\n`,
		app: `${head}Architectures: amd64\n\nTags: 1\nDirectory: 1\n\nTags: scratch\nDirectory: s\n\nTags: mixed\nArchitectures: amd64, arm64v8\narm64v8-Directory: other\nDirectory: m\n`,
	};
	const froms = { "base:1": ["alpine:3"], "app:1": ["base:1"], "app:mixed": ["alpine:3"] };
	const outside = { "alpine:3": ["amd64", "arm64v8", "ppc64le"] };

	test("is a proposal for all that stands on it; what is made for each architecture, or from nothing, is left alone", async () => {
		const { findings, entries } = await derive(texts, froms, outside, "gains");
		expect(findings.map(({ kind, image, tag, arch }) => `${kind} ${image}:${tag} ${arch}`)).toEqual([
			"gained base:1 arm64v8",
			"gained base:1 ppc64le",
			"gained app:1 arm64v8",
			"gained app:1 ppc64le",
		]);
		const { after, patch } = proposed(texts, { findings, entries });
		expect(after.base).toBe(`${head}\nTags: 1\nArchitectures: amd64, arm64v8, ppc64le\nDirectory: 1\n`);
		expect(after.app).toContain(
			"Tags: 1\nArchitectures: amd64, arm64v8, ppc64le\nDirectory: 1\n\nTags: scratch\nDirectory: s\n",
		);
		expect(applied(texts, patch)).toEqual(after);
		expect((await derive(texts, froms, outside, "drops")).entries).toEqual([]);
	});
});

describe("what stands on what", () => {
	const told = ({ findings }: Derived): string[] =>
		findings.map(({ kind, image, tag, arch, from, base }) => `${kind} ${image}:${tag} ${arch} by ${from} from ${base}`);

	test("an architecture's own tag is ours for that architecture, and from outside for others", async () => {
		const texts = {
			base: `${head}Architectures: amd64, s390x\n\nTags: 1\nDirectory: 1\n`,
			one: `${head}Architectures: s390x\n\nTags: 1\nDirectory: 1\n`,
			other: `${head}Architectures: amd64\n\nTags: 1\nDirectory: 1\n`,
		};
		const froms = { "base:1": ["alpine:3"], "one:1": ["s390x/base:1"], "other:1": ["s390x/base:1"] };
		expect(told(await derive(texts, froms, { "alpine:3": ["amd64"], "s390x/base:1": ["s390x"] }))).toEqual([
			"dropped base:1 s390x by alpine:3 from alpine:3",
			"dropped one:1 s390x by s390x/base:1 from alpine:3",
			"dropped other:1 amd64 by s390x/base:1 from s390x/base:1",
		]);
	});

	test("of a shared tag any entry is enough", async () => {
		const texts = {
			base: `${head}SharedTags: all\n\nTags: 1\nArchitectures: amd64\nDirectory: 1\n\nTags: 2\nArchitectures: s390x\nDirectory: 2\n`,
			app: `${head}Architectures: amd64, s390x\n\nTags: 1\nDirectory: 1\n`,
		};
		const froms = { "base:1": ["alpine:3"], "base:2": ["debian:12"], "app:1": ["base:all"] };
		const outside = { "alpine:3": ["amd64"], "debian:12": ["s390x"] };
		expect(told(await derive(texts, froms, outside))).toEqual([]);
		expect(told(await derive(texts, froms, { ...outside, "debian:12": ["amd64"] }))).toEqual([
			"dropped base:2 s390x by debian:12 from debian:12",
			"dropped app:1 s390x by base:all from debian:12",
		]);
	});

	test("entries that share a tag gain nothing from each other, nor where nothing builds it", async () => {
		const texts = {
			app: `${head}\nTags: a\nSharedTags: 1\nDirectory: a\n\nTags: b\nSharedTags: 1\nArchitectures: s390x\nDirectory: b\n\nTags: c\nDirectory: c\n`,
		};
		const froms = { "app:a": ["alpine:3"], "app:b": ["alpine:3"], "app:c": ["alpine:3"] };
		const outside = { "alpine:3": ["amd64", "arm64v8", "s390x"] };
		expect(told(await derive(texts, froms, outside, "gains"))).toEqual([
			"gained app:c arm64v8 by alpine:3 from alpine:3",
			"gained app:c s390x by alpine:3 from alpine:3",
		]);
		const policies = [{ images: ["app:c"], architectures: ["s390x"], runner: null }];
		expect(told(await derive(texts, froms, outside, "gains", { ...program, policies }))).toEqual([
			"gained app:c arm64v8 by alpine:3 from alpine:3",
		]);
	});

	test("what was dropped is told whatever is proposed, also where another base is not there", async () => {
		const texts = { app: `${head}Architectures: amd64, s390x\n\nTags: 1\nDirectory: 1\n` };
		const derived = await derive(texts, { "app:1": ["gone:1", "alpine:3"] }, { "alpine:3": ["amd64"] }, "gains");
		expect(told(derived)).toEqual([
			"absent app:1 amd64 by gone:1 from gone:1",
			"dropped app:1 s390x by alpine:3 from alpine:3",
		]);
		expect(derived.entries).toEqual([]);
	});

	test("entries that stand on one another in a circle over architectures end as well", async () => {
		const entry = (tag: string, arch: string): string => `\nTags: ${tag}\nArchitectures: ${arch}\nDirectory: ${tag}\n`;
		const texts = { a: head + entry("1", "amd64"), b: head + entry("1", "arm64v8"), c: head + entry("1", "s390x") };
		const froms = { "a:1": ["b:1"], "b:1": ["c:1"], "c:1": ["a:1"] };
		expect(told(await derive(texts, froms, {}, "all"))).toEqual([
			"dropped a:1 amd64 by b:1 from b:1",
			"dropped b:1 arm64v8 by c:1 from c:1",
			"dropped c:1 s390x by a:1 from a:1",
		]);
	});

	test("each image outside is asked for once, whatever it is called, by its pin where there is one", async () => {
		const texts = { app: `${head}\nTags: 1\nDirectory: 1\n\nTags: 2\nDirectory: 2\n` };
		const library = libraryOf(texts);
		const froms = { "app:1": ["alpine:3", "debian:12"], "app:2": ["docker.io/library/alpine:3"] };
		const asked: string[] = [];
		const digest = `sha256:${"a".repeat(64)}`;
		await deriveArchitectures(
			library,
			sourcesOf(library, froms, new Map([["debian:12", digest]])),
			{ signal },
			{
				program,
				changes: "all",
				architecturesOf: async (reference) => {
					asked.push(reference);
					return new Set(["amd64"]);
				},
			},
		);
		expect(asked.toSorted()).toEqual(["alpine:3", `debian@${digest}`]);
	});
});

describe("a line", () => {
	test.each([
		["amd64, s390x, ppc64le", ["alpine"], "amd64, ppc64le"],
		["s390x,amd64 , ppc64le", ["alpine"], "amd64 , ppc64le"],
		["ppc64le, s390x", ["alpine"], "ppc64le"],
		["\tamd64,\n  s390x,\n  ppc64le", ["alpine"], "\tamd64,\n  ppc64le"],
		["\n amd64\n , s390x", ["alpine"], "\n amd64"],
		["s390x,\n amd64", ["alpine"], "\n amd64"],
		["amd64, s390x, s390x", ["alpine"], "amd64"],
		["amd64", ["debian"], "amd64, arm64v8, i386"],
		["i386", ["debian"], "amd64, arm64v8, i386"],
		["i386, amd64", ["debian"], "i386, amd64, arm64v8"],
		["amd64,i386", ["debian"], "amd64,arm64v8,i386"],
		["amd64,\n i386", ["debian"], "amd64, arm64v8,\n i386"],
	])("%j keeps its order and its layout", async (value, [base], wanted) => {
		const text = (list: string): string =>
			`${head}\nTags: 1\nArchitectures: ${list}\nDirectory: 1\n`.replace(": \n", ":\n");
		const texts = { app: text(value) };
		const outside = { "alpine:3": ["amd64", "ppc64le"], "debian:3": ["amd64", "arm64v8", "i386"] };
		const derived = await derive(texts, { "app:1": [`${base}:3`] }, outside, base === "alpine" ? "drops" : "all");
		expect(proposed(texts, derived).after["app"]).toBe(text(wanted));
	});
});

test("a path with a blank is one that git finds again", () => {
	const where = mkdtempSync(path.join(folder, "blank-"));
	mkdirSync(path.join(where, "my library"));
	const file = path.join(where, "my library", "app");
	writeFileSync(file, "one\ntwo");
	const patch = unifiedDiff("my library/app", "one\ntwo", [{ start: 1, count: 1, lines: ["three"] }]);
	const env = { PATH: process.env["PATH"], GIT_CEILING_DIRECTORIES: folder };
	execFileSync("git", ["apply", "-"], { cwd: where, input: patch, env });
	expect(readFileSync(file, "utf8")).toBe("one\nthree");
});

test("a base that is not there at all says nothing about architectures", async () => {
	const { findings, entries } = await derive(
		{ base: `${head}\nTags: 1\nDirectory: 1\n` },
		{ "base:1": ["gone:1"] },
		{},
	);
	expect(findings).toMatchObject([{ kind: "absent", base: "gone:1" }]);
	expect(entries).toEqual([]);
});

test("any library after its patch has what its bases have, and every other byte as it was", async () => {
	const arches = ["amd64", "arm64v8", "ppc64le", "s390x"];
	const list = fc.subarray(arches, { minLength: 1 });
	const written = fc.shuffledSubarray(arches, { minLength: 1 });
	const entry = fc.record({
		own: fc.option(written, { nil: undefined }),
		comma: fc.constantFrom(", ", ",", " ,  ", ",\n ", ",\n# c: d\n\t", "\n ,", "\n .\n , "),
		sharedTag: fc.boolean(),
		comment: fc.boolean(),
		parent: fc.nat(30),
	});
	const file = fc.record({
		global: fc.option(written, { nil: undefined }),
		entries: fc.array(entry, { minLength: 1, maxLength: 4 }),
		ending: fc.constantFrom("\n", "\r\n"),
		last: fc.boolean(),
	});
	await fc.assert(
		fc.asyncProperty(
			fc.array(file, { minLength: 1, maxLength: 3 }),
			list,
			list,
			fc.constantFrom("drops" as const, "gains" as const, "all" as const),
			async (files, one, two, changes) => {
				const texts: Record<string, string> = {};
				const froms: Record<string, readonly string[]> = {};
				const keys: string[] = [];
				for (const [number, { global, entries, ending, last }] of files.entries()) {
					let text = head + (global === undefined ? "" : `Architectures: ${global.join(", ")}\n`);
					for (const [index, { own, comma, sharedTag, comment, parent }] of entries.entries()) {
						text += `\nTags: ${index}\n${comment ? "# a comment\n" : ""}`;
						if (sharedTag) text += "SharedTags: all\n";
						if (own !== undefined) text += `Architectures: ${own.join(comma)}\n`;
						text += `Directory: ${index}\n`;
						const key = `image-${number}:${index}`;
						const before =
							keys.length === 0 || parent % 3 === 0
								? ["alpine:3", "debian:12"][parent % 2]!
								: keys[parent % keys.length]!;
						froms[key] = [before];
						keys.push(key);
					}
					texts[`image-${number}`] = (last ? text : text.slice(0, -1)).replaceAll("\n", ending);
				}
				const outside = { "alpine:3": one, "debian:12": two };
				const derived = await derive(texts, froms, outside, changes);
				const { after, patch } = proposed(texts, derived);
				expect(applied(texts, patch)).toEqual(after);
				const bare = (text: string): string =>
					text.replaceAll(/^Architectures:[^\n]*\n(?:(?:# c:|[ \t])[^\n]*\n)*/gm, "");
				for (const [name, text] of Object.entries(texts)) {
					// Of a last line that got a line behind it only its end is new.
					expect(bare(`${after[name]!}\n`).trimEnd()).toBe(bare(`${text}\n`).trimEnd());
					expect(after[name]!.endsWith("\n")).toBe(text.endsWith("\n"));
					expect(/(?<!\r)\n/.test(after[name]!)).toBe(/(?<!\r)\n/.test(text));
					expect(after[name]!.match(/^#.*$/gm)).toEqual(text.match(/^#.*$/gm));
				}
				const [library, next] = [libraryOf(texts), libraryOf(after)];
				const meant = new Map(derived.entries.map((one) => [`${one.image}:${one.entry.Tags[0]}`, one.architectures]));
				for (const [index, { name, definition }] of library.entries()) {
					for (const [number, entry] of definition.unmerged.entries()) {
						const proposal = meant.get(`${name}:${entry.Tags[0]}`) ?? [];
						const wanted = proposal.length === 0 ? entry.Architectures : proposal.toSorted();
						expect(next[index]!.definition.unmerged[number]!.Architectures).toEqual(wanted);
					}
				}
				// After all drops nothing is named that its base has not, but for what people have to take out.
				const named = next.flatMap(({ name, definition }) =>
					definition.unmerged.map((entry) => ({ key: `${name}:${entry.Tags[0]}`, entry })),
				);
				const has = new Map<string, readonly string[]>([
					...named.map(({ key, entry }) => [key, entry.Architectures] as const),
					...Object.entries(outside),
				]);
				const unserved = named.flatMap(({ key, entry }) =>
					changes === "gains" || meant.get(key)?.length === 0
						? []
						: entry.Architectures.filter((arch) => !has.get(froms[key]![0]!)!.includes(arch)),
				);
				expect(unserved).toEqual([]);
				const again = await derive(after, froms, outside, changes);
				// Twice is once; what has none left is for people.
				expect(again.entries.every(({ architectures }) => architectures.length === 0)).toBe(true);
			},
		),
		{ seed, numRuns: 150 },
	);
});
