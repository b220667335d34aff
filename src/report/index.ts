export {
	readReport,
	reportSchema,
	type BuildReport,
	type FailureReport,
	type Report,
	type TagReport,
} from "./schema.ts";
export { exitCodeOf, exitCodeOfReport, failuresOf, failureText } from "./failure.ts";
export { closingLine, countsOf, renderText } from "./text.ts";
export { escapeMarkdown, renderFailures, renderMarkdown } from "./markdown.ts";
export { messageLine, terminalLog, type TerminalLog, type TerminalOptions } from "./progress.ts";
export { colourStyle, plainStyle, styleFor, type Style } from "./style.ts";
export { isReadByRunner, suspendCommands, textFor } from "./runner.ts";
