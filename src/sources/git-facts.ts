import { readDockerfile, resolveFroms, type Dockerfile } from "../dockerfile/index.ts";
import { BrewlineError } from "../errors.ts";
import type { GitRepository, GitStore } from "../git/index.ts";
import type { Io } from "../io/types.ts";
import type { Platform } from "../oci/index.ts";
import type { SourceCandidate, SourceFacts } from "./assemble.ts";
import { dockerfileName, maxDockerfile, withCommits } from "./fetched.ts";
import { maxParents } from "./limits.ts";

export interface GitFactsOptions {
	readonly git: Pick<GitStore, "repository">;
	readonly platformOf: (arch: string) => Platform;
}

/**
 * Asks git for the facts of each candidate: one fetch for each repository, one checksum for each tree, one reading of
 * each distinct Dockerfile. What cannot be had is left out of the result and told in `errors`, by candidate.
 */
export async function gitFacts(
	candidates: readonly SourceCandidate[],
	io: Io,
	options: GitFactsOptions,
): Promise<{ readonly facts: ReadonlyMap<SourceCandidate, SourceFacts>; readonly errors: readonly BrewlineError[] }> {
	const facts = new Map<SourceCandidate, SourceFacts>();
	const dockerfiles = new Map<string, Promise<Dockerfile>>();
	const errors = await withCommits(candidates, io, options.git, async (candidate, repository) => {
		facts.set(candidate, await factsOf(candidate, repository, options, dockerfiles));
	});
	return { facts, errors: [...errors.values()] };
}

async function factsOf(
	{ place, arch }: SourceCandidate,
	repository: GitRepository,
	{ platformOf }: GitFactsOptions,
	dockerfiles: Map<string, Promise<Dockerfile>>,
): Promise<SourceFacts> {
	const { GitCommit: commit, Directory: directory, File } = place;
	const [checksum, epoch] = await Promise.all([repository.checksum(commit, directory), repository.commitEpoch(commit)]);
	// No Dockerfile: what is imported is there already, and stands on nothing.
	if (place.Builder === "oci-import") return { checksum, epoch, froms: ["scratch"], lastStageFrom: "scratch" };
	const blob = await repository.blobId(commit, directory, File);
	let dockerfile = dockerfiles.get(blob);
	if (dockerfile === undefined) {
		dockerfile = repository
			.readFile(commit, directory, File, maxDockerfile)
			.then((bytes) => readDockerfile(bytes, dockerfileName(directory, File)));
		dockerfiles.set(blob, dockerfile);
		// Whoever waits for it is told; nobody else is.
		dockerfile.catch(() => {});
	}
	const found = resolveFroms(await dockerfile, platformOf(arch));
	const images = new Set(found.froms).size;
	if (images > maxParents) {
		const what = `${dockerfileName(directory, File)} needs ${images} images, and at most ${maxParents} are looked up for one`;
		throw new BrewlineError("dockerfile", what, { hint: "build it in several steps, each an image of its own" });
	}
	return { checksum, epoch, ...found };
}
