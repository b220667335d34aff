import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { testIo } from "../../test/support/scripted.ts";
import { dockerProgram } from "../config/index.ts";
import { BrewlineError } from "../errors.ts";
import { mediaTypes, sha256Of, type Index } from "../oci/index.ts";
import type { Source, Sources } from "../sources/types.ts";
import { builds, checkMissing, openStaging, type BuildsOutput, type LookupCache } from "./index.ts";

const seed = Number(process.env["BREWLINE_SEED"] ?? 20_260_901);
const program = dockerProgram;
const template = "registry.example.org/staging-ARCH:BUILD";

const indexOf = (reference: string): Index => ({
	schemaVersion: 2,
	mediaType: mediaTypes.ociIndex,
	manifests: ["amd64", "s390x"].map((arch) => ({
		mediaType: mediaTypes.ociManifest,
		digest: sha256Of(`${reference} ${arch}`),
		size: 5,
		annotations: { [program.annotations.architecture]: arch },
	})),
});

/** Sources, each on `scratch` or on one before it. */
function sourcesOf(parents: readonly (number | null)[], arches: readonly string[] = ["amd64"]): Sources {
	const ids = parents.map((_, number) => sha256Of(`source ${number}`).slice("sha256:".length));
	const list = parents.map((parent, number): [string, Source] => {
		const from = parent === null ? "scratch" : `image-${parent}:1`;
		const ofArch = {
			tags: [`image-${number}:1`],
			archTags: [],
			froms: [from],
			lastStageFrom: from,
			platformString: "linux/amd64",
			platform: { os: "linux", architecture: "amd64" },
			parents: { [from]: { sourceId: parent === null ? null : ids[parent]!, pin: null } },
		};
		const own = Object.fromEntries(arches.map((arch) => [arch, ofArch]));
		return [ids[number]!, { sourceId: ids[number]!, reproducibleGitChecksum: ids[number]!, entries: [], arches: own }];
	});
	return Object.fromEntries(list);
}

/** A registry that counts questions; `lists` says how it answers a list. */
function registryOf(held: ReadonlySet<string>, lists: "all" | "lagging" | "refused" | "endless" = "all") {
	const asked: string[] = [];
	const pages: string[] = [];
	return {
		asked,
		pages,
		lookup: async (reference: string) => {
			asked.push(reference);
			return held.has(reference) ? indexOf(reference) : undefined;
		},
		listTags: async function* (
			repository: { readonly repository: string },
			{ maxPages }: { readonly maxPages: number },
		) {
			if (lists === "refused") throw new BrewlineError("credentials", "not yours to list");
			const own = [...held].filter((reference) => reference.includes(`/${repository.repository}:`));
			if (lists === "endless") {
				for (let page = 0; page < maxPages; page++) {
					pages.push(repository.repository);
					yield sha256Of(`foreign ${page}`).slice("sha256:".length);
				}
				throw new BrewlineError("registry", `more than ${maxPages} pages`);
			}
			pages.push(repository.repository);
			for (const [number, reference] of own.entries()) {
				if (lists === "all" || number % 2 === 0) yield reference.slice(reference.lastIndexOf(":") + 1);
			}
		},
	};
}

type Registry = ReturnType<typeof registryOf>;

async function plan(
	sources: Sources,
	registry: Registry,
	cache: LookupCache = { indexes: {} },
	fresh: readonly string[] = [],
) {
	const io = testIo();
	const staging = openStaging(sources, cache, io, { template, ...registry, fresh: new Set(fresh) });
	const own = { ...program, registries: { ...program.registries, staging: template } };
	const output = await builds({ sources, cache: staging.cache }, io, { program: own, lookup: staging.lookup });
	return { ...output, ...staging.found(), logged: io.logged };
}

/** Everything that would be staged if all were built. */
async function whole(sources: Sources): Promise<ReadonlySet<string>> {
	const held = new Set<string>();
	for (let before = -1; before < held.size;) {
		before = held.size;
		const output: BuildsOutput = await plan(sources, registryOf(held));
		for (const { build } of Object.values(output.builds)) held.add(build.img);
	}
	return held;
}

const cacheOf = (references: Iterable<string>): LookupCache => ({
	indexes: Object.fromEntries([...references].map((reference) => [reference, indexOf(reference)])),
});

describe("unknown references", () => {
	test("8,000 of an empty registry cost one list for each repository, and no other question", async () => {
		const registry = registryOf(new Set());
		const { builds: found } = await plan(sourcesOf(Array<null>(4000).fill(null), ["amd64", "s390x"]), registry);
		expect(Object.keys(found)).toHaveLength(8000);
		expect(registry.pages.sort()).toEqual(["staging-amd64", "staging-s390x"]);
		expect(registry.asked).toEqual([]);
	});

	test("that are there are asked for once each; what else the repository has is not", async () => {
		const sources = sourcesOf(Array<null>(100).fill(null));
		const held = [...(await whole(sources))].slice(0, 40);
		const foreign = Array.from(
			{ length: 300 },
			(_, number) => `registry.example.org/staging-amd64:${sha256Of(`${number}`).slice(7)}`,
		);
		const registry = registryOf(new Set([...held, ...foreign]));
		const output = await plan(sources, registry);
		expect(registry.asked.sort()).toEqual(held.sort());
		expect(Object.values(output.builds).filter(({ build }) => build.resolved !== null)).toHaveLength(40);
	});

	test("of a small program are asked for one by one", async () => {
		const registry = registryOf(new Set());
		await plan(sourcesOf(Array<null>(49).fill(null)), registry);
		expect([registry.pages.length, registry.asked.length]).toEqual([0, 49]);
	});

	test.each(["refused", "endless"] as const)("are asked for one by one where the list is %s", async (lists) => {
		const sources = sourcesOf(Array<null>(60).fill(null));
		const held = await whole(sources);
		const registry = registryOf(held, lists);
		const output = await plan(sources, registry);
		expect(registry.asked).toHaveLength(60);
		// Never more than twice what is needed.
		expect(registry.pages.length).toBeLessThanOrEqual(60);
		expect(Object.values(output.builds).every(({ build }) => build.resolved !== null)).toBe(true);
		expect(output.logged.map((event) => (event.type === "message" ? event.text : "")).join()).toContain(
			"staging-amd64 are not listed, so 60 references are asked for one by one",
		);
	});

	test("that were pushed lately are asked for, whatever an old list says", async () => {
		const sources = sourcesOf(Array<null>(60).fill(null));
		const held = await whole(sources);
		const registry = { ...registryOf(held), listTags: async function* () {} };
		const output = await plan(sources, registry, undefined, [...held].slice(0, 3));
		expect(Object.values(output.builds).filter(({ build }) => build.resolved !== null)).toHaveLength(3);
	});
});

describe("known references", () => {
	test("are confirmed by the list, and their content is not read again", async () => {
		const sources = sourcesOf(Array.from({ length: 60 }, (_, number) => (number === 0 ? null : number - 1)));
		const held = await whole(sources);
		const registry = registryOf(held);
		const output = await plan(sources, registry, cacheOf(held));
		expect([registry.pages.length, registry.asked.length]).toEqual([1, 0]);
		expect(output.missing).toEqual([]);
		expect(output.known).toBe(60);
		expect(Object.values(output.builds).every(({ build }) => build.resolved !== null)).toBe(true);
	});

	test("that say to be elsewhere are not believed", async () => {
		const sources = sourcesOf([null]);
		const [reference] = [...(await whole(sources))];
		const honest = indexOf(reference!);
		const forged = (place: string): LookupCache => ({
			indexes: {
				[reference!]: {
					...honest,
					manifests: honest.manifests.map((manifest) => ({
						...manifest,
						annotations: { ...manifest.annotations, "org.opencontainers.image.ref.name": place },
					})),
				},
			},
		});
		const at = (place: string) => plan(sources, registryOf(new Set([reference!])), forged(place));
		const digest = honest.manifests[0]!.digest;
		expect((await at(`registry.example.org/staging-amd64@${digest}`)).known).toBe(1);
		for (const place of [`evil.example.org/staging-amd64@${digest}`, `registry.example.org/other@${digest}`]) {
			const output = await at(place);
			expect(output.known).toBe(0);
			expect(Object.values(output.builds)[0]!.build.resolved).toEqual({
				...honest,
				manifests: honest.manifests.slice(0, 1),
			});
		}
	});

	test("that the list does not have are asked for before they count as missing", async () => {
		const sources = sourcesOf(Array<null>(60).fill(null));
		const held = [...(await whole(sources))];
		const there = new Set(held.slice(0, 58));
		const lagging = registryOf(there, "lagging");
		const output = await plan(sources, lagging, cacheOf(held));
		expect(lagging.asked).toHaveLength(29 + 2);
		expect([...output.missing].sort()).toEqual(held.slice(58).sort());
		expect(() => checkMissing(output)).toThrow(
			expect.objectContaining({
				code: "registry",
				message: expect.stringMatching(
					/^2 of 60 images that were known to be staged are not there: registry.example.org/,
				),
				hint: expect.stringContaining("--accept-missing"),
			}),
		);
	});
});

test("more than 2 % of what was known may not be missing", () => {
	const missing = (count: number) => Array.from({ length: count }, (_, number) => `a:${number}`);
	expect(() => checkMissing({ known: 0, missing: [] })).not.toThrow();
	expect(() => checkMissing({ known: 100, missing: missing(2) })).not.toThrow();
	expect(() => checkMissing({ known: 100, missing: missing(3) })).toThrow("3 of 100 images");
	expect(() => checkMissing({ known: 1000, missing: missing(50) })).toThrow(/a:0, .*a:19, and 30 more$/);
});

test("what was known at any earlier time changes nothing, and nothing is asked for twice", async () => {
	const graph = fc
		.array(fc.nat(), { minLength: 1, maxLength: 90 })
		.map((list) => list.map((number, index) => (index === 0 || number % 3 === 0 ? null : number % index)));
	await fc.assert(
		fc.asyncProperty(
			graph,
			fc.array(fc.boolean(), { minLength: 97, maxLength: 97 }),
			fc.array(fc.boolean(), { minLength: 89, maxLength: 89 }),
			fc.constantFrom("all" as const, "lagging" as const, "refused" as const, "endless" as const),
			async (parents, then, now, lists) => {
				const sources = sourcesOf(parents);
				const all = [...(await whole(sources))];
				const held = new Set(all.filter((_, number) => now[number % now.length]));
				const known = cacheOf(all.filter((_, number) => then[number % then.length]));
				const registry = registryOf(held, lists);
				const withMemory = await plan(sources, registry, known);
				expect(new Set(registry.asked).size).toBe(registry.asked.length);
				// A list that lags hides what nobody knew of: that is planned, and found to be there by its leg.
				const without = await plan(sources, registryOf(held, lists === "lagging" ? "all" : lists));
				const planned = (of: BuildsOutput) =>
					Object.values(of.builds).filter((build) => lists !== "lagging" || build.build.resolved !== null);
				expect(planned(without)).toEqual(expect.arrayContaining(planned(withMemory)));
				expect(lists === "lagging" || planned(withMemory).length === planned(without).length).toBe(true);
				expect(withMemory.missing.every((reference) => !held.has(reference))).toBe(true);
			},
		),
		{ seed, numRuns: 60 },
	);
});
