import { readFile } from "node:fs/promises";
import * as z from "zod/mini";
import { sha256Of } from "../../oci/index.ts";
import { filesOf, finishReport, publishPlanned, startReport } from "../../pipeline/index.ts";
import type { Report } from "../../report/index.ts";
import { digests, flag, sha256Digest } from "../inputs.ts";
import { loggedIn, loginInputs } from "../login.ts";
import { configInput } from "../program.ts";
import { runOf } from "../run.ts";
import type { Action } from "../runner.ts";
import { openConfigured, stateInputs } from "../state.ts";
import { toldOf } from "../told.ts";

export const inputs = z.object({
	config: configInput,
	work: z._default(z.string(), ".brewline"),
	digest: sha256Digest,
	"dry-run": flag,
	audit: flag,
	"allow-older": flag,
	tests: digests,
	...stateInputs,
	...loginInputs,
});

/** Whether a run that follows at once gets further: this one has built something, and something waits for no more than that. */
function canGoOn({ builds, waiting }: Pick<Report, "builds" | "waiting">): boolean {
	return builds.some(({ state }) => state === "built") && waiting.some(({ wave }) => wave === 0);
}

/** `actions/publish`: what is staged moves to its tags. What was built is read from the registry, never from results. */
export const action: Action<typeof inputs> = {
	inputs,
	run: async (given, plain) => {
		const io = await loggedIn(plain, given);
		await using workspace = await openConfigured(given, io);
		const report = startReport(workspace.program.name, io, { dryRun: given["dry-run"], library: io.env["GITHUB_SHA"] });
		await publishPlanned(workspace, report, {
			planDigest: given.digest,
			run: runOf(io).run,
			audit: given.audit,
			allowOlder: given["allow-older"],
			testDigests: given.tests,
		});
		const count = (...changes: string[]): string =>
			String(report.tags.filter(({ change }) => changes.includes(change)).length);
		const again = canGoOn(report);
		if (again) {
			const text = "what could not be built before its bases were there can be built now: start the workflow again";
			io.log({ type: "message", level: "notice", text });
		}
		const finished = await finishReport(workspace.work, io, report);
		return {
			// What backs off or lacks a base from outside is not mended by a run that follows at once.
			told: toldOf(finished, again && report.waiting.every(({ wave, unserved }) => wave !== null || unserved === true)),
			outputs: {
				changed: count("created", "updated"),
				held: count("held", "failed"),
				again: String(again),
				report: filesOf(workspace.work).report,
				"report-digest": sha256Of(await readFile(filesOf(workspace.work).report)),
			},
		};
	},
};
