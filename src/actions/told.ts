import { exitCodeOfReport, plainStyle, renderMarkdown, renderText, type Report } from "../report/index.ts";
import type { Told } from "./runner.ts";

/** What a report of the pipeline says. `goesOn`: the run that follows goes on with what is incomplete, so it is no failure. */
export function toldOf(report: Report, goesOn = false): Told {
	return {
		text: renderText(report, plainStyle),
		markdown: renderMarkdown(report),
		annotations: problemsOf(report),
		exitCode: goesOn && report.outcome === "incomplete" ? 0 : exitCodeOfReport(report),
	};
}

/** All that went wrong, each build's own error with its name. */
function problemsOf({ builds, errors }: Report): Report["errors"] {
	const failed = builds.flatMap(({ tags, buildId, arch, error }) =>
		error === null ? [] : [{ ...error, message: `${tags[0] ?? buildId} for ${arch}: ${error.message}` }],
	);
	return [...errors, ...failed];
}
