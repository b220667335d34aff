import { createWriteStream } from "node:fs";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { BrewlineError } from "../errors.ts";
import { printable } from "../io/printable.ts";
import {
	blobFile,
	initLayout,
	isIndexType,
	parseReference,
	writeBlob,
	writeIndexJson,
	type Descriptor,
	type Reference,
} from "../oci/index.ts";
import type { LegParent } from "../plan/index.ts";
import type { RegistryClient } from "../registry/types.ts";
import { readBelow } from "./content.ts";
import { eachLimited } from "./push.ts";

/** Where a parent's image for the leg's architecture is. */
export function parentImage(parent: LegParent): Reference {
	const { host, repository } = parseReference(parent.reference);
	return { host, repository, digest: parent.digest };
}

/**
 * Copies the images of parents into one OCI layout, for `oci-layout://DIR@DIGEST`: pinned by digest, and no network
 * needed by BuildKit. Only the image of the architecture is copied, without attestations.
 */
export async function fetchParents(
	client: RegistryClient,
	parents: readonly LegParent[],
	layout: string,
): Promise<void> {
	await initLayout(layout);
	const copied = new Set<string>();
	const manifests: Descriptor[] = [];
	for (const parent of parents) {
		if (copied.has(parent.digest)) {
			continue;
		}
		copied.add(parent.digest);
		const image = parentImage(parent);
		const found = await client.getManifest(image);
		if (found === undefined) {
			throw new BrewlineError("registry", `the parent ${printable(parent.reference)} is not in the registry any more`, {
				hint: "plan again: its digest may have moved",
			});
		}
		if (isIndexType(found.mediaType)) {
			throw new BrewlineError("registry", `the parent ${printable(parent.reference)} is an index, not an image`);
		}
		const what = `the manifest of ${printable(parent.reference)}`;
		const { config, layers } = readBelow(found.mediaType, found.bytes, what, "registry");
		manifests.push({ mediaType: found.mediaType, ...(await writeBlob(layout, found.bytes)) });
		const blobs = [config!, ...layers].filter((blob) => !copied.has(blob.digest) && copied.add(blob.digest));
		await eachLimited(blobs, 4, async (blob) => {
			const file = blobFile(layout, blob.digest);
			const stream = await client.getBlob(image, blob);
			if (stream === undefined) {
				throw new BrewlineError("registry", `a blob of the parent ${printable(parent.reference)} is missing`);
			}
			await mkdir(path.dirname(file), { recursive: true });
			await pipeline(stream, createWriteStream(file));
		});
	}
	await writeIndexJson(layout, { manifests });
}
