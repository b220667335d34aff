export type * from "./types.ts";
export { emptyState } from "./types.ts";
export {
	decisionsFormat,
	joinState,
	lookupsFormat,
	publishedFormat,
	queueFormat,
	readStateFile,
	splitState,
	stateFormat,
} from "./files.ts";
export { imageFormat, type ImageFile } from "./images.ts";
export { allRecords, recordsByImage } from "./queue.ts";
export { imageOf, ownerOf } from "./order.ts";
export { openState, type ReadState, type StateStore, type StateStoreOptions, type UpdatedState } from "./store.ts";
