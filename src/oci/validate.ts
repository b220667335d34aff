import { BrewlineError } from "../errors.ts";
import { printable } from "../io/printable.ts";
import { sha256Of } from "./digest.ts";
import { attestationType, referenceDigest, referenceType } from "./normal.ts";
import type { LayoutRules } from "./rules.ts";
import { mediaTypes, type Descriptor, type Index, type Manifest, type Platform } from "./types.ts";

/** The largest manifest, in bytes; registries take no larger ones. */
export const maxManifestSize = 4 * 1024 * 1024;

const indexTypes: readonly string[] = [mediaTypes.ociIndex, mediaTypes.dockerList];
const imageTypes: readonly string[] = [mediaTypes.ociManifest, mediaTypes.dockerManifest];
const configTypes: readonly string[] = [mediaTypes.ociConfig, mediaTypes.dockerConfig];
const layerTypes: readonly string[] = [
	"application/vnd.oci.image.layer.v1.tar",
	"application/vnd.oci.image.layer.v1.tar+gzip",
	"application/vnd.docker.image.rootfs.diff.tar",
	"application/vnd.docker.image.rootfs.diff.tar.gzip",
];
const predicateKey = "in-toto.io/predicate-type";
const emptyConfig = "{}";

export function isIndexType(mediaType: string): boolean {
	return indexTypes.includes(mediaType);
}

export function isImageType(mediaType: string): boolean {
	return imageTypes.includes(mediaType);
}

type Members = Readonly<Record<string, unknown>>;

function fail(where: string, why: string): never {
	throw new BrewlineError("layout", `${where} ${why}`);
}

function object(value: unknown, where: string): Members {
	if (typeof value !== "object" || value === null || Array.isArray(value)) {
		fail(where, "must be an object");
	}
	return value as Members;
}

function list(value: unknown, where: string): readonly unknown[] {
	return Array.isArray(value) ? (value as readonly unknown[]) : fail(where, "must be a list");
}

function oneOf(value: unknown, allowed: readonly string[], where: string): string {
	if (typeof value !== "string" || !allowed.includes(value)) {
		const found =
			typeof value === "string" ? `"${printable(value, 100)}"` : value === undefined ? "missing" : "no string";
		fail(where, `is ${found}; it must be ${allowed.join(" or ")}`);
	}
	return value;
}

/** An optional key: `null` is not the same as absent (spec/build.md). */
function optional(members: Members, key: string, where: string, check: (value: unknown, where: string) => void): void {
	if (Object.hasOwn(members, key) && members[key] !== undefined) {
		check(members[key], `${where}.${key}`);
	}
}

function absent(members: Members, key: string, where: string): void {
	optional(members, key, where, (_, at) => fail(at, "is not allowed here"));
}

const digestLengths: Readonly<Record<string, number>> = { sha256: 64, sha512: 128, blake3: 64 };

/** The form of a digest: sha256, sha512 or blake3 (which a layout cannot have, since it is not checked). */
export function validateDigest(value: unknown, where = "digest"): string {
	if (typeof value !== "string") {
		fail(where, "must be a string");
	}
	const match = /^([a-z0-9]+):([0-9a-f]+)$/.exec(value);
	if (match === null || digestLengths[match[1]!] !== match[2]!.length) {
		fail(where, `"${printable(value, 160)}" is no digest: sha256 with 64 or sha512 with 128 lower-case hex digits`);
	}
	return value;
}

function string(value: unknown, where: string): string {
	return typeof value === "string" ? value : fail(where, "must be a string");
}

function filled(value: unknown, where: string): void {
	if (typeof value !== "string" || value === "") {
		fail(where, "must be a string that is not empty");
	}
}

function strings(value: unknown, where: string): void {
	if (!list(value, where).every((item) => typeof item === "string")) {
		fail(where, "must be a list of strings");
	}
}

function annotations(value: unknown, where: string): void {
	for (const [key, text] of Object.entries(object(value, where))) {
		if (typeof text !== "string") {
			fail(`${where}["${printable(key, 100)}"]`, "must be a string");
		}
	}
}

function platform(value: unknown, where: string): void {
	const members = object(value, where);
	filled(members["architecture"], `${where}.architecture`);
	filled(members["os"], `${where}.os`);
	optional(members, "variant", where, filled);
	optional(members, "os.version", where, filled);
	optional(members, "os.features", where, strings);
	optional(members, "features", where, strings);
}

const base64Pattern = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

function data(value: unknown, size: number, where: string): void {
	const text = string(value, where);
	if (!base64Pattern.test(text)) {
		fail(where, "must be base64 with padding");
	}
	const length = (text.length / 4) * 3 - (text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0);
	if (length !== size) {
		fail(where, `has ${length} bytes, but size says ${size}`);
	}
}

/** A descriptor's form; whether `data` is what the digest says is looked at with the layout. Throws `layout`. */
export function validateDescriptor(value: unknown, where = "the descriptor"): Descriptor {
	const members = object(value, where);
	string(members["mediaType"], `${where}.mediaType`);
	validateDigest(members["digest"], `${where}.digest`);
	const size = members["size"];
	if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0) {
		fail(`${where}.size`, "must be a whole number of bytes, not negative");
	}
	optional(members, "urls", where, (urls, at) => {
		if (list(urls, at).length > 0) {
			fail(at, "must be empty");
		}
	});
	optional(members, "annotations", where, annotations);
	optional(members, "artifactType", where, string);
	optional(members, "data", where, (text, at) => data(text, size, at));
	optional(members, "platform", where, platform);
	return value as Descriptor;
}

export interface IndexOptions {
	/** As in a layout's `index.json` itself. */
	readonly platformsOptional?: boolean;
	/** Where it says no media type, it is taken for an OCI index. */
	readonly mediaTypeOptional?: boolean;
}

/** An index or manifest list, with its descriptors and what they say about attestations. Throws `layout`. */
export function validateIndex(value: unknown, options: IndexOptions = {}, where = "the index"): Index {
	const members = object(value, where);
	schemaVersion(members, where);
	if (options.mediaTypeOptional !== true || Object.hasOwn(members, "mediaType")) {
		oneOf(members["mediaType"], indexTypes, `${where}.mediaType`);
	}
	absent(members, "artifactType", where);
	optional(members, "annotations", where, annotations);
	optional(members, "subject", where, validateDescriptor);
	const manifests = list(members["manifests"], `${where}.manifests`).map((item, place) =>
		manifestDescriptor(item, options, `${where}.manifests[${place}]`),
	);
	const digests = new Set(manifests.map(({ digest }) => digest));
	for (const [place, manifest] of manifests.entries()) {
		checkReference(manifest, digests, `${where}.manifests[${place}]`);
	}
	return value as Index;
}

function schemaVersion(members: Members, where: string): void {
	if (members["schemaVersion"] !== 2) {
		fail(`${where}.schemaVersion`, "must be 2");
	}
}

function manifestDescriptor(value: unknown, options: IndexOptions, where: string): Descriptor {
	const descriptor = validateDescriptor(value, where);
	oneOf(descriptor.mediaType, [...indexTypes, ...imageTypes], `${where}.mediaType`);
	if (descriptor.size < 3 || descriptor.size > maxManifestSize) {
		fail(`${where}.size`, `is ${descriptor.size}; a manifest has 3 bytes to 4 MiB`);
	}
	if (descriptor.platform === undefined && options.platformsOptional !== true) {
		fail(`${where}.platform`, "is missing");
	}
	return descriptor;
}

/** Whether a descriptor refers to another one in its index, rightly or wrongly. */
export function refersToManifest(descriptor: Descriptor): boolean {
	const { annotations } = descriptor;
	return (
		annotations !== undefined &&
		(Object.hasOwn(annotations, referenceType) || Object.hasOwn(annotations, referenceDigest))
	);
}

function checkReference(descriptor: Descriptor, digests: ReadonlySet<string>, where: string): void {
	if (!refersToManifest(descriptor)) {
		absent(descriptor as unknown as Members, "artifactType", where);
		return;
	}
	const { annotations, platform, mediaType, artifactType } = descriptor;
	oneOf(mediaType, [mediaTypes.ociManifest], `${where}.mediaType`);
	oneOf(annotations?.[referenceType], [attestationType], `${where}.annotations["${referenceType}"]`);
	const subject = validateDigest(annotations?.[referenceDigest], `${where}.annotations["${referenceDigest}"]`);
	if (!digests.has(subject)) {
		fail(where, "is an attestation of a manifest that is not in the same index");
	}
	if (!isUnknown(platform)) {
		fail(`${where}.platform`, "must be unknown/unknown, as an attestation's");
	}
	if (artifactType !== undefined) {
		oneOf(artifactType, [mediaTypes.attestation], `${where}.artifactType`);
	}
}

function isUnknown(platform: Platform | undefined): boolean {
	return platform?.os === "unknown" && platform.architecture === "unknown";
}

/** What images and attestations have in common. */
function manifest(value: unknown, where: string): Members {
	const members = object(value, where);
	schemaVersion(members, where);
	oneOf(members["mediaType"], imageTypes, `${where}.mediaType`);
	optional(members, "annotations", where, annotations);
	optional(members, "subject", where, validateDescriptor);
	return members;
}

function config(value: unknown, allowed: readonly string[], where: string): Descriptor {
	const descriptor = validateDescriptor(value, where);
	oneOf(descriptor.mediaType, allowed, `${where}.mediaType`);
	absent(descriptor as unknown as Members, "artifactType", where);
	if (descriptor.size < 2) {
		fail(`${where}.size`, "is less than the 2 bytes that a config has at least");
	}
	return descriptor;
}

function layers(value: unknown, allowed: readonly string[], where: string): readonly Descriptor[] {
	return list(value, where).map((item, place) => {
		const at = `${where}[${place}]`;
		const layer = validateDescriptor(item, at);
		oneOf(layer.mediaType, allowed, `${at}.mediaType`);
		absent(layer as unknown as Members, "artifactType", at);
		return layer;
	});
}

/** An image's manifest. Throws `layout`. */
export function validateImage(value: unknown, rules: LayoutRules, where = "the image"): Manifest {
	const members = manifest(value, where);
	absent(members, "artifactType", where);
	config(members["config"], configTypes, `${where}.config`);
	if (!(rules.goDefaults && members["layers"] === null)) {
		layers(members["layers"], layerTypes, `${where}.layers`);
	}
	return value as Manifest;
}

/** Where an attestation stands. */
export interface AttestationContext {
	/** Its own descriptor in the index. */
	readonly descriptor: Descriptor;
	/** The descriptor of the image that it is about. */
	readonly subject: Descriptor;
}

/** An attestation's manifest: of the old form, or where the rules allow it an OCI artifact. Throws `layout`. */
export function validateAttestation(
	value: unknown,
	rules: LayoutRules,
	context?: AttestationContext,
	where = "the attestation",
): Manifest {
	const members = manifest(value, where);
	optional(members, "artifactType", where, (type, at) => oneOf(type, [mediaTypes.attestation], at));
	const types = rules.artifacts ? [...configTypes, mediaTypes.ociEmpty] : configTypes;
	const found = config(members["config"], types, `${where}.config`);
	for (const [place, { annotations }] of layers(members["layers"], [mediaTypes.inToto], `${where}.layers`).entries()) {
		oneOf(annotations?.[predicateKey], rules.predicates, `${where}.layers[${place}].annotations["${predicateKey}"]`);
	}
	const subject = members["subject"] as Descriptor | undefined;
	if (found.mediaType === mediaTypes.ociEmpty) {
		artifact(members, found, context, where);
	}
	if (rules.artifacts && subject !== undefined && context !== undefined && !sameContent(subject, context.subject)) {
		fail(`${where}.subject`, "is not the manifest that the index says it is about");
	}
	return value as Manifest;
}

function artifact(members: Members, found: Descriptor, context: AttestationContext | undefined, where: string): void {
	if (found.digest !== sha256Of(emptyConfig) || found.size !== emptyConfig.length) {
		fail(`${where}.config`, "must be the two bytes {} with their sha256 digest");
	}
	if (members["subject"] === undefined) {
		fail(`${where}.subject`, "is missing: an attestation with an empty config names its subject");
	}
	if (members["artifactType"] === undefined && context?.descriptor.artifactType === undefined) {
		fail(`${where}.artifactType`, "is missing, both in the manifest and in its descriptor");
	}
}

function sameContent(a: Descriptor, b: Descriptor): boolean {
	return a.digest === b.digest && a.size === b.size && a.mediaType === b.mediaType;
}

/** The content of `oci-layout`. Throws `layout`. */
export function validateLayoutFile(value: unknown): void {
	if (object(value, "oci-layout")["imageLayoutVersion"] !== "1.0.0") {
		fail("oci-layout:", "imageLayoutVersion must be 1.0.0");
	}
}
