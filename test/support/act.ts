import path from "node:path";

const root = path.resolve(import.meta.dirname, "../..");
/** Of scripts/ci-tools.sh. */
export const act = path.join(root, ".cache/tools/bin/act");

/** Who commits in tests, and without the user's own configuration. */
export const person = {
	GIT_CONFIG_GLOBAL: "/dev/null",
	GIT_CONFIG_NOSYSTEM: "1",
	GIT_AUTHOR_NAME: "Somebody",
	GIT_AUTHOR_EMAIL: "somebody@example.com",
	GIT_COMMITTER_NAME: "Somebody",
	GIT_COMMITTER_EMAIL: "somebody@example.com",
};

/** What ran: each job, with the architecture of its leg, and how it ended. */
export interface WorkflowRun {
	readonly code: number | null;
	readonly jobs: Readonly<Record<string, string>>;
	/** By job, what it left on the run's page. */
	readonly summaries: Readonly<Record<string, string>>;
	/** By job, its errors. */
	readonly errors: Readonly<Record<string, readonly string[]>>;
}

interface Event {
	readonly jobID?: string;
	readonly matrix?: { readonly arch?: string };
	readonly jobResult?: string;
	readonly stepResult?: string;
	readonly command?: string;
	readonly content?: string;
	readonly arg?: string;
}

/** Ours as a release has them, and stand-ins for those of GitHub; `act` itself does what checkout does. */
export function localActions(workflow: string, release: string): string[] {
	const used = [
		...new Set([...workflow.matchAll(/uses: (\S+)@([0-9a-f]{40})/g)].map(([, name, commit]) => `${name} ${commit}`)),
	];
	return used.flatMap((action) => {
		const [name = "", commit = ""] = action.split(" ");
		if (name === "actions/checkout") return [];
		if (name.startsWith("brewline/brewline/")) return [`brewline/brewline@${commit}=${release}`];
		return [`${name}@${commit}=${path.join(root, "test/fixtures", name)}`];
	});
}

/** What `act` says of a run with `--json`. */
export function readRun(code: number | null, stdout: string): WorkflowRun {
	const jobs: Record<string, string> = {};
	const summaries: Record<string, string> = {};
	const errors: Record<string, string[]> = {};
	for (const line of stdout.split("\n").filter((text) => text.startsWith("{"))) {
		const event = JSON.parse(line) as Event;
		if (event.jobID === undefined) continue;
		const name = event.matrix?.arch === undefined ? event.jobID : `${event.jobID} ${event.matrix.arch}`;
		// Told by the steps: act itself has one result for all legs of a matrix.
		if (event.stepResult === "failure") jobs[name] = "failure";
		else if (event.jobResult !== undefined) jobs[name] ??= "success";
		if (event.command === "summary") summaries[name] = event.content ?? "";
		if (event.command === "error") (errors[name] ??= []).push(event.arg ?? "");
	}
	return { code, jobs, summaries, errors };
}
