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
	testedFormat,
} from "./files.ts";
export { imageFormat, type ImageFile } from "./images.ts";
export { allRecords, imageOf, ownerOf, recordsByImage } from "./order.ts";
export { predecessors, remember, type FailedTry, type Happened } from "./remember.ts";
export { openState, type ReadState, type StateStore, type StateStoreOptions, type UpdatedState } from "./store.ts";
