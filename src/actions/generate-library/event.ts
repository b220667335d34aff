import { readFile } from "node:fs/promises";
import * as z from "zod/mini";
import { BrewlineError } from "../../errors.ts";
import type { Io } from "../../io/index.ts";

const payload = z.object({
	repository: z.optional(z.object({ default_branch: z.optional(z.string()), fork: z.optional(z.boolean()) })),
});

/** Events that run what is in the repository itself, on one of its branches. */
const own = new Set(["push", "schedule", "workflow_dispatch", "repository_dispatch"]);

/**
 * Why this run proposes nothing, whatever it was given; undefined: it may. A pull request's own files choose what is checked,
 * and so must never meet a token.
 */
export async function whyNotProposing({ env }: Io): Promise<string | undefined> {
	const event = env["GITHUB_EVENT_NAME"] ?? "";
	if (event === "pull_request_target" || event === "workflow_run") {
		throw new BrewlineError("usage", `this is no step for ${event}: it runs with secrets on what others brought`, {
			hint: "use pull_request, and push for the default branch (workflows/generate-library.yml)",
		});
	}
	if (event !== "" && !own.has(event)) return `nothing is proposed on ${event}`;
	const { repository } = await payloadOf(env["GITHUB_EVENT_PATH"]);
	if (repository?.fork === true) return "nothing is proposed from a fork";
	const branch = repository?.default_branch;
	const ref = env["GITHUB_REF"];
	if (branch === undefined || ref === undefined || ref === `refs/heads/${branch}`) return undefined;
	return `only what is on the default branch is proposed`;
}

async function payloadOf(file: string | undefined): Promise<z.infer<typeof payload>> {
	if (file === undefined || file === "") return {};
	try {
		const parsed = payload.safeParse(JSON.parse(await readFile(file, "utf8")));
		return parsed.success ? parsed.data : {};
	} catch {
		return {};
	}
}
