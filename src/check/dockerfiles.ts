import { readDockerfile, resolveFroms, type Dockerfile } from "../dockerfile/index.ts";
import { forArchitecture, type Selection } from "../definition/index.ts";
import { BrewlineError } from "../errors.ts";
import type { GitRepository, GitStore } from "../git/index.ts";
import type { Io } from "../io/index.ts";
import type { Platform } from "../oci/index.ts";
import type { SourceCandidate } from "../sources/index.ts";
import { dockerfileName, maxDockerfile, withCommits } from "../sources/fetched.ts";
import { entrypointFile, type EntrypointScript } from "./entrypoint.ts";
import type { CheckedEntry, Draft } from "./types.ts";

/** Bytes. What is longer is no script that anybody reads. */
const maxScript = 256 * 1024;

/** Dockerfiles by what asks for them; `errors` of those that cannot be had. */
export interface DockerfileTexts {
	readonly texts: ReadonlyMap<SourceCandidate, Uint8Array | string>;
	readonly errors: ReadonlyMap<SourceCandidate, BrewlineError>;
	/** The scripts that images start with, where they are known. */
	readonly entrypoints?: ReadonlyMap<SourceCandidate, EntrypointScript>;
}

export type ReadDockerfiles = (candidates: readonly SourceCandidate[]) => Promise<DockerfileTexts>;

/** Dockerfiles as git has them: one fetch for each repository, one reading of each place. */
export function dockerfilesOfGit(io: Io, git: Pick<GitStore, "repository">): ReadDockerfiles {
	return async (candidates) => {
		const texts = new Map<SourceCandidate, Uint8Array>();
		const entrypoints = new Map<SourceCandidate, EntrypointScript>();
		const read = new Map<string, Promise<Uint8Array>>();
		const scripts = new Map<string, Promise<EntrypointScript | undefined>>();
		const errors = await withCommits(candidates, io, git, async (candidate, repository) => {
			const { GitRepo, GitCommit, Directory, File } = candidate.place;
			const key = JSON.stringify([GitRepo, GitCommit, Directory, File]);
			const text = read.get(key) ?? repository.readFile(GitCommit, Directory, File, maxDockerfile);
			read.set(key, text);
			texts.set(candidate, await text);
			const script = scripts.get(key) ?? readScript(repository, candidate.place, await text);
			scripts.set(key, script);
			const entrypoint = await script;
			if (entrypoint !== undefined) entrypoints.set(candidate, entrypoint);
		});
		return { texts, errors, entrypoints };
	};
}

async function readScript(
	repository: Pick<GitRepository, "readFile">,
	{ GitCommit, Directory, File }: SourceCandidate["place"],
	dockerfile: Uint8Array,
): Promise<EntrypointScript | undefined> {
	const path = entrypointFile(decode(dockerfile), dockerfileName(Directory, File));
	if (path === undefined) return undefined;
	try {
		const name = path.replace(/^(?:\.?\/)+/, "");
		const text = await repository.readFile(GitCommit, Directory, name, maxScript);
		return { file: dockerfileName(Directory, name), text: decode(text) };
	} catch (error) {
		// The build says what is missing; what cannot be read here is not judged.
		if (error instanceof BrewlineError && error.code !== "cancelled") return undefined;
		throw error;
	}
}

function decode(bytes: Uint8Array): string {
	return new TextDecoder("utf-8").decode(bytes);
}

/** A Dockerfile that entries of the library name, as it stands in its repository. */
export interface ReadText {
	readonly candidate: SourceCandidate;
	readonly file: string;
	readonly text: string;
	readonly entrypoint?: EntrypointScript;
}

export interface Gathered {
	readonly entries: readonly CheckedEntry[];
	/** Each place once. */
	readonly texts: readonly ReadText[];
	readonly drafts: readonly Draft[];
}

/** Reads the Dockerfiles of all entries, each once. */
export async function gather(
	selections: readonly Selection[],
	read: ReadDockerfiles,
	platformOf: (arch: string) => Platform,
): Promise<Gathered> {
	const found = selections.flatMap(({ name, entries }) =>
		entries.map((entry) => ({
			image: name,
			entry,
			candidates: new Map(
				entry.Architectures.map((arch): [string, SourceCandidate] => [
					arch,
					{ name, tags: [...entry.Tags, ...entry.SharedTags], arch, place: forArchitecture(entry, arch), at: entry.at },
				]),
			),
			froms: new Map<string, readonly string[]>(),
		})),
	);
	const candidates = found.flatMap((one) => [...one.candidates.values()]);
	// No Dockerfile: what is imported is there already, and stands on nothing.
	const { texts, errors, entrypoints } = await read(candidates.filter(({ place }) => place.Builder !== "oci-import"));
	const parsed = new Map<string, Dockerfile | BrewlineError>();
	const places: ReadText[] = [];
	const drafts = new Map<string, Draft>();
	const fail = (candidate: SourceCandidate, failure: BrewlineError): void => {
		const { place, name, tags, at } = candidate;
		// Without the names of entry and architecture in front, which the finding has by itself.
		const error = failure.cause instanceof BrewlineError && !texts.has(candidate) ? failure.cause : failure;
		const key = JSON.stringify([name, place, error.at ?? error.message]);
		if (drafts.has(key)) return;
		const line = error.code === "dockerfile" ? error.at?.line : undefined;
		drafts.set(key, {
			rule: "dockerfile",
			image: name,
			tag: tags[0]!,
			at,
			source: {
				repository: place.GitRepo,
				commit: place.GitCommit,
				file: dockerfileName(place.Directory, place.File),
				...(line === undefined ? {} : { line }),
			},
			message: error.message,
			...(error.hint === undefined ? {} : { fix: error.hint }),
		});
	};
	for (const one of found) {
		for (const [arch, candidate] of one.candidates) {
			if (candidate.place.Builder === "oci-import") {
				one.froms.set(arch, ["scratch"]);
				continue;
			}
			const content = texts.get(candidate);
			if (content === undefined) {
				const missing = new BrewlineError(
					"git",
					`there is no Dockerfile for ${one.image}:${one.entry.Tags[0]} (${arch})`,
				);
				fail(candidate, errors.get(candidate) ?? missing);
				continue;
			}
			const key = JSON.stringify(candidate.place);
			let dockerfile = parsed.get(key);
			if (dockerfile === undefined) {
				const file = dockerfileName(candidate.place.Directory, candidate.place.File);
				dockerfile = attempt(() => readDockerfile(content, file));
				parsed.set(key, dockerfile);
				if (!(dockerfile instanceof BrewlineError)) {
					const text = typeof content === "string" ? content : decode(content);
					const entrypoint = entrypoints?.get(candidate);
					places.push({ candidate, file, text, ...(entrypoint === undefined ? {} : { entrypoint }) });
				}
			}
			const readable = dockerfile;
			const froms =
				readable instanceof BrewlineError ? readable : attempt(() => resolveFroms(readable, platformOf(arch)).froms);
			if (froms instanceof BrewlineError) fail(candidate, froms);
			else one.froms.set(arch, froms);
		}
	}
	return { entries: found, texts: places, drafts: [...drafts.values()] };
}

function attempt<T>(action: () => T): T | BrewlineError {
	try {
		return action();
	} catch (error) {
		if (error instanceof BrewlineError && error.code === "dockerfile") return error;
		throw error;
	}
}
