import type { IncomingMessage } from "node:http";
import { isDigest, maxManifestSize, type Descriptor } from "../../oci/index.ts";
import { readLimited } from "../answer.ts";
import { algorithmOf, digestOfBytes } from "../digest.ts";
import { json, refuse, type Reply } from "./reply.ts";
import type { Store } from "./store.ts";

const ociIndex = "application/vnd.oci.image.index.v1+json";

/** The parts of a manifest or index that a registry looks at, each checked. */
interface ReadManifest {
	readonly mediaType?: string;
	readonly artifactType?: string;
	readonly annotations?: unknown;
	readonly manifests?: readonly Descriptor[];
	readonly config?: Descriptor;
	readonly layers?: readonly Descriptor[];
	readonly subject?: Descriptor;
}

export async function getManifest(store: Store, repository: string, reference: string): Promise<Reply> {
	const digest = isDigest(reference) ? reference : await store.tag(repository, reference);
	const manifest = digest === undefined ? undefined : await store.manifest(repository, digest);
	if (digest === undefined || manifest === undefined) return unknownManifest(repository, reference);
	return {
		status: 200,
		headers: {
			"content-type": manifest.mediaType,
			"content-length": String(manifest.bytes.length),
			"docker-content-digest": digest,
			etag: `"${digest}"`,
		},
		body: manifest.bytes,
	};
}

export async function putManifest(
	store: Store,
	repository: string,
	reference: string,
	request: IncomingMessage,
): Promise<Reply> {
	const { bytes, more } = await readLimited(request, maxManifestSize);
	if (more) return refuse(413, "SIZE_INVALID", `a manifest has ${maxManifestSize} bytes at most`);
	const digest = digestOfBytes(bytes, isDigest(reference) ? algorithmOf(reference) : "sha256");
	if (isDigest(reference) && reference !== digest) {
		return refuse(400, "DIGEST_INVALID", "the content has another digest", { digest });
	}
	const mediaType = request.headers["content-type"] ?? "";
	const manifest = readManifest(bytes);
	if (typeof manifest === "string") return refuse(400, "MANIFEST_INVALID", manifest);
	if (!/^[\w.+-]+\/[\w.+-]+$/.test(mediaType))
		return refuse(400, "MANIFEST_INVALID", "the Content-Type is no media type");
	if (manifest.mediaType !== undefined && manifest.mediaType !== mediaType) {
		return refuse(400, "MANIFEST_INVALID", "mediaType and Content-Type differ");
	}
	const missing = await missingChildren(store, repository, manifest);
	if (missing.length > 0) {
		const errors = missing.map((digest) => ({
			code: "MANIFEST_BLOB_UNKNOWN",
			message: "blob unknown to registry",
			detail: { digest },
		}));
		return json(400, { errors });
	}
	await store.putManifest(repository, digest, { mediaType, bytes }, manifest.subject?.digest);
	if (!isDigest(reference)) await store.putTag(repository, reference, digest);
	return {
		status: 201,
		headers: {
			location: `/v2/${repository}/manifests/${digest}`,
			"docker-content-digest": digest,
			...(manifest.subject === undefined ? {} : { "oci-subject": manifest.subject.digest }),
		},
	};
}

export async function deleteManifest(store: Store, repository: string, reference: string): Promise<Reply> {
	const removed = isDigest(reference)
		? await store.removeManifest(repository, reference)
		: await store.removeTag(repository, reference);
	return removed ? { status: 202 } : unknownManifest(repository, reference);
}

export async function listReferrers(
	store: Store,
	repository: string,
	subject: string,
	artifactType: string | null,
): Promise<Reply> {
	const manifests: Descriptor[] = [];
	for (const digest of await store.referrers(repository, subject)) {
		const stored = await store.manifest(repository, digest);
		const manifest = stored && readManifest(stored.bytes);
		if (stored === undefined || manifest === undefined || typeof manifest === "string") continue;
		const type = manifest.artifactType ?? manifest.config?.mediaType;
		if (artifactType !== null && type !== artifactType) continue;
		manifests.push({
			mediaType: stored.mediaType,
			digest,
			size: stored.bytes.length,
			...(manifest.annotations === undefined ? {} : { annotations: manifest.annotations as Record<string, string> }),
			...(type === undefined ? {} : { artifactType: type }),
		});
	}
	return json(
		200,
		{ schemaVersion: 2, mediaType: ociIndex, manifests },
		{ "content-type": ociIndex, ...(artifactType === null ? {} : { "oci-filters-applied": "artifactType" }) },
	);
}

function unknownManifest(repository: string, reference: string): Reply {
	return refuse(404, "MANIFEST_UNKNOWN", "manifest unknown", { repository, reference });
}

/** Children before parents: whatever a manifest names has to be in its repository, its subject excepted. */
async function missingChildren(store: Store, repository: string, manifest: ReadManifest): Promise<readonly string[]> {
	const missing: string[] = [];
	for (const { digest } of manifest.manifests ?? []) {
		if ((await store.manifest(repository, digest)) === undefined) missing.push(digest);
	}
	for (const { digest, urls } of [...(manifest.config ? [manifest.config] : []), ...(manifest.layers ?? [])]) {
		// Foreign layers lie elsewhere.
		if (urls !== undefined && urls.length > 0) continue;
		if ((await store.blobSize(repository, digest)) === undefined) missing.push(digest);
	}
	return [...new Set(missing)];
}

/** What is wrong with it, where something is. */
function readManifest(bytes: Uint8Array): ReadManifest | string {
	let value: unknown;
	try {
		value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
	} catch {
		return "not JSON";
	}
	if (typeof value !== "object" || value === null || Array.isArray(value)) return "not an object";
	// Go writes null where a list is empty, and reads it so.
	const present = Object.fromEntries(Object.entries(value).filter(([, member]) => member !== null));
	const { schemaVersion, mediaType, artifactType, annotations, manifests, config, layers, subject } = present;
	if (schemaVersion !== 2) return "schemaVersion is not 2";
	if (!isText(mediaType) || !isText(artifactType)) return "mediaType and artifactType are texts";
	if (manifests === undefined && config === undefined) return "neither an index nor a manifest";
	if (!isList(manifests) || !isList(layers)) return "manifests and layers are lists of descriptors";
	if (!(config === undefined || isDescriptor(config)) || !(subject === undefined || isDescriptor(subject))) {
		return "config and subject are descriptors";
	}
	return {
		...(mediaType === undefined ? {} : { mediaType }),
		...(artifactType === undefined ? {} : { artifactType }),
		...(annotations === undefined ? {} : { annotations }),
		...(manifests === undefined ? {} : { manifests }),
		...(config === undefined ? {} : { config }),
		...(layers === undefined ? {} : { layers }),
		...(subject === undefined ? {} : { subject }),
	};
}

function isText(value: unknown): value is string | undefined {
	return value === undefined || typeof value === "string";
}

function isList(value: unknown): value is readonly Descriptor[] | undefined {
	return value === undefined || (Array.isArray(value) && value.every(isDescriptor));
}

function isDescriptor(value: unknown): value is Descriptor {
	if (typeof value !== "object" || value === null) return false;
	const { digest, mediaType, urls } = value as Record<string, unknown>;
	return (
		typeof digest === "string" &&
		isDigest(digest) &&
		typeof mediaType === "string" &&
		(urls === undefined || Array.isArray(urls))
	);
}
