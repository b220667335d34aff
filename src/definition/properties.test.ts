import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BrewlineError } from "../errors.ts";
import { decodeText, cleanPath, compareBytes } from "./text.ts";
import { encodeText, forArchitecture, parseDefinition, printDefinition, sharedTagGroups } from "./index.ts";
import type { Definition, Entry } from "./types.ts";

const architectures = ["amd64", "arm64v8", "i386", "windows-amd64"];
const options = { file: "library/app", architectures, defaultArchitecture: "amd64" };
const seed = Number(process.env["FC_SEED"] ?? 1);
const parameters = { seed, numRuns: 400 };

function parse(text: string | Uint8Array): Definition {
	return parseDefinition(text, options);
}

/** All that a definition says, without where. */
function values({ global, entries }: Definition): unknown {
	return {
		global: withoutPlaces(global),
		entries: entries.map(withoutPlaces),
		groups: sharedTagGroups(entries).map(({ sharedTags, entries }) => [sharedTags, entries.map(({ Tags }) => Tags[0])]),
		builds: entries.map((entry) => entry.Architectures.map((arch) => forArchitecture(entry, arch))),
	};
}

function withoutPlaces(fields: Partial<Entry>): unknown {
	return { ...fields, at: undefined, positions: undefined, parts: undefined };
}

/** A value that is the same when it is read again: without white space at its ends and line ends. */
const value = fc
	.string({ unit: "grapheme", minLength: 1, maxLength: 12 })
	.map((text) => text.replaceAll(/[\s\u0085]+/gu, "-"))
	.filter((text) => text !== "");
const hex = (length: number) =>
	fc.string({ unit: fc.constantFrom(..."0123456789abcdef".split("")), minLength: length, maxLength: length });
const commit = fc.oneof(hex(40), hex(64));
const maintainer = fc.record({ name: value, email: fc.option(value), handle: value }).map(({ name, email, handle }) => {
	const plain = (text: string) => text.replaceAll(/[<>(),]/g, "x");
	return `${plain(name)}${email === null ? "" : ` <${plain(email)}>`} (@${plain(handle)})`;
});
const archList = fc.subarray(architectures, { minLength: 1 }).map((list) => list.join(", "));
const directory = fc.array(fc.constantFrom("a", "b", "..", ".", ""), { maxLength: 5 }).map((parts) => parts.join("/"));
const branch = fc.constantFrom("refs/heads/main", "refs/heads/master", "refs/tags/v1", "refs/heads/a/b");

type Lines = readonly (readonly [key: string, value: string])[];

/** Fields that a global paragraph and an entry may both have, each given or not. */
const shared = fc.record(
	{
		Architectures: archList,
		GitFetch: branch,
		Directory: directory.filter((text) => text !== ""),
		File: value,
		Builder: fc.constantFrom("buildkit", "classic", "oci-import"),
		"i386-File": value,
		"arm64v8-Directory": directory.filter((text) => text !== ""),
		"other-GitRepo": value,
	},
	{ requiredKeys: [] },
);

/** Definitions in which nothing is emptied, continued or added to what is inherited. */
const plainDefinition = fc
	.record({
		maintainers: fc.array(maintainer, { minLength: 1, maxLength: 3 }),
		constraints: fc.option(fc.array(fc.constantFrom("!aufs", "special", "c"), { minLength: 1, maxLength: 3 })),
		global: shared,
		entries: fc.array(
			fc.record({
				fields: shared,
				commit,
				tags: fc.integer({ min: 1, max: 3 }),
				sharedTags: fc.subarray(["s", "t", "u"]),
				repo: value,
			}),
			{ maxLength: 6 },
		),
	})
	.map(({ maintainers, constraints, global, entries }): readonly Lines[] => [
		[
			["Maintainers", maintainers.join(", ")],
			...(constraints === null ? [] : [["Constraints", constraints.join(", ")] as const]),
			...Object.entries(global),
		],
		...entries.map(({ fields, commit, tags, sharedTags, repo }, index): Lines => [
			["Tags", Array.from({ length: tags }, (_, tag) => `${index}.${tag}`).join(", ")],
			...(sharedTags.length === 0 ? [] : [["SharedTags", sharedTags.join(", ")] as const]),
			["GitRepo", repo],
			["GitCommit", commit],
			...Object.entries(fields),
		]),
	]);

function write(paragraphs: readonly Lines[]): string {
	return paragraphs.map((lines) => lines.map(([key, text]) => `${key}: ${text}\n`).join("")).join("\n");
}

describe("printing", () => {
	test("what is printed parses to the same, and is printed the same", () => {
		fc.assert(
			fc.property(plainDefinition, (paragraphs) => {
				const definition = parse(write(paragraphs));
				const canonical = printDefinition(definition);
				const again = parse(canonical);
				expect(values(again)).toEqual(values(definition));
				expect(printDefinition(again)).toBe(canonical);
			}),
			parameters,
		);
	});

	test("the order of fields, comments, folding of lists and line ends do not matter", () => {
		const layout = fc.record({
			paragraphs: plainDefinition,
			order: fc.infiniteStream(fc.nat()),
			comment: fc.constantFrom("# c\n", " \t# c: d\n", ""),
			end: fc.constantFrom("\n", "\r\n"),
			fold: fc.boolean(),
		});
		fc.assert(
			fc.property(layout, ({ paragraphs, order, comment, end, fold }) => {
				const shuffled = paragraphs.map((lines) =>
					lines
						.map((line) => [order.next().value!, line] as const)
						.toSorted(([a], [b]) => a - b)
						.map(([, line]) => line),
				);
				const text = shuffled
					.map((lines) =>
						lines
							.map(([key, text]) => {
								const list = /^(?:Tags|SharedTags|Maintainers|Architectures)$/.test(key);
								const folded = fold && list ? text.replaceAll(", ", `,${end}${comment}\t`) : text;
								return `${key}:${fold && list ? `${end} ` : ""}${folded}${end}${comment}`;
							})
							.join(""),
					)
					.join(end);
				expect(values(parse(text))).toEqual(values(parse(write(paragraphs))));
			}),
			parameters,
		);
	});

	test("the order of entries decides the order of what comes out, and nothing else", () => {
		fc.assert(
			fc.property(plainDefinition, ([global, ...entries]) => {
				const builds = (paragraphs: readonly Lines[]) =>
					parse(write(paragraphs))
						.entries.map((entry) =>
							JSON.stringify([
								entry.Tags.toSorted(),
								entry.SharedTags.toSorted(),
								entry.Architectures.map((arch) => forArchitecture(entry, arch)),
							]),
						)
						.toSorted();
				expect(builds([global!, ...entries.toReversed()])).toEqual(builds([global!, ...entries]));
			}),
			parameters,
		);
	});
});

describe("hostile text", () => {
	const piece = fc.oneof(
		fc.constantFrom(
			"Maintainers: A (@a)\n",
			"GitRepo: r\n",
			`GitCommit: ${"0".repeat(40)}\n`,
			"Tags: 1",
			"SharedTags: 1, s",
			"Architectures:",
			"amd64-Directory: ../",
			"Constraints:",
			"__proto__: x\n",
			"__proto__-File: x\n",
			"\n",
			"\n\n",
			" ",
			"\t.\n",
			",",
			"#",
			"\r",
			"\ufeff",
			"\u0085",
			"\u0000",
			"\ud800",
			"\udce9",
			":",
		),
		fc.string({ unit: "binary", maxLength: 8 }),
	);

	/** The definition, or null where it is refused as it should be; anything else that is thrown fails the test. */
	function attempt(text: string | Uint8Array): Definition | null {
		try {
			return parse(text);
		} catch (error) {
			if (!(error instanceof BrewlineError) || error.code !== "definition" || error.errors.length === 0) throw error;
			return null;
		}
	}

	test("is refused with places, or is printed to something that can be printed again", () => {
		fc.assert(
			fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
				const definition = attempt(`Maintainers: A (@a)\nGitRepo: r\n${pieces.join("")}`);
				const again = definition === null ? null : attempt(printDefinition(definition));
				expect(again === null ? "" : printDefinition(again)).toBeTypeOf("string");
			}),
			{ seed, numRuns: 3000 },
		);
	});

	test("every place that is named is in the file", () => {
		fc.assert(
			fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
				const text = `Maintainers: A (@a)\n${pieces.join("")}`;
				const lines = text.split("\n");
				const places: { line?: number; column?: number }[] = [];
				try {
					places.push(...parse(text).warnings.map(({ at }) => at));
				} catch (error) {
					places.push(...(error as BrewlineError).errors.map(({ at }) => at!));
				}
				for (const { line, column } of places) {
					expect(line).toBeGreaterThan(0);
					expect(line).toBeLessThanOrEqual(lines.length);
					expect(column).toBeGreaterThan(0);
					expect(column).toBeLessThanOrEqual(lines[line! - 1]!.length + 1);
				}
			}),
			{ seed, numRuns: 2000 },
		);
	});

	test("any bytes come back from text", () => {
		fc.assert(
			fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
				expect(encodeText(decodeText(bytes))).toEqual(Buffer.from(bytes));
				expect(attempt(bytes)).toBeNull();
			}),
			{ seed, numRuns: 2000 },
		);
	});

	// Each of these would take minutes with a quadratic step somewhere.
	const head = "Maintainers: A (@a)\nGitRepo: r\nGitCommit: 0123456789abcdef0123456789abcdef01234567\n";
	const many = 200_000;
	test.each([
		["a maintainer's name of blanks", `Maintainers: a${" \t".repeat(many)}x`],
		["a maintainer of brackets", `Maintainers: a ${"<a> (@".repeat(many)})`],
		["a list of commas", `${head}\nTags: ${",".repeat(many)}`],
		["a folded list of commas", `${head}\nTags:${"\n ,".repeat(many)}`],
		["a tag that stands again and again", `${head}\nTags: ${"1, ".repeat(many)}1`],
		["lines without a colon", `${head}${"\n".repeat(2)}${"x\n".repeat(2 * many)}`],
		["a value of many lines", `${head}\nTags: 1\nFile:${"\n x".repeat(many)}`],
		["lines that are no fields", `${head}${"x\n".repeat(many)}`],
		["unknown fields", `${head}${Array.from({ length: many / 2 }, (_, index) => `Tgs${index}: x\n`).join("")}`],
		["unknown architectures", `${head}Architectures: ${"arm, ".repeat(many)}x`],
		["fields that stand again and again", `${head}${"GitRepo: x\n".repeat(many)}`],
		["entries without anything", `${head}${"\nx:\n".repeat(many / 2)}`],
		[
			"entries of one build with one long list of shared tags",
			`${head}SharedTags: ${Array.from({ length: 1500 }, (_, index) => `s${index}`).join()}\n${Array.from({ length: 1500 }, (_, index) => `\nTags: ${index}\n`).join("")}`,
		],
		[
			"more inherited than there is memory for",
			`${head}Constraints: ${"a,".repeat(many)}\n${Array.from({ length: many / 10 }, (_, index) => `\nTags: ${index}\nConstraints: b\n`).join("")}`,
		],
	])("%s: in linear time", (_, text) => {
		const start = process.cpuUsage();
		const definition = attempt(text);
		expect(definition === null ? 0 : printDefinition(definition).length).toBeLessThan(20_000_000);
		expect(process.cpuUsage(start).user).toBeLessThan(10_000_000);
	});
});

describe("paths and order", () => {
	test("a cleaned path has no empty part, no . and no .. after a name, and stays as it is", () => {
		fc.assert(
			fc.property(directory, fc.boolean(), (path, absolute) => {
				const clean = cleanPath(absolute ? `/${path}` : path);
				expect(cleanPath(clean)).toBe(clean);
				expect(clean).toMatch(/^(?:\.|\/|\/?(?:\.\.\/)*(?:\.\.|[ab])(?:\/[ab])*)$/);
				expect(clean.startsWith("/")).toBe(absolute || path.startsWith("/"));
				expect(clean.startsWith("/..")).toBe(false);
			}),
			parameters,
		);
	});

	test("strings are compared as their bytes are", () => {
		const text = fc.oneof(
			fc.string({ unit: "binary", maxLength: 4 }),
			fc.string({ unit: fc.constantFrom("a", "b", "\uffff", "\u{10000}", "é", "\udce9"), maxLength: 4 }),
		);
		fc.assert(
			fc.property(text, text, (a, b) => {
				expect(Math.sign(compareBytes(a, b))).toBe(Buffer.compare(encodeText(a), encodeText(b)));
			}),
			{ seed, numRuns: 3000 },
		);
	});
});
