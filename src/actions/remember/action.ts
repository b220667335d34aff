import * as z from "zod/mini";
import { finishReport, rememberRun, startReport } from "../../pipeline/index.ts";
import { BrewlineError } from "../../errors.ts";
import { optionalText, sha256Digest } from "../inputs.ts";
import { configInput } from "../program.ts";
import { runOf } from "../run.ts";
import type { Action } from "../runner.ts";
import { toldOf } from "../told.ts";
import { openConfigured, stateInputs } from "../state.ts";

export const inputs = z.object({
	config: configInput,
	work: z._default(z.string(), ".brewline"),
	report: optionalText,
	digest: sha256Digest,
	"report-digest": z.optional(sha256Digest),
	...stateInputs,
});

/** `actions/remember`: what a run learned goes into the state. It has no credential for a registry, and asks none. */
export const action: Action<typeof inputs> = {
	inputs,
	run: async (given, io) => {
		await using workspace = await openConfigured(given, io);
		if (workspace.memory.where === undefined) {
			throw new BrewlineError("usage", "there is no repository for the state", {
				hint: "name one in the input state (own: this repository), or in the configuration's program.state.repository",
			});
		}
		const report = startReport(workspace.program.name, io, { planOnly: true, library: io.env["GITHUB_SHA"] });
		const { run, logAddress } = runOf(io);
		const { tries, tags } = await rememberRun(workspace, {
			planDigest: given.digest,
			...(given.report === undefined ? {} : { report: given.report }),
			run,
			...(given["report-digest"] === undefined ? {} : { reportDigest: given["report-digest"] }),
			...(logAddress === undefined ? {} : { logAddress }),
		});
		return {
			told: toldOf(await finishReport(undefined, io, report)),
			outputs: { tries: String(tries), tags: String(tags) },
		};
	},
};
