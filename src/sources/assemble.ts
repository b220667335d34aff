import type { Architecture } from "../config/types.ts";
import { BrewlineError, type Location } from "../errors.ts";
import { printable } from "../io/printable.ts";
import { platformString } from "../oci/index.ts";
import { checkCycles } from "./cycles.ts";
import { throwAll } from "./errors.ts";
import { sourceIdOf } from "./id.ts";
import type { Source, SourceArch, SourceEntry, SourceParent, Sources } from "./types.ts";

/** Where the definition says that an architecture of an entry is to be found. */
export type SourcePlace = Omit<SourceEntry, "SOURCE_DATE_EPOCH">;

/** What only git knows about it: the slow part, taken over from a previous run where that is possible. */
export interface SourceFacts {
	/** `reproducibleGitChecksum`. */
	readonly checksum: string;
	/** `SOURCE_DATE_EPOCH`, Unix seconds. */
	readonly epoch: number;
	readonly froms: readonly string[];
	readonly lastStageFrom: string;
}

/** One architecture of one entry of a definition. */
export interface SourceCandidate {
	/** The image's name. */
	readonly name: string;
	/** Tags, then shared tags, without the name. */
	readonly tags: readonly string[];
	readonly arch: string;
	readonly place: SourcePlace;
	/** Where the entry stands, for errors. */
	readonly at: Location;
}

export interface AssembleOptions {
	readonly architectures: Readonly<Record<string, Pick<Architecture, "platform" | "namespace">>>;
	/** Digests of images from outside, by their FROM. */
	readonly pins: ReadonlyMap<string, string>;
}

interface Draft {
	readonly sourceId: string;
	readonly checksum: string;
	readonly entries: Map<string, SourceEntry>;
	readonly arches: Map<string, DraftArch>;
}

interface DraftArch {
	/** With repetitions, where several candidates are one. */
	readonly tags: string[];
	readonly archTags: string[];
	readonly facts: SourceFacts;
	readonly from: SourceCandidate;
}

/**
 * `sources.json` from candidates in build order and what git says about each (spec/sources.md, Shape). Touches
 * nothing. All that is wrong is reported at once: architectures that the program does not know, one source that is
 * two things on one architecture, two sources for a tag that something builds FROM, and circles of FROMs.
 */
export function assembleSources(
	candidates: readonly (readonly [SourceCandidate, SourceFacts])[],
	options: AssembleOptions,
): Sources {
	const errors: BrewlineError[] = [];
	const drafts = new Map<string, Draft>();
	// Of a library's tags few are built upon: only those are worth remembering.
	const wanted = new Set(candidates.flatMap(([, { froms }]) => froms));
	const providers = new Map<string, string[]>();
	for (const [candidate, facts] of candidates) {
		const architecture = Object.hasOwn(options.architectures, candidate.arch)
			? options.architectures[candidate.arch]
			: undefined;
		if (architecture === undefined) {
			errors.push(about(candidate, "definition", "the program has no such architecture"));
			continue;
		}
		const { arch, place } = candidate;
		const sourceId = sourceIdOf(facts.checksum, place.File, place.Builder);
		const tags = candidate.tags.map((tag) => `${candidate.name}:${tag}`);
		const { namespace } = architecture;
		const archTags = namespace === null ? [] : tags.map((tag) => `${namespace}/${tag}`);
		const draft = drafts.get(sourceId) ?? { sourceId, checksum: facts.checksum, entries: new Map(), arches: new Map() };
		drafts.set(sourceId, draft);
		addEntry(draft, place, facts.epoch);
		const known = draft.arches.get(arch);
		if (known === undefined) {
			draft.arches.set(arch, { tags, archTags, facts, from: candidate });
		} else if (sameFroms(known.facts, facts)) {
			known.tags.push(...tags);
			known.archTags.push(...archTags);
		} else {
			const other = `${nameOf(known.from)} is the same source with other FROMs`;
			errors.push(about(candidate, "definition", other));
		}
		for (const tag of [...tags, ...archTags]) {
			if (!wanted.has(tag)) continue;
			const key = `${arch} ${tag}`;
			const ids = providers.get(key);
			if (ids === undefined) providers.set(key, [sourceId]);
			else if (!ids.includes(sourceId)) ids.push(sourceId);
		}
	}
	const ambiguous = new Set<string>();
	const parentOf = (from: string, arch: string, child: SourceCandidate): SourceParent => {
		const key = `${arch} ${from}`;
		const ids = providers.get(key) ?? [];
		if (ids.length > 1 && !ambiguous.has(key)) {
			ambiguous.add(key);
			const places = ids.map((id) => nameOf(drafts.get(id)!.arches.get(arch)!.from)).join(" and ");
			errors.push(about(child, "definition", `FROM ${printable(from, 200)} is two sources: ${places}`));
		}
		return { sourceId: ids[0] ?? null, pin: options.pins.get(from) ?? null };
	};
	const sources: Record<string, Source> = {};
	for (const draft of drafts.values()) {
		const arches: Record<string, SourceArch> = {};
		for (const [arch, { tags, archTags, facts, from }] of draft.arches) {
			const { os, architecture, variant } = options.architectures[arch]!.platform;
			const parents: Record<string, SourceParent> = {};
			for (const image of facts.froms) parents[image] ??= parentOf(image, arch, from);
			arches[arch] = {
				tags: [...new Set(tags)],
				archTags: [...new Set(archTags)],
				froms: facts.froms,
				lastStageFrom: facts.lastStageFrom,
				platformString: platformString({ os, architecture, ...(variant === undefined ? {} : { variant }) }),
				platform: { architecture, os, ...(variant === undefined ? {} : { variant }) },
				parents,
			};
		}
		sources[draft.sourceId] = {
			sourceId: draft.sourceId,
			reproducibleGitChecksum: draft.checksum,
			// The sort is stable: places of one age stay in build order.
			entries: [...draft.entries.values()].sort((a, b) => a.SOURCE_DATE_EPOCH - b.SOURCE_DATE_EPOCH),
			arches,
		};
	}
	throwAll(errors, "The sources do not fit together");
	checkCycles(sources);
	return sources;
}

function addEntry(draft: Draft, place: SourcePlace, epoch: number): void {
	const { GitRepo, GitFetch, GitCommit, Directory, File, Builder } = place;
	const key = JSON.stringify([GitRepo, GitFetch, GitCommit, Directory, File, Builder]);
	if (draft.entries.has(key)) return;
	draft.entries.set(key, { GitRepo, GitFetch, GitCommit, Directory, File, Builder, SOURCE_DATE_EPOCH: epoch });
}

function sameFroms(a: SourceFacts, b: SourceFacts): boolean {
	return (
		a.lastStageFrom === b.lastStageFrom &&
		a.froms.length === b.froms.length &&
		a.froms.every((from, index) => from === b.froms[index])
	);
}

/** `NAME:TAG (ARCH)`, as errors and progress name it. */
function nameOf({ name, tags, arch }: SourceCandidate): string {
	return `${printable(name, 100)}:${printable(tags[0] ?? "", 130)} (${printable(arch, 40)})`;
}

/** An error about one candidate, which names the definition's file and the tag. */
export function about(candidate: SourceCandidate, code: BrewlineError["code"], problem: string): BrewlineError {
	const { at } = candidate;
	return new BrewlineError(code, `${printable(at.file)}: ${nameOf(candidate)}: ${problem}`, { at });
}
