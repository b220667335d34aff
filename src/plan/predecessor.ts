import type { Build } from "../builds/types.ts";
import type { SourceEntry } from "../sources/types.ts";
import { archOf, entryOf } from "./annotations.ts";

/** What stood under some tags on an architecture before: as much of a build as the reasons for the next one need. */
export interface Predecessor {
	readonly buildId: string;
	readonly arch: string;
	/** Full tags. */
	readonly tags: readonly string[];
	/** `reproducibleGitChecksum`. */
	readonly checksum: string;
	readonly entry: SourceEntry;
	/** Digests by FROM. */
	readonly parents: Readonly<Record<string, string>>;
}

/** A build as the predecessor of the one that will take its tags. */
export function predecessorOf(build: Build): Predecessor {
	return {
		buildId: build.buildId,
		arch: build.build.arch,
		tags: archOf(build).tags,
		checksum: build.source.reproducibleGitChecksum,
		entry: entryOf(build),
		parents: build.build.parents,
	};
}
