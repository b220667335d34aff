export type * from "./types.ts";
export { mediaTypes } from "./types.ts";
export { isDigest, parseDigest, sha256Of, tryParseDigest, type DigestAlgorithm, type ParsedDigest } from "./digest.ts";
export {
	canonicalReference,
	hubHost,
	hubHosts,
	isTag,
	parseReference,
	printReference,
	repositoryOf,
	tryParseReference,
	underNamespace,
	withDigest,
	withoutTag,
} from "./reference.ts";
export { architectureOf, normalizeOutsidePlatform, parsePlatform, platformString, samePlatform } from "./platform.ts";
export { naturalAscending, naturalDescending } from "./natural.ts";
export {
	attestationType,
	isAttestation,
	normalizeDescriptor,
	normalizeManifest,
	normalizePlatform,
	oneDescriptor,
	referenceDigest,
	referenceType,
	sortManifests,
	subjectOf,
	type Sortable,
} from "./normal.ts";
export { goDescriptor, goIndex, goPlatform } from "./goOrder.ts";
export { layoutRules, type LayoutRules } from "./rules.ts";
export {
	isImageType,
	isIndexType,
	maxManifestSize,
	validateAttestation,
	validateDescriptor,
	validateDigest,
	validateImage,
	validateIndex,
	validateLayoutFile,
	type AttestationContext,
	type IndexOptions,
} from "./validate.ts";
export { readLayout, validateLayout, type Layout, type LayoutItem, type LayoutOptions } from "./layout.ts";
export { blobFile, blobName, initLayout, writeBlob, writeIndexJson, writeRootIndex } from "./layoutFiles.ts";
export { normalizeImportedIndex, type ImportOptions } from "./import.ts";
