import type { Index } from "../oci/types.ts";
import type { Source } from "../sources/types.ts";

export interface Build {
	readonly buildId: string;
	readonly build: {
		/** The staging reference. */
		readonly img: string;
		/** What the staging reference holds for this architecture; null: needs build. */
		readonly resolved: Index | null;
		readonly sourceId: string;
		readonly arch: string;
		readonly parents: Readonly<Record<string, string>>;
		readonly resolvedParents: Readonly<Record<string, Index>>;
		/** Only of a forced build: the text that is part of its id. */
		readonly force?: string;
	};
	/** With this architecture alone in `arches`. */
	readonly source: Source;
}

/** `builds.json`: by build id, in the order of the sources. */
export type Builds = Readonly<Record<string, Build>>;

/** The cache of lookups (spec/builds.md, Cache). Null: looked up and not there; read and believed, never written. */
export interface LookupCache {
	readonly indexes: Readonly<Record<string, Index | null>>;
}

/**
 * What a reference holds, as a synthesised index that is not restricted to an architecture; undefined: not there. `parent`:
 * ids of other builds follow from it, so what was known before has to be what is there now.
 */
export type Lookup = (reference: string, options?: { readonly parent?: boolean }) => Promise<Index | undefined>;

/** Why a source has no build for an architecture yet. */
export interface Waiting {
	readonly sourceId: string;
	readonly arch: string;
	/** The FROM that is not available. */
	readonly parent: string;
	/** The source of ours behind it, if it is one. */
	readonly parentSourceId: string | null;
	readonly reason: "parent-not-built" | "parent-waiting" | "parent-missing" | "parent-lacks-architecture";
}
