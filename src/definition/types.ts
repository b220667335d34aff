import type { Location } from "../errors.ts";

/** What a build is made from; the keys are the definition's own, in the order in which they are printed. */
export interface BuildFields {
	readonly GitRepo: string;
	readonly GitFetch: string;
	readonly GitCommit: string;
	/** Path-cleaned in entries, as written in the global paragraph. May climb out with `..` or start with `/`. */
	readonly Directory: string;
	readonly File: string;
	/** `buildkit`, `classic`, `oci-import`, empty, or whatever else was written: it is not checked here. */
	readonly Builder: string;
}

export interface Maintainer {
	readonly name: string;
	/** An address or an URL; empty where there is none. */
	readonly email: string;
	readonly handle: string;
}

/** Counted from 1; columns in UTF-16 units. */
export interface Position {
	readonly line: number;
	readonly column: number;
}

/** The fields of a paragraph with what it inherits. */
export interface Fields extends BuildFields {
	readonly Maintainers: readonly Maintainer[];
	/** Without repetitions in entries, as written in the global paragraph. */
	readonly SharedTags: readonly string[];
	/** Sorted by byte, without repetitions. */
	readonly Architectures: readonly string[];
	/** `ARCH-Field` to value, in byte order of the keys, without empty values; ARCH may be anything. */
	readonly archFields: Readonly<Record<string, string>>;
	readonly Constraints: readonly string[];
	/** Where the paragraph starts. */
	readonly at: Location;
	/** Where in `at.file` each field of the paragraph itself starts, by its key: the last one of several. */
	readonly positions: ReadonlyMap<string, Position>;
}

export interface Entry extends Fields {
	/** One at least. */
	readonly Tags: readonly string[];
}

/** An entry with the tags and shared tags of later ones whose build is the same. */
export interface MergedEntry extends Entry {
	/** The entries as they stand in the file; the first of them has all other fields. */
	readonly parts: readonly Entry[];
}

/** Something that is read as the existing system reads it, but is hardly what was meant. */
export interface Warning {
	readonly message: string;
	readonly at: Location;
	readonly hint?: string;
}

/** A definition file that is valid (spec/manifest.md). */
export interface Definition {
	readonly file: string;
	readonly global: Fields;
	/** After merging. */
	readonly entries: readonly MergedEntry[];
	/** As in the file, before merging. */
	readonly unmerged: readonly Entry[];
	readonly warnings: readonly Warning[];
	/** The architecture of an entry that names none: the one default that is not the format's. */
	readonly defaultArchitecture: string;
}

/** Shared tags that cover the same entries. */
export interface SharedTagGroup {
	readonly sharedTags: readonly string[];
	readonly entries: readonly MergedEntry[];
}
