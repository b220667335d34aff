import { BrewlineError, errorCodes, messageOf, type ErrorCode } from "../errors.ts";
import { printable } from "../io/printable.ts";
import type { FailureReport, Report } from "./schema.ts";

/** Anything that was thrown, as data; an error that stands for several becomes all of them. */
export function failuresOf(error: unknown): FailureReport[] {
	if (!(error instanceof BrewlineError)) return [{ code: "internal", message: printable(messageOf(error)) }];
	if (error.errors.length > 0) return error.errors.flatMap(failuresOf);
	return [
		{
			code: error.code,
			message: printable(error.message, 4000),
			...(error.hint === undefined ? {} : { hint: printable(error.hint, 1000) }),
			...(error.at === undefined ? {} : { at: error.at }),
		},
	];
}

/** The exit code of a command that ends with this error (the table `errorCodes`). */
export function exitCodeOf(error: unknown): number {
	return error instanceof BrewlineError ? errorCodes[error.code].exit : errorCodes.internal.exit;
}

/** The exit code of a command that ends with this report: an error of its own first, then the outcome. */
export function exitCodeOfReport(report: Report): number {
	if (report.outcome === "cancelled") return errorCodes.cancelled.exit;
	const [error] = report.errors;
	if (error !== undefined) return (errorCodes[error.code as ErrorCode] ?? errorCodes.internal).exit;
	if (report.outcome === "failed") return errorCodes.failed.exit;
	return report.outcome === "incomplete" ? errorCodes.incomplete.exit : 0;
}

/** `FILE:LINE:COLUMN`, as far as they are known. */
export function locationText({ file, line, column }: NonNullable<FailureReport["at"]>): string {
	return [printable(file), line, column].filter((part) => part !== undefined).join(":");
}

/** `FILE:LINE:COLUMN: MESSAGE`, and the hint on a line of its own. */
export function failureText({ message, hint, at }: FailureReport): string {
	const text = printable(message, 4000);
	const below = hint === undefined ? "" : `\n  ${printable(hint, 1000)}`;
	if (at === undefined) return `${text}${below}`;
	// Many messages begin with the file's name, for whoever sees no place.
	const file = printable(at.file);
	if (at.line === undefined && text.startsWith(file)) return `${text}${below}`;
	return `${locationText(at)}: ${text.startsWith(`${file}: `) ? text.slice(file.length + 2) : text}${below}`;
}
