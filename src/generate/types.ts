import type { ImageConfig } from "../config/index.ts";
import type { DockerfileFacts } from "../dockerfile/index.ts";
import type { PathQuery } from "../git/index.ts";
import type { FileWarning, Left, RepositoryFiles } from "../matrix/index.ts";

/** What is known before git and other definitions are asked. All of it is plain data, fit to be given to a worker. */
export interface SurveyInput {
	readonly config: ImageConfig;
	readonly files: RepositoryFiles;
	/** Dockerfiles that are not as they were committed, by path: as they were. What they copy decides their commit. */
	readonly committed: ReadonlyMap<string, string>;
	/** `YYYY-MM-DD`. */
	readonly today: string;
	/** The architectures that there are. */
	readonly architectures: readonly string[];
	/** The architecture of an entry that names none, in the definition of a parent. */
	readonly defaultArchitecture: string;
	/** The commit of each branch that the repository has. */
	readonly branches: ReadonlyMap<string, string>;
}

/** What has to be asked for. */
export interface Survey {
	/** Images whose definitions are needed, by name, sorted; never the image itself. */
	readonly parents: readonly string[];
	/** Whose newest commits are needed; `compose` wants the answers in this order. */
	readonly queries: readonly PathQuery[];
	/** Files of branches, as `COMMIT:PATH`, of which it has to be known whether they exist. */
	readonly objects: readonly string[];
	/** Of the Dockerfiles that were read, by path. */
	readonly dockerfiles: ReadonlyMap<string, DockerfileFacts>;
}

export interface ComposeInput extends SurveyInput {
	readonly survey: Survey;
	/** The newest commit of all. */
	readonly head: string;
	/** By the survey's queries; undefined: nothing like it was ever committed. */
	readonly commits: readonly (string | undefined)[];
	/** By the survey's objects. */
	readonly existing: readonly boolean[];
	/** The text of each parent's definition, by the image's name. */
	readonly definitions: ReadonlyMap<string, string>;
}

/** A tag, the suffix rule and the alias that made it, and the rule that gave the alias. */
export interface TagReason {
	readonly tag: string;
	/** `tags.2`, `sharedTags.0`. */
	readonly rule: string;
	readonly alias: string;
	/** `aliases.list.1`; `tags.2` where the suffix rule has aliases of its own. */
	readonly aliasRule: string;
}

export interface MissingArchitecture {
	readonly architecture: string;
	/** `architectures.0`, `architectures.0.intersect.1`, `excludeArchitectures.0`. */
	readonly rule: string;
	readonly reason: string;
}

export interface GeneratedEntry {
	readonly version: string;
	readonly axes: Readonly<Record<string, string>>;
	readonly directory: string;
	readonly file: string;
	readonly tags: readonly TagReason[];
	readonly sharedTags: readonly TagReason[];
	readonly architectures: readonly string[];
	readonly missing: readonly MissingArchitecture[];
	readonly commit?: string;
}

/** What is computed of a definition from what was asked for. */
export interface Composed {
	readonly image: string;
	/** The definition, to the byte. */
	readonly text: string;
	readonly entries: readonly GeneratedEntry[];
	/** Versions and entries that are not in it, with the rule that took them away. */
	readonly left: readonly Left[];
	/** The images that entries are built from, with their tags, as far as they gave architectures. */
	readonly parents: readonly string[];
}

export interface Generated extends Composed {
	/**
	 * Files of a work tree that it is made from, and that are not as in the newest commit: what it says of them is not in the
	 * commits that it names. Sorted.
	 */
	readonly uncommitted: readonly string[];
	readonly warnings: readonly FileWarning[];
}
