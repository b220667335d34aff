import type { Program } from "../config/index.ts";
import { buildOrder, type BuildOrderOptions, forArchitecture, type Selection } from "../definition/index.ts";
import { scanDockerfile } from "../dockerfile/index.ts";
import { type GitStore, openGitStore } from "../git/index.ts";
import { filesOf } from "../pipeline/index.ts";
import type { Context } from "./context.ts";

/** Selections with parents before what is built from them; FROMs are read from git. */
export async function inBuildOrder(
	{ io, program, work }: Context,
	selections: readonly Selection[],
	options: Pick<BuildOrderOptions, "namespace" | "filter">,
): Promise<readonly Selection[]> {
	await using git = openGitStore(io, { directory: filesOf(work).git, ...program.git });
	return buildOrder(selections, { ...options, froms: fromsOf(git, program) });
}

/** The FROMs of an entry, read from git. */
function fromsOf(git: GitStore, program: Program): BuildOrderOptions["froms"] {
	return async (entry, arch) => {
		const place = forArchitecture(entry, arch);
		if (place.Builder === "oci-import") return ["scratch"];
		const repository = git.repository(place.GitRepo);
		await repository.ensure([{ commit: place.GitCommit, fetch: place.GitFetch }]);
		const bytes = await repository.readFile(place.GitCommit, place.Directory, place.File);
		const platform = program.architectures[arch]?.platform ?? { os: "linux", architecture: arch };
		return scanDockerfile(bytes, { platform, file: place.File }).froms;
	};
}
