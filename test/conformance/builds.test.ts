import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { builds, queue, readBuilds, readLookupCache, writeBuilds, type Builds } from "../../src/builds/index.ts";
import { dockerProgram } from "../../src/config/index.ts";
import { parseJson, tabJson } from "../../src/json/index.ts";
import type { Index } from "../../src/oci/index.ts";
import type { Source, SourceEntry, Sources } from "../../src/sources/types.ts";
import { conformance, describeConformance } from "../support/conformance.ts";

const io = { signal: new AbortController().signal };

function read(...parts: readonly string[]): Buffer {
	const bytes = readFileSync(conformance(...parts));
	return parts.at(-1)!.endsWith(".gz") ? gunzipSync(bytes) : bytes;
}

function json(...parts: readonly string[]): unknown {
	return parseJson(read(...parts), { what: parts.join("/"), maxBytes: 2 ** 28 });
}

describeConformance("pipeline", () => {
	test("builds.json follows from sources.json with the cache as lookups", async () => {
		const cache = readLookupCache(read("pipeline", "cache-builds.json"), { file: "cache-builds.json" });
		const expected = readBuilds(read("pipeline", "builds.json"), { file: "builds.json" });
		// One outside image is neither ours nor pinned: what it holds is only told by those that are built from it.
		const outside = new Map<string, Index>();
		for (const { build } of Object.values(expected)) {
			for (const [from, index] of Object.entries(build.resolvedParents)) {
				const known = outside.get(from)?.manifests ?? [];
				const others = index.manifests.filter(({ digest }) => known.every((other) => other.digest !== digest));
				outside.set(from, { ...index, manifests: [...known, ...others] });
			}
		}
		const asked: string[] = [];
		const output = await builds({ sources: json("pipeline", "sources.json") as Sources, cache }, io, {
			program: dockerProgram,
			lookup: (reference) => {
				asked.push(reference);
				return Promise.resolve(outside.get(reference));
			},
		});
		expect(asked).toEqual(["golang:1.19-alpine3.16"]);
		expect(output.waiting).toEqual([]);
		expect(Object.keys(output.builds)).toHaveLength(55);
		expect(writeBuilds(output.builds)).toBe(read("pipeline", "builds.json").toString());
		expect(tabJson(output.cache)).toBe(read("pipeline", "cache-builds.json").toString());
	});

	test("the queue of arm32v7", () => {
		const text = read("pipeline", "meta-queue", "out.json").toString();
		const given = json("pipeline", "meta-queue", "in.json") as {
			builds: Builds;
			pastJobs: Record<string, { count: number }>;
		};
		const output = queue(given.builds, given.pastJobs, "arm32v7", 0);
		expect(tabJson(output.queue) + tabJson(output.records) + tabJson(output.skipped)).toBe(text);
		expect(output.skipped).toBe(9);
	});
});

describeConformance("production-2024-06-20", () => {
	test("3,532 builds follow from the replay's lookups", async () => {
		const recorded = json("production-2024-06-20", "sources.json.gz") as Record<
			string,
			Source & { entry: SourceEntry }
		>;
		const sources: Record<string, Source> = {};
		for (const [id, { entry, sourceId, reproducibleGitChecksum, arches }] of Object.entries(recorded)) {
			sources[id] = { sourceId, reproducibleGitChecksum, entries: [entry], arches };
		}
		const cache = readLookupCache(read("production-2024-06-20", "replay", "lookups.json.gz"), { file: "lookups.json" });
		const output = await builds({ sources, cache }, io, {
			program: dockerProgram,
			lookup: (reference) => Promise.reject(new Error(`not among the lookups: ${reference}`)),
		});
		const all = Object.values(output.builds);
		expect(all).toHaveLength(3532);
		expect(all.filter(({ build }) => build.resolved !== null)).toHaveLength(3424);
		expect(output.waiting).toHaveLength(3544 - 3532);
		expect(JSON.stringify(output.builds)).toBe(
			read("production-2024-06-20", "replay", "builds.json.gz").toString().trimEnd(),
		);
	});
});
