export type * from "./types.ts";
export { dockerProgram } from "./defaults.ts";
export { defineProgram, servedArchitectures } from "./program.ts";
export { loadConfig } from "./load.ts";
export { parseConfig } from "./parse.ts";
export { configSchema, type ConfigInput, type ProgramInput } from "./schema.ts";
export { deadlineOf, durationOf, policyOf, type Policy } from "./policy.ts";
