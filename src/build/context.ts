import type { GitRepository, GitStore } from "../git/index.ts";
import type { Io } from "../io/types.ts";
import type { Platform } from "../oci/index.ts";
import type { Leg, LegBuild } from "../plan/index.ts";
import type { RegistryClient } from "../registry/types.ts";
import type { BuildLog } from "./log.ts";

/** How BuildKit gets at what a build needs (docs/design.md, Builders). */
export interface Builder {
	/** Buildx's name of the builder; undefined: the current one. */
	readonly name?: string;
	/** What its machine runs natively. */
	readonly native: Platform;
	/**
	 * `registry`: it fetches parents by their reference, but for mirrored hosts and those in plain HTTP. `layout`: it
	 * gets them as OCI layouts, because it cannot reach the registry, or has no credentials for it.
	 */
	readonly parents: "registry" | "layout";
	/**
	 * `git`: it fetches contexts itself, but for rewritten addresses, which it gets as a tar. `tar`: always as a tar.
	 * `git-rewritten`: it fetches also from rewritten addresses, which are in its provenance then.
	 */
	readonly context: "git" | "tar" | "git-rewritten";
}

/** What a builder works with. */
export interface BuilderContext {
	/** Its signal ends the build: the time limit and the end of the program. */
	readonly io: Io;
	readonly leg: Leg;
	readonly build: LegBuild;
	readonly client: RegistryClient;
	/** A folder of the build's own, removed afterwards. */
	readonly scratch: string;
	readonly log: BuildLog;
	/** Undefined: there is no engine. */
	readonly builder: Builder | undefined;
	/** Reads from the cache of git repositories, by the definition's own address. */
	readonly git: GitStore;
	/** What it does now, for people. */
	readonly progress: (detail: string) => void;
}

/** The repository of a build, with its commit in the cache. */
export async function fetchedRepository({ git, build }: Pick<BuilderContext, "git" | "build">): Promise<GitRepository> {
	const repository = git.repository(build.git.repository);
	await repository.ensure([{ commit: build.git.commit, fetch: build.git.ref }]);
	return repository;
}
