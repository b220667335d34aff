export type { Left } from "../matrix/index.ts";
export { openSandbox, type Sandbox, type SandboxOptions } from "../sandbox/index.ts";
export type { Generated, GeneratedEntry, MissingArchitecture, TagReason } from "./types.ts";
export { rewriteTo } from "./address.ts";
export { definitionsAt, definitionsInFolder, firstOf, type Definitions } from "./definitions.ts";
export { explainTag, explanationText, type Explanation } from "./explain.ts";
export { generateAll } from "./all.ts";
export { generate, type GenerateInput } from "./generate.ts";
export { runScript, type ScriptInput } from "./script.ts";
