export { propose, type ProposeInput, type ProposeOptions } from "./propose.ts";
export type { GitHubOptions } from "./github.ts";
export type * from "./types.ts";
