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
export { build, registryOptionsOf, type BuildOptions } from "./build.ts";
export { isEmulated, type Builder } from "./context.ts";
export { importLayout, type ImportInput } from "./oci-import.ts";
export { stagedDigest } from "./platforms.ts";
