import type { SourceCandidate, SourceFacts, SourcePlace } from "./assemble.ts";
import type { Source, Sources } from "./types.ts";

/** The same commit, directory, file and builder have the same content, wherever the repository is. */
function contentKey({ GitCommit, Directory, File, Builder }: SourcePlace): string {
	return JSON.stringify([GitCommit, Directory, File, Builder]);
}

/** What a previous run knew, to be taken over (spec/sources.md, Cost): for the architectures that it knew it for. */
export function recordedFacts(
	sources: Sources,
): (candidate: Pick<SourceCandidate, "place" | "arch">) => SourceFacts | undefined {
	const known = new Map<string, { readonly source: Source; readonly epoch: number }>();
	for (const source of Object.values(sources)) {
		for (const entry of source.entries) known.set(contentKey(entry), { source, epoch: entry.SOURCE_DATE_EPOCH });
	}
	return ({ place, arch }) => {
		const found = known.get(contentKey(place));
		if (found === undefined || !Object.hasOwn(found.source.arches, arch)) return undefined;
		const { froms, lastStageFrom } = found.source.arches[arch]!;
		return { checksum: found.source.reproducibleGitChecksum, epoch: found.epoch, froms, lastStageFrom };
	};
}
