export { defineProgram, type Program, type ProgramInput } from "./config/index.ts";
export { BrewlineError, errorCodes, type ErrorCode, type ErrorDetails, type Location } from "./errors.ts";
export { nodeIo, type Io, type Log, type LogEvent, type NodeIoOptions } from "./io/index.ts";
export { openBuilders, run, type Builders, type RunOptions } from "./pipeline/index.ts";
export type { Report } from "./report/index.ts";
