import path from "node:path";
import { stagingReference } from "../builds/index.ts";
import type { Program } from "../config/index.ts";
import { openGitStore, type GitCredential, type GitStore } from "../git/index.ts";
import type { Io } from "../io/index.ts";
import { tryParseReference, type Reference } from "../oci/index.ts";
import {
	createLimiter,
	createRegistryClient,
	dockerCredentials,
	mirrorsFromEnvironment,
	type Limiter,
	type RegistryClient,
} from "../registry/index.ts";
import { openMemory, type Memory, type MemoryOptions } from "./memory.ts";

/** What the steps work with: the program, the world, a folder, and the two remote sides. */
export interface Workspace extends AsyncDisposable {
	readonly program: Program;
	readonly io: Io;
	/** The absolute path of the folder for hand-over files, git objects and logs. */
	readonly work: string;
	readonly client: RegistryClient;
	/** For other clients of this process, so that all together keep to the registries' rates. */
	readonly limiter: Limiter;
	readonly git: GitStore;
	/** Nothing is written to a registry or into `work`, but for git objects and, while they are read, locks. */
	readonly dryRun: boolean;
	/** Our own repositories, `HOST/REPOSITORY`, that something was read from, ever: 401 and 403 are errors there. */
	readonly everRead: Set<string>;
	readonly memory: Memory;
	/** The same memory for another world: that of a run which was told to end has little time left. */
	readonly memoryIn: (io: Io) => Memory;
}

export interface WorkspaceOptions {
	readonly work: string;
	/** Say what would be done, and change nothing. Default: no. */
	readonly dryRun?: boolean;
	/** By prefix of the address that is fetched from. */
	readonly gitCredentials?: Readonly<Record<string, GitCredential>>;
	/** Where the state may be (`MemoryOptions`); default: `work`. */
	readonly kept?: MemoryOptions["kept"];
}

/** Opens what the steps need; nothing is started or asked before a step does. */
export function openWorkspace(program: Program, io: Io, options: WorkspaceOptions): Workspace {
	const everRead = new Set<string>();
	const work = path.resolve(options.work);
	const limiter = createLimiter(io);
	const asked = createRegistryClient(io, {
		limiter,
		credentials: dockerCredentials(io),
		mirrors: { ...mirrorsFromEnvironment(io.env), ...program.registries.mirrors },
		plainHttp: program.registries.plainHttp,
		rates: program.registries.rates,
		tokenServers: program.registries.tokenServers,
		hides: (reference) => !everRead.has(repositoryKey(reference)),
	});
	const isOurs = ownRepositories(program);
	const remembered = <T>(reference: Reference, found: T | undefined): T | undefined => {
		if (found !== undefined && isOurs(reference)) everRead.add(repositoryKey(reference));
		return found;
	};
	const client: RegistryClient = {
		...asked,
		headManifest: async (reference, how) => remembered(reference, await asked.headManifest(reference, how)),
		getManifest: async (reference, how) => remembered(reference, await asked.getManifest(reference, how)),
	};
	const credentials = { ...program.git.credentials, ...options.gitCredentials };
	const git = openGitStore(io, { directory: filesOf(work).git, rewrite: program.git.rewrite, credentials });
	const dryRun = options.dryRun ?? false;
	const kept = options.kept ?? "work";
	const memoryIn = (world: Io): Memory =>
		openMemory(program, world, { directory: filesOf(work).state, kept, dryRun, credentials });
	const memory = memoryIn(io);
	return {
		program,
		io,
		work,
		client,
		limiter,
		git,
		dryRun,
		everRead,
		memory,
		memoryIn,
		[Symbol.asyncDispose]: async () => {
			await git.close();
			await memory[Symbol.asyncDispose]();
		},
	};
}

/** Tells the repositories that a program writes to from those of others. */
function ownRepositories({ architectures, registries }: Program): (reference: Reference) => boolean {
	const keysOf = (text: string): string[] => {
		const reference = tryParseReference(text);
		return reference === undefined ? [] : [repositoryKey(reference)];
	};
	const namespaces = [
		registries.namespace,
		...Object.values(architectures).flatMap(({ namespace }) => namespace ?? []),
	];
	const folders = namespaces.flatMap((name) => keysOf(name === "" ? "x" : `${name}/x`)).map((key) => key.slice(0, -1));
	const staging = new Set(
		Object.keys(architectures).flatMap((arch) => keysOf(stagingReference(registries.staging, "0".repeat(64), arch))),
	);
	return (reference) => {
		const key = repositoryKey(reference);
		return staging.has(key) || folders.some((folder) => key.startsWith(folder));
	};
}

/** How `everRead` names a repository. */
export function repositoryKey(reference: Reference): string {
	return `${reference.host}/${reference.repository}`;
}

/** Where a workspace's hand-over files are (docs/design.md). */
export function filesOf(
	work: string,
): Readonly<
	Record<
		| "git"
		| "state"
		| "sources"
		| "builds"
		| "cache"
		| "plan"
		| "legs"
		| "results"
		| "tests"
		| "logs"
		| "scratch"
		| "report",
		string
	>
> {
	return {
		git: path.join(work, "git"),
		state: path.join(work, "state"),
		sources: path.join(work, "sources.json"),
		builds: path.join(work, "builds.json"),
		cache: path.join(work, "cache.json"),
		plan: path.join(work, "plan.json"),
		legs: path.join(work, "legs"),
		results: path.join(work, "results"),
		tests: path.join(work, "tests"),
		logs: path.join(work, "logs"),
		scratch: path.join(work, "scratch"),
		report: path.join(work, "report.json"),
	};
}
