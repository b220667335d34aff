import { readFile } from "node:fs/promises";
import * as z from "zod/mini";
import { sha256Of } from "../../oci/index.ts";
import {
	buildReports,
	computeBuilds,
	computePlan,
	computeSources,
	filesOf,
	finishReport,
	openLookups,
	openWorkspace,
	startReport,
	waitingReports,
} from "../../pipeline/index.ts";
import type { Plan } from "../../plan/index.ts";
import { optionalText } from "../inputs.ts";
import { limits } from "../limits.ts";
import { loggedIn, loginInputs } from "../login.ts";
import { configInput, programOf } from "../program.ts";
import type { Action } from "../runner.ts";

export const inputs = z.object({
	config: configInput,
	work: z._default(z.string(), ".brewline"),
	architectures: optionalText,
	...loginInputs,
});

/** `actions/plan`: definitions and the registry become a plan, and a matrix of its legs. */
export const action: Action<typeof inputs> = {
	inputs,
	run: async (given, plain) => {
		const io = await loggedIn(plain, given);
		const program = await programOf(given.config, io);
		await using workspace = openWorkspace(program, io, { work: given.work });
		const commit = io.env["GITHUB_SHA"];
		const report = startReport(program.name, io, { planOnly: true, library: commit });
		const sources = await computeSources(workspace);
		const output = await computeBuilds(workspace, sources, openLookups(workspace));
		const { plan, legs } = await computePlan(workspace, sources, output, {
			...(commit === undefined ? {} : { library: commit }),
			...(given.architectures === undefined
				? {}
				: { architectures: given.architectures.split(",").map((name) => name.trim()) }),
		});
		report.builds = buildReports(output.builds, new Map(), legs);
		report.waiting = waitingReports(plan, sources, program);
		const legsNow = matrixOf(plan.legs);
		if (legsNow.length < plan.legs.length) {
			const text = `${plan.legs.length} legs are more than the ${limits.matrixJobs} jobs of a matrix: the first are built now, the next run plans the others`;
			io.log({ type: "message", level: "warning", text });
		}
		return {
			report: await finishReport(workspace.work, io, report),
			outputs: {
				matrix: JSON.stringify(legsNow),
				legs: String(legsNow.length),
				waiting: String(plan.waiting.length),
				digest: sha256Of(await readFile(filesOf(workspace.work).plan)),
			},
		};
	},
};

/** What a matrix says of each leg, as many as it may have: data only, never a line of a script. */
export function matrixOf(legs: Plan["legs"]): Pick<Plan["legs"][number], "id" | "arch" | "runner" | "digest">[] {
	return legs.slice(0, limits.matrixJobs).map(({ id, arch, runner, digest }) => ({ id, arch, runner, digest }));
}
