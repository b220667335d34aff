export type { Alias } from "./aliases.ts";
export { dayOf } from "./day.ts";
export { textOfFile, type RepositoryFile, type RepositoryFiles } from "./files.ts";
export {
	buildMatrix,
	joinPath,
	type Left,
	type Matrix,
	type MatrixEntry,
	type MatrixInput,
	nothingLeft,
	type Version,
} from "./matrix.ts";
export { compareKeys, compareVersions } from "./order.ts";
export { createScope, emptyScope, expand, holds, matchesPath, type Scope, type Value } from "./scope.ts";
export { asValue, type FileWarning, memberOf, valueAt, versionsWarnings } from "./data.ts";
export { evaluate, withVariables, type Sources } from "./variables.ts";
export { readCommit, readWorkTree } from "./read.ts";
