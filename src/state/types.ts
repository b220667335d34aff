import type { Builds, LookupCache, QueueRecords } from "../builds/index.ts";
import type { Predecessor } from "../plan/index.ts";
import type { Sources } from "../sources/index.ts";

/** What a tag held from some time on. */
export interface Held {
	readonly digest: string;
	/** `OS/ARCHITECTURE[/VARIANT]`, sorted. */
	readonly platforms: readonly string[];
	/** ISO 8601, UTC. */
	readonly when: string;
}

/** What one published tag held when it was last published. */
export interface PublishedTag extends Held {
	/** The SHA-256 of what it was made from (`fingerprint` of publish); only where it lacked nothing. */
	readonly from?: string;
	/** What it held before, the latest first: some of it. */
	readonly before?: readonly Held[];
}

/** A digest that passed its test. */
export interface PassedTest {
	/** ISO 8601, UTC. */
	readonly when: string;
	/** The address of its log. */
	readonly log?: string;
}

/** Who decided something, when (ISO 8601, UTC) and why. */
export interface Decided {
	readonly by: string;
	readonly when: string;
	readonly why: string;
}

/** A build that is to be made again although nothing changed; the text becomes part of its new id. */
export interface ForcedBuild {
	readonly text: string;
	readonly by: string;
	readonly when: string;
}

/** What people decided; nothing else in the state is more than memory (docs/design.md, State). */
export interface Decisions {
	/** By the id of the build that is replaced. */
	readonly forced: Readonly<Record<string, ForcedBuild>>;
	/** By tag: platforms that it may lose although its definition still has them. */
	readonly shrink: Readonly<Record<string, Decided & { readonly platforms: readonly string[] }>>;
	/** By tag, or by image for all of its tags: it stays as it is. */
	readonly holds: Readonly<Record<string, Decided>>;
	/** By tag: what it is to hold again. */
	readonly rollbacks: Readonly<Record<string, Decided & { readonly digest: string }>>;
	/** Nothing at all is published. */
	readonly stop?: Decided;
}

/** All that is kept between runs. */
export interface State {
	readonly sources: Sources;
	readonly builds: Builds;
	readonly cache: LookupCache;
	/** By image, then by build id. */
	readonly queue: Readonly<Record<string, QueueRecords>>;
	/** By image: what its builds that are not there yet will replace. */
	readonly replaced: Readonly<Record<string, readonly Predecessor[]>>;
	/** By image, then by full tag. */
	readonly published: Readonly<Record<string, Readonly<Record<string, PublishedTag>>>>;
	/** By image, then by digest of an image's manifest. */
	readonly tested: Readonly<Record<string, Readonly<Record<string, PassedTest>>>>;
	readonly decisions: Decisions;
}

export const emptyState: State = {
	sources: {},
	builds: {},
	cache: { indexes: {} },
	queue: {},
	replaced: {},
	published: {},
	tested: {},
	decisions: { forced: {}, shrink: {}, holds: {}, rollbacks: {} },
};
