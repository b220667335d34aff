import { readdir, rm } from "node:fs/promises";
import { availableParallelism } from "node:os";
import path from "node:path";
import {
	build,
	type Builder,
	type BuildResult,
	type LegResult,
	registryOptionsOf,
	type Run,
	stagedDigest,
} from "../build/index.ts";
import type { BuildsOutput } from "../builds/index.ts";
import type { Program } from "../config/index.ts";
import { type Io, isRunning } from "../io/index.ts";
import { type Leg, pairOf, type Plan, titleOf } from "../plan/index.ts";
import {
	createLimiter,
	createRegistryClient,
	dockerCredentials,
	mirrorsFromEnvironment,
	type Limiter,
} from "../registry/index.ts";
import type { Report } from "../report/index.ts";
import type { Sources } from "../sources/index.ts";
import { failedTries, type Learned, recordAtEnd, recordLearned } from "./memory.ts";
import { predictTags } from "./predict.ts";
import { type PublishChoice, publishStaged } from "./publish.ts";
import {
	buildReports,
	type Draft,
	finishReport,
	legReports,
	reasonsIn,
	startReport,
	tagReports,
	waitingReports,
} from "./report.ts";
import { chosenArchitectures, computeBuilds, computePlan, computeSources, openLookups } from "./steps.ts";
import { knownTests } from "./tests.ts";
import { filesOf, openWorkspace, type Workspace, type WorkspaceOptions } from "./workspace.ts";

/** Finds what builds a leg, when one needs it; undefined: there is no engine. */
export type FindBuilder = (leg: Leg) => Promise<Builder | undefined>;

export interface BuildChoice extends Omit<WorkspaceOptions, "dryRun"> {
	readonly findBuilder: FindBuilder;
	/** Legs at once; default: one for every two processors, at least one. */
	readonly parallel?: number;
	readonly run?: Run;
	/** Where people find the log; default: the file. */
	readonly logAddress?: string;
	/** Shared with whoever else asks registries in this process; default: one for all legs. */
	readonly limiter?: Limiter;
}

export interface RunOptions extends BuildChoice, PublishChoice, WorkspaceOptions {
	/** Only these architectures; all that have a runner where it is left out. */
	readonly architectures?: readonly string[];
	/** The commit of the library's repository. */
	readonly library?: string;
	/** Whether what failed before is tried again at once. Default: no. */
	readonly retry?: boolean;
	/** Whether much that was known to be staged may be missing. Default: no. */
	readonly acceptMissing?: boolean;
}

/**
 * The whole pipeline: builds what is missing, layer by layer, until nothing is left that can be built, then publishes
 * every tag. What fails is in the report, with all that depends on it held back; only what makes it impossible to go on
 * at all is thrown. Killed at any point, the next run goes on from what the registry holds.
 */
export async function run(program: Program, io: Io, options: RunOptions): Promise<Report> {
	const report = startReport(program.name, io, { dryRun: options.dryRun ?? false, library: options.library });
	// A name that nothing builds is told at once, not after the sources.
	chosenArchitectures(program, options.architectures);
	await using workspace = openWorkspace(program, io, options);
	if (!workspace.dryRun) await removeLeftovers(filesOf(workspace.work).scratch);
	const sources = await computeSources(workspace);
	const planned = await buildAll(workspace, sources, options, report);
	if (!io.signal.aborted) {
		// If this run is lost while tags move, the next one looks at those that it can have moved.
		if (!workspace.dryRun && !planned.isRecorded) {
			await recordLearned(workspace, { sources, ...planned.learned, tags: [] });
		}
		const overdue = new Set(planned.plan.overdue.map(({ source, arch }) => pairOf(source, arch)));
		const published = await publishStaged(
			workspace,
			{ sources, builds: planned.builds },
			{
				overdue,
				audit: options.audit ?? false,
				allowOlder: options.allowOlder ?? false,
			},
		);
		const tags = workspace.dryRun
			? predictTags(published.tags, sources, planned, program, {
					decisions: (await workspace.memory.read())?.decisions,
					tests: await knownTests(workspace.work, io, await workspace.memory.read()),
				})
			: published.tags;
		Object.assign(report, tagReports({ ...published, tags }));
		if (!workspace.dryRun && !io.signal.aborted) {
			await recordLearned(workspace, {
				sources,
				...planned.learned,
				tags: report.tags,
				...(report.tests === undefined ? {} : { tests: report.tests }),
			});
		}
	}
	const finished = await finishReport(workspace.dryRun ? undefined : workspace.work, io, report);
	// After the report: that is what people wait for.
	if (planned.ended.length > 0) {
		await recordAtEnd(workspace, { sources, output: planned.learned.output, tries: planned.ended, tags: [] });
	}
	return finished;
}

interface Planned extends BuildsOutput {
	readonly legs: readonly Leg[];
	readonly plan: Plan;
	readonly learned: Pick<Learned, "output" | "tries">;
	/** Whether that is in the state already. */
	readonly isRecorded: boolean;
	/** Tries that are not in the state yet, because the run was told to end while they were made. */
	readonly ended: Learned["tries"];
}

/** Plans and builds until a plan has nothing that was not tried yet. Returns the last plan. */
async function buildAll(workspace: Workspace, sources: Sources, options: RunOptions, report: Draft): Promise<Planned> {
	const lookups = openLookups(workspace);
	const results = new Map<string, BuildResult>();
	const reasons = new Map<string, string>();
	for (;;) {
		const output = await computeBuilds(workspace, sources, lookups, {
			acceptMissing: options.acceptMissing ?? false,
		});
		const now = Math.floor(workspace.io.clock.now() / 1000);
		const learned = { output, tries: failedTries(results.values(), output.builds, reasons, now) };
		// Before the next plan: it knows then what was tried, and nothing is lost if the run is killed.
		const isRecorded = results.size > 0;
		if (isRecorded) await recordLearned(workspace, { sources, ...learned, tags: [] });
		const planned = await computePlan(workspace, sources, output, options);
		// What failed in this run is told once, as that.
		const tried = new Set(
			[...results.keys()].flatMap((id) => {
				const build = output.builds[id];
				return build === undefined ? [] : [`${build.build.arch} ${titleOf(build)}`];
			}),
		);
		for (const [id, reason] of reasonsIn(planned.plan)) if (!results.has(id)) reasons.set(id, reason);
		const done = { ...output, legs: planned.legs, plan: planned.plan, learned, isRecorded, ended: [] };
		const legs = planned.legs.filter((leg) => leg.builds.some(({ buildId }) => !results.has(buildId)));
		report.builds = buildReports(output.builds, results, reasons);
		report.waiting = waitingReports(planned.plan, sources).filter(({ tag, arch }) => !tried.has(`${arch} ${tag}`));
		if (!workspace.dryRun) {
			const lines = planned.plan.waiting.map(({ arch, reason }) => `${reason} (${arch})`);
			workspace.io.log({ type: "waiting", lines });
		}
		if (legs.length === 0 || workspace.dryRun || workspace.io.signal.aborted) return done;
		workspace.io.log({
			type: "message",
			level: "info",
			text: `${legs.length} to build now, ${output.waiting.length} wait for others`,
		});
		const made = await buildLegs(legs, workspace.io, {
			...options,
			limiter: workspace.limiter,
			gitCredentials: { ...workspace.program.git.credentials, ...options.gitCredentials },
		});
		if (workspace.io.signal.aborted) {
			// There is no time to ask the registry again: what the legs say has to do.
			const said = legReports(legs, made, reasons);
			const tried = new Set(said.map(({ buildId }) => buildId));
			report.builds = [...report.builds.filter(({ buildId }) => !tried.has(buildId)), ...said];
			const failed = made.flatMap(({ builds }) => builds.filter(({ status }) => isFailure(status)));
			const end = Math.floor(workspace.io.clock.now() / 1000);
			return { ...done, ended: failedTries(failed, output.builds, reasons, end) };
		}
		for (const result of made.flatMap(({ builds }) => builds)) results.set(result.buildId, result);
		// What was tried is asked for again: the registry says what is there, whatever a result says.
		lookups.pushed(legs.flatMap((leg) => leg.builds.map(({ staging }) => staging.reference)));
	}
}

function isFailure(status: BuildResult["status"]): boolean {
	return status === "failed" || status === "timed-out";
}

/** What `buildLegs` would find to be there already, as results; what it would build has none. */
export async function findStaged(legs: readonly Leg[], io: Io): Promise<LegResult[]> {
	const credentials = dockerCredentials(io);
	const limiter = createLimiter(io);
	const results: LegResult[] = [];
	for (const leg of legs.map((leg) => withMirrors(leg, io))) {
		const client = createRegistryClient(io, { credentials, limiter, ...registryOptionsOf(leg) });
		const builds: BuildResult[] = [];
		for (const { buildId, staging } of leg.builds) {
			const digest = await stagedDigest(client, staging.reference, leg.platform);
			if (digest === undefined) continue;
			const start = new Date(io.clock.now()).toISOString();
			builds.push({ buildId, status: "present", digest, start, seconds: 0, emulated: false, log: null, error: null });
		}
		results.push({ format: "brewline-result", version: 1, leg: leg.id, run: { id: "local", attempt: 1 }, builds });
	}
	return results;
}

/**
 * Builds legs, at most so many at once. Legs bring all that they need with them: hand-over files below `work`, no definition,
 * no configuration.
 */
export async function buildLegs(legs: readonly Leg[], io: Io, choice: BuildChoice): Promise<LegResult[]> {
	const files = filesOf(path.resolve(choice.work));
	await removeLeftovers(files.scratch);
	const workDirectory = path.join(files.scratch, String(process.pid));
	const credentials = dockerCredentials(io);
	const limiter = choice.limiter ?? createLimiter(io);
	const queue = legs.map((leg) => withMirrors(leg, io)).values();
	const results: LegResult[] = [];
	const worker = async (): Promise<void> => {
		for (const leg of queue) {
			const needsEngine = leg.builds.some(({ builder, sbom }) => builder !== "oci-import" || sbom !== null);
			const builder = needsEngine && !io.signal.aborted ? await choice.findBuilder(leg) : undefined;
			results.push(
				await build(leg, io, {
					client: createRegistryClient(io, { credentials, limiter, ...registryOptionsOf(leg) }),
					git: {
						directory: files.git,
						...(choice.gitCredentials === undefined ? {} : { credentials: choice.gitCredentials }),
					},
					workDirectory,
					results: files.results,
					logs: files.logs,
					...(builder === undefined ? {} : { builder }),
					...(choice.run === undefined ? {} : { run: choice.run }),
					...(choice.logAddress === undefined ? {} : { logAddress: choice.logAddress }),
				}),
			);
		}
	};
	const parallel = choice.parallel ?? Math.max(1, Math.floor(availableParallelism() / 2));
	const workers = await Promise.allSettled(Array.from({ length: Math.min(parallel, legs.length) }, worker));
	await rm(workDirectory, { recursive: true, force: true, maxRetries: 3 });
	for (const outcome of workers) if (outcome.status === "rejected") throw outcome.reason;
	return results;
}

/** A leg brings the configuration's mirrors along; those of the environment are this machine's own. */
function withMirrors(leg: Leg, { env }: Io): Leg {
	const { registries } = leg;
	return {
		...leg,
		registries: { ...registries, mirrors: { ...mirrorsFromEnvironment(env), ...registries.mirrors } },
	};
}

/** Removes the scratch folders, one for each process, of those that were killed: images are large. */
async function removeLeftovers(scratch: string): Promise<void> {
	for (const name of await readdir(scratch).catch(() => [])) {
		if (!isRunning(Number(name))) await rm(path.join(scratch, name), { recursive: true, force: true, maxRetries: 3 });
	}
}
