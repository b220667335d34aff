export type * from "./types.ts";
export { parseDefinition, type DefinitionOptions } from "./parse.ts";
export { entriesWithTag, forArchitecture, sharedTagGroups } from "./merge.ts";
export { printDefinition, printEntry } from "./print.ts";
export { decodeText, encodeText } from "./text.ts";
export {
	definitionLimit,
	fileNames,
	imageName,
	loadLibrary,
	readFromLibrary,
	type ArchitectureOptions,
	type Selection,
} from "./library.ts";
export {
	resolveReference,
	resolveReferences,
	splitReference,
	type ReferenceOptions,
	type ReferenceParts,
} from "./reference.ts";
export { cat, fullTags, isSkipped, list, requireArchitecture, type EntryFilter, type ListOptions } from "./list.ts";
export { buildOrder, orderInRounds, type BuildOrderOptions } from "./order.ts";
