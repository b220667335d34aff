import { BrewlineError, type ErrorCode } from "../errors.ts";
import { printable } from "../io/printable.ts";
import { parseJsonObject } from "../json/index.ts";
import { isIndexType, maxManifestSize, tryParseDigest, type Descriptor } from "../oci/index.ts";

/** What stands directly below an index or an image manifest. */
export interface Below {
	readonly manifests: readonly Descriptor[];
	readonly config: Descriptor | undefined;
	readonly layers: readonly Descriptor[];
}

/** Reads an index or image manifest as far as it is followed; not a validation, which is for what is pushed. */
export function readBelow(mediaType: string, bytes: Uint8Array | string, what: string, code: ErrorCode): Below {
	const json = parseJsonObject(bytes, { what, maxBytes: maxManifestSize, code });
	const list = (key: string) => {
		// Go writes null for an empty list.
		const value: unknown = json[key] ?? [];
		if (!Array.isArray(value) || !value.every(isDescriptor)) {
			throw new BrewlineError(code, `${printable(what)}: "${key}" is no list of descriptors`);
		}
		return value as readonly Descriptor[];
	};
	if (isIndexType(mediaType)) {
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
