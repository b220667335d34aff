import * as core from "@actions/core";
import type * as z from "zod/mini";
import { type Io, type Log, nodeIo, printable } from "../io/index.ts";
import { exitCodeOf, failuresOf, failureText, type FailureReport, renderFailures } from "../report/index.ts";
import { type InputSchema, readInputs, secretsOf } from "./inputs.ts";
import { limits } from "./limits.ts";

/** Something that is shown on the run's page, and beside the line of a file that it is about. */
export interface Annotation extends FailureReport {
	/** Default: error. */
	readonly level?: "error" | "warning" | "notice";
}

/** What a step says to people, and how it ends. */
export interface Told {
	/** For the log, in lines. */
	readonly text: string;
	/** For the run's page. */
	readonly markdown: string;
	readonly annotations: readonly Annotation[];
	readonly exitCode: number;
}

export interface ActionOutput {
	readonly outputs: Readonly<Record<string, string>>;
	/** Undefined: the step says nothing more than its log. */
	readonly told?: Told;
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
		const { outputs, told } = await action.run(inputs, io);
		for (const [name, value] of Object.entries(outputs)) core.setOutput(name, value);
		if (told === undefined) return;
		for (const line of told.text.trimEnd().split("\n")) core.info(harmless(line));
		annotate(told.annotations);
		await summarize(told.markdown);
		process.exitCode = told.exitCode;
	} catch (error) {
		if (core.isDebug() && error instanceof Error) core.debug(error.stack ?? error.message);
		const failures = failuresOf(error);
		annotate(failures);
		await summarize(renderFailures(failures));
		process.exitCode = exitCodeOf(error);
	}
}

/** Each level has a limit of its own. */
function annotate(annotations: readonly Annotation[]): void {
	for (const level of ["error", "warning", "notice"] as const) {
		// Each by its name: the bundle would hold all of core otherwise.
		const say = { error: core.error, warning: core.warning, notice: core.notice }[level];
		const own = annotations.filter((annotation) => (annotation.level ?? "error") === level);
		const all = own.length <= limits.annotations;
		const shown = all ? own : own.slice(0, limits.annotations - 1);
		for (const one of shown) say(failureText(one), { title: one.code, ...placeOf(one.at) });
		// The runner drops what is more, without a word.
		if (!all) say(`and ${own.length - shown.length} more, which the log and the summary name`);
	}
}

function placeOf(at: FailureReport["at"]): core.AnnotationProperties {
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
