import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { dockerProgram } from "../../src/config/index.ts";
import { forArchitecture, loadLibrary, resolveReferences, type Selection } from "../../src/definition/index.ts";
import { nodeIo } from "../../src/io/index.ts";
import { tabJson } from "../../src/json/index.ts";
import {
	readExternalPins,
	readSources,
	sourceIdOf,
	sources,
	writeSources,
	type Sources,
} from "../../src/sources/index.ts";
import { conformance, describeConformance } from "../support/conformance.ts";

const io = nodeIo({ log: () => {} });
const { architectures, defaultArchitecture } = dockerProgram;
const known = { architectures: Object.keys(architectures), defaultArchitecture };

describeConformance("production-2024-06-20", () => {
	const text = gunzipSync(readFileSync(conformance("production-2024-06-20/sources.json.gz")));
	const load = (): Promise<readonly Selection[]> => loadLibrary(conformance("production-2024-06-20/library"), known);

	interface Old {
		readonly sourceId: string;
		readonly reproducibleGitChecksum: string;
		readonly entry: Sources[string]["entries"][number];
		readonly arches: Sources[string]["arches"];
	}
	const old = JSON.parse(text.toString()) as Readonly<Record<string, Old>>;

	test("912 ids follow from checksum, File and Builder", () => {
		const ids = Object.values(old).map(({ reproducibleGitChecksum, entry }) =>
			sourceIdOf(reproducibleGitChecksum, entry.File, entry.Builder),
		);
		expect(ids.length).toBe(912);
		expect(ids).toEqual(Object.keys(old));
	});

	test("the definitions give tags, arch tags, platforms and git fields of all 19,081 pairs", async () => {
		const pairs = (rows: readonly (readonly unknown[])[]): readonly string[] =>
			rows.map((row) => JSON.stringify(row)).sort();
		const recorded = Object.values(old).flatMap(({ entry, arches }) =>
			Object.entries(arches).flatMap(([arch, { tags, archTags, platformString, platform }]) => {
				const { SOURCE_DATE_EPOCH: _, ...place } = entry;
				return tags.map((tag, index) => [arch, tag, archTags[index], platformString, platform, place]);
			}),
		);
		const result = await sources({ selections: await load(), pins: new Map(), previous: readSources(text) }, io, {
			program: dockerProgram,
		});
		const defined = (await load()).flatMap(({ name, entries }) =>
			entries.flatMap((entry) =>
				entry.Architectures.flatMap((arch) =>
					[...entry.Tags, ...entry.SharedTags].map((tag) => {
						const { namespace, platform } = architectures[arch]!;
						const { os, architecture, variant } = platform;
						return [
							arch,
							`${name}:${tag}`,
							`${namespace}/${name}:${tag}`,
							[os, architecture, ...(variant === undefined ? [] : [variant])].join("/"),
							{ architecture, os, ...(variant === undefined ? {} : { variant }) },
							forArchitecture(entry, arch),
						];
					}),
				),
			),
		);
		expect(recorded.length).toBe(19081);
		expect(pairs(defined)).toEqual(pairs(recorded));
		expect(
			Object.values(result).flatMap(({ arches }) => Object.values(arches).flatMap(({ tags }) => tags)).length,
		).toBe(19081);
	});

	test("with the heavy fields taken over it is computed again, parents, order and all", async () => {
		const previous = readSources(text);
		const pins = await readExternalPins(conformance("production-2024-06-20/external-pins"));
		const result = await sources({ selections: await load(), pins, previous }, io, { program: dockerProgram });
		// The text, so the order of keys as well.
		expect(writeSources(result)).toBe(writeSources(previous));
		const again = await sources({ selections: await load(), pins, previous: result }, io, { program: dockerProgram });
		expect(again).toEqual(result);
	});
});

describeConformance("pipeline", () => {
	const text = readFileSync(conformance("pipeline/sources.json"), "utf8");
	const references = [
		["docker:cli", "docker:dind", "docker:windowsservercore", "notary"],
		["latest", "glibc", "musl", "uclibc"].map((tag) => `busybox:${tag}`),
	].flat();
	const options = { ...known, libraryDirectory: conformance("pipeline/library") };

	/** As the recorded run was made: the last image for a program whose architectures have no namespace. */
	async function compute(): Promise<Sources> {
		const previous = readSources(text);
		const pins = await readExternalPins(conformance("pipeline/external-pins"));
		const withoutNamespaces = Object.fromEntries(
			Object.entries(architectures).map(([arch, each]) => [arch, { ...each, namespace: null }]),
		);
		const official = { selections: await resolveReferences(references, options), pins, previous };
		const other = { selections: await resolveReferences(["infosiftr-moby"], options), pins, previous };
		return {
			...(await sources(official, io, { program: dockerProgram })),
			...(await sources(other, io, { program: { architectures: withoutNamespaces } })),
		};
	}

	test("sources.json is the same to the byte", async () => {
		expect(writeSources(await compute())).toBe(text);
	});

	test("all-tags.json: which source serves which tag", async () => {
		const tags: Record<string, string[]> = {};
		for (const { sourceId, arches } of Object.values(await compute())) {
			for (const [arch, each] of Object.entries(arches)) {
				for (const tag of [...each.tags, ...each.archTags]) (tags[tag] ??= []).push(`${sourceId}-${arch}`);
			}
		}
		expect(tabJson(tags)).toBe(readFileSync(conformance("pipeline/all-tags.json"), "utf8"));
	});
});
