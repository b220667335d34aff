import { BrewlineError } from "../errors.ts";
import { printable } from "../io/printable.ts";
import { parseJsonObject, type JsonObject, type JsonValue } from "../json/index.ts";
import {
	architectureOf,
	goIndex,
	isAttestation,
	isDigest,
	isImageType,
	isIndexType,
	maxManifestSize,
	mediaTypes,
	normalizeOutsidePlatform,
	printReference,
	subjectOf,
	withDigest,
	withoutTag,
	type Annotations,
	type Descriptor,
	type Index,
	type Platform,
	type Reference,
} from "../oci/index.ts";
import { readLimited } from "./answer.ts";
import { checkBytes } from "./digest.ts";
import type { RegistryClient } from "./types.ts";

export interface SynthesizeOptions {
	/** By our name. */
	readonly architectures: Readonly<Record<string, { readonly platform: Platform }>>;
	/** The annotation that says which architecture of ours a manifest belongs to. */
	readonly architectureAnnotation: string;
}

const refName = "org.opencontainers.image.ref.name";

/** An index whose descriptors all lack a platform takes two requests for each; no real one has nearly so many. */
const maxPlatformLookups = 200;

/**
 * What a reference holds as an index that says of each manifest which architecture of ours it is for, and where it is
 * (spec/publish.md, Synthesised index); keys in Go's order. One request, and more only for platforms that the index
 * does not state. Undefined where the reference is missing. A `manifests` that is null is read as an empty list.
 */
export async function synthesize(
	client: Pick<RegistryClient, "getManifest" | "getBlob">,
	reference: Reference,
	options: SynthesizeOptions,
): Promise<Index | undefined> {
	const found = await client.getManifest(reference);
	if (found === undefined) return undefined;
	const what = printable(printReference(reference));
	const index = isImageType(found.mediaType)
		? indexOfOne(found)
		: isIndexType(found.mediaType)
			? readIndex(found.bytes, what)
			: undefined;
	if (index === undefined) {
		throw new BrewlineError(
			"registry",
			`${what} is neither an image nor an index: its Content-Type is "${printable(found.mediaType, 150)}"`,
		);
	}
	const named = (digest: string) => printReference(withDigest(reference, digest));
	const known = new Map([[found.digest, found.bytes]]);
	const kept = new Map<string, { readonly descriptor: Descriptor; readonly architecture: string | undefined }>();
	let lookups = 0;
	for (const descriptor of index.manifests) {
		if (kept.has(descriptor.digest)) continue;
		const inherited = kept.get(subjectOf(descriptor) ?? "")?.architecture;
		if (isAttestation(descriptor) && inherited === undefined) continue;
		let platform = descriptor.platform;
		if (platform === undefined && isImageType(descriptor.mediaType)) {
			if (++lookups > maxPlatformLookups) {
				throw new BrewlineError("registry", `${what} lists more than ${maxPlatformLookups} images without a platform`);
			}
			platform = await readPlatform(client, reference, descriptor, known.get(descriptor.digest));
		}
		const normal = platform && normalizeOutsidePlatform(platform);
		const architecture = inherited ?? (normal && architectureOf(normal, options.architectures));
		const { platform: _, data: __, annotations, ...rest } = descriptor;
		const { [options.architectureAnnotation]: ___, ...trusted } = annotations ?? {};
		kept.set(descriptor.digest, {
			architecture,
			descriptor: {
				...rest,
				annotations: {
					...trusted,
					[refName]: named(descriptor.digest),
					...(architecture === undefined ? {} : { [options.architectureAnnotation]: architecture }),
				},
				...(normal === undefined ? {} : { platform: normal }),
			},
		});
	}
	return goIndex({
		...index,
		manifests: [...kept.values()].map(({ descriptor }) => descriptor),
		annotations: { ...index.annotations, [refName]: named(found.digest) },
	});
}

function indexOfOne({ mediaType, digest, bytes }: { mediaType: string; digest: string; bytes: Uint8Array }): Index {
	return {
		schemaVersion: 2,
		mediaType: mediaType === mediaTypes.dockerManifest ? mediaTypes.dockerList : mediaTypes.ociIndex,
		manifests: [{ mediaType, digest, size: bytes.length }],
	};
}

function readIndex(bytes: Uint8Array, what: string): Index {
	const body = parseJsonObject(bytes, { what, maxBytes: maxManifestSize, code: "registry" });
	const version = body["schemaVersion"] ?? 2;
	if (version !== 2 && version !== 0) {
		throw new BrewlineError("registry", `${what}: schemaVersion ${printable(JSON.stringify(version), 50)} is unknown`);
	}
	const list = body["manifests"] ?? [];
	if (!Array.isArray(list)) throw wrong(what, "manifests");
	const manifests = list.map((entry: JsonValue, at) => readDescriptor(entry, `${what}: manifests[${at}]`));
	const first = manifests[0]?.mediaType === mediaTypes.dockerManifest ? mediaTypes.dockerList : mediaTypes.ociIndex;
	const mediaType = readText(body, "mediaType", what) ?? first;
	if (!isIndexType(mediaType)) {
		throw new BrewlineError("registry", `${what}: its media type "${printable(mediaType, 150)}" is not an index's`);
	}
	const artifactType = readText(body, "artifactType", what);
	const annotations = readAnnotations(body, what);
	const subject = body["subject"] ?? undefined;
	return {
		schemaVersion: 2,
		mediaType,
		manifests,
		...(artifactType === undefined ? {} : { artifactType }),
		...(subject === undefined ? {} : { subject: readDescriptor(subject, `${what}: subject`) }),
		...(annotations === undefined ? {} : { annotations }),
	};
}

/** The fields of OCI 1.1; a platform only if it has an os and an architecture. Throws `registry` for what is none. */
export function readDescriptor(value: JsonValue | undefined, what: string): Descriptor {
	if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrong(what, "descriptor");
	const object = value as JsonObject;
	const digest = readText(object, "digest", what) ?? "";
	const size = object["size"];
	if (!isDigest(digest)) throw wrong(what, "digest");
	if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0) throw wrong(what, "size");
	const urls = readTexts(object, "urls", what);
	const annotations = readAnnotations(object, what);
	const data = readText(object, "data", what);
	const platform = readPlatformOf(object["platform"], what);
	const artifactType = readText(object, "artifactType", what);
	return {
		mediaType: readText(object, "mediaType", what) ?? "",
		digest,
		size,
		...(urls === undefined ? {} : { urls }),
		...(annotations === undefined ? {} : { annotations }),
		...(data === undefined ? {} : { data }),
		...(platform === undefined ? {} : { platform }),
		...(artifactType === undefined ? {} : { artifactType }),
	};
}

/** Of a descriptor's platform, or of a config, which has the same keys among others. */
function readPlatformOf(value: JsonValue | undefined, what: string): Platform | undefined {
	if (value === undefined || value === null) return undefined;
	if (typeof value !== "object" || Array.isArray(value)) throw wrong(what, "platform");
	const object = value as JsonObject;
	const os = readText(object, "os", what) ?? "";
	const architecture = readText(object, "architecture", what) ?? "";
	const version = readText(object, "os.version", what);
	const features = readTexts(object, "os.features", what);
	const variant = readText(object, "variant", what);
	if (os === "" || architecture === "") return undefined;
	return {
		os,
		architecture,
		...(version === undefined ? {} : { "os.version": version }),
		...(features === undefined ? {} : { "os.features": features }),
		...(variant === undefined ? {} : { variant }),
	};
}

/** The platform that an image's config states; undefined where the config is of another kind or states none. */
async function readPlatform(
	client: Pick<RegistryClient, "getManifest" | "getBlob">,
	reference: Reference,
	descriptor: Descriptor,
	known: Uint8Array | undefined,
): Promise<Platform | undefined> {
	const place = withDigest(withoutTag(reference), descriptor.digest);
	const what = printable(printReference(place));
	let bytes = known ?? embedded(descriptor, what);
	if (bytes === undefined) {
		bytes = (await client.getManifest(place))?.bytes;
		if (bytes === undefined) throw new BrewlineError("registry", `${what} is missing, though an index lists it`);
		checkBytes(bytes, descriptor, what);
	}
	const manifest = parseJsonObject(bytes, { what, maxBytes: maxManifestSize, code: "registry" });
	const config = readDescriptor(manifest["config"], `${what}: config`);
	if (config.mediaType !== mediaTypes.ociConfig && config.mediaType !== mediaTypes.dockerConfig) return undefined;
	const content = await readConfig(client, place, config, what);
	return readPlatformOf(
		parseJsonObject(content, { what: `the config of ${what}`, maxBytes: maxManifestSize, code: "registry" }),
		`the config of ${what}`,
	);
}

async function readConfig(
	client: Pick<RegistryClient, "getBlob">,
	place: Reference,
	config: Descriptor,
	what: string,
): Promise<Uint8Array> {
	const data = embedded(config, `the config of ${what}`);
	if (data !== undefined) return data;
	if (config.size > maxManifestSize) {
		throw new BrewlineError("registry", `the config of ${what} is larger than ${maxManifestSize} bytes`);
	}
	const blob = await client.getBlob(place, config);
	if (blob === undefined) throw new BrewlineError("registry", `the config of ${what} is missing`);
	return (await readLimited(blob, config.size)).bytes;
}

/** Content that stands in its own descriptor, checked; undefined where there is none of the right length. */
function embedded(descriptor: Descriptor, what: string): Uint8Array | undefined {
	if (descriptor.data === undefined) return undefined;
	const bytes = Buffer.from(descriptor.data, "base64");
	if (bytes.length !== descriptor.size) return undefined;
	checkBytes(bytes, descriptor, `the data of ${what}`);
	return bytes;
}

/** As Go reads it, null is absent. */
function readText(object: JsonObject, key: string, what: string): string | undefined {
	const value = object[key] ?? undefined;
	if (value === undefined || typeof value === "string") return value === "" ? undefined : value;
	throw wrong(what, key);
}

function readTexts(object: JsonObject, key: string, what: string): readonly string[] | undefined {
	const value = object[key] ?? undefined;
	if (value === undefined) return undefined;
	if (Array.isArray(value) && value.every((item: unknown) => typeof item === "string")) return value;
	throw wrong(what, key);
}

function readAnnotations(object: JsonObject, what: string): Annotations | undefined {
	const value = object["annotations"] ?? undefined;
	if (value === undefined) return undefined;
	if (
		typeof value === "object" &&
		!Array.isArray(value) &&
		Object.values(value as JsonObject).every((item) => typeof item === "string")
	) {
		return value as Annotations;
	}
	throw wrong(what, "annotations");
}

function wrong(what: string, key: string): BrewlineError {
	return new BrewlineError("registry", `${what}: "${key}" is missing or not what it must be`);
}
