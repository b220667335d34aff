export type * from "./types.ts";
export { dockerProgram } from "./defaults.ts";
