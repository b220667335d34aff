import { BrewlineError } from "../errors.ts";
import type { JsonObject } from "../json/index.ts";
import { normalizeManifest } from "./normal.ts";
import { mediaTypes, type Annotations, type Descriptor, type Index, type Platform } from "./types.ts";
import { isImageType, validateIndex } from "./validate.ts";

export interface ImportOptions {
	/** The build's; whatever the file says. */
	readonly platform: Platform;
	/** Ours; those of the publisher go. */
	readonly annotations: Annotations;
	/** Whether the file is a lone descriptor, and no index: any name but `index.json`. */
	readonly lone: boolean;
}

/**
 * What becomes of the index, or the lone descriptor, that an image is imported from (spec/build.md, oci-import, steps
 * 2 and 3): the one image in it, with our platform and annotations, in normal form. Annotations and other keys of the
 * index stay. Blobs are not looked at. Throws `layout`.
 */
export function normalizeImportedIndex(json: JsonObject, options: ImportOptions): Index {
	const wrapped: JsonObject = options.lone
		? { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [json] }
		: Object.hasOwn(json, "mediaType")
			? json
			: { ...json, mediaType: mediaTypes.ociIndex };
	const what = options.lone ? "the descriptor" : "the index";
	const index = validateIndex(wrapped, { platformsOptional: true }, what);
	const [image, ...others] = index.manifests;
	if (image === undefined || others.length > 0) {
		throw new BrewlineError("layout", `an index to import has exactly one manifest, not ${index.manifests.length}`);
	}
	if (!isImageType(image.mediaType)) {
		throw new BrewlineError("layout", "the one manifest to import must be an image, not an index");
	}
	const { urls: _urls, data: _data, ...kept } = image;
	const ours: Descriptor = { ...kept, platform: options.platform, annotations: options.annotations };
	return normalizeManifest({ ...index, manifests: [ours] });
}
