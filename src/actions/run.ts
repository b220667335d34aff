import type { Run } from "../build/index.ts";
import type { Io } from "../io/index.ts";

/**
 * The run that the runner tells of, and the address of its log, of one job where its id is given; on a laptop a run
 * called `local`.
 */
export function runOf({ env }: Io, job?: string): { run: Run; logAddress?: string } {
	const {
		GITHUB_RUN_ID: id,
		GITHUB_RUN_ATTEMPT: attempt,
		GITHUB_SERVER_URL: server,
		GITHUB_REPOSITORY: repository,
	} = env;
	if (!id) return { run: { id: "local", attempt: 1 } };
	const run = { id, attempt: Number(attempt) || 1 };
	if (!server || !repository) return { run };
	const part = job === undefined ? `attempts/${run.attempt}` : `job/${job}`;
	return { run, logAddress: `${server}/${repository}/actions/runs/${id}/${part}` };
}
