import { retryTime, windowsVersionOf } from "../builds/queue.ts";
import type { QueueRecord, QueueRecords } from "../builds/queue.ts";
import type { Build, Builds, Waiting } from "../builds/types.ts";
import { deadlineOf, policyOf, type Policy } from "../config/policy.ts";
import type { Program } from "../config/types.ts";
import { BrewlineError } from "../errors.ts";
import { rewriteAddress } from "../git/index.ts";
import type { Io } from "../io/types.ts";
import { counted, printable } from "../io/printable.ts";
import { orderedEntries, orderedKeys, sortedByKey } from "../json/index.ts";
import { canonicalReference, parseReference, repositoryOf, sha256Of, type Platform } from "../oci/index.ts";
import { writeSources } from "../sources/index.ts";
import type { Sources } from "../sources/types.ts";
import { annotationsOf, archOf, builderOf, entryOf, parentsOf, titleOf, wantsSbom } from "./annotations.ts";
import { grouped, type Capacity } from "./capacity.ts";
import type { Plan } from "./file.ts";
import { graphOf, pairOf, type Graph } from "./graph.ts";
import { printLeg, type Leg, type LegBuild } from "./leg.ts";
import type { Predecessor } from "./predecessor.ts";
import { reasonsOf, timeOf, triesOf, type ChangedFiles, type Forced } from "./reasons.ts";

export interface PlanInput {
	readonly builds: Builds;
	readonly waiting: readonly Waiting[];
	/** To name what waits. */
	readonly sources: Sources;
	/** What is remembered of tries, by build id. Default: nothing, so nothing waits because it failed. */
	readonly queue?: QueueRecords;
	/** What was built before, for the reasons; undefined: nothing is remembered. */
	readonly previous?: readonly Predecessor[];
	/** The forced builds that are in force, by the id that is replaced. */
	readonly forced?: Readonly<Record<string, Forced>>;
}

export interface PlanOptions {
	readonly program: Program;
	/** Whose policies say what is waited for; default: `program`. Another one where that was narrowed for this plan alone. */
	readonly wholeProgram?: Program;
	/** The commit of the library's repository. */
	readonly library?: string;
	/** Whether anything was ever read from a repository (`HOST/NAME`), besides what the builds themselves show. */
	readonly everRead?: (repository: string) => boolean;
	/** All such repositories, for the plan. */
	readonly read?: Iterable<string>;
	/** Asked for the builds that get a leg and have new content. */
	readonly changedFiles?: ChangedFiles;
	/** Whether what failed before is tried again at once, whatever its back-off. Default: no. */
	readonly retry?: boolean;
	/** How much one run can take. Default: any number of legs, each with one build. */
	readonly capacity?: Capacity;
	/** SHA-256 of `builds.json` and `cache.json`, where they are handed over too. */
	readonly files?: { readonly builds: string; readonly cache: string };
}

export interface PlanOutput {
	readonly plan: Plan;
	/** In the order of the plan. */
	readonly legs: readonly Leg[];
	/** How many builds could be made now if there were room for all of them. */
	readonly wanted: number;
}

/** A build that can be made now. */
interface Due {
	readonly build: Build;
	readonly record: QueueRecord | undefined;
	readonly policy: Policy & { readonly runner: string };
}

/**
 * What can be built now, and what waits, with the reasons of both. Legs stand in the order in which they are best begun:
 * what failed less often first (spec/builds.md, The queue), then what unblocks most, then the order of the sources.
 * All that makes a build impossible to plan is reported at once, with the code `definition`.
 */
export async function plan(input: PlanInput, io: Io, options: PlanOptions): Promise<PlanOutput> {
	const { program, capacity } = options;
	const { sources } = input;
	const now = Math.floor(io.clock.now() / 1000);
	const whole = options.wholeProgram ?? program;
	const { due, waiting } = sortedOut(input, { program, whole }, options.retry === true ? Infinity : now);
	const unserved = input.waiting.flatMap((item) => unservedOf(item, sources, whole) ?? []);
	const graph = graphOf(sources, input.builds, input.waiting, {
		now: new Set(due.map(({ build }) => pairOfBuild(build))),
		never: new Set(unserved.map(({ source, arch }) => pairOf(source, arch))),
	});
	const { groups, rest } = grouped(inBestOrder(due, graph), sameMachine, capacity);

	const planned = new Set(groups.flatMap((group) => group.map(({ build }) => build.buildId)));
	const reasonOf = reasonsOf({
		forced: input.forced ?? {},
		...(input.previous === undefined ? {} : { previous: input.previous }),
		...(options.changedFiles === undefined ? {} : { changedFiles: options.changedFiles }),
	});
	const reasons = new Map(
		await Promise.all(
			due
				.filter(({ build }) => planned.has(build.buildId))
				.map(async ({ build, record }) => [build.buildId, await reasonOf(build, record)] as const),
		),
	);
	const { legs, digests } = legsOf(groups, input.builds, options);
	const forced = Object.entries(input.forced ?? {}).map(([id, { text }]) => [id, text] as const);
	const byPair = new Map<string, Plan["waiting"][number]>();
	for (const item of input.waiting) {
		const wave = graph.wave(pairOf(item.sourceId, item.arch)) ?? null;
		byPair.set(pairOf(item.sourceId, item.arch), {
			source: item.sourceId,
			arch: item.arch,
			why: "parent",
			wave,
			reason: whyWaiting(item, sources),
		});
	}
	for (const item of [...unserved, ...waiting]) byPair.set(pairOf(item.source, item.arch), item);
	for (const { build } of rest) {
		const reason = `${titleOf(build)}: the run has no room for it: ${due.length} builds are due, ${planned.size} are in its ${counted(legs.length, "leg")}`;
		const { sourceId, arch } = build.build;
		byPair.set(pairOfBuild(build), { source: sourceId, arch, why: "no-room", wave: 0, reason });
	}
	io.log({
		type: "message",
		level: "debug",
		text: `planned ${counted(planned.size, "build")} in ${counted(legs.length, "leg")}; ${byPair.size} waiting`,
	});
	return {
		plan: {
			format: "brewline-plan",
			version: 1,
			library: options.library ?? null,
			program: program.name,
			sources: sha256Of(writeSources(sources)),
			builds: options.files?.builds ?? null,
			cache: options.files?.cache ?? null,
			read: [...(options.read ?? [])].sort(),
			forced: sortedByKey(Object.fromEntries(forced)),
			legs: legs.map(({ id, arch, runner, builds }) => ({
				id,
				arch,
				runner: runner.label,
				wave: 0,
				digest: digests.get(id)!,
				builds: builds.map(({ buildId }) => ({ id: buildId, reason: reasons.get(buildId)! })),
			})),
			waiting: inOrderOf(sources, byPair),
			overdue: overduePairs(input, whole, now),
		},
		legs,
		wanted: due.length,
	};
}

/** The builds that are not there: those that are due, and those that have to wait although their parents are there. */
function sortedOut(
	{ builds, queue: records = {} }: PlanInput,
	{ program, whole }: { readonly program: Program; readonly whole: Program },
	now: number,
): { readonly due: readonly Due[]; readonly waiting: readonly Plan["waiting"][number][] } {
	const due: Due[] = [];
	const waiting: Plan["waiting"][number][] = [];
	for (const build of Object.values(builds)) {
		const { sourceId, arch, resolved } = build.build;
		if (resolved !== null) continue;
		const policy = policyOf(program, archOf(build).tags, arch);
		const record = Object.hasOwn(records, build.buildId) ? records[build.buildId] : undefined;
		const retry = record === undefined ? undefined : retryTime(record);
		if (policy.runner === null && policyOf(whole, archOf(build).tags, arch).runner !== null) {
			const reason = `${titleOf(build)}: ${arch} is none of the architectures that this plan is for`;
			waiting.push({ source: sourceId, arch, why: "not-chosen", wave: null, reason });
		} else if (policy.runner === null) {
			waiting.push(unservedPair(sourceId, arch, titleOf(build)));
		} else if (record !== undefined && retry !== undefined && now < retry) {
			const reason = `${titleOf(build)}: ${triesOf(record)}; it is tried again after ${timeOf(retry)}`;
			waiting.push({ source: sourceId, arch, why: "back-off", wave: null, reason });
		} else {
			due.push({ build, record, policy: { ...policy, runner: policy.runner } });
		}
	}
	return { due, waiting };
}

/** That nothing builds what waits for a parent, whatever becomes of that one; undefined: something does. */
function unservedOf({ sourceId, arch }: Waiting, sources: Sources, program: Program) {
	const tags = sources[sourceId]?.arches[arch]?.tags ?? [];
	return policyOf(program, tags, arch).runner === null
		? unservedPair(sourceId, arch, tagOf(sourceId, tags))
		: undefined;
}

function unservedPair(source: string, arch: string, title: string): Plan["waiting"][number] {
	const reason = `${title}: nothing builds ${arch} here (it has no runner in the configuration)`;
	return { source, arch, why: "unserved", wave: null, reason };
}

function inBestOrder(due: readonly Due[], graph: Graph): readonly Due[] {
	const ranked = due.map((item) => ({
		item,
		tries: item.record?.count ?? 0,
		unblocks: graph.unblocks(pairOfBuild(item.build)),
	}));
	return ranked.sort((a, b) => a.tries - b.tries || b.unblocks - a.unblocks).map(({ item }) => item);
}

/** What may share a job: it runs on one machine, in one way. */
function sameMachine({ build, policy }: Due): string {
	const { runner, builder, emulate, via, timeLimit } = policy;
	return JSON.stringify([build.build.arch, runner, builder, emulate, via, timeLimit]);
}

/** Checks and writes the legs; all that cannot be planned is thrown at once. */
function legsOf(
	groups: readonly (readonly Due[])[],
	builds: Builds,
	{ program, everRead }: PlanOptions,
): { readonly legs: readonly Leg[]; readonly digests: ReadonlyMap<string, string> } {
	const seen = new Set<string>();
	for (const { build } of Object.values(builds)) {
		if (build.resolved !== null) seen.add(stagingRepository(build.img));
	}
	const read = (repository: string) => seen.has(repository) || (everRead?.(repository) ?? false);
	const legs: Leg[] = [];
	const digests = new Map<string, string>();
	const errors: BrewlineError[] = [];
	for (const group of groups) {
		const { policy } = group[0]!;
		const id = freeId(group[0]!.build, digests);
		const of = (...members: readonly Build[]): Leg => legOf(id, members, policy, program, read);
		try {
			const leg = of(...group.map(({ build }) => build));
			digests.set(id, sha256Of(printLeg(leg)));
			legs.push(leg);
		} catch (error) {
			const before = errors.length;
			// Each on its own, so that an error names the build that it is about.
			for (const { build } of group) {
				try {
					printLeg(of(build));
				} catch (cause) {
					errors.push(unplannable(build, cause));
				}
			}
			// It is about none of them: together they are what no leg can be.
			if (errors.length === before) throw error;
		}
	}
	if (errors.length > 0) {
		const first = errors[0]!;
		throw new BrewlineError(
			"definition",
			errors.length === 1 ? first.message : `${errors.length} builds cannot be planned, first ${first.message}`,
			{ errors, ...(first.hint === undefined ? {} : { hint: first.hint }) },
		);
	}
	return { legs, digests };
}

function unplannable(build: Build, error: unknown): BrewlineError {
	if (!(error instanceof BrewlineError)) throw error;
	return new BrewlineError("definition", `${titleOf(build)} for ${build.build.arch}: ${error.message}`, {
		cause: error,
		...(error.hint === undefined ? {} : { hint: error.hint }),
	});
}

/**
 * What is optional, not there, and not waited for any more. The clock of a build starts when it was first seen to be missing; that of one
 * that waits for a parent of ours, with the parent's. What nothing here will ever build is not waited for at all.
 */
function overduePairs({ builds, waiting, sources, queue: records = {} }: PlanInput, program: Program, now: number) {
	const since = new Map<string, number>();
	const overdue: { source: string; arch: string }[] = [];
	const blocked = new Map(waiting.map((item) => [pairOf(item.sourceId, item.arch), item]));
	const missing = new Map(
		Object.values(builds)
			.filter(({ build }) => build.resolved === null)
			.map((build) => [pairOfBuild(build), build]),
	);
	for (const [sourceId, { arches }] of orderedEntries(sources)) {
		for (const [arch, { tags }] of orderedEntries(arches)) {
			const pair = pairOf(sourceId, arch);
			const build = missing.get(pair);
			const item = blocked.get(pair);
			if (build === undefined && item === undefined) continue;
			const deadline = deadlineOf(program, tags, arch);
			const parent = item?.parentSourceId ?? null;
			const start =
				policyOf(program, tags, arch).runner === null
					? -Infinity
					: build !== undefined
						? ((Object.hasOwn(records, build.buildId) ? records[build.buildId]!.firstTime : undefined) ?? now)
						: parent === null
							? -Infinity
							: (since.get(pairOf(parent, arch)) ?? -Infinity);
			since.set(pair, start);
			if (deadline !== null && start + deadline <= now) overdue.push({ source: sourceId, arch });
		}
	}
	return overdue;
}

/** In the order of the sources. */
function inOrderOf<T>(sources: Sources, byPair: ReadonlyMap<string, T>): T[] {
	const pairs = orderedEntries(sources).flatMap(([id, { arches }]) =>
		orderedKeys(arches).map((arch) => pairOf(id, arch)),
	);
	return [...new Set([...pairs, ...byPair.keys()])].flatMap((pair) => byPair.get(pair) ?? []);
}

function pairOfBuild({ build }: Build): string {
	return pairOf(build.sourceId, build.arch);
}

/** A leg's id: first tag, architecture, the first digits of the build id: 8, or as many as it takes to be unique. */
function freeId(build: Build, taken: ReadonlyMap<string, string>): string {
	for (let digits = 8; digits <= 40; digits += 8) {
		const id = legIdOf(titleOf(build), build.build.arch, build.buildId.slice(0, digits));
		if (!taken.has(id)) {
			return id;
		}
	}
	throw new BrewlineError("handover", `build ${build.buildId} is there twice`);
}

/** `[a-z0-9][a-z0-9-]{0,62}`: what does not fit is cut from the tag. */
export function legIdOf(tag: string, arch: string, digits: string): string {
	const end = `-${arch}-${digits}`;
	const start = tag.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-");
	return `${start.slice(0, 63 - end.length)}${end}`.replaceAll(/-{2,}/g, "-").replace(/^-/, "");
}

/** A leg for builds that one machine makes one after another. */
function legOf(
	id: string,
	builds: readonly Build[],
	policy: Due["policy"],
	program: Program,
	read: (repository: string) => boolean,
): Leg {
	const { arch } = builds[0]!.build;
	const { platform, platformString } = archOf(builds[0]!);
	const via = policy.via === null ? undefined : program.architectures[policy.via];
	return {
		format: "brewline-leg",
		version: 1,
		id,
		program: program.name,
		arch,
		platform: threePartPlatform(platform),
		platformString,
		runner: {
			label: policy.runner,
			builder: policy.builder,
			emulate: policy.emulate,
			via: via === undefined ? null : threePartPlatform(via.platform),
		},
		timeLimit: policy.timeLimit,
		buildkit: program.buildkit,
		registries: {
			mirrors: program.registries.mirrors,
			plainHttp: program.registries.plainHttp,
			rates: program.registries.rates,
			tokenServers: program.registries.tokenServers,
		},
		architectureAnnotation: program.annotations.architecture,
		attestations: program.attestations,
		builds: builds.map((build) => legBuildOf(build, program, read)),
	};
}

/** What a leg is told of one build. */
export function legBuildOf(build: Build, program: Program, read: (repository: string) => boolean): LegBuild {
	const entry = entryOf(build);
	const arch = archOf(build);
	const builder = builderOf(build);
	return {
		buildId: build.buildId,
		builder,
		git: {
			repository: entry.GitRepo,
			fetchFrom: rewriteAddress(entry.GitRepo, program.git.rewrite),
			commit: entry.GitCommit,
			ref: entry.GitFetch,
			directory: entry.Directory,
			// An emptied `File` is BuildKit's own default.
			file: entry.File === "" ? "Dockerfile" : entry.File,
			epoch: entry.SOURCE_DATE_EPOCH,
		},
		tags: arch.tags,
		archTags: arch.archTags,
		staging: { reference: build.build.img, read: read(stagingRepository(build.build.img)) },
		parents: parentsOf(build),
		annotations: annotationsOf(build, program),
		sbom: wantsSbom(build, program.sbom) ? program.sbom.generator : null,
		windowsVersion: windowsVersionOf(build),
	};
}

function threePartPlatform(platform: Platform): Leg["platform"] {
	return {
		os: platform.os,
		architecture: platform.architecture,
		...(platform.variant === undefined ? {} : { variant: platform.variant }),
	};
}

/** The repository of a staging reference, canonically: equal for equal repositories. */
function stagingRepository(reference: string): string {
	return canonicalReference(repositoryOf(parseReference(reference)));
}

const waitingFor: Readonly<Record<Waiting["reason"], (arch: string) => string>> = {
	"parent-not-built": () => "which is not built yet",
	"parent-waiting": () => "which waits itself",
	"parent-missing": () => "which no registry has",
	"parent-lacks-architecture": (arch) => `which is not there for ${arch}`,
};

function whyWaiting(item: Waiting, sources: Sources): string {
	const tag = tagOf(item.sourceId, sources[item.sourceId]?.arches[item.arch]?.tags ?? []);
	return printable(`${tag} waits for ${item.parent}, ${waitingFor[item.reason](item.arch)}`);
}

/** What a source without a build is called for people: its first tag. */
function tagOf(sourceId: string, tags: readonly string[]): string {
	return tags[0] ?? sourceId.slice(0, 12);
}
