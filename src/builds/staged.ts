import { BrewlineError } from "../errors.ts";
import type { Io } from "../io/types.ts";
import {
	canonicalReference,
	parseReference,
	repositoryOf,
	tryParseReference,
	type Index,
	type Reference,
} from "../oci/index.ts";
import type { Sources } from "../sources/types.ts";
import { stagingReference } from "./identity.ts";
import type { Lookup, LookupCache } from "./types.ts";

export interface StagedOptions {
	/** The template of staging references (spec/builds.md, step 4). */
	readonly template: string;
	/** Asks for one reference. */
	readonly lookup: Lookup;
	/** Asks for the digest of what a reference holds, and no more; undefined: not there. */
	readonly digestOf: (reference: string) => Promise<string | undefined>;
	/** Lists the tags of a repository; throws where that is not all of them, or may not be. */
	readonly listTags: (repository: Reference, options: { readonly maxPages: number }) => AsyncIterable<string>;
	/** Staging references that were pushed lately: lists lag writes. */
	readonly fresh: ReadonlySet<string>;
}

/** What staging holds, asked in as few questions as that takes. */
export interface Staging {
	readonly lookup: Lookup;
	/** Of the cache, what needs no question: what was looked up by digest never changes. */
	readonly cache: LookupCache;
	/** How many staged references were known and asked about, and those of them that are not there. */
	readonly found: () => { readonly known: number; readonly missing: readonly string[] };
}

/** Below so many pairs of source and architecture in a repository, its references are asked for one by one. */
const listedFrom = 50;

/** Pages come one after another, and all of their tags are kept: no more of them, however many questions they save. */
const listedPages = 1000;

interface Repository {
	/** How many references may be asked for at most. */
	pairs: number;
	readonly reference: Reference;
	/** All of its tags; undefined: they could not be listed. */
	tags: Promise<ReadonlySet<string> | undefined> | undefined;
}

/**
 * Staging references are build ids, in one repository for each architecture. Where many of them are in question, the tags
 * of the repository are listed, and only what is there is asked for; a list that would cost more pages than it can save
 * requests is given up. What an earlier run knew is confirmed in this one, by the list or by a question of its own, so that
 * what is remembered changes no plan; only its content is not read again. Two runs may write one build id, so of what others
 * are built from the digest is asked for: few are, and it is no download.
 */
export function openStaging(
	sources: Sources,
	cache: LookupCache,
	io: Pick<Io, "log">,
	{ template, lookup, digestOf, listTags, fresh }: StagedOptions,
): Staging {
	const repositories = new Map<string, Repository>();
	for (const { arches } of Object.values(sources)) {
		for (const arch of Object.keys(arches)) {
			const reference = repositoryOf(parseReference(stagingReference(template, noBuild, arch)));
			const key = canonicalReference(reference);
			const known = repositories.get(key) ?? { pairs: 0, reference, tags: undefined };
			known.pairs++;
			repositories.set(key, known);
		}
	}
	const asked = new Set<string>();
	const missing: string[] = [];

	const ask = async (reference: string, known: boolean): Promise<Index | undefined> => {
		const found = await lookup(reference);
		if (known && found === undefined) missing.push(reference);
		return found;
	};

	const lookUp: Lookup = async (reference, { parent = false } = {}) => {
		const parsed = parseReference(reference);
		if (parsed.digest !== undefined || !buildId.test(reference)) return await lookup(reference);
		const known = believed(reference, cache);
		if (known !== undefined) asked.add(reference);
		// The template may have the id in the repository's name: then there is nothing to list.
		const repository = buildId.test(parsed.tag ?? "")
			? repositories.get(canonicalReference(repositoryOf(parsed)))
			: undefined;
		const tags =
			repository === undefined || fresh.has(reference)
				? undefined
				: await (repository.tags ??= tagsOf(repository, io, listTags));
		if (tags === undefined) return await ask(reference, known !== undefined);
		if (tags.has(parsed.tag!)) {
			if (known === undefined) return await lookup(reference);
			if (!parent || (await digestOf(reference)) === digestIn(known)) return known;
			return await ask(reference, true);
		}
		// A list may be older than what was pushed.
		return known === undefined ? undefined : await ask(reference, true);
	};

	const lasting = Object.keys(cache.indexes).flatMap((reference) => {
		const index = reference.includes("@") ? believed(reference, cache) : undefined;
		return index === undefined ? [] : [[reference, index] as const];
	});
	return {
		lookup: lookUp,
		cache: { indexes: Object.fromEntries(lasting) },
		found: () => ({ known: asked.size, missing }),
	};
}

/**
 * What is remembered of a reference. Its images must be where they were read from: else whoever can write the memory could
 * have builds stand on images of any registry.
 */
function believed(reference: string, cache: LookupCache): Index | undefined {
	const index = Object.hasOwn(cache.indexes, reference) ? cache.indexes[reference] : undefined;
	if (!index) return undefined;
	const places = new Set(index.manifests.flatMap(({ annotations }) => repositoryIn(annotations?.[refName]) ?? []));
	const own = repositoryIn(reference);
	return own !== undefined && [...places].every((place) => place === own) ? index : undefined;
}

/** The digest that a reference had when it was looked up. */
function digestIn({ annotations }: Index): string | undefined {
	return tryParseReference(annotations?.[refName] ?? "")?.digest;
}

const refName = "org.opencontainers.image.ref.name";

function repositoryIn(reference: string | undefined): string | undefined {
	const parsed = reference === undefined ? undefined : tryParseReference(reference);
	return parsed && canonicalReference(repositoryOf(parsed));
}

const noBuild = "0".repeat(64);
/** A tag that holds the id of a build, wherever the template has it. */
const buildId = /[0-9a-f]{64}/;

async function tagsOf(
	{ pairs, reference }: Repository,
	io: Pick<Io, "log">,
	listTags: StagedOptions["listTags"],
): Promise<ReadonlySet<string> | undefined> {
	if (pairs < listedFrom) return undefined;
	try {
		const tags = new Set<string>();
		// After as many pages as references it has cost as much as all questions.
		const pages = listTags(reference, { maxPages: Math.min(pairs, listedPages) });
		for await (const tag of pages) if (buildId.test(tag)) tags.add(tag);
		return tags;
	} catch (error) {
		if (!(error instanceof BrewlineError) || error.code === "cancelled") throw error;
		const text = `the tags of ${canonicalReference(reference)} are not listed, so ${pairs} references are asked for one by one: ${error.message}`;
		io.log({ type: "message", level: "debug", text });
		return undefined;
	}
}

/** How much of what was known may be missing; in small programs so many, as long as most of it is there. */
const doubtfulShare = 0.02;
const fewMissing = 3;
/** No more of it than that is said. */
const namedReferences = 20;

/**
 * Throws where much that was known to be staged is not there now: a registry that was emptied, or a credential that sees
 * less than it did, must not have everything built again. That is more than 2 % of it; up to three images are not much where
 * they are less than half.
 */
export function checkMissing({ known, missing }: ReturnType<Staging["found"]>): void {
	if (missing.length <= known * doubtfulShare) return;
	if (missing.length <= fewMissing && missing.length * 2 < known) return;
	const named = missing.slice(0, namedReferences);
	const more = missing.length > named.length ? [`and ${missing.length - named.length} more`] : [];
	throw new BrewlineError(
		"registry",
		`${missing.length} of ${known} images that were known to be staged are not there: ${[...named, ...more].join(", ")}`,
		{
			hint: "check the registry and the credential; if they are lost indeed, go on with --accept-missing (accept-missing: true)",
		},
	);
}
