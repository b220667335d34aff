import { normalizeOutsidePlatform, type Platform } from "../oci/index.ts";
import type { GitRepository, GitStore } from "../git/index.ts";
import type { Io } from "../io/types.ts";
import type { Leg, LegBuild } from "../plan/index.ts";
import { isLoopback } from "../registry/hosts.ts";
import type { RegistryClient } from "../registry/types.ts";
import type { BuildLog } from "./log.ts";

/**
 * The Docker engine and BuildKit that builds are given to, as far as it matters here: an `Engine` of brewline/engine
 * fits, as `{ env: engine.env, ...engine.builder }`.
 */
export interface Builder {
	/** Buildx's name of the builder; undefined: the current one. */
	readonly name?: string;
	/** Added to the environment of every `docker` command. */
	readonly env?: Readonly<Record<string, string>>;
	/** What it can build: `linux/amd64`, … */
	readonly platforms: readonly string[];
	/** What of that an emulator runs. */
	readonly emulated: readonly string[];
	/** Whether it reaches this machine's loopback addresses. */
	readonly hostNetwork: boolean;
	/** Whether its buildx takes an annotation for several levels at once; default: yes. */
	readonly annotationLists?: boolean;
	/**
	 * How it gets parents. Default: by their reference, or as OCI layouts from registries that it would not find: mirrored
	 * ones, those in plain HTTP, and on loopback addresses without the host's network.
	 */
	readonly parents?: "registry" | "layout";
	/**
	 * How it gets contexts. Default: it fetches them from the definition's own address; those with a rewritten one, with
	 * another protocol than HTTP, and on loopback addresses without the host's network it gets as a tar; private ones always.
	 * `git` gives it the rewritten address, which is in its provenance then.
	 */
	readonly context?: "git" | "tar";
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
	/** Whether the source is fetched with a credential, which BuildKit does not have. */
	readonly privateSource: boolean;
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

/** Whether an emulator runs what is built. A platform that the builder does not list is taken for emulated. */
export function isEmulated(builder: Pick<Builder, "platforms" | "emulated">, platform: Platform): boolean {
	// Variants are not compared: BuildKit lists but some of those that a machine runs.
	const wanted = normalizeOutsidePlatform(platform);
	const isSame = (text: string) => {
		const [os = "", architecture = ""] = text.split("/");
		const listed = normalizeOutsidePlatform({ os, architecture });
		return listed.os === wanted.os && listed.architecture === wanted.architecture;
	};
	return !builder.platforms.some((text) => isSame(text) && !builder.emulated.includes(text));
}

/** Whether a host of an address or a reference is this machine itself. */
export function isThisMachine(host: string): boolean {
	const url = URL.parse(`http://${host}/`);
	return url !== null && isLoopback(url.hostname);
}
