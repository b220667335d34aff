import type { SourceCandidate, SourceFacts, SourcePlace } from "./assemble.ts";
import type { Sources } from "./types.ts";

/** The same commit, directory, file, builder and architecture have the same facts, wherever the repository is. */
export function factsKey(place: SourcePlace, arch: string): string {
	return JSON.stringify([place.GitCommit, place.Directory, place.File, place.Builder, arch]);
}

/** What a previous run knew, to be taken over (spec/sources.md, Cost). */
export function recordedFacts(
	sources: Sources,
): (candidate: Pick<SourceCandidate, "place" | "arch">) => SourceFacts | undefined {
	const facts = new Map<string, SourceFacts>();
	for (const { reproducibleGitChecksum: checksum, entries, arches } of Object.values(sources)) {
		for (const entry of entries) {
			for (const [arch, { froms, lastStageFrom }] of Object.entries(arches)) {
				facts.set(factsKey(entry, arch), { checksum, epoch: entry.SOURCE_DATE_EPOCH, froms, lastStageFrom });
			}
		}
	}
	return ({ place, arch }) => facts.get(factsKey(place, arch));
}
