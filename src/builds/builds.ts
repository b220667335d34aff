import type { Program } from "../config/types.ts";
import { BrewlineError } from "../errors.ts";
import { printable } from "../io/printable.ts";
import type { Io } from "../io/types.ts";
import { orderedEntries, orderedObject, sortedByKey } from "../json/index.ts";
import { goIndex, type Index } from "../oci/index.ts";
import type { Source, SourceArch, SourceParent, Sources } from "../sources/types.ts";
import { checkStagingTemplate, forcedId, outsideReference, restrictedTo, stagingReference } from "./identity.ts";
import { limit } from "./limit.ts";
import type { Build, Builds, Lookup, LookupCache, Waiting } from "./types.ts";

export interface BuildsInput {
	readonly sources: Sources;
	/** Of a previous run: what stands in it is believed and not looked up. */
	readonly cache?: LookupCache;
	/** What is to be built again although nothing changed: the text, by the id that is replaced (docs/design.md). */
	readonly forced?: Readonly<Record<string, string>>;
}

export interface BuildsOptions {
	readonly program: {
		readonly registries: Pick<Program["registries"], "staging">;
		readonly annotations: Pick<Program["annotations"], "architecture">;
	};
	/** Asked once for each distinct reference. */
	readonly lookup: Lookup;
	/** Lookups at a time; default 32. */
	readonly concurrency?: number;
}

export interface BuildsOutput {
	readonly builds: Builds;
	/**
	 * In the order of the sources; for each source and architecture one parent that is not available: the first that will not
	 * come by building, else the first.
	 */
	readonly waiting: readonly Waiting[];
	readonly cache: LookupCache;
}

type Outcome = { readonly build: Build } | { readonly waiting: Waiting };
type Parent = { readonly index: Index } | { readonly missing: Omit<Waiting, "sourceId" | "arch" | "parent"> };

/**
 * What each source becomes on each architecture, given what the registry holds (spec/builds.md). A build is worked
 * out as soon as its own parents are known, so that lookups of unrelated images do not wait for one another.
 * Throws `handover` where a source's parent does not stand before it, and what `lookup` throws: the first error in
 * the order of the sources; no lookup is started after one has failed.
 */
export async function builds(
	input: BuildsInput,
	io: Pick<Io, "signal">,
	options: BuildsOptions,
): Promise<BuildsOutput> {
	const { program } = options;
	checkStagingTemplate(program.registries.staging);
	const registry = lookups(input.cache, io, options);
	const parents = parentPairs(input.sources);
	const outcomes = new Map<Source, Map<string, Promise<Outcome>>>();
	const all: Promise<Outcome>[] = [];

	const parentOf = async (from: string, { sourceId, pin }: SourceParent, arch: string): Promise<Parent> => {
		if (sourceId === null) {
			return await registry.outside(outsideReference(from, pin), arch);
		}
		const source = Object.hasOwn(input.sources, sourceId) ? input.sources[sourceId] : undefined;
		const known = source === undefined ? undefined : outcomes.get(source);
		if (known === undefined) {
			const why = source === undefined ? "is not in the list" : "does not stand before it";
			throw new BrewlineError(
				"handover",
				`${printable(from)} is built by source ${printable(sourceId)}, which ${why}`,
				{
					hint: "sources.json must hold all parents before their children: compute it again",
				},
			);
		}
		const outcome = await known.get(arch);
		if (outcome === undefined) {
			return { missing: { parentSourceId: sourceId, reason: "parent-lacks-architecture" } };
		}
		if ("waiting" in outcome) {
			return { missing: { parentSourceId: sourceId, reason: "parent-waiting" } };
		}
		const index = outcome.build.build.resolved;
		return index === null ? { missing: { parentSourceId: sourceId, reason: "parent-not-built" } } : { index };
	};

	const outcomeOf = async (source: Source, arch: string, ofArch: SourceArch): Promise<Outcome> => {
		const { sourceId } = source;
		const froms = orderedEntries(ofArch.parents).filter(([from]) => from !== "scratch");
		const found = await Promise.all(
			froms.map(async ([from, parent]) => [from, await parentOf(from, parent, arch)] as const),
		);
		const resolvedParents: [string, Index][] = [];
		const missing: Waiting[] = [];
		for (const [from, parent] of found) {
			if ("missing" in parent) missing.push({ sourceId, arch, parent: from, ...parent.missing });
			else resolvedParents.push([from, parent.index]);
		}
		if (missing.length > 0) return { waiting: missing.find(isLasting) ?? missing[0]! };
		const digests = orderedObject(resolvedParents.map(([from, index]) => [from, index.manifests[0]!.digest]));
		const { buildId, force } = forcedId({ sourceId, arch, parents: digests }, input.forced ?? {});
		const img = stagingReference(program.registries.staging, buildId, arch);
		const resolved = await registry.staged(img, arch, parents.has(`${sourceId} ${arch}`));
		const build = {
			img,
			resolved,
			sourceId,
			arch,
			parents: digests,
			resolvedParents: orderedObject(resolvedParents),
			...(force === undefined ? {} : { force }),
		};
		return { build: { buildId, build, source: { ...source, arches: { [arch]: ofArch } } } };
	};

	for (const [, source] of orderedEntries(input.sources)) {
		const ofSource = new Map<string, Promise<Outcome>>();
		for (const [arch, ofArch] of orderedEntries(source.arches)) {
			const outcome = outcomeOf(source, arch, ofArch);
			ofSource.set(arch, outcome);
			all.push(outcome);
		}
		// Only now: a source that names itself as its parent does not stand before itself.
		outcomes.set(source, ofSource);
	}
	return { ...collected(await settled(all)), cache: registry.cache() };
}

/** Sources and architectures that others are built from. */
function parentPairs(sources: Sources): ReadonlySet<string> {
	const pairs = new Set<string>();
	for (const { arches } of Object.values(sources)) {
		for (const [arch, { parents }] of Object.entries(arches)) {
			for (const { sourceId } of Object.values(parents)) if (sourceId !== null) pairs.add(`${sourceId} ${arch}`);
		}
	}
	return pairs;
}

/** Whether no build of ours can change it. */
function isLasting({ reason }: Waiting): boolean {
	return reason === "parent-missing" || reason === "parent-lacks-architecture";
}

/** All results, or the first error in their order, once nothing runs any more. */
async function settled<T>(promises: readonly Promise<T>[]): Promise<T[]> {
	const results = await Promise.allSettled(promises);
	return results.map((result) => {
		if (result.status === "rejected") {
			throw result.reason;
		}
		return result.value;
	});
}

function collected(outcomes: readonly Outcome[]): Pick<BuildsOutput, "builds" | "waiting"> {
	const found: Record<string, Build> = {};
	const waiting: Waiting[] = [];
	for (const outcome of outcomes) {
		if ("waiting" in outcome) {
			waiting.push(outcome.waiting);
		} else {
			found[outcome.build.buildId] = outcome.build;
		}
	}
	return { builds: found, waiting };
}

/** The lookups of one run, each once, and what of them the next run may believe. */
function lookups(cache: LookupCache | undefined, io: Pick<Io, "signal">, options: BuildsOptions) {
	const annotation = options.program.annotations.architecture;
	const limited = limit(options.concurrency ?? 32, io.signal);
	const asked = new Map<string, Promise<Index | undefined>>();
	const restrictions = new Map<string, Promise<Parent>>();
	const lasting: [string, Index][] = [];

	const fresh = async (reference: string, parent: boolean): Promise<Index | undefined> => {
		const found = await limited(() => options.lookup(reference, { parent }));
		return found === undefined ? undefined : goIndex(found);
	};
	const find = async (reference: string, lasts: boolean, parent: boolean): Promise<Index | undefined> => {
		const cached =
			cache !== undefined && Object.hasOwn(cache.indexes, reference) ? cache.indexes[reference] : undefined;
		// What stands in a cache stood in this form when it was written.
		const index = cached === undefined ? await fresh(reference, parent) : (cached ?? undefined);
		if (lasts && index !== undefined) {
			lasting.push([reference, index]);
		}
		return index;
	};
	const once = <T>(known: Map<string, Promise<T>>, key: string, make: () => Promise<T>): Promise<T> => {
		const before = known.get(key);
		if (before !== undefined) {
			return before;
		}
		const made = make();
		known.set(key, made);
		return made;
	};
	const ask = (reference: string, lasts: boolean, parent: boolean) =>
		once(asked, reference, () => find(reference, lasts, parent));

	return {
		/** What an image of others holds for the architecture; the same object for all who ask. */
		outside: (reference: string, arch: string): Promise<Parent> =>
			once(restrictions, `${arch} ${reference}`, async () => {
				const index = await ask(reference, reference.includes("@"), true);
				if (index === undefined) {
					return { missing: { parentSourceId: null, reason: "parent-missing" } };
				}
				const restricted = restrictedTo(index, arch, annotation);
				return restricted === undefined
					? { missing: { parentSourceId: null, reason: "parent-lacks-architecture" } }
					: { index: restricted };
			}),
		staged: async (reference: string, arch: string, parent: boolean): Promise<Index | null> => {
			const index = await ask(reference, true, parent);
			return (index && restrictedTo(index, arch, annotation)) ?? null;
		},
		cache: (): LookupCache => ({ indexes: sortedByKey(Object.fromEntries(lasting)) }),
	};
}
