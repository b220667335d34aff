import * as core from "@actions/core";
import type * as z from "zod/mini";
import { type Io, type Log, nodeIo, printable } from "../io/index.ts";
import {
	exitCodeOf,
	exitCodeOfReport,
	failuresOf,
	failureText,
	plainStyle,
	renderFailures,
	renderMarkdown,
	renderText,
	type Report,
} from "../report/index.ts";
import { type InputSchema, readInputs, secretsOf } from "./inputs.ts";
import { limits } from "./limits.ts";

export interface ActionOutput {
	readonly outputs: Readonly<Record<string, string>>;
	/** Undefined: the step is none of the run's, and says nothing more than its log. */
	readonly report?: Report;
	/** The run that follows goes on with what is incomplete: then that is no failure. */
	readonly goesOn?: boolean;
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
		// First of all: the checks of the other inputs may fail.
		for (const secret of secretsOf(process.env)) core.setSecret(secret);
		const inputs = readInputs(action.inputs, process.env, (message) => {
			core.warning(message);
		});
		const { outputs, report, goesOn = false } = await action.run(inputs, io);
		for (const [name, value] of Object.entries(outputs)) core.setOutput(name, value);
		if (report === undefined) return;
		for (const line of renderText(report, plainStyle).trimEnd().split("\n")) core.info(harmless(line));
		annotate(problemsOf(report));
		await summarize(renderMarkdown(report));
		process.exitCode = goesOn && report.outcome === "incomplete" ? 0 : exitCodeOfReport(report);
	} catch (error) {
		if (core.isDebug() && error instanceof Error) core.debug(error.stack ?? error.message);
		const failures = failuresOf(error);
		annotate(failures);
		await summarize(renderFailures(failures));
		process.exitCode = exitCodeOf(error);
	}
}

/** All that went wrong, each build's own error with its name. */
function problemsOf({ builds, errors }: Report): Report["errors"] {
	const failed = builds.flatMap(({ tags, buildId, arch, error }) =>
		error === null ? [] : [{ ...error, message: `${tags[0] ?? buildId} for ${arch}: ${error.message}` }],
	);
	return [...errors, ...failed];
}

function annotate(failures: Report["errors"]): void {
	const all = failures.length <= limits.annotations;
	const shown = all ? failures : failures.slice(0, limits.annotations - 1);
	for (const failure of shown) core.error(failureText(failure), { title: failure.code, ...placeOf(failure.at) });
	// The runner drops what is more, without a word.
	if (!all) core.error(`and ${failures.length - shown.length} more, which the log and the summary name`);
}

function placeOf(at: Report["errors"][number]["at"]): core.AnnotationProperties {
	return {
		...(at === undefined ? {} : { file: at.file }),
		...(at?.line === undefined ? {} : { startLine: at.line }),
		...(at?.column === undefined ? {} : { startColumn: at.column }),
	};
}

async function summarize(markdown: string): Promise<void> {
	if (process.env["GITHUB_STEP_SUMMARY"]) await core.summary.addRaw(markdown).write();
}

/** Lines of a job's log. Nothing in them is a command to the runner, whatever a build prints. */
const runnerLog: Log = (event) => {
	if (event.type === "output") core.info(harmless(`${event.task} | ${event.text.trimEnd()}`));
	else if (event.type === "progress") {
		core.info(harmless(`${event.state} ${event.task}${event.detail === undefined ? "" : `: ${event.detail}`}`));
	} else if (event.type === "waiting") {
		for (const line of event.lines) core.info(harmless(`waiting: ${line}`));
	} else if (event.level === "warning" || event.level === "error") {
		const { text, hint } = event;
		const message = failureText({ code: "", message: text, ...(hint === undefined ? {} : { hint }) });
		// Each by its name: the bundle would hold all of core otherwise.
		if (event.level === "warning") core.warning(message, placeOf(event.at));
		else core.error(message, placeOf(event.at));
	} else if (event.level === "debug") core.debug(event.text);
	else core.info(harmless(event.text));
};

/** One line of a log. The runner obeys `::command::` at the start of a line and `##[command]` anywhere in it. */
export function harmless(text: string): string {
	return printable(text.replace(/[\r\n]+/g, " "), 4000)
		.replaceAll("##[", "# #[")
		.replace(/^(\s*)::/, "$1: :");
}
