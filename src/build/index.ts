export {
	buildkitCommand,
	classicCommands,
	sbomCommand,
	type BuildkitInput,
	type ClassicCommands,
	type Command,
} from "./commands.ts";
export { pushLayout, type PushOptions } from "./push.ts";
export { provenanceStatement, type ProvenanceSubject, type WorkflowRun } from "./provenance.ts";
export {
	printResult,
	readResult,
	resultFormat,
	writeResult,
	type BuildResult,
	type LegResult,
	type Run,
} from "./result.ts";
