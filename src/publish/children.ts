import { BrewlineError } from "../errors.ts";
import { printable } from "../io/printable.ts";
import { parseJsonObject, type JsonObject } from "../json/index.ts";
import { isDigest, maxManifestSize, type Descriptor } from "../oci/index.ts";

export type Child = Pick<Descriptor, "mediaType" | "digest" | "size" | "urls">;

/** What a manifest needs: `manifests`, `config`, `layers`, each once and in this order; never its `subject`. */
export function childrenOf(
	bytes: Uint8Array,
	digest: string,
): {
	readonly manifests: readonly Child[];
	readonly blobs: readonly Child[];
} {
	const what = `the manifest ${digest}`;
	const manifest = parseJsonObject(bytes, { what, maxBytes: maxManifestSize, code: "registry" });
	const config = manifest["config"] ?? null;
	return {
		manifests: descriptors(manifest, "manifests", what),
		blobs: distinct([...(config === null ? [] : [descriptor(config, what)]), ...descriptors(manifest, "layers", what)]),
	};
}

function descriptors(manifest: JsonObject, key: string, what: string): readonly Child[] {
	const list = manifest[key] ?? [];
	if (!Array.isArray(list)) {
		throw new BrewlineError("registry", `${what}: ${key} is not a list`);
	}
	return distinct(list.map((item: unknown) => descriptor(item, what)));
}

function distinct(children: readonly Child[]): readonly Child[] {
	return [...new Map(children.map((child) => [child.digest, child])).values()];
}

function descriptor(value: unknown, what: string): Child {
	const { mediaType, digest, size, urls } = (typeof value === "object" ? (value ?? {}) : {}) as Record<string, unknown>;
	if (
		typeof mediaType !== "string" ||
		typeof digest !== "string" ||
		!isDigest(digest) ||
		!Number.isSafeInteger(size) ||
		(size as number) < 0
	) {
		throw new BrewlineError(
			"registry",
			`${what} holds what is no descriptor: ${printable(JSON.stringify(value), 200)}`,
		);
	}
	return { mediaType, digest, size: size as number, ...(Array.isArray(urls) ? { urls: urls as string[] } : {}) };
}
