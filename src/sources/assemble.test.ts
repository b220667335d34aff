import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { dockerProgram } from "../config/index.ts";
import { BrewlineError } from "../errors.ts";
import { assembleSources, type SourceCandidate, type SourceFacts } from "./assemble.ts";
import { readSources, writeSources } from "./file.ts";
import { recordedFacts } from "./facts.ts";
import type { Sources } from "./types.ts";

fc.configureGlobal({ seed: Number(process.env["FC_SEED"] ?? 1) });

const options = { architectures: dockerProgram.architectures, pins: new Map<string, string>() };
const checksum = (digit: string): string => digit.repeat(64);

function candidate(
	name: string,
	tags: string,
	more: Partial<SourceCandidate & SourceCandidate["place"]> = {},
): SourceCandidate {
	const { arch = "amd64" } = more;
	return {
		name,
		tags: tags.split(" "),
		arch,
		at: { file: `library/${name}` },
		place: {
			GitRepo: more.GitRepo ?? `https://example.com/${name}.git`,
			GitFetch: "refs/heads/master",
			GitCommit: more.GitCommit ?? "0".repeat(40),
			Directory: more.Directory ?? ".",
			File: more.File ?? "Dockerfile",
			Builder: more.Builder ?? "buildkit",
		},
	};
}

function facts(digit: string, froms: string, epoch = 1): SourceFacts {
	const list = froms.split(" ");
	return { checksum: checksum(digit), epoch, froms: list, lastStageFrom: list.at(-1)! };
}

function errorOf(run: () => unknown): BrewlineError {
	try {
		run();
	} catch (error) {
		if (error instanceof BrewlineError) return error;
		throw error;
	}
	throw new Error("there was no error");
}

describe("one content", () => {
	test("found in two places is one source, its oldest place first", () => {
		const sources = Object.values(
			assembleSources(
				[
					[candidate("a", "1 latest"), facts("1", "scratch", 20)],
					[candidate("b", "1", { Directory: "b" }), facts("1", "scratch", 10)],
					[candidate("b", "2", { Directory: "c" }), facts("1", "scratch", 20)],
					[candidate("a", "1 latest", { arch: "s390x" }), facts("1", "scratch", 20)],
					[candidate("a", "latest 3"), facts("1", "scratch", 20)],
				],
				options,
			),
		);
		expect(sources.length).toBe(1);
		expect(sources[0]!.entries.map((entry) => [entry.SOURCE_DATE_EPOCH, entry.Directory])).toEqual([
			[10, "b"],
			[20, "."],
			[20, "c"],
		]);
		expect(Object.keys(sources[0]!.arches)).toEqual(["amd64", "s390x"]);
		expect(sources[0]!.arches["amd64"]!.tags).toEqual(["a:1", "a:latest", "b:1", "b:2", "a:3"]);
		expect(sources[0]!.arches["s390x"]!.archTags).toEqual(["s390x/a:1", "s390x/a:latest"]);
	});

	test("in very many places costs no more for each of them", () => {
		const places = Array.from(
			{ length: 20_000 },
			(_, i) => [candidate("a", String(i), { Directory: `d${i}` }), facts("1", "scratch", i)] as const,
		);
		const [source] = Object.values(assembleSources(places, options));
		expect(source!.entries.length).toBe(places.length);
		expect(source!.arches["amd64"]!.tags.length).toBe(places.length);
	});

	test("with other FROMs on one architecture is an error", () => {
		const error = errorOf(() =>
			assembleSources(
				[
					[candidate("a", "1"), facts("1", "scratch")],
					[candidate("b", "1"), facts("1", "x:1")],
				],
				options,
			),
		);
		expect(error.code).toBe("definition");
		expect(error.message).toBe("library/b: b:1 (amd64): a:1 (amd64) is the same source with other FROMs");
	});

	test("with another File or Builder is another source", () => {
		const ids = Object.keys(
			assembleSources(
				[
					[candidate("a", "1"), facts("1", "scratch")],
					[candidate("a", "2", { File: "x" }), facts("1", "scratch")],
					[candidate("a", "3", { Builder: "" }), facts("1", "scratch")],
				],
				options,
			),
		);
		expect(ids.length).toBe(3);
	});
});

describe("parents", () => {
	test("are sources by tag or architecture's tag on the same architecture, and pins", () => {
		const pin = `sha256:${"a".repeat(64)}`;
		const sources = Object.values(
			assembleSources(
				[
					[candidate("a", "1"), facts("1", "scratch")],
					[candidate("b", "1"), facts("2", "a:1 amd64/a:1 x:1 a:1 library/a:1")],
					[candidate("b", "1", { arch: "s390x" }), facts("2", "a:1")],
				],
				{ ...options, pins: new Map([["x:1", pin]]) },
			),
		);
		const [a, b] = sources;
		expect(b!.arches["amd64"]!.parents).toEqual({
			"a:1": { sourceId: a!.sourceId, pin: null },
			"amd64/a:1": { sourceId: a!.sourceId, pin: null },
			"x:1": { sourceId: null, pin },
			"library/a:1": { sourceId: null, pin: null },
		});
		expect(b!.arches["s390x"]!.parents).toEqual({ "a:1": { sourceId: null, pin: null } });
	});

	const twice: readonly (readonly [SourceCandidate, SourceFacts])[] = [
		[candidate("a", "1"), facts("1", "scratch")],
		[candidate("a", "1", { Directory: "b" }), facts("2", "scratch")],
	];

	test("may not be two sources at once", () => {
		const error = errorOf(() => assembleSources([...twice, [candidate("b", "1"), facts("3", "a:1 a:1")]], options));
		expect(error.code).toBe("definition");
		expect(error.message).toBe("library/b: b:1 (amd64): FROM a:1 is two sources: a:1 (amd64) and a:1 (amd64)");
	});

	test("which nothing builds FROM may be two", () => {
		expect(Object.keys(assembleSources([...twice, [candidate("b", "1"), facts("3", "a:2")]], options)).length).toBe(3);
	});

	test("in a circle are an error that shows it", () => {
		const error = errorOf(() =>
			assembleSources(
				[
					[candidate("z", "1"), facts("0", "a:1")],
					[candidate("a", "1"), facts("1", "b:1")],
					[candidate("b", "1"), facts("2", "scratch c:1")],
					[candidate("c", "1"), facts("3", "a:1")],
				],
				options,
			),
		);
		expect(error.code).toBe("cycle");
		expect(error.message).toContain("on amd64: a:1 FROM b:1 FROM c:1 FROM a:1");
		expect(errorOf(() => assembleSources([[candidate("a", "1"), facts("1", "a:1")]], options)).code).toBe("cycle");
	});

	test("in a chain of any length are none, and cost no more for it", () => {
		const length = 20_000;
		const chain = Array.from(
			{ length },
			(_, i) =>
				[
					candidate("a", String(i)),
					{ ...facts("0", i === 0 ? "scratch" : `a:${i - 1}`), checksum: i.toString(16).padStart(64, "0") },
				] as const,
		).reverse();
		expect(Object.keys(assembleSources(chain, options)).length).toBe(length);
	});
});

test("all errors are reported at once", () => {
	const error = errorOf(() =>
		assembleSources(
			[
				[candidate("a", "1", { arch: "vax" }), facts("1", "scratch")],
				[candidate("b", "1", { arch: "__proto__" }), facts("2", "scratch")],
			],
			options,
		),
	);
	expect(error.errors.length).toBe(2);
	expect(error.message).toContain("library/b: b:1 (__proto__): the program has no such architecture");
});

test("an architecture without a namespace has no tags of its own", () => {
	const amd64 = { ...dockerProgram.architectures["amd64"]!, namespace: null };
	const [source] = Object.values(
		assembleSources([[candidate("a", "1"), facts("1", "scratch")]], { ...options, architectures: { amd64 } }),
	);
	expect(source!.arches["amd64"]!.archTags).toEqual([]);
});

describe("any library", () => {
	/** Some images, each FROM scratch, outside or an earlier one, on some architectures, some with equal content. */
	const library = fc
		.array(
			fc.record({
				digit: fc.constantFrom(..."0123456789abcdef".split("")),
				parent: fc.nat(),
				arches: fc.subarray(["amd64", "arm64v8", "s390x"], { minLength: 1 }),
				epoch: fc.integer({ min: 0, max: 2 ** 31 }),
			}),
			{ maxLength: 12 },
		)
		.map((images) =>
			images.flatMap(({ digit, parent, arches, epoch }, i) => {
				// Equal content has equal FROMs, so both follow from the digit.
				const first = images.findIndex((other) => other.digit === digit);
				const from = first === 0 ? "scratch" : `image${parent % first}:1`;
				const known = images[first]!;
				const froms =
					i === first
						? from
						: (known.parent % (first || 1), first === 0 ? "scratch" : `image${known.parent % first}:1`);
				return arches.map(
					(arch) =>
						[candidate(`image${i}`, "1 latest", { arch, Directory: `d${i}` }), facts(digit, froms, epoch)] as const,
				);
			}),
		);
	const unordered = (sources: Sources): unknown =>
		Object.fromEntries(
			Object.entries(sources).map(([id, { arches }]) => [
				id,
				Object.fromEntries(
					Object.entries(arches).map(([arch, each]) => [
						arch,
						{ ...each, tags: [...each.tags].sort(), archTags: [...each.archTags].sort() },
					]),
				),
			]),
		);

	test("has ids, parents and tags that do not depend on the order of its parts", () => {
		fc.assert(
			fc.property(
				library.chain((parts) => fc.tuple(fc.constant(parts), fc.shuffledSubarray(parts, { minLength: parts.length }))),
				([parts, shuffled]) => {
					expect(unordered(assembleSources(shuffled, options))).toEqual(unordered(assembleSources(parts, options)));
				},
			),
		);
	});

	test("has ids that do not change when unrelated images come or go", () => {
		fc.assert(
			fc.property(library, (parts) => {
				const before = assembleSources(parts, options);
				const other = [
					candidate("unrelated", "1"),
					{ ...facts("0", "scratch"), checksum: checksum("0").replace("0", "f") },
				] as const;
				const after = assembleSources([other, ...parts], options);
				for (const [id, source] of Object.entries(before)) expect(after[id]).toEqual(source);
				expect(Object.keys(after).length).toBe(Object.keys(before).length + 1);
			}),
		);
	});

	test("is written and read as the same, and its facts give it again", () => {
		fc.assert(
			fc.property(library, (parts) => {
				const sources = assembleSources(parts, options);
				const text = writeSources(sources);
				const read = readSources(text);
				expect(read).toEqual(sources);
				expect(writeSources(read)).toBe(text);
				const recorded = recordedFacts(read);
				const again = assembleSources(
					parts.map(([each]) => [each, recorded(each)!] as const),
					options,
				);
				expect(writeSources(again)).toBe(text);
			}),
		);
	});
});
