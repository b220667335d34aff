import path from "node:path/posix";
import { BrewlineError } from "../errors.ts";
import { printable } from "../io/index.ts";
import { type JsonObject, type JsonValue, parseJsonObject } from "../json/index.ts";
import { isAttestation, isDigest, maxManifestSize, parseReference, subjectOf, type Index } from "../oci/index.ts";
import { readLimited } from "../registry/answer.ts";
import type { RegistryClient } from "../registry/index.ts";

/** What an image was built from, by its provenance: as good as its annotations, since who pushed the one pushed the other. */
export interface Proof {
	/** `sha256:…` of images. */
	readonly digests: ReadonlySet<string>;
	/** Which file of its directory; undefined: it does not say. */
	readonly file: string | undefined;
}

export const noProof: Proof = { digests: new Set(), file: undefined };

const refName = "org.opencontainers.image.ref.name";
const predicateType = "in-toto.io/predicate-type";
const provenance = "https://slsa.dev/provenance/";
/** All that BuildKit writes with mode=max has some hundred kB. */
const maxProvenance = 16 * 1024 * 1024;

/** The provenance of the one image of an index that was looked up; nothing where it has none. Throws `layout` where it is none. */
export async function provenanceOf(
	client: Pick<RegistryClient, "getManifest" | "getBlob">,
	{ manifests }: Index,
): Promise<Proof> {
	const images = manifests.filter((manifest) => !isAttestation(manifest));
	const attestation = manifests.find((manifest) => subjectOf(manifest) === images[0]?.digest);
	const place = attestation?.annotations?.[refName];
	if (images.length !== 1 || place === undefined) return noProof;
	const reference = parseReference(place);
	const found = await client.getManifest(reference);
	if (found === undefined) return noProof;
	const what = printable(place);
	const manifest = parseJsonObject(found.bytes, { what, maxBytes: maxManifestSize, code: "layout" });
	const layer = listIn(manifest, "layers").find((one) => {
		const type = objectIn(one, "annotations")[predicateType];
		return typeof type === "string" && type.startsWith(provenance);
	});
	if (layer === undefined) return noProof;
	const { digest, size } = layer;
	if (typeof digest !== "string" || !isDigest(digest) || typeof size !== "number" || !(size <= maxProvenance)) {
		throw new BrewlineError("layout", `${what}: its provenance has no digest, or more than ${maxProvenance} bytes`);
	}
	const blob = await client.getBlob(reference, { digest, size });
	if (blob === undefined) return noProof;
	const { bytes } = await readLimited(blob, size);
	const statement = parseJsonObject(bytes, {
		what: `the provenance of ${what}`,
		maxBytes: maxProvenance,
		code: "layout",
	});
	return readPredicate(objectIn(statement, "predicate"));
}

/** Both versions of it that BuildKit writes. */
function readPredicate(predicate: JsonObject): Proof {
	const definition = objectIn(predicate, "buildDefinition");
	const materials = [...listIn(predicate, "materials"), ...listIn(definition, "resolvedDependencies")];
	const file =
		objectIn(objectIn(predicate, "invocation"), "configSource")["entryPoint"] ??
		objectIn(objectIn(definition, "externalParameters"), "configSource")["path"];
	return {
		digests: new Set(
			materials.flatMap((one) => {
				const hex = objectIn(one, "digest")["sha256"];
				return typeof hex === "string" ? [`sha256:${hex}`] : [];
			}),
		),
		file: typeof file === "string" ? path.normalize(file) : undefined,
	};
}

function objectIn(object: JsonObject, key: string): JsonObject {
	const value = object[key];
	return isObject(value) ? value : {};
}

function listIn(object: JsonObject, key: string): readonly JsonObject[] {
	const value = object[key];
	return Array.isArray(value) ? value.filter((item: JsonValue) => isObject(item)) : [];
}

function isObject(value: JsonValue | undefined): value is JsonObject {
	return typeof value === "object" && value !== null && !Array.isArray(value);
}
