import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { BuildResult } from "../build/index.ts";
import type { Builds, BuildsOutput } from "../builds/index.ts";
import type { Program } from "../config/index.ts";
import { BrewlineError } from "../errors.ts";
import { makeBare, type GitCredential } from "../git/index.ts";
import type { Io } from "../io/index.ts";
import { printReference, tryParseReference, underNamespace } from "../oci/index.ts";
import { timeOf, titleOf } from "../plan/index.ts";
import { fingerprint, partsOfTags } from "../publish/index.ts";
import type { Report, TagReport } from "../report/index.ts";
import type { Sources } from "../sources/index.ts";
import type { FailedTry, Happened, State, StateStore } from "../state/index.ts";
import type { Workspace } from "./workspace.ts";

/** What is remembered between runs (docs/design.md, State). */
export interface Memory extends AsyncDisposable {
	/** The state as it was when it was first asked for; undefined: nothing is kept yet, or nowhere. */
	read(): Promise<State | undefined>;
	/** The state as it is now. */
	again(): Promise<State | undefined>;
	/** Applies a change and writes it, again from the new state if somebody else was faster. Does nothing in a dry run. */
	update(change: (state: State) => State, message: string): Promise<void>;
	/** Where it is kept, for people; undefined: nowhere. */
	readonly where: string | undefined;
}

export interface MemoryOptions {
	/** The folder for the cache of the branch and, where the program names no repository, for the repository. */
	readonly directory: string;
	/**
	 * `work`: in the repository that the program names, or else in one below the folder. `remote`: only in one that is
	 * named, with a cache of its own that is gone at the end: what stands in the folder may have come as an artifact of any
	 * job, and git believes the configuration in a repository. `none`: nothing is remembered.
	 */
	readonly kept: "work" | "remote" | "none";
	readonly dryRun: boolean;
	readonly credentials: Readonly<Record<string, GitCredential>>;
}

/** Nothing is remembered. */
export const noMemory: Memory = {
	where: undefined,
	read: () => Promise.resolve(undefined),
	again: () => Promise.resolve(undefined),
	update: () => Promise.resolve(),
	[Symbol.asyncDispose]: () => Promise.resolve(),
};

/** Opens the state; nothing is asked before the first question. */
export function openMemory(program: Pick<Program, "state" | "git">, io: Io, options: MemoryOptions): Memory {
	const { repository, branch, author } = program.state;
	const local = path.join(options.directory, "repository.git");
	const address = options.kept === "none" ? undefined : (repository ?? (options.kept === "work" ? local : undefined));
	let store: Promise<StateStore> | undefined;
	let known: Promise<State | undefined> | undefined;
	const isLocal = address === local;
	let temporary: string | undefined;

	/** Loaded where there is a state, and only there: nobody else has use for so much code. */
	function opened(at: string): Promise<StateStore> {
		store ??= import("../state/index.ts").then(async ({ openState }) => {
			if (options.kept === "remote") temporary = await mkdtemp(path.join(tmpdir(), "brewline-state-"));
			return openState(io, {
				directory: temporary ?? path.join(options.directory, "cache"),
				address: at,
				branch,
				author,
				rewrite: isLocal ? {} : program.git.rewrite,
				credentials: options.credentials,
			});
		});
		return store;
	}

	async function again(): Promise<State | undefined> {
		if (address === undefined || (isLocal && !existsSync(local))) return undefined;
		const { state, commit } = await (await opened(address)).read();
		return commit === null ? undefined : state;
	}

	return {
		where: address,
		read: () => (known ??= again()),
		again,
		update: async (change, message) => {
			if (address === undefined || options.dryRun) return;
			if (isLocal) {
				await mkdir(options.directory, { recursive: true });
				await makeBare(local, "sha1");
			}
			const { state } = await (await opened(address)).update(change, message);
			known = Promise.resolve(state);
		},
		[Symbol.asyncDispose]: async () => {
			await (await store)?.close();
			if (temporary !== undefined) await rm(temporary, { recursive: true, force: true, maxRetries: 3 });
		},
	};
}

/** The decided texts by the id that each replaces. */
export function forcedTexts(state: State | undefined): Readonly<Record<string, string>> {
	const forced = Object.entries(state?.decisions.forced ?? {});
	return Object.fromEntries(forced.map(([id, { text }]) => [id, text]));
}

/** What a run found out and did, as the state takes it. */
export interface Learned {
	readonly sources: Sources;
	readonly output: Pick<BuildsOutput, "builds" | "cache">;
	readonly tries: readonly FailedTry[];
	/** Ids of builds that were made since `output` was computed; default: none. */
	readonly built?: ReadonlySet<string>;
	/** Of a report. */
	readonly tags: readonly Pick<
		TagReport,
		"reference" | "digest" | "platforms" | "change" | "decision" | "remembered" | "from"
	>[];
	/** Of a report; default: none. */
	readonly tests?: Report["tests"];
}

/**
 * Writes what was learned into the state. Where that fails, the run goes on, with a warning: what is lost is memory, and
 * the state on the branch is sound.
 */
export async function recordLearned(workspace: Where, learned: Learned): Promise<void> {
	try {
		await writeLearned(workspace, learned);
	} catch (error) {
		if (!(error instanceof BrewlineError) || error.code === "cancelled") throw error;
		workspace.io.log({
			type: "message",
			level: "warning",
			code: error.code,
			text: `what this run learned is not remembered: ${error.message}`,
			...(error.hint === undefined ? {} : { hint: error.hint }),
		});
	}
}

/** In milliseconds: who is told to end has five seconds, and most of them are for what runs. */
const lastWrite = 2000;

/** The same for a run that was told to end, in a world in which only that is still done, and not for long. */
export async function recordAtEnd(workspace: Workspace, learned: Learned): Promise<void> {
	const [late, done] = [new AbortController(), new AbortController()];
	const limit = async (): Promise<void> => {
		await workspace.io.clock.sleep(lastWrite, done.signal);
		late.abort(new BrewlineError("timeout", `not done within ${lastWrite / 1000} s`));
	};
	limit().catch(() => {});
	try {
		const io = { ...workspace.io, signal: late.signal };
		await using memory = workspace.memoryIn(io);
		await recordLearned({ ...workspace, io, memory }, learned);
	} catch (error) {
		// Nobody waits for it.
		if (!late.signal.aborted) throw error;
	} finally {
		done.abort();
	}
}

type Where = Pick<Workspace, "memory" | "io" | "program">;

/**
 * Writes what was learned into the state, for whom nothing else is to be done. Where nothing is defined nothing was learned:
 * that is another folder than the one that was meant, and must not empty the state.
 */
export async function writeLearned({ memory, io, program }: Where, learned: Learned): Promise<void> {
	if (Object.keys(learned.sources).length === 0) return;
	const when = timeOf(Math.floor(io.clock.now() / 1000));
	const happened: Happened = {
		sources: learned.sources,
		builds: learned.output.builds,
		cache: learned.output.cache,
		tries: learned.tries,
		built: learned.built ?? new Set(),
		tags: publishedTags(learned.tags, learned.sources, program),
		defined: definedTags(learned, program),
		tests: (learned.tests ?? []).map(({ buildId, digest, result, start, log }) => ({
			buildId,
			digest,
			passed: result === "passed",
			when: start,
			log,
		})),
		when,
	};
	const { remember } = await import("../state/index.ts");
	await memory.update((state) => remember(state, happened), `Remember the run of ${when}`);
}

/**
 * The results of builds that are not there, as tries: whatever a result says, the builds do, which are read from the
 * registry. What was ended from outside was not tried. `reasons`: why each was to be built, by id. `now`, in Unix seconds: no
 * try ended later, whatever the clock of its machine, or somebody's file, says.
 */
export function failedTries(
	results: Iterable<BuildResult>,
	builds: Builds,
	reasons: ReadonlyMap<string, string>,
	now: number,
): FailedTry[] {
	return [...results].flatMap((result) => {
		const build = Object.hasOwn(builds, result.buildId) ? builds[result.buildId] : undefined;
		if (build === undefined || build.build.resolved !== null || result.status === "cancelled") return [];
		const said = Date.parse(result.start) / 1000;
		const began = Number.isNaN(said) ? now : Math.min(said, now);
		// Its very second: one that is rounded up is still to come for who asks at once, and another one for who asks later.
		const end = Math.min(Math.floor(began + result.seconds), now);
		const reason = reasons.get(result.buildId) ?? "it was planned";
		const url = result.log === null || /\p{Cc}/u.test(result.log) ? null : result.log;
		return [{ buildId: result.buildId, start: Math.floor(began), end, url, identifier: titleOf(build), reason }];
	});
}

/** What each tag is to be made from, by full tag; of what failed nobody knows what it holds. */
function definedTags(
	{ sources, output, tags }: Learned,
	{ registries, annotations }: Pick<Program, "registries" | "annotations">,
): ReadonlyMap<string, string | undefined> {
	const failed = new Set(tags.flatMap(({ reference, change }) => (change === "failed" ? [reference] : [])));
	return new Map(
		[...partsOfTags(sources, output.builds)].map(([tag, parts]) => {
			const ref = underNamespace(registries.namespace, tag);
			const reference = tryParseReference(ref);
			const isLost = reference === undefined || failed.has(printReference(reference));
			return [tag, isLost ? undefined : fingerprint(ref, parts, annotations)] as const;
		}),
	);
}

/** By full tag, as definitions name them. */
function publishedTags(
	tags: Learned["tags"],
	sources: Sources,
	{ registries }: Pick<Program, "registries">,
): Happened["tags"] {
	const names = new Map<string, string>();
	for (const { arches } of Object.values(sources)) {
		for (const name of Object.values(arches).flatMap((ofArch) => ofArch.tags)) {
			const reference = tryParseReference(underNamespace(registries.namespace, name));
			if (reference !== undefined) names.set(printReference(reference), name);
		}
	}
	return Object.fromEntries(
		tags.flatMap(({ reference, digest, platforms, change, decision, remembered: isRemembered, from }) => {
			const name = names.get(reference);
			if (name === undefined || digest === null || change === "failed") return [];
			// Of what was not looked at there is nothing to learn.
			if (isRemembered || decision === "stop") return [];
			// Windows' releases stand behind the platform.
			const own = platforms.map((platform) => platform.split(" ", 1)[0]!);
			return [[name, { digest, platforms: [...new Set(own)].sort(), ...(from === undefined ? {} : { from }) }]];
		}),
	);
}
