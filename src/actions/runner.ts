import * as core from "@actions/core";
import type * as z from "zod/mini";
import { type Io, type Log, nodeIo } from "../io/index.ts";
import { exitCodeOf, exitCodeOfReport, failuresOf, failureText, renderMarkdown, type Report } from "../report/index.ts";
import { type InputSchema, readInputs } from "./inputs.ts";

export interface ActionOutput {
	readonly outputs: Readonly<Record<string, string>>;
	readonly report: Report;
}

/** An action: what it takes, and one call of the library. */
export interface Action<Schema extends InputSchema> {
	readonly inputs: Schema;
	readonly run: (inputs: z.infer<Schema>, io: Io) => Promise<ActionOutput>;
}

/** Runs an action as the runner starts it: inputs, outputs, annotations, summary and exit code are all handled here. */
export async function main<Schema extends InputSchema>(action: Action<Schema>): Promise<void> {
	const ending = new AbortController();
	for (const signal of ["SIGINT", "SIGTERM"] as const) {
		process.on(signal, () => {
			ending.abort(new Error(`ended by ${signal}`));
		});
	}
	const io = nodeIo({ log: runnerLog, signal: ending.signal });
	try {
		const inputs = readInputs(action.inputs, process.env, (message) => {
			core.warning(message);
		});
		const { outputs, report } = await action.run(inputs, io);
		for (const [name, value] of Object.entries(outputs)) core.setOutput(name, value);
		annotate(report.errors);
		await summarize(renderMarkdown(report));
		process.exitCode = exitCodeOfReport(report);
	} catch (error) {
		if (core.isDebug() && error instanceof Error) core.debug(error.stack ?? error.message);
		annotate(failuresOf(error));
		process.exitCode = exitCodeOf(error);
	}
}

function annotate(failures: Report["errors"]): void {
	for (const failure of failures) {
		core.error(failureText(failure), {
			title: failure.code,
			...(failure.at === undefined
				? {}
				: {
						file: failure.at.file,
						...(failure.at.line === undefined ? {} : { startLine: failure.at.line }),
						...(failure.at.column === undefined ? {} : { startColumn: failure.at.column }),
					}),
		});
	}
}

async function summarize(markdown: string): Promise<void> {
	if (process.env["GITHUB_STEP_SUMMARY"]) await core.summary.addRaw(markdown).write();
}

/** Lines of a job's log. Nothing in them is a command to the runner, whatever a build prints. */
const runnerLog: Log = (event) => {
	if (event.type === "output") core.info(harmless(`${event.task} | ${event.text.trimEnd()}`));
	else if (event.type === "progress") {
		core.info(harmless(`${event.state} ${event.task}${event.detail === undefined ? "" : `: ${event.detail}`}`));
	} else if (event.level === "warning") core.warning(event.text);
	else if (event.level === "error") core.error(event.text);
	else if (event.level === "debug") core.debug(event.text);
	else core.info(harmless(event.text));
};

/** The runner obeys `::command::` at the start of a line and `##[command]` anywhere in it. */
export function harmless(text: string): string {
	return text
		.replace(/[\r\n]+/g, " ")
		.replaceAll("##[", "# #[")
		.replace(/^(\s*)::/, "$1: :");
}
