import { readFile } from "node:fs/promises";
import * as z from "zod/mini";
import { BrewlineError } from "../../errors.ts";
import { counted } from "../../io/index.ts";
import { sha256Of } from "../../oci/index.ts";
import {
	buildReports,
	computeBuilds,
	computePlan,
	computeSources,
	filesOf,
	finishReport,
	openLookups,
	reasonsIn,
	startReport,
	waitingReports,
} from "../../pipeline/index.ts";
import type { Capacity, Plan } from "../../plan/index.ts";
import { count, flag, optionalText } from "../inputs.ts";
import { limits } from "../limits.ts";
import { loggedIn, loginInputs } from "../login.ts";
import { configInput } from "../program.ts";
import type { Action } from "../runner.ts";
import { openConfigured, stateInputs } from "../state.ts";
import { toldOf } from "../told.ts";

export const inputs = z.object({
	config: configInput,
	work: z._default(z.string(), ".brewline"),
	architectures: optionalText,
	matrices: count(1, 1, limits.matrices),
	"builds-per-leg": count(8, 1, 256),
	"accept-missing": flag,
	retry: flag,
	...stateInputs,
	...loginInputs,
});

/** `actions/plan`: definitions, the registry and the state become a plan, and matrices of its legs. */
export const action: Action<typeof inputs> = {
	inputs,
	run: async (given, plain) => {
		const io = await loggedIn(plain, given);
		await using workspace = await openConfigured(given, io);
		const commit = io.env["GITHUB_SHA"];
		const report = startReport(workspace.program.name, io, { planOnly: true, library: commit });
		const sources = await computeSources(workspace);
		const output = await computeBuilds(workspace, sources, openLookups(workspace), {
			acceptMissing: given["accept-missing"],
		});
		const capacity = { legs: given.matrices * limits.matrixJobs, buildsPerLeg: given["builds-per-leg"] };
		const { plan, legs, wanted } = await computePlan(workspace, sources, output, {
			capacity,
			retry: given.retry,
			...(commit === undefined ? {} : { library: commit }),
			...(given.architectures === undefined
				? {}
				: { architectures: given.architectures.split(",").map((name) => name.trim()) }),
		});
		report.builds = buildReports(output.builds, new Map(), reasonsIn(plan));
		report.waiting = waitingReports(plan, sources);
		const builds = legs.reduce((sum, leg) => sum + leg.builds.length, 0);
		if (builds < wanted) io.log({ type: "message", level: "warning", ...noRoom(wanted, builds, capacity) });
		return {
			told: toldOf(await finishReport(workspace.work, io, report)),
			outputs: {
				...matricesOf(plan.legs),
				legs: String(plan.legs.length),
				waiting: String(plan.waiting.length),
				digest: sha256Of(await readFile(filesOf(workspace.work).plan)),
			},
		};
	},
};

/** That a plan does not fit into one run, with its numbers. */
function noRoom(wanted: number, builds: number, { legs, buildsPerLeg }: Capacity): { text: string; hint: string } {
	const matrices = legs / limits.matrixJobs;
	const needed = Math.ceil(wanted / buildsPerLeg / limits.matrixJobs);
	return {
		text: `${wanted} builds are due, and this run takes ${builds}: ${counted(matrices, "matrix", "matrices")} of ${limits.matrixJobs} jobs, each with up to ${counted(buildsPerLeg, "build")} of one kind of machine; the others come with the next runs`,
		hint:
			needed <= limits.matrices
				? `with ${counted(needed, "matrix", "matrices")} they fit: add build jobs to the workflow, and say so in the input matrices`
				: `they would need ${counted(needed, "matrix", "matrices")}, and there are ${limits.matrices} at most: let a leg take more with builds-per-leg`,
	};
}

/** What a matrix says of each leg: data only, never a line of a script. */
type MatrixLeg = Pick<Plan["legs"][number], "id" | "arch" | "runner" | "digest">;

/** The outputs `matrix`, `matrix-2`, …: as JSON, each with as many legs as a matrix may have; `[]` where there are none. */
export function matricesOf(legs: Plan["legs"]): Readonly<Record<string, string>> {
	const outputs: Record<string, string> = {};
	let units = 0;
	for (let number = 1; number <= limits.matrices; number++) {
		const own = legs.slice((number - 1) * limits.matrixJobs, number * limits.matrixJobs);
		const text = JSON.stringify(own.map(({ id, arch, runner, digest }): MatrixLeg => ({ id, arch, runner, digest })));
		outputs[number === 1 ? "matrix" : `matrix-${number}`] = text;
		units += text.length;
	}
	if (units > limits.outputUnits) {
		throw new BrewlineError("failed", `the ${legs.length} legs of this plan need ${units} characters of outputs`, {
			hint: `a job may have ${limits.outputUnits}: use fewer matrices, and more builds-per-leg`,
		});
	}
	return outputs;
}
