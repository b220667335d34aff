import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { dockerProgram } from "../config/index.ts";
import { goJson } from "../json/index.ts";
import { mediaTypes, type Index } from "../oci/index.ts";
import type { Source, SourceParent, Sources } from "../sources/types.ts";
import { buildIdOf, builds, outsideReference, stagingReference, type BuildsOutput, type Lookup } from "./index.ts";

const program = dockerProgram;
const io = { signal: new AbortController().signal };
const digest = (character: string) => `sha256:${character.repeat(64)}`;
const id = (character: string) => character.repeat(64);

function source(
	sourceId: string,
	parents: Record<string, SourceParent>,
	arches: readonly string[] = ["amd64"],
): Source {
	return {
		sourceId,
		reproducibleGitChecksum: id("0"),
		entries: [],
		arches: Object.fromEntries(
			arches.map((arch) => [
				arch,
				{
					tags: [`${sourceId[0]}:1`],
					archTags: [`${arch}/${sourceId[0]}:1`],
					froms: Object.keys(parents),
					lastStageFrom: Object.keys(parents).at(-1) ?? "",
					platformString: "linux/amd64",
					platform: { architecture: "amd64", os: "linux" },
					parents,
				},
			]),
		),
	};
}

function sourcesOf(...list: readonly Source[]): Sources {
	return Object.fromEntries(list.map((item) => [item.sourceId, item]));
}

function index(...arches: readonly string[]): Index {
	return {
		schemaVersion: 2,
		mediaType: mediaTypes.ociIndex,
		manifests: arches.map((arch, number) => ({
			mediaType: mediaTypes.ociManifest,
			digest: digest(String(number + 1)),
			size: 5,
			annotations: { [program.annotations.architecture]: arch },
		})),
	};
}

const outside: SourceParent = { sourceId: null, pin: null };
const ours = (sourceId: string): SourceParent => ({ sourceId, pin: null });

function run(sources: Sources, lookup: Lookup, cache?: Record<string, Index | null>): Promise<BuildsOutput> {
	return builds({ sources, ...(cache === undefined ? {} : { cache: { indexes: cache } }) }, io, { program, lookup });
}

describe("builds", () => {
	test("an id is the SHA-256 of its line, escaped as Go escapes", () => {
		const identity = { sourceId: id("a"), arch: "amd64", parents: { "a<b:1": digest("1") } };
		expect(goJson(identity)).toContain(String.raw`a\u003cb:1`);
		// echo '{"sourceId":"aaaa","arch":"amd64","parents":{}}' | sha256sum
		expect(buildIdOf({ sourceId: "aaaa", arch: "amd64", parents: {} })).toBe(
			"8fd5e12fb4daf25381c97950325b1dc2c9166580431b3dae65be041fffb16cba",
		);
	});

	test("staging references: every BUILD, then every ARCH", () => {
		expect(stagingReference("h.io/ARCH/s-ARCH:BUILD-BUILD", "12", "amd64")).toBe("h.io/amd64/s-amd64:12-12");
		expect(stagingReference("s:BUILD", "$&", "amd64")).toBe("s:$&");
	});

	test("a template without BUILD is an error of the configuration", async () => {
		const registries = { ...program.registries, staging: "s/ARCH" };
		await expect(
			builds({ sources: {} }, io, { program: { ...program, registries }, lookup: () => Promise.resolve(undefined) }),
		).rejects.toMatchObject({ code: "config" });
	});

	test.each([
		["debian:12", null, "debian:12"],
		["docker.io/library/debian:12", digest("1"), `debian@${digest("1")}`],
		[`debian:12@${digest("2")}`, null, `debian@${digest("2")}`],
		["localhost:5000/x", null, "localhost:5000/x"],
	])("%s with pin %s is asked for as %s", (from, pin, expected) => {
		expect(outsideReference(from, pin)).toBe(expected);
	});

	test("each reference is looked up once, whoever needs it; scratch never", async () => {
		const asked: string[] = [];
		const arches = ["amd64", "s390x"];
		const sources = sourcesOf(
			source(id("a"), { "x:1": outside, scratch: outside }, arches),
			source(id("b"), { "x:1": outside }, arches),
		);
		const output = await run(sources, (reference) => {
			asked.push(reference);
			return Promise.resolve(reference === "x:1" ? index("amd64", "s390x") : undefined);
		});
		expect(asked.filter((reference) => !reference.includes("staging"))).toEqual(["x:1"]);
		expect(asked).toHaveLength(5);
		expect(Object.values(output.builds).map(({ build }) => [build.sourceId[0], build.arch, build.parents])).toEqual([
			["a", "amd64", { "x:1": digest("1") }],
			["a", "s390x", { "x:1": digest("2") }],
			["b", "amd64", { "x:1": digest("1") }],
			["b", "s390x", { "x:1": digest("2") }],
		]);
		expect(Object.values(output.builds).map(({ source }) => Object.keys(source.arches))).toEqual([
			["amd64"],
			["s390x"],
			["amd64"],
			["s390x"],
		]);
	});

	test("a child is looked up as soon as its own parents are known", async () => {
		const { promise: slow, resolve: release } = Promise.withResolvers<undefined>();
		const { promise: childAsked, resolve: sawChild } = Promise.withResolvers<void>();
		let staged = 0;
		const running = run(
			sourcesOf(source(id("a"), { "slow:1": outside }), source(id("b"), {}), source(id("c"), { "b:1": ours(id("b")) })),
			async (reference) => {
				if (reference === "slow:1") {
					return slow;
				}
				if (++staged === 2) {
					sawChild();
				}
				return index("amd64");
			},
		);
		await childAsked;
		release(undefined);
		const output = await running;
		expect(Object.values(output.builds).map(({ build }) => build.sourceId[0])).toEqual(["b", "c"]);
	});

	test("no more lookups at a time than allowed", async () => {
		let now = 0;
		let most = 0;
		const list = Array.from({ length: 50 }, (_, number) =>
			source(number.toString(16).padStart(64, "0"), { [`x:${number}`]: outside }),
		);
		await builds({ sources: sourcesOf(...list) }, io, {
			program,
			concurrency: 3,
			lookup: async () => {
				most = Math.max(most, ++now);
				await new Promise(setImmediate);
				now--;
				return index("amd64");
			},
		});
		expect(most).toBe(3);
	});

	test("why a source waits: the first parent that is not available", async () => {
		const sources = sourcesOf(
			source(id("a"), {}, ["amd64", "s390x"]),
			source(id("b"), { "a:1": ours(id("a")) }, ["amd64", "s390x", "i386"]),
			source(id("c"), { "b:1": ours(id("b")), "gone:1": outside }),
			source(id("d"), { "gone:1": outside, "b:1": ours(id("b")) }),
			source(id("e"), { "arm:1": outside }),
		);
		const output = await run(sources, (reference) =>
			Promise.resolve(
				reference === "arm:1" ? index("arm64v8") : reference.includes("staging-s390x") ? index("s390x") : undefined,
			),
		);
		expect(Object.values(output.builds).map(({ build }) => `${build.sourceId[0]} ${build.arch}`)).toEqual([
			"a amd64",
			"a s390x",
			"b s390x",
		]);
		expect(
			output.waiting.map(({ sourceId, arch, parent, parentSourceId, reason }) =>
				[sourceId[0], arch, parent, parentSourceId?.[0] ?? null, reason].join(" "),
			),
		).toEqual([
			"b amd64 a:1 a parent-not-built",
			"b i386 a:1 a parent-lacks-architecture",
			// What will not come by building is said first.
			"c amd64 gone:1  parent-missing",
			"d amd64 gone:1  parent-missing",
			"e amd64 arm:1  parent-lacks-architecture",
		]);
	});

	test("what holds nothing for its architecture needs building", async () => {
		const output = await run(sourcesOf(source(id("a"), {})), () => Promise.resolve(index("s390x")));
		expect(Object.values(output.builds)[0]!.build.resolved).toBeNull();
	});

	test("the cache is believed, also that something is not there, and holds what lasts of this run alone", async () => {
		const pin = digest("f");
		const stagedOf = (sourceId: string, parents: Record<string, string>) => {
			const buildId = buildIdOf({ sourceId, arch: "amd64", parents });
			return stagingReference(program.registries.staging, buildId, "amd64");
		};
		const staged = [stagedOf(id("a"), { "x:1": digest("1"), "y:1": digest("1") }), stagedOf(id("c"), {})];
		const asked: string[] = [];
		const output = await run(
			sourcesOf(
				source(id("a"), { "x:1": { sourceId: null, pin }, "y:1": outside }),
				source(id("b"), { "z:1": outside }),
				source(id("c"), {}),
			),
			(reference) => {
				asked.push(reference);
				return Promise.resolve(index("amd64", "s390x"));
			},
			{ "x@nobody-asks": index("amd64"), "y:1": index("amd64"), "z:1": null, [`x@${pin}`]: index("amd64", "i386") },
		);
		expect(asked.toSorted()).toEqual(staged.toSorted());
		expect(output.waiting.map(({ reason }) => reason)).toEqual(["parent-missing"]);
		expect(Object.keys(output.cache.indexes)).toEqual([...staged, `x@${pin}`].toSorted());
		// Whole, not restricted to the build's architecture.
		expect(output.cache.indexes[staged[0]!]?.manifests).toHaveLength(2);
	});

	test.each([
		["is not in the list", sourcesOf(source(id("a"), { "b:1": ours(id("b")) }))],
		["comes later", sourcesOf(source(id("a"), { "b:1": ours(id("b")) }), source(id("b"), {}))],
		["is itself", sourcesOf(source(id("a"), { "a:1": ours(id("a")) }))],
	])("a parent that %s is an error", async (_, sources) => {
		await expect(run(sources, () => Promise.resolve(index("amd64")))).rejects.toMatchObject({ code: "handover" });
	});

	test("after a lookup that failed no other is begun, and its error is the run's", async () => {
		let asked = 0;
		const list = Array.from({ length: 100 }, (_, number) =>
			source(number.toString(16).padStart(64, "0"), { [`x:${number}`]: outside }),
		);
		await expect(
			builds({ sources: sourcesOf(...list) }, io, {
				program,
				concurrency: 2,
				lookup: () => {
					asked++;
					return Promise.reject(new Error("down"));
				},
			}),
		).rejects.toThrow("down");
		expect(asked).toBe(2);
	});

	test("a run that is ended begins no lookup", async () => {
		const ended = { signal: AbortSignal.abort() };
		const lookup = () => Promise.reject(new Error("asked"));
		await expect(builds({ sources: sourcesOf(source(id("a"), {})) }, ended, { program, lookup })).rejects.toMatchObject(
			{
				code: "cancelled",
			},
		);
	});

	test("property: ids do not depend on unrelated sources, nor on the order of what does not depend on each other", async () => {
		const letters = ["a", "b", "c", "d", "e", "f"];
		const input = fc.record({
			order: fc.shuffledSubarray(letters, { minLength: letters.length }),
			kept: fc.subarray(letters, { minLength: 1 }),
			parents: fc.dictionary(fc.constantFrom(...letters), fc.constantFrom("x:1", "y:1"), { noNullPrototype: true }),
		});
		const ids = async (list: readonly string[], parents: Record<string, string>) => {
			const sources = list.map((letter) => source(id(letter), { [parents[letter] ?? "z:1"]: outside }));
			const output = await run(sourcesOf(...sources), () => Promise.resolve(index("amd64")));
			return new Map(Object.values(output.builds).map(({ buildId, build }) => [build.sourceId[0]!, buildId]));
		};
		await fc.assert(
			fc.asyncProperty(input, async ({ order, kept, parents }) => {
				const all = await ids(letters, parents);
				expect(await ids(order, parents)).toEqual(all);
				expect(await ids(kept, parents)).toEqual(new Map([...all].filter(([letter]) => kept.includes(letter))));
			}),
			{ seed: Number(process.env["FC_SEED"] ?? 1), numRuns: 50 },
		);
	});
});
