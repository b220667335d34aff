import type { Platform } from "../oci/types.ts";

/** One place where a source's content was found (spec/sources.md, Shape). Keys are the definition's own. */
export interface SourceEntry {
	readonly GitRepo: string;
	readonly GitFetch: string;
	readonly GitCommit: string;
	readonly Directory: string;
	readonly File: string;
	readonly Builder: string;
	/** Unix seconds. */
	readonly SOURCE_DATE_EPOCH: number;
}

export interface SourceParent {
	/** The source that provides this image for this architecture, if it is one of ours. */
	readonly sourceId: string | null;
	/** The digest of its external pin, if it has one. */
	readonly pin: string | null;
}

export interface SourceArch {
	/** `NAME:TAG`: tags, then shared tags. */
	readonly tags: readonly string[];
	/** The same under the architecture's namespace; empty where it has none. */
	readonly archTags: readonly string[];
	readonly froms: readonly string[];
	readonly lastStageFrom: string;
	/** `linux/arm/v7`. */
	readonly platformString: string;
	readonly platform: Platform;
	readonly parents: Readonly<Record<string, SourceParent>>;
}

export interface Source {
	readonly sourceId: string;
	readonly reproducibleGitChecksum: string;
	/** Oldest first; the first one is built. */
	readonly entries: readonly SourceEntry[];
	/** By bashbrew architecture. */
	readonly arches: Readonly<Record<string, SourceArch>>;
}

/** `sources.json`: by source id, parents before children. */
export type Sources = Readonly<Record<string, Source>>;
