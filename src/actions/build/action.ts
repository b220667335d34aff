import path from "node:path";
import * as z from "zod/mini";
import type { GitCredential } from "../../git/index.ts";
import type { Io } from "../../io/index.ts";
import {
	buildLegs,
	filesOf,
	finishReport,
	legReports,
	openBuilders,
	readLegs,
	startReport,
} from "../../pipeline/index.ts";
import { optionalText, sha256Digest } from "../inputs.ts";
import { loggedIn, loginInputs } from "../login.ts";
import { runOf } from "../run.ts";
import type { Action } from "../runner.ts";
import { toldOf } from "../told.ts";

export const inputs = z.object({
	leg: z.string(),
	digest: sha256Digest,
	work: z._default(z.string(), ".brewline"),
	...loginInputs,
	"git-token": optionalText,
	job: z.optional(z.string().check(z.regex(/^[0-9]{1,20}$/, { error: "must be the id of a check run" }))),
});

/** `actions/build`: one leg of a plan becomes a staged image. It reads no definition, no configuration, no state. */
export const action: Action<typeof inputs> = {
	inputs,
	run: async (given, plain) => {
		const io = await loggedIn(plain, given);
		const work = path.resolve(given.work);
		const legs = await readLegs(work, [given.leg], { digest: given.digest });
		const report = startReport(legs[0]?.program ?? "", io);
		await using builders = openBuilders(io);
		const { run, logAddress } = runOf(io, given.job);
		const results = await buildLegs(legs, io, {
			work,
			run,
			findBuilder: builders.findBuilder,
			...(logAddress === undefined ? {} : { logAddress }),
			gitCredentials: tokenFor(io, given["git-token"]),
		});
		report.builds = legReports(legs, results);
		const builds = results.flatMap((result) => result.builds);
		return {
			told: toldOf(await finishReport(work, io, report)),
			outputs: {
				state:
					builds.find(({ status }) => status !== "built" && status !== "present")?.status ?? builds[0]?.status ?? "",
				image: builds.length === 1 ? (builds[0]?.digest ?? "") : "",
				result: path.join(filesOf(work).results, `${given.leg}.json`),
			},
		};
	},
};

/** A token is for this run's own server: a definition may name any address. */
function tokenFor(io: Io, token: string | undefined): Readonly<Record<string, GitCredential>> {
	return token === undefined ? {} : { [`${io.env["GITHUB_SERVER_URL"] ?? "https://github.com"}/`]: { token } };
}
