export {
	deriveArchitectures,
	type Derived,
	type DerivedEntry,
	type DeriveOptions,
	type ArchitectureFinding,
} from "./derive.ts";
export { fileDiff, unifiedDiff, type DiffFile } from "./diff.ts";
export { edited, editsOf, type Edit } from "./edit.ts";
export { check, type Checked, type CheckInput, type CheckIo, type CheckOptions, type DefinitionText } from "./check.ts";
export { dockerfilesOfGit, type DockerfileTexts, type ReadDockerfiles } from "./dockerfiles.ts";
export { isRule, type Rule, type RuleId, rules } from "./rules.ts";
export { type Finding, runnerLevels, type Severity, type SourceLine } from "./types.ts";
export type { Suppressed } from "./suppress.ts";
export { annotationsOf } from "./annotations.ts";
export { sarifOf } from "./sarif.ts";
export { countsOf, textOf } from "./text.ts";
export { explanationsOf, readExplanations } from "./explained.ts";
