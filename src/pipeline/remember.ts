import { readReport, type Report } from "../report/index.ts";
import type { BuildResult, Run } from "../build/index.ts";
import type { Builds } from "../builds/index.ts";
import { BrewlineError } from "../errors.ts";
import { sha256Of } from "../oci/index.ts";
import { titleOf, type Leg } from "../plan/index.ts";
import type { FailedTry } from "../state/index.ts";
import { readIfThere } from "./files.ts";
import { failedTries, writeLearned } from "./memory.ts";
import { reasonsIn } from "./report.ts";
import { readLegs, readPlanFile, readPlanned, readResults, readSourcesFile } from "./steps.ts";
import { filesOf, type Workspace } from "./workspace.ts";

const maxReportBytes = 64 * 1024 * 1024;

export interface RememberOptions {
	/** The digest of the plan that was carried out; the files must be those of that plan. */
	readonly planDigest?: string;
	/** The file of the report of publishing; default: the one in the work folder. */
	readonly report?: string;
	readonly run?: Run;
	/** The digest of the report of publishing, as its job says it: what it says of tags is believed then. */
	readonly reportDigest?: string;
	/** Where the logs of this run are, for legs that left no result. */
	readonly logAddress?: string;
}

export interface Remembered {
	/** How many failed tries were written down. */
	readonly tries: number;
	readonly tags: number;
}

/**
 * The step that writes the state, from the files of the steps before it: what was planned, what the legs' results say, and
 * what the report of publishing read from the registry. No registry is asked: the job that writes the state has no credential
 * for one (docs/design.md). Forged files can cost time, and nothing else.
 */
export async function rememberRun(workspace: Workspace, options: RememberOptions = {}): Promise<Remembered> {
	const { io, work } = workspace;
	const { planDigest } = options;
	const plan = await readPlanFile(workspace, planDigest);
	if (plan === undefined) {
		throw new BrewlineError("handover", `there is no ${filesOf(work).plan}`, {
			hint: "it is written by: brewline plan",
		});
	}
	const sources = await readSourcesFile(workspace, plan.sources);
	const output = await readPlanned(workspace, plan);
	const legs = await readLegs(work, [], { plan });
	const results = await readResults(work, legs, io, options.run);
	const { report, digest } = await publishReport(workspace, options.report ?? filesOf(work).report);
	const reasons = reasonsIn(plan);
	const now = Math.floor(io.clock.now() / 1000);
	const tries = [
		...failedTries(
			[...results.values()].filter((result) => failedToo(result, report)),
			output.builds,
			reasons,
			now,
		),
		...lostTries(legs, results, report, output.builds, reasons, now, options),
	];
	// On a laptop nobody else writes the files.
	const believed = options.run === undefined || (digest !== undefined && digest === options.reportDigest);
	if (report !== undefined && !believed) {
		const text = "what the report says of tags is not remembered: its digest is not the one that publishing named";
		const hint = "give the output report-digest of the step that published";
		io.log({ type: "message", level: "warning", text, hint });
	}
	const tags = believed ? (report?.tags ?? []) : [];
	const made = report?.builds.filter(({ state }) => state === "built" || state === "present") ?? [];
	const built = new Set(made.map(({ buildId }) => buildId));
	await writeLearned(workspace, { sources, output, tries, built, tags, tests: believed ? report?.tests : [] });
	return { tries: tries.length, tags: tags.length };
}

/** The report of publishing. Any job may have written it: one that cannot be used is left out, as a result would be. */
async function publishReport({ io }: Workspace, file: string): Promise<{ report?: Report; digest?: string }> {
	let report: Report | undefined;
	let digest: string | undefined;
	try {
		const bytes = await readIfThere(file, maxReportBytes);
		if (bytes !== undefined) {
			report = readReport(bytes, file);
			digest = sha256Of(bytes);
		}
	} catch (error) {
		if (!(error instanceof BrewlineError) || error.code !== "handover") throw error;
		io.log({ type: "message", level: "warning", code: error.code, text: `not used: ${error.message}` });
	}
	// That of another step says nothing about tags, and has not asked the registry.
	return report === undefined || digest === undefined || report.dryRun || report.tags.length === 0
		? {}
		: { report, digest };
}

/** What publishing found in the registry counts more than what a leg says. */
function failedToo({ buildId, status }: BuildResult, report: Report | undefined): boolean {
	const found = report?.builds.find((build) => build.buildId === buildId)?.state;
	if (found === "built" || found === "present") return false;
	return found !== undefined || (status !== "built" && status !== "present");
}

/**
 * What legs were at that left no result, and no image: the machine was lost, or somebody's file took its place. Builds of a
 * leg are made one after another: of those that are not there the first was begun, and of the others nobody knows that.
 */
export function lostTries(
	legs: readonly Leg[],
	results: ReadonlyMap<string, BuildResult>,
	report: Pick<Report, "builds"> | undefined,
	builds: Builds,
	reasons: ReadonlyMap<string, string>,
	now: number,
	{ run, logAddress }: RememberOptions,
): FailedTry[] {
	// On a laptop a leg without a result was not begun.
	if (run === undefined || report === undefined) return [];
	const planned = new Map(report.builds.map(({ buildId, state }) => [buildId, state]));
	return legs.flatMap((leg) => {
		const lost = leg.builds.find(({ buildId }) => !results.has(buildId) && planned.get(buildId) === "planned");
		if (lost === undefined) return [];
		const { buildId } = lost;
		return [
			{
				buildId,
				start: now,
				end: now,
				url: logAddress ?? null,
				identifier: titleOf(builds[buildId]!),
				reason: reasons.get(buildId) ?? "it was planned",
			},
		];
	});
}
