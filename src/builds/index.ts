export type * from "./types.ts";
export { builds, type BuildsInput, type BuildsOptions, type BuildsOutput } from "./builds.ts";
export { readBuilds, readLookupCache, writeBuilds, writeLookupCache, type ReadFileOptions } from "./file.ts";
export {
	buildIdOf,
	checkStagingTemplate,
	forcedId,
	outsideReference,
	restrictedTo,
	stagingReference,
	type BuildIdentity,
} from "./identity.ts";
export { limit, type Limit } from "./limit.ts";
export { architectureLookup, registryLookup } from "./lookup.ts";
export {
	queue,
	retryTime,
	windowsVersionOf,
	type Queue,
	type QueuedBuild,
	type QueueRecord,
	type QueueRecords,
	type WindowsVersion,
} from "./queue.ts";
export { checkMissing, openStaging, type Staging, type StagedOptions } from "./staged.ts";
export { buildSchema, buildsSchema, indexSchema, lookupCacheSchema, referenceSchema } from "./schema.ts";
