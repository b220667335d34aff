export type * from "./types.ts";
export { mediaTypes } from "./types.ts";
export { isDigest, parseDigest, sha256Of, tryParseDigest, type DigestAlgorithm, type ParsedDigest } from "./digest.ts";
export {
	canonicalReference,
	hubHost,
	isTag,
	parseReference,
	printReference,
	repositoryOf,
	tryParseReference,
	withDigest,
	withoutDigest,
	withoutTag,
	withTag,
} from "./reference.ts";
export { architectureOf, normalizeOutsidePlatform, platformString, samePlatform } from "./platform.ts";
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
