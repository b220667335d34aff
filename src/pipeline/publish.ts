import type { Run } from "../build/index.ts";
import type { Builds } from "../builds/index.ts";
import { publish, type PublishResult } from "../publish/index.ts";
import type { Sources } from "../sources/index.ts";
import { buildReports, type Draft, tagReports, unplannedReports, waitingReports } from "./report.ts";
import { computeBuilds, computePlan, openLookups, readLegs, readResults, readSourcesFile } from "./steps.ts";
import type { Workspace } from "./workspace.ts";

/** Moves what is staged to its tags; everything is read from the registry anew, and nothing from files or earlier look-ups. */
export async function publishStaged(
	workspace: Workspace,
	input: { readonly sources: Sources; readonly builds: Builds },
	options: { readonly dryRun?: boolean } = {},
): Promise<PublishResult> {
	const { program, io, client } = workspace;
	return publish(input, io, {
		program,
		client,
		lookup: openLookups(workspace).lookup,
		dryRun: options.dryRun ?? workspace.dryRun,
	});
}

/**
 * The step of its own: from `sources.json` and the registry, with the reasons that the legs' results give, into the report.
 * With the digest of `plan.json`, the files must be those of that plan, and results those of that run.
 */
export async function publishPlanned(
	workspace: Workspace,
	report: Draft,
	options: { readonly planDigest?: string; readonly run?: Run } = {},
): Promise<void> {
	const { io, work } = workspace;
	const sources = await readSourcesFile(workspace, options.planDigest);
	const output = await computeBuilds(workspace, sources, openLookups(workspace));
	const { builds } = output;
	const legs = await readLegs(work, [], { optional: options.planDigest === undefined });
	const next = await computePlan({ ...workspace, dryRun: true }, sources, output);
	report.waiting = [...waitingReports(next.plan, sources, workspace.program), ...unplannedReports(next.legs, legs)];
	report.builds = buildReports(builds, await readResults(work, legs, io, options.run), legs);
	Object.assign(report, tagReports(await publishStaged(workspace, { sources, builds }, { dryRun: report.dryRun })));
}
