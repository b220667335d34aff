export type * from "./types.ts";
export {
	assembleSources,
	type AssembleOptions,
	type SourceCandidate,
	type SourceFacts,
	type SourcePlace,
} from "./assemble.ts";
export { recordedFacts } from "./facts.ts";
export { readSources, sourceEntrySchema, sourcesSchema, writeSources } from "./file.ts";
export { sourceIdOf } from "./id.ts";
export { readExternalPins } from "./pins.ts";
export { sources, type SourcesInput, type SourcesOptions } from "./sources.ts";
