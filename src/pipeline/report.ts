import type { BuildResult, LegResult } from "../build/index.ts";
import type { Builds } from "../builds/index.ts";
import { BrewlineError } from "../errors.ts";
import { writeWhole } from "../io/files.ts";
import type { Io } from "../io/index.ts";
import { tabJson } from "../json/index.ts";
import { type Leg, pairOf, type Plan, titleOf } from "../plan/index.ts";
import type { PublishResult } from "../publish/index.ts";
import { type BuildReport, failuresOf, type Report } from "../report/index.ts";
import type { Sources } from "../sources/index.ts";
import { filesOf } from "./workspace.ts";

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

/** A report that is still being written. */
export type Draft = Mutable<Omit<Report, "outcome" | "seconds">> & {
	readonly startedAt: number;
	readonly planOnly: boolean;
};

export function startReport(
	program: string,
	io: Io,
	options: {
		readonly dryRun?: boolean | undefined;
		/** It was asked for a plan alone, and is complete with that. */
		readonly planOnly?: boolean;
		readonly library?: string | undefined;
	} = {},
): Draft {
	const startedAt = io.clock.now();
	return {
		startedAt,
		planOnly: options.planOnly ?? false,
		format: "brewline-report",
		version: 1,
		program,
		library: options.library ?? null,
		dryRun: options.dryRun ?? false,
		started: new Date(startedAt).toISOString(),
		builds: [],
		waiting: [],
		tags: [],
		errors: [],
	};
}

/** Completes a report, with its outcome, and writes `report.json` into the work folder, if one is given. */
export async function finishReport(work: string | undefined, io: Io, draft: Draft): Promise<Report> {
	const { startedAt, planOnly: _planOnly, ...rest } = draft;
	const report: Report = {
		...rest,
		seconds: Math.max(0, io.clock.now() - startedAt) / 1000,
		outcome: outcomeOf(draft, io.signal.aborted),
	};
	if (work !== undefined) await writeWhole(filesOf(work).report, tabJson(report));
	return report;
}

function outcomeOf({ builds, waiting, tags, errors, dryRun, planOnly }: Draft, aborted: boolean): Report["outcome"] {
	if (aborted) return "cancelled";
	const failed = builds.some(({ state }) => state === "failed" || state === "timed-out" || state === "cancelled");
	if (failed || errors.length > 0 || tags.some(({ change }) => change === "failed")) return "failed";
	// A dry run, or a plan, has done all that was asked of it.
	if (dryRun || planOnly) return "complete";
	// What people decided is reported, and as it is to be.
	const held = tags.some(
		({ change, notes, unserved, decision }) =>
			decision === undefined && (change === "held" ? notes.length > 0 || unserved === undefined : notes.length > 0),
	);
	const open = builds.some(({ state }) => state === "planned") || waiting.some(({ unserved }) => unserved !== true);
	return held || open ? "incomplete" : "complete";
}

/**
 * Every build with what became of it in this run; what is planned and was not tried is `planned`.
 * `planned`: why each is built, by its id (`reasonsIn`).
 */
export function buildReports(
	builds: Builds,
	results: ReadonlyMap<string, BuildResult>,
	planned: ReadonlyMap<string, string>,
): BuildReport[] {
	return Object.values(builds).flatMap((build): BuildReport[] => {
		const { buildId } = build;
		const { arch, resolved } = build.build;
		const result = results.get(buildId);
		if (resolved === null && result === undefined && !planned.has(buildId)) return [];
		const tried = result !== undefined && result.status !== "present";
		const first = resolved?.manifests[0]?.digest ?? null;
		// A result only tells: what was built is what the registry has (docs/design.md).
		const state =
			resolved !== null ? (tried ? "built" : "present") : result === undefined ? "planned" : stateOf(result);
		const lost = state === "failed" && result?.error === null;
		return [
			{
				buildId,
				arch,
				tags: [...(build.source.arches[arch]?.tags ?? [])],
				state,
				reason: state === "present" ? unchanged : (planned.get(buildId) ?? "it was planned earlier"),
				digest: first,
				seconds: tried ? result.seconds : 0,
				emulated: result?.emulated ?? false,
				log: result?.log ?? null,
				error: lost
					? { code: "registry", message: `it says that it was built, but there is nothing at ${build.build.img}` }
					: state === "built" || state === "present" || state === "planned"
						? null
						: errorOf(result),
			},
		];
	});
}

function stateOf(result: BuildResult): BuildReport["state"] {
	return result.status === "built" || result.status === "present" ? "failed" : result.status;
}

function errorOf(result: BuildResult | undefined): BuildReport["error"] {
	if (result === undefined || result.error === null) return null;
	const { code, message, hint, lines } = result.error;
	const text = lines.length === 0 ? message : `${message}: ${lines.slice(-5).join(" / ")}`;
	return { code, message: text, ...(hint === null ? {} : { hint }) };
}

const unchanged = "nothing changed: this content, on these parents, is built";

/** Why builds are made, by id. */
export function reasonsIn(plan: Plan): ReadonlyMap<string, string> {
	return new Map(plan.legs.flatMap(({ builds }) => builds.map(({ id, reason }) => [id, reason] as const)));
}

/** What became of legs, where nothing but their results is known. */
export function legReports(
	legs: readonly Leg[],
	results: readonly LegResult[],
	planned: ReadonlyMap<string, string> = new Map(),
): BuildReport[] {
	const byLeg = new Map(results.map((result) => [result.leg, result]));
	return legs.flatMap((leg) =>
		leg.builds.map(({ buildId, tags }): BuildReport => {
			const result = byLeg.get(leg.id)?.builds.find((candidate) => candidate.buildId === buildId);
			const state = result?.status ?? "planned";
			return {
				buildId,
				arch: leg.arch,
				tags: [...tags],
				state,
				reason: state === "present" ? unchanged : (planned.get(buildId) ?? "the plan says why"),
				digest: result?.digest ?? null,
				seconds: result?.seconds ?? 0,
				emulated: result?.emulated ?? false,
				log: result?.log ?? null,
				error: errorOf(result),
			};
		}),
	);
}

/** What has no build yet, by the names that people know. */
export function waitingReports(plan: Pick<Plan, "waiting">, sources: Sources): Report["waiting"] {
	const unserved = new Set(
		plan.waiting.filter(({ why }) => why === "unserved").map(({ source, arch }) => pairOf(source, arch)),
	);
	return plan.waiting.map(({ source, arch, why, wave, reason }) => {
		const ofArch = sources[source]?.arches[arch];
		const parents = Object.values(ofArch?.parents ?? {});
		const nobody =
			why === "unserved" ||
			(why === "parent" && parents.some(({ sourceId }) => sourceId !== null && unserved.has(pairOf(sourceId, arch))));
		// Parents stand before their children.
		if (nobody) unserved.add(pairOf(source, arch));
		return {
			tag: ofArch?.tags[0] ?? source,
			arch,
			reason,
			wave,
			...(nobody ? { unserved: true as const } : {}),
		};
	});
}

/**
 * What waits after a plan was carried out. A plan that comes after it without its memory and its choice does not know what
 * backs off, what was not chosen and what had no room: that is taken from the plan itself, and what else could be built now
 * comes with the next one.
 */
export function stillWaiting(
	sources: Sources,
	builds: Builds,
	next: Plan,
	planned: Plan | undefined,
): Report["waiting"] {
	const tried = new Set(planned?.legs.flatMap(({ builds }) => builds.map(({ id }) => id)));
	const before = new Map(
		planned?.waiting
			.filter(({ why }) => why === "back-off" || why === "not-chosen" || why === "no-room")
			.map((item) => [pairOf(item.source, item.arch), item] as const),
	);
	// In no wave of the plan, in none of what follows: it waits for something of these.
	const stuck = new Set(
		planned?.waiting.filter(({ wave }) => wave === null).map(({ source, arch }) => pairOf(source, arch)),
	);
	const now = new Map(
		next.waiting.map((item) => {
			const pair = pairOf(item.source, item.arch);
			return [pair, stuck.has(pair) ? { ...item, wave: null } : item];
		}),
	);
	for (const { id } of next.legs.flatMap((leg) => leg.builds)) {
		const { sourceId, arch } = builds[id]!.build;
		const pair = pairOf(sourceId, arch);
		const known = before.get(pair);
		const reason = `${titleOf(builds[id]!)} can be built now, and is in no leg of this plan: the next plan has it`;
		if (known !== undefined) now.set(pair, known);
		else if (!tried.has(id)) now.set(pair, { source: sourceId, arch, why: "no-room", wave: 0, reason });
	}
	return waitingReports({ waiting: [...now.values()] }, sources);
}

/** What publishing did, as a report's tags; arch tags only where something is to be said of them. */
export function tagReports(
	published: Omit<PublishResult, "tests"> & Partial<Pick<PublishResult, "tests">>,
): Pick<Report, "tags" | "tests" | "errors"> {
	const said = [...published.archTags.filter(({ change }) => change === "failed"), ...published.tags];
	return {
		tags: said.map(
			({ reference, digest, platforms, change, notes, removed, unserved, decision, remembered, from }) => ({
				reference,
				digest,
				platforms: [...platforms],
				change,
				notes: [...notes],
				...(removed === undefined ? {} : { removed: [...removed] }),
				...(unserved === undefined ? {} : { unserved: [...unserved] }),
				...(decision === undefined ? {} : { decision }),
				...(remembered === undefined ? {} : { remembered }),
				...(from === undefined ? {} : { from }),
			}),
		),
		...(published.tests === undefined || published.tests.length === 0 ? {} : { tests: [...published.tests] }),
		// What was only ended is no error of its own: the outcome says it, once.
		errors: said.flatMap(({ reference, error }) =>
			error === undefined || error.code === "cancelled"
				? []
				: failuresOf(
						new BrewlineError(error.code, `${reference}: ${error.message}`, error.hint ? { hint: error.hint } : {}),
					),
		),
	};
}
