export { init, type InitInput, type InitResult } from "./init.ts";
export type { Comparison, EntryDifference } from "./compare.ts";
