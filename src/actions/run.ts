import type { Run } from "../build/index.ts";
import type { Io } from "../io/index.ts";

/** The run that the runner tells of, and the address of its log; on a laptop a run called `local`. */
export function runOf({ env }: Io): { run: Run; logAddress?: string } {
	const {
		GITHUB_RUN_ID: id,
		GITHUB_RUN_ATTEMPT: attempt,
		GITHUB_SERVER_URL: server,
		GITHUB_REPOSITORY: repository,
	} = env;
	if (id === undefined) return { run: { id: "local", attempt: 1 } };
	return {
		run: { id, attempt: Number(attempt ?? "1") },
		...(server === undefined || repository === undefined
			? {}
			: { logAddress: `${server}/${repository}/actions/runs/${id}/attempts/${attempt ?? "1"}` }),
	};
}
