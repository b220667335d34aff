export { emptyState } from "./types.ts";
export type * from "./types.ts";
export { joinState, readStateFile, splitState } from "./files.ts";
export { imageOf, ownerOf } from "./order.ts";
