import { readFile, stat } from "node:fs/promises";
import path from "node:path";
import { BrewlineError, type ErrorCode } from "../errors.ts";
import { printable } from "../io/printable.ts";
import { parseJsonObject } from "../json/index.ts";
import { mediaTypes, parseDigest, tryParseDigest, type Descriptor } from "../oci/index.ts";

/** Largest manifest that registries take, in bytes. */
export const manifestLimit = 4 * 1024 * 1024;

/** The file of a blob in an OCI layout. The digest, which becomes a path, is checked. */
export function blobFile(layout: string, digest: string): string {
	const { algorithm, encoded } = parseDigest(digest);
	return path.join(layout, "blobs", algorithm, encoded);
}

export function isIndex(mediaType: string): boolean {
	return mediaType === mediaTypes.ociIndex || mediaType === mediaTypes.dockerList;
}

/** What stands directly below an index or an image manifest. */
export interface Below {
	readonly manifests: readonly Descriptor[];
	readonly config: Descriptor | undefined;
	readonly layers: readonly Descriptor[];
}

/** Reads an index or image manifest as far as it is followed. Not a validation: of content that is only passed on. */
export function readBelow(
	mediaType: string,
	bytes: Uint8Array | string,
	what: string,
	code: ErrorCode = "layout",
): Below {
	const json = parseJsonObject(bytes, { what, maxBytes: manifestLimit, code });
	const list = (key: string) => {
		const value: unknown = json[key];
		if (!Array.isArray(value) || !value.every(isDescriptor)) {
			throw new BrewlineError(code, `${printable(what)}: "${key}" is no list of descriptors`);
		}
		return value as readonly Descriptor[];
	};
	if (isIndex(mediaType)) {
		return { manifests: list("manifests"), config: undefined, layers: [] };
	}
	const config: unknown = json["config"];
	if (!isDescriptor(config)) {
		throw new BrewlineError(code, `${printable(what)} has no config`);
	}
	return { manifests: [], config, layers: list("layers") };
}

function isDescriptor(value: unknown): value is Descriptor {
	if (typeof value !== "object" || value === null) {
		return false;
	}
	const { mediaType, digest, size } = value as Partial<Record<keyof Descriptor, unknown>>;
	return (
		typeof mediaType === "string" &&
		typeof digest === "string" &&
		tryParseDigest(digest) !== undefined &&
		Number.isSafeInteger(size) &&
		(size as number) >= 0
	);
}

/** The bytes of a small file: a manifest, a config. */
export async function readSmall(file: string, what: string): Promise<Buffer> {
	const info = await stat(file).catch((cause: unknown) => {
		throw new BrewlineError("layout", `${what} is missing`, { cause });
	});
	if (!info.isFile() || info.size > manifestLimit) {
		throw new BrewlineError("layout", `${what} is no file of at most 4 MiB`);
	}
	return readFile(file);
}

/** The one descriptor in a layout's `index.json`. */
export async function rootOf(layout: string): Promise<Descriptor> {
	const bytes = await readSmall(path.join(layout, "index.json"), "index.json of the layout");
	const [root, ...others] = readBelow(mediaTypes.ociIndex, bytes, "index.json of the layout").manifests;
	if (root === undefined || others.length > 0) {
		throw new BrewlineError(
			"layout",
			`index.json of the layout names ${root === undefined ? "no manifest" : `${others.length + 1} manifests`}, not one`,
		);
	}
	return root;
}
