import { Readable } from "node:stream";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { testIo } from "../../test/support/scripted.ts";
import { dockerProgram } from "../config/index.ts";
import { BrewlineError } from "../errors.ts";
import {
	mediaTypes,
	parseReference,
	printReference,
	repositoryOf,
	sha256Of,
	withDigest,
	type Index,
} from "../oci/index.ts";
import { createRegistryClient, startRegistry, type Fault } from "../registry/index.ts";
import type { Source, Sources } from "../sources/types.ts";
import {
	builds,
	checkMissing,
	openStaging,
	registryLookup,
	type BuildsOutput,
	type LookupCache,
	type StagedOptions,
} from "./index.ts";

const seed = Number(process.env["BREWLINE_SEED"] ?? 20_260_901);
const program = dockerProgram;
const usual = "registry.example.org/staging-ARCH:BUILD";

/** What is staged under a reference; `again`: as another run wrote it later. */
const indexOf = (reference: string, again = false): Index => ({
	schemaVersion: 2,
	mediaType: mediaTypes.ociIndex,
	manifests: ["amd64", "s390x"].map((arch) => ({
		mediaType: mediaTypes.ociManifest,
		digest: sha256Of(`${reference} ${arch} ${again}`),
		size: 5,
		annotations: { [program.annotations.architecture]: arch },
	})),
	annotations: {
		"org.opencontainers.image.ref.name": printReference(
			withDigest(repositoryOf(parseReference(reference)), digestOf(reference, again)),
		),
	},
});
const digestOf = (reference: string, again: boolean): string => sha256Of(`${reference} ${again}`);

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

const never = (_reference: string): boolean => false;

/** A registry that counts questions; `lists` says how it answers a list, `again` what was overwritten. */
function registryOf(
	held: ReadonlySet<string>,
	lists: "all" | "lagging" | "refused" | "endless" = "all",
	again: (reference: string) => boolean = never,
) {
	const asked: string[] = [];
	const heads: string[] = [];
	const pages: string[] = [];
	return {
		asked,
		heads,
		pages,
		lookup: async (reference: string) => {
			asked.push(reference);
			return held.has(reference) ? indexOf(reference, again(reference)) : undefined;
		},
		digestOf: async (reference: string) => {
			heads.push(reference);
			return held.has(reference) ? digestOf(reference, again(reference)) : undefined;
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

type Registry = Pick<StagedOptions, "lookup" | "digestOf" | "listTags">;

async function plan(
	sources: Sources,
	registry: Registry,
	cache: LookupCache = { indexes: {} },
	{ fresh = [], template = usual }: { readonly fresh?: readonly string[]; readonly template?: string } = {},
) {
	const io = testIo();
	const staging = openStaging(sources, cache, io, { template, ...registry, fresh: new Set(fresh) });
	const own = { ...program, registries: { ...program.registries, staging: template } };
	const output = await builds({ sources, cache: staging.cache }, io, { program: own, lookup: staging.lookup });
	return { ...output, ...staging.found(), logged: io.logged };
}

/** Everything that would be staged if all were built. */
async function whole(sources: Sources, template = usual, again = never): Promise<ReadonlySet<string>> {
	const held = new Set<string>();
	for (let before = -1; before < held.size;) {
		before = held.size;
		const output: BuildsOutput = await plan(sources, registryOf(held, "all", again), undefined, { template });
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
		const output = await plan(sources, registry, undefined, { fresh: [...held].slice(0, 3) });
		expect(Object.values(output.builds).filter(({ build }) => build.resolved !== null)).toHaveLength(3);
	});
});

describe("known references", () => {
	test("are confirmed by the list, and their content is not read again", async () => {
		const sources = sourcesOf(Array.from({ length: 60 }, (_, number) => (number === 0 ? null : number - 1)));
		const held = await whole(sources);
		const registry = registryOf(held);
		const output = await plan(sources, registry, cacheOf(held));
		// All but the last are parents.
		expect([registry.pages.length, registry.asked.length, registry.heads.length]).toEqual([1, 0, 59]);
		expect(output.missing).toEqual([]);
		expect(output.known).toBe(60);
		expect(Object.values(output.builds).every(({ build }) => build.resolved !== null)).toBe(true);
	});

	test("that were overwritten are read again where others are built from them", async () => {
		const sources = sourcesOf(Array.from({ length: 60 }, (_, number) => (number === 1 ? 0 : null)));
		const held = [...(await whole(sources))];
		const changed = held.slice(0, 3);
		const registry = registryOf(new Set(held), "all", (reference) => changed.includes(reference));
		const { builds: found, missing } = await plan(sources, registry, cacheOf(held));
		expect([registry.asked, registry.heads, missing]).toEqual([changed.slice(0, 1), changed.slice(0, 1), []]);
		const [, child] = Object.values(found);
		expect(child!.build.parents).toEqual({ "image-0:1": indexOf(changed[0]!, true).manifests[0]!.digest });
		expect(child!.build.resolved).toBeNull();
	});

	test("that are listed, and gone when they are asked for, are missing", async () => {
		const sources = sourcesOf(Array.from({ length: 60 }, (_, number) => (number === 1 ? 0 : null)));
		const held = [...(await whole(sources))];
		const listTags: StagedOptions["listTags"] = (...args) => registryOf(new Set(held)).listTags(...args);
		const registry = { ...registryOf(new Set(held.slice(1))), listTags };
		const { missing, waiting } = await plan(sources, registry, cacheOf(held));
		expect(missing).toEqual(held.slice(0, 1));
		expect(waiting).toHaveLength(1);
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
		const there = new Set(held.slice(0, 56));
		const lagging = registryOf(there, "lagging");
		const output = await plan(sources, lagging, cacheOf(held));
		expect(lagging.asked).toHaveLength(28 + 4);
		expect([...output.missing].sort()).toEqual(held.slice(56).sort());
		expect(() => checkMissing(output)).toThrow(
			expect.objectContaining({
				code: "registry",
				message: expect.stringMatching(
					/^4 of 60 images that were known to be staged are not there: registry.example.org/,
				),
				hint: expect.stringContaining("--accept-missing"),
			}),
		);
	});
});

describe("of a real registry", () => {
	/** Three of 60 are staged, beside tags that are no builds. */
	async function staged(fault: Fault | undefined) {
		const requests: string[] = [];
		let set = false;
		const server = await startRegistry({
			fault: ({ method, path }) => {
				if (set) requests.push(`${method} ${path}`);
				return set && path.includes("/tags/list") ? fault : undefined;
			},
		});
		const template = `${server.host}/staging-ARCH:BUILD`;
		const sources = sourcesOf(Array<null>(60).fill(null));
		const held = [...(await whole(sources, template))].slice(0, 3);
		const client = createRegistryClient(testIo(), { hides: () => true });
		for (const reference of [...held, `${server.host}/staging-amd64:latest`]) {
			const config = Buffer.from(JSON.stringify({ os: "linux", architecture: "amd64", reference }));
			const descriptor = { mediaType: mediaTypes.ociConfig, digest: sha256Of(config), size: config.length };
			await client.putBlob(parseReference(reference), descriptor, () => Readable.from([config], { objectMode: false }));
			const manifest = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config: descriptor, layers: [] };
			const bytes = Buffer.from(JSON.stringify(manifest));
			await client.putManifest(parseReference(reference), mediaTypes.ociManifest, bytes);
		}
		set = true;
		const registry = {
			...client,
			lookup: registryLookup(client, program),
			digestOf: async (reference: string) => (await client.headManifest(parseReference(reference)))?.digest,
		};
		const output = await plan(sources, registry, undefined, { template });
		await server.close();
		const resolved = Object.values(output.builds).filter(({ build }) => build.resolved !== null);
		expect(resolved.map(({ build }) => build.img).sort()).toEqual(held.sort());
		const lists = requests.filter((request) => request.includes("/tags/list")).length;
		const manifests = requests.filter((request) => request.includes("/manifests/")).length;
		return { lists, manifests, logged: JSON.stringify(output.logged) };
	}

	test("the list is read, and then what is there", async () => {
		expect(await staged(undefined)).toMatchObject({ lists: 1, manifests: 3 });
	});

	test.each([401, 403, 404, 405, 501])("a list that is answered with %i is no list", async (status) => {
		const { lists, manifests, logged } = await staged({ kind: "answer", status });
		expect([lists, manifests]).toEqual([1, 60]);
		expect(logged).toContain(`HTTP ${status}`);
	});

	test.each([
		{ kind: "reset", when: "before" },
		{ kind: "truncate", bytes: 20 },
		{ kind: "answer", status: 503 },
	] as const)("a list that fails each time is none, after all tries: $kind", async (fault) => {
		expect(await staged(fault)).toMatchObject({ lists: 5, manifests: 60 });
	});
});

test.each(["registry.example.org/staging/BUILD:ARCH", "registry.example.org/staging-ARCH/BUILD"])(
	"where each build has a repository, as in %s, each is asked for, and what is missing is known",
	async (template) => {
		const sources = sourcesOf(Array<null>(60).fill(null));
		const held = [...(await whole(sources, template))];
		const registry = registryOf(new Set(held.slice(0, 57)));
		const output = await plan(sources, registry, cacheOf(held), { template });
		expect([registry.pages.length, registry.asked.length, output.known]).toEqual([0, 60, 60]);
		expect([...output.missing].sort()).toEqual(held.slice(57).sort());
	},
);

test("more than 2 % of what was known may not be missing, nor in a small program half of it", () => {
	const stops = (known: number, count: number): boolean => {
		const missing = Array.from({ length: count }, (_, number) => `a:${number}`);
		try {
			checkMissing({ known, missing });
			return false;
		} catch {
			return true;
		}
	};
	/** The most that may be missing of so many. */
	const most = (known: number): number =>
		Array.from({ length: known + 1 }, (_, count) => count).findLast((count) => !stops(known, count))!;
	expect([0, 1, 2, 3, 4, 5, 6, 7, 8, 100, 150, 151, 199, 200, 1000].map((known) => [known, most(known)])).toEqual([
		[0, 0],
		[1, 0],
		[2, 0],
		[3, 1],
		[4, 1],
		[5, 2],
		[6, 2],
		[7, 3],
		[8, 3],
		[100, 3],
		[150, 3],
		[151, 3],
		[199, 3],
		[200, 4],
		[1000, 20],
	]);
	const missing = Array.from({ length: 50 }, (_, number) => `a:${number}`);
	expect(() => checkMissing({ known: 1000, missing })).toThrow(/^50 of 1000 images .*a:0, .*a:19, and 30 more$/);
});

/** What a plan is made of: ids, what they follow from, and whether there is something. */
function planned({ builds: found }: BuildsOutput) {
	return Object.values(found).map(({ buildId, build: { parents, resolvedParents, resolved } }) => ({
		buildId,
		parents,
		resolvedParents,
		there: resolved !== null,
	}));
}

test("what was known at any earlier time changes nothing, and nothing is asked for twice", async () => {
	// On both sides of where lists begin.
	const graph = fc
		.array(fc.nat(), { minLength: 30, maxLength: 90, size: "max" })
		.map((list) => list.map((number, index) => (index === 0 || number % 3 === 0 ? null : number % index)));
	await fc.assert(
		fc.asyncProperty(
			graph,
			fc.constantFrom(usual, "registry.example.org/staging:ARCH-BUILD", "registry.example.org/staging-ARCH/BUILD"),
			fc.constantFrom(["amd64"], ["amd64", "s390x"]),
			fc.array(fc.boolean(), { minLength: 97, maxLength: 97 }),
			fc.array(fc.boolean(), { minLength: 89, maxLength: 89 }),
			fc.constantFrom("all" as const, "lagging" as const, "refused" as const, "endless" as const),
			fc.option(fc.array(fc.boolean(), { minLength: 83, maxLength: 83 })),
			async (parents, template, arches, then, now, lists, rewritten) => {
				const sources = sourcesOf(parents, arches);
				const again = (reference: string): boolean =>
					rewritten?.[Number.parseInt(sha256Of(reference).slice(-8), 16) % rewritten.length] ?? false;
				const all = [...new Set([...(await whole(sources, template)), ...(await whole(sources, template, again))])];
				const held = new Set(all.filter((_, number) => now[number % now.length]));
				// What a list that lags hides of what nobody knew is planned, and found to be there by its leg.
				const hidden = lists === "lagging" ? held : new Set<string>();
				const known = cacheOf(all.filter((reference, number) => then[number % then.length] || hidden.has(reference)));
				const registry = registryOf(held, lists, again);
				const withMemory = await plan(sources, registry, known, { template });
				expect(new Set(registry.asked).size).toBe(registry.asked.length);
				expect(new Set(registry.heads).size).toBe(registry.heads.length);
				const complete = registryOf(held, lists === "lagging" ? "all" : lists, again);
				const without = await plan(sources, complete, undefined, { template });
				// What nothing is built from may have been overwritten since.
				const shown = (output: BuildsOutput) => (rewritten === null ? output.builds : planned(output));
				expect([shown(withMemory), withMemory.waiting]).toEqual([shown(without), without.waiting]);
				expect(withMemory.missing.every((reference) => !held.has(reference))).toBe(true);
			},
		),
		{ seed, numRuns: 60 },
	);
});
