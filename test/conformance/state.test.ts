import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
	builds,
	queue,
	readBuilds,
	readLookupCache,
	writeBuilds,
	writeLookupCache,
	type Builds,
	type QueueRecords,
} from "../../src/builds/index.ts";
import { dockerProgram } from "../../src/config/index.ts";
import { orderedEntries, orderedObject, sortedByKey, tabJson } from "../../src/json/index.ts";
import {
	assembleSources,
	readSources,
	sourceIdOf,
	writeSources,
	type Source,
	type Sources,
} from "../../src/sources/index.ts";
import { sha256Of, type Descriptor } from "../../src/oci/index.ts";
import {
	allRecords,
	emptyState,
	joinState,
	ownerOf,
	readStateFile,
	recordsByImage,
	splitState,
	type State,
} from "../../src/state/index.ts";
import { conformance, describeConformance } from "../support/conformance.ts";

const seed = Number(process.env["FC_SEED"] ?? 1);

function read(path: string): Buffer {
	const bytes = readFileSync(conformance(path));
	return path.endsWith(".gz") ? gunzipSync(bytes) : bytes;
}

/** Through the texts of the files, in another order. */
function throughFiles(state: State): State {
	const files = [...splitState(state)].toReversed();
	return joinState(new Map(files.map(([path, text]) => [path, readStateFile(path, text)])));
}

function stateOf(folder: { sources: string; builds: string; cache: string }): State {
	return {
		...emptyState,
		sources: readSources(read(folder.sources)),
		builds: readBuilds(read(folder.builds), { file: folder.builds }),
		cache: readLookupCache(read(folder.cache), { file: folder.cache }),
	};
}

/** The three files of the old system. */
function texts({ sources, builds, cache }: State): readonly string[] {
	return [writeSources(sources), writeBuilds(builds), writeLookupCache(cache)];
}

/** The paths whose files differ. */
function changed(before: State, after: State): readonly string[] {
	const [old, fresh] = [splitState(before), splitState(after)];
	return [...new Set([...old.keys(), ...fresh.keys()])].filter((path) => old.get(path) !== fresh.get(path)).sort();
}

describeConformance("pipeline", () => {
	const files = {
		sources: "pipeline/sources.json",
		builds: "pipeline/builds.json",
		cache: "pipeline/cache-builds.json",
	};

	test("the three files come back to the byte, from an order that no library has", () => {
		const state = stateOf(files);
		const back = throughFiles(state);
		expect(texts(back)).toEqual([files.sources, files.builds, files.cache].map((file) => read(file).toString()));
		expect([...splitState(state).keys()].sort()).toEqual([
			"decisions.json",
			"format.json",
			"images/busybox.json",
			"images/docker.json",
			"images/infosiftr-moby.json",
			"images/notary.json",
		]);
	});
});

describeConformance("pipeline", () => {
	test("the queue of arm32v7 comes out of records that went through the state", () => {
		// The recorded ids are words that say what they test.
		const named = (file: string) =>
			read(`pipeline/meta-queue/${file}`)
				.toString()
				.replace(/(?:amd64|arm32v7)-[\w-]+-19\d\d-\d\d-\d\dT[\d:]+Z/g, (id) => sha256Of(id).slice("sha256:".length));
		const given = JSON.parse(named("in.json")) as { builds: Builds; pastJobs: QueueRecords };
		const records = recordsByImage(given.pastJobs, given.builds);
		expect(Object.keys(records)).toEqual(["fake"]);
		const known = allRecords(throughFiles({ ...emptyState, queue: records }).queue);
		const output = queue(given.builds, known, "arm32v7", 0);
		expect(tabJson(output.queue) + tabJson(output.records) + tabJson(output.skipped)).toBe(named("out.json"));
		const after = recordsByImage(output.records, given.builds);
		expect(allRecords(throughFiles({ ...emptyState, queue: after }).queue)).toEqual(output.records);
	});
});

describeConformance("production-2024-06-20", () => {
	const state = stateOf({
		sources: "production-2024-06-20/sources.json.gz",
		builds: "production-2024-06-20/replay/builds.json.gz",
		cache: "production-2024-06-20/replay/lookups.json.gz",
	});
	const lookups = state.cache.indexes;

	/** The same moment with other sources: what was known stays, and every other build is there too, as something new. */
	const planned = async (sources: Sources): Promise<State> => {
		const io = { signal: new AbortController().signal };
		const output = await builds({ sources, cache: { indexes: lookups } }, io, {
			program: dockerProgram,
			lookup: (reference) => {
				const [, arch = ""] = /^oisupport\/staging-([^:]+):/.exec(reference) ?? [];
				const manifest: Descriptor = {
					mediaType: "application/vnd.oci.image.manifest.v1+json",
					digest: sha256Of(reference),
					size: 1000,
					annotations: { [dockerProgram.annotations.architecture]: arch },
					platform: dockerProgram.architectures[arch]!.platform,
				};
				const mediaType = "application/vnd.oci.image.index.v1+json";
				return Promise.resolve({ schemaVersion: 2, mediaType, manifests: [manifest] });
			},
		});
		return { ...emptyState, sources, builds: output.builds, cache: output.cache };
	};
	/** All images that are built, directly or not, from one of these sources. */
	const descendants = (changed: ReadonlySet<string>): ReadonlySet<string> => {
		const below = new Set(changed);
		const images = new Set<string>();
		for (const [id, source] of orderedEntries(state.sources)) {
			const parents = Object.values(source.arches).flatMap(({ parents }) => Object.values(parents));
			if (!below.has(id) && !parents.some(({ sourceId }) => sourceId !== null && below.has(sourceId))) continue;
			below.add(id);
			images.add(`images/${ownerOf(source)}.json`);
		}
		return images;
	};
	/** Sources in which one has another checksum, and so another id, also as a parent. */
	const withChecksum = (old: string, checksum: string): Sources => {
		const { File, Builder } = state.sources[old]!.entries[0]!;
		const id = sourceIdOf(checksum, File, Builder);
		return orderedObject(
			orderedEntries(state.sources).map(([each, source]): [string, Source] => {
				const arches = Object.entries(source.arches).map(([arch, ofArch]) => {
					const parents = orderedEntries(ofArch.parents).map(
						([from, parent]) => [from, parent.sourceId === old ? { ...parent, sourceId: id } : parent] as const,
					);
					return [arch, { ...ofArch, parents: orderedObject(parents) }] as const;
				});
				const same = { ...source, arches: orderedObject(arches) };
				return each === old ? [id, { ...same, sourceId: id, reproducibleGitChecksum: checksum }] : [each, same];
			}),
		);
	};

	test("the three files come back to the byte, and no order had to be written down", () => {
		const files = splitState(state);
		expect(texts(throughFiles(state)).map((text) => text.length)).toEqual(texts(state).map((text) => text.length));
		expect(texts(throughFiles(state))).toEqual(texts(state));
		expect(JSON.stringify(throughFiles(state).builds)).toBe(
			read("production-2024-06-20/replay/builds.json.gz").toString().trimEnd(),
		);
		expect([...files.values()].filter((text) => text.includes('"moved"'))).toEqual([]);
		expect(files.has("lookups.json")).toBe(false);
	});

	test("another checksum of a base touches its own and its descendants' files", async () => {
		const before = await planned(state.sources);
		const base = Object.values(state.sources).find((source) => source.arches["amd64"]?.tags.includes("erlang:26"))!;
		const touched = changed(before, await planned(withChecksum(base.sourceId, "0".repeat(64))));
		const expected = descendants(new Set([base.sourceId]));
		expect(touched).toEqual([...expected].sort());
		expect(touched).toEqual(["images/elixir.json", "images/erlang.json"]);
	});

	test("another tag of a leaf touches its own file", async () => {
		const before = await planned(state.sources);
		const leaf = Object.values(state.sources).find((source) => ownerOf(source) === "wordpress")!;
		const arches = orderedEntries(leaf.arches).map(
			([arch, ofArch]) => [arch, { ...ofArch, tags: [...ofArch.tags, "wordpress:another"] }] as const,
		);
		const sources = { ...state.sources, [leaf.sourceId]: { ...leaf, arches: orderedObject(arches) } };
		expect(changed(before, await planned(sources))).toEqual(["images/wordpress.json"]);
	});

	test("builds of other sources, or in another order, are refused", () => {
		const [[first], second, ...rest] = orderedEntries(state.builds) as [[string], [string, never], ...never[]];
		expect(() =>
			splitState({ ...state, builds: orderedObject([second, [first, state.builds[first]!], ...rest]) }),
		).toThrow(expect.objectContaining({ code: "handover", hint: expect.stringContaining("compute builds.json") }));
		expect(() =>
			splitState({ ...state, sources: withChecksum(Object.keys(state.sources)[0]!, "0".repeat(64)) }),
		).toThrow("not those of the sources");
	});
});

describe("any sources", () => {
	const name = fc.constantFrom("a", "b", "c", "d", "e", "10", "9");
	const entry = fc.record({
		name,
		tag: fc.constantFrom("1", "2", "3"),
		arch: fc.constantFrom("amd64", "arm64v8"),
		content: fc.nat(7),
		froms: fc.array(
			fc.tuple(name, fc.constantFrom("1", "2")).map((parts) => parts.join(":")),
			{ minLength: 1, maxLength: 2 },
		),
	});
	/** What comes out of hand-picked entries in any order: images between one another, circles of images, shared content. */
	const anySources = fc.array(entry, { maxLength: 12 }).map((entries): Sources => {
		const froms = new Map<number, readonly string[]>();
		const sources: Record<string, Source> = {};
		for (const { name, tag, arch, content, froms: own } of entries) {
			if (!froms.has(content)) froms.set(content, own);
			const images = froms.get(content)!;
			const place = {
				GitRepo: "https://example.org/x.git",
				GitFetch: "refs/heads/main",
				GitCommit: "0".repeat(40),
				Directory: ".",
				File: "Dockerfile",
				Builder: "buildkit",
			};
			const candidate = { name, tags: [tag], arch, place, at: { file: name } };
			const checksum = String(content).repeat(64);
			const facts = { checksum, epoch: 0, froms: ["scratch"], lastStageFrom: "scratch" };
			const { architectures } = dockerProgram;
			const [made] = Object.values(assembleSources([[candidate, facts]], { architectures, pins: new Map() }));
			const parents = Object.fromEntries(images.map((from) => [from, { sourceId: null, pin: null }]));
			const ofArch = { ...made!.arches[arch]!, froms: images, lastStageFrom: images[0]!, parents };
			const known = sources[made!.sourceId];
			if (known === undefined) sources[made!.sourceId] = { ...made!, arches: { [arch]: ofArch } };
			else if (!Object.hasOwn(known.arches, arch))
				sources[made!.sourceId] = { ...known, arches: { ...known.arches, [arch]: ofArch } };
		}
		return sources;
	});

	test("come back in their order, whatever that is", () => {
		fc.assert(
			fc.property(anySources, (sources) => {
				expect(writeSources(throughFiles({ ...emptyState, sources }).sources)).toBe(writeSources(sources));
			}),
			{ seed, numRuns: 300 },
		);
	});

	test("the files are the same in whatever order unrelated keys stand", () => {
		const forced = { text: "again", by: "somebody", when: "2026-01-01T00:00:00Z" };
		const ids = ["a", "b", "c", "d"].map((digit) => digit.repeat(64));
		fc.assert(
			fc.property(
				fc.shuffledSubarray(ids, { minLength: 4 }),
				fc.shuffledSubarray(["b", "10", "9"], { minLength: 3 }),
				(keys, names) => {
					const records = orderedObject(
						keys.map((id) => [id, { count: 1, lastTime: null, url: "https://example.org" }]),
					);
					const state: State = {
						...emptyState,
						queue: orderedObject(names.map((image) => [image, records])),
						decisions: { ...emptyState.decisions, forced: orderedObject(keys.map((id) => [id, forced])) },
					};
					const sorted: State = {
						...state,
						queue: orderedObject(names.toSorted().map((image) => [image, sortedByKey(records)])),
					};
					expect(Object.fromEntries(splitState(state))).toEqual(Object.fromEntries(splitState(sorted)));
					expect(Object.fromEntries(splitState(throughFiles(state)))).toEqual(Object.fromEntries(splitState(state)));
				},
			),
			{ seed, numRuns: 50 },
		);
	});
});
