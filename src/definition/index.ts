export type * from "./types.ts";
export { parseDefinition, type DefinitionOptions } from "./parse.ts";
export { entriesWithTag, forArchitecture, sharedTagGroups } from "./merge.ts";
export { printDefinition, printEntry } from "./print.ts";
export { encodeText } from "./text.ts";
