import { mkdir, mkdtemp, rm } from "node:fs/promises";
import path from "node:path";
import { BrewlineError, messageOf } from "../errors.ts";
import { credentialPrefix, openGitStore, type GitStoreOptions } from "../git/index.ts";
import { counted, printable } from "../io/printable.ts";
import type { Io, TaskState } from "../io/types.ts";
import { canonicalReference, parseReference, repositoryOf, type Reference } from "../oci/index.ts";
import type { Leg, LegBuild } from "../plan/index.ts";
import type { HostOptions } from "../registry/hosts.ts";
import type { RegistryClient } from "../registry/types.ts";
import { buildWithBuildkit, needBuilder } from "./buildkit.ts";
import { buildWithClassic } from "./classic.ts";
import { isEmulated, type Builder, type BuilderContext } from "./context.ts";
import { openLog, type BuildLog } from "./log.ts";
import { importFromGit } from "./oci-import.ts";
import { parentImage } from "./parents.ts";
import { checkLayout, stagedDigest } from "./platforms.ts";
import { pushLayout } from "./push.ts";
import { writeResult, type BuildResult, type LegResult, type Run } from "./result.ts";

export interface BuildOptions {
	/** For parents and staging; made with `registryOptionsOf(leg)`. */
	readonly client: RegistryClient;
	/** The cache of git repositories, which is kept, and credentials for private ones. */
	readonly git: Omit<GitStoreOptions, "rewrite">;
	/** Scratch folders are made in it, and removed. On a disk with room for twice the image. */
	readonly workDirectory: string;
	/** Undefined: no engine; only `oci-import` without an SBOM can be built. */
	readonly builder?: Builder;
	/** `ID.json` is written into it. */
	readonly results?: string;
	/** `ID.log` is written into it. */
	readonly logs?: string;
	/** Where people find the log; default: the file. */
	readonly logAddress?: string;
	/** The workflow's run; default: `local`, attempt 1. */
	readonly run?: Run;
}

/** What the registry client of a leg has to know: mirrors, plain HTTP, and where 401 and 403 mean "not there". */
export function registryOptionsOf(leg: Leg): HostOptions & { readonly hides: (reference: Reference) => boolean } {
	const name = (reference: Reference) => canonicalReference(repositoryOf(reference));
	const read = leg.builds
		.filter(({ staging }) => staging.read)
		.map(({ staging }) => name(parseReference(staging.reference)));
	return { ...leg.registries, hides: (reference) => !read.includes(name(reference)) };
}

/** How long a build that was told to end may take to do so, before its result is written without it, in milliseconds. */
const patience = 4000;

/**
 * Builds all of a leg, one after another, each into its staging repository. A build that fails does not end the
 * others; when `io.signal` is aborted, the running one is ended and the others are cancelled. What happens to a build
 * is in the result, never thrown.
 */
export async function build(leg: Leg, io: Io, options: BuildOptions): Promise<LegResult> {
	const builds: BuildResult[] = [];
	await mkdir(options.workDirectory, { recursive: true });
	const scratch = await mkdtemp(path.join(options.workDirectory, "leg-"));
	try {
		for (const [position, build] of leg.builds.entries()) {
			const name = leg.builds.length === 1 ? leg.id : `${leg.id}.${position + 1}`;
			const folder = path.join(scratch, String(position));
			await mkdir(folder);
			builds.push(await buildOne(name, leg, build, folder, io, options));
			if (!io.signal.aborted) {
				await rm(folder, { recursive: true, force: true, maxRetries: 3 });
			}
		}
		const result: LegResult = {
			format: "brewline-result",
			version: 1,
			leg: leg.id,
			run: options.run ?? { id: "local", attempt: 1 },
			builds,
		};
		if (options.results !== undefined) {
			await writeResult(options.results, result);
		}
		return result;
	} finally {
		// After the result: who is told to end has seconds, and this can take longer.
		await rm(scratch, { recursive: true, force: true, maxRetries: 3 });
	}
}

async function buildOne(
	name: string,
	leg: Leg,
	build: LegBuild,
	scratch: string,
	io: Io,
	options: BuildOptions,
): Promise<BuildResult> {
	const start = io.clock.now();
	const file = options.logs === undefined ? undefined : path.join(options.logs, `${name}.log`);
	const log = openLog(io, name, file);
	const report = (state: TaskState, detail?: string) => {
		io.log({ type: "progress", task: name, state, ...(detail === undefined ? {} : { detail }) });
	};
	const result = (status: BuildResult["status"], more: Partial<BuildResult> = {}): BuildResult => {
		const seconds = Math.max(0, Math.round(io.clock.now() - start) / 1000);
		report(status, more.error?.message ?? more.digest ?? undefined);
		return {
			buildId: build.buildId,
			status,
			digest: null,
			start: new Date(start).toISOString(),
			seconds,
			emulated: false,
			log: options.logAddress ?? file ?? null,
			error: null,
			...more,
		};
	};
	const limit = new AbortController();
	const over = new AbortController();
	const signal = AbortSignal.any([io.signal, limit.signal]);
	void after(io, leg.timeLimit * 60_000, over.signal, () => {
		limit.abort(new BrewlineError("timeout", `not done after ${counted(leg.timeLimit, "minute")}`));
	});
	let emulated = false;
	try {
		io.signal.throwIfAborted();
		const outcome = await ended(
			io,
			signal,
			(async () => {
				report("running", "looking at the staging repository");
				const there = await stagedDigest(options.client, build.staging.reference, leg.platform);
				if (there !== undefined) {
					return { status: "present", digest: there } as const;
				}
				emulated = checkEmulation(leg, build, options.builder);
				const limited = { ...io, signal };
				await using git = openGitStore(limited, {
					...options.git,
					rewrite: { [build.git.repository]: build.git.fetchFrom },
				});
				const digest = await make({
					io: limited,
					leg,
					build,
					client: options.client,
					scratch,
					log,
					builder: options.builder,
					privateSource: credentialPrefix(build.git.fetchFrom, options.git.credentials ?? {}) !== undefined,
					git,
					progress: (detail) => {
						report("running", emulated && detail === "building" ? "building under emulation" : detail);
					},
				});
				return { status: "built", digest } as const;
			})(),
		);
		return result(outcome.status, { digest: outcome.digest, emulated });
	} catch (error) {
		const cancelled = io.signal.aborted;
		const status = cancelled ? "cancelled" : limit.signal.aborted ? "timed-out" : "failed";
		const shown = cancelled
			? new BrewlineError("cancelled", "ended before it was done")
			: limit.signal.aborted
				? (limit.signal.reason as BrewlineError)
				: error;
		return result(status, { emulated, error: failure(shown, log) });
	} finally {
		over.abort();
		log.close();
	}
}

/** Builds, checks and pushes; the digest of what the staging reference holds then. */
async function make(context: BuilderContext): Promise<string> {
	const { io, leg, build, client, progress } = context;
	if (build.builder === "classic") {
		return buildWithClassic(context);
	}
	const layout = await (build.builder === "buildkit" ? buildWithBuildkit(context) : importFromGit(context));
	progress("checking");
	const valid = await checkLayout(layout, leg.platform, { attestations: leg.attestations, signal: io.signal });
	progress("pushing");
	return pushLayout(client, valid, parseReference(build.staging.reference), {
		mountFrom: build.parents.map(parentImage),
		signal: io.signal,
	});
}

/** Whether the build is emulated: an error where the configuration does not say that it may be. */
function checkEmulation(leg: Leg, build: LegBuild, builder: Builder | undefined): boolean {
	if (build.builder === "oci-import") {
		return false;
	}
	const there = needBuilder({ builder, build });
	const native = leg.runner.via === null ? [leg.platform] : [leg.platform, leg.runner.via];
	if (native.some((platform) => !isEmulated(there, platform))) {
		return false;
	}
	if (!leg.runner.emulate) {
		throw new BrewlineError("engine", `${leg.platformString} does not run natively on this builder`, {
			hint: `set architectures.${leg.arch}.emulate to true to build it under emulation, or give it another runner`,
		});
	}
	return true;
}

/** The work's outcome; after the signal at most a few seconds later, even where the work does not listen to it. */
async function ended<T>(io: Io, signal: AbortSignal, work: Promise<T>): Promise<T> {
	const done = new AbortController();
	const late = new Promise<never>((_, reject) => {
		const wait = () => {
			void after(io, patience, done.signal, () => {
				reject(new BrewlineError("cancelled", "did not end in time"));
			});
		};
		if (signal.aborted) {
			wait();
		} else {
			signal.addEventListener("abort", wait, { once: true });
		}
	});
	try {
		return await Promise.race([work, late]);
	} finally {
		done.abort();
		work.catch(() => {});
	}
}

/** Does something after some milliseconds, unless the signal is aborted before. */
async function after(io: Io, milliseconds: number, signal: AbortSignal, act: () => void): Promise<void> {
	try {
		await io.clock.sleep(milliseconds, signal);
	} catch {
		return;
	}
	act();
}

function failure(error: unknown, log: BuildLog): BuildResult["error"] {
	const known = error instanceof BrewlineError;
	return {
		code: known ? error.code : "internal",
		message: printable(messageOf(error), 4000),
		hint: known && error.hint !== undefined ? printable(error.hint, 1000) : null,
		lines: [...log.tail()],
	};
}
