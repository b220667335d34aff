import { BrewlineError } from "../errors.ts";
import { counted } from "../io/index.ts";
import { tabJson } from "../json/index.ts";
import type { Leg } from "../plan/index.ts";
import {
	buildLegs,
	buildReports,
	computeBuilds,
	computePlan,
	computeSources,
	type Draft,
	filesOf,
	findStaged,
	finishReport,
	legReports,
	openBuilders,
	openLookups,
	publishPlanned,
	readLegs,
	readSourcesFile,
	reasonsIn,
	run,
	startReport,
	waitingReports,
	type Workspace,
} from "../pipeline/index.ts";
import { exitCodeOfReport, renderText, type Report } from "../report/index.ts";
import { writeSources } from "../sources/index.ts";
import { type Context, sayUnconfigured } from "./context.ts";
import { inWorkspace } from "./workspace.ts";

/** What shows a report, and ends the command. */
function show(context: Context, report: Report): number {
	context.print(context.json ? tabJson(report) : renderText(report, context.style));
	return exitCodeOfReport(report);
}

async function finish({ work, io, dryRun }: Workspace, context: Context, report: Draft): Promise<number> {
	return show(context, await finishReport(dryRun ? undefined : work, io, report));
}

export function sourcesStep(context: Context, { dryRun = false }: { dryRun?: boolean }): Promise<number> {
	const step = async (workspace: Workspace): Promise<number> => {
		const sources = await computeSources(workspace);
		const all = Object.values(sources);
		const pairs = all.reduce((sum, { arches }) => sum + Object.keys(arches).length, 0);
		context.print(
			context.json
				? writeSources(sources)
				: `${counted(all.length, "source")}, ${pairs} with their architectures, ${dryRun ? "for" : "in"} ${filesOf(context.work).sources}\n`,
		);
		return 0;
	};
	return inWorkspace(context, { dryRun }, step);
}

export function planStep(
	context: Context,
	options: { arch?: string[]; retry?: boolean; acceptMissing?: boolean; dryRun?: boolean },
): Promise<number> {
	const step = async (workspace: Workspace): Promise<number> => {
		const report = startReport(context.program.name, context.io, { dryRun: options.dryRun, planOnly: true });
		const sources = await readSourcesFile(workspace);
		const output = await computeBuilds(workspace, sources, openLookups(workspace), {
			acceptMissing: options.acceptMissing ?? false,
		});
		const planned = await computePlan(workspace, sources, output, {
			...(options.arch === undefined ? {} : { architectures: options.arch }),
			...(options.retry === undefined ? {} : { retry: options.retry }),
		});
		report.builds = buildReports(output.builds, new Map(), reasonsIn(planned.plan));
		report.waiting = waitingReports(planned.plan, sources);
		return finish(workspace, context, report);
	};
	return inWorkspace(context, options, step);
}

export async function buildStep(
	context: Context,
	options: { digest?: string; parallel?: number; dryRun?: boolean },
	ids: string[],
): Promise<number> {
	const { io, program, work } = context;
	if (options.digest !== undefined && ids.length !== 1) {
		throw new BrewlineError("usage", "--digest goes with one leg", {
			hint: "name the leg: brewline build LEG --digest …",
		});
	}
	const legs = await readLegs(work, ids, { digest: options.digest });
	const report = startReport(program.name, io, { dryRun: options.dryRun });
	if (options.dryRun === true) {
		const staged = await findStaged(legs, io);
		report.builds = legReports(legs, staged);
		if (!context.json) {
			const planned = legs.filter((_, index) => staged[index]!.builds.length < legs[index]!.builds.length);
			context.print(planned.map(describeLeg).join(""));
		}
		return show(context, await finishReport(undefined, io, report));
	}
	await using builders = openBuilders(io);
	const results = await buildLegs(legs, io, {
		work,
		gitCredentials: program.git.credentials,
		findBuilder: builders.findBuilder,
		...(options.parallel === undefined ? {} : { parallel: options.parallel }),
	});
	report.builds = legReports(legs, results);
	return show(context, await finishReport(work, io, report));
}

/** What would be built, where from, and on what. */
function describeLeg(leg: Leg): string {
	const lines = leg.builds.map(({ builder, git, staging, parents }) => {
		const on = parents.map(({ from, digest }) => `    ${from} ${digest}\n`).join("");
		return `  ${builder} ${git.repository}#${git.commit}:${git.directory}\n    to ${staging.reference}\n${on}`;
	});
	return `${leg.id} (${leg.platformString}, on ${leg.runner.label})\n${lines.join("")}`;
}

export function publishStep(
	context: Context,
	options: { audit?: boolean; allowOlder?: boolean; dryRun?: boolean },
): Promise<number> {
	const step = async (workspace: Workspace): Promise<number> => {
		const report = startReport(context.program.name, context.io, { dryRun: options.dryRun });
		await publishPlanned(workspace, report, {
			audit: options.audit ?? false,
			allowOlder: options.allowOlder ?? false,
		});
		return finish(workspace, context, report);
	};
	return inWorkspace(context, options, step);
}

export async function runStep(
	context: Context,
	options: {
		arch?: string[];
		parallel?: number;
		retry?: boolean;
		acceptMissing?: boolean;
		audit?: boolean;
		allowOlder?: boolean;
		dryRun?: boolean;
	},
): Promise<number> {
	sayUnconfigured(context);
	await using builders = openBuilders(context.io);
	const report = await run(context.program, context.io, {
		work: context.work,
		findBuilder: builders.findBuilder,
		dryRun: options.dryRun ?? false,
		audit: options.audit ?? false,
		allowOlder: options.allowOlder ?? false,
		...(options.arch === undefined ? {} : { architectures: options.arch }),
		...(options.parallel === undefined ? {} : { parallel: options.parallel }),
		...(options.retry === undefined ? {} : { retry: options.retry }),
		...(options.acceptMissing === undefined ? {} : { acceptMissing: options.acceptMissing }),
	});
	return show(context, report);
}
