import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { BrewlineError } from "../errors.ts";
import type { Descriptor, Reference } from "../oci/index.ts";
import type { RegistryClient } from "../registry/types.ts";
import { blobFile, isIndex, readBelow, rootOf } from "./content.ts";

const parallelBlobs = 4;

export interface PushOptions {
	/** Images that may share blobs: what they have on the same host is mounted instead of sent. */
	readonly mountFrom?: readonly Reference[];
	readonly signal?: AbortSignal;
}

/**
 * Pushes the one manifest that a layout's `index.json` names, with everything below it, under a reference: children
 * first, the reference last. What is there already is not sent. The layout must have been validated.
 * Returns the digest, which the registry confirmed.
 */
export async function pushLayout(
	client: RegistryClient,
	layout: string,
	reference: Reference,
	options: PushOptions = {},
): Promise<string> {
	const { host, repository } = reference;
	const there: Reference = { host, repository };
	const root = await rootOf(layout);
	const done = new Set<string>();
	const mountable = lazily(() => mountableBlobs(client, host, options.mountFrom ?? []));

	const pushBlob = async (descriptor: Descriptor): Promise<void> => {
		options.signal?.throwIfAborted();
		const { digest, size } = descriptor;
		if (await client.hasBlob(there, digest)) {
			return;
		}
		const from = (await mountable()).get(digest);
		if (from !== undefined && (await client.mountBlob(there, digest, from))) {
			return;
		}
		await client.putBlob(there, { digest, size }, () => createReadStream(blobFile(layout, digest)));
	};

	const pushManifest = async (descriptor: Descriptor, target: Reference): Promise<void> => {
		const { mediaType, digest } = descriptor;
		options.signal?.throwIfAborted();
		if ((await client.headManifest(target))?.digest === digest) {
			return;
		}
		const bytes = await readFile(blobFile(layout, digest));
		const { manifests, config, layers } = readBelow(mediaType, bytes, `manifest ${digest}`);
		for (const child of manifests) {
			if (!done.has(child.digest)) {
				done.add(child.digest);
				await pushManifest(child, { ...there, digest: child.digest });
			}
		}
		const blobs = config === undefined ? [] : [config, ...layers];
		await eachLimited(
			blobs.filter((blob) => !done.has(blob.digest) && done.add(blob.digest)),
			parallelBlobs,
			pushBlob,
		);
		const put = await client.putManifest(target, mediaType, bytes);
		if (put.digest !== digest) {
			throw new BrewlineError("digest", `the registry stored ${put.digest} where ${digest} was sent`);
		}
	};

	await pushManifest(root, reference);
	return root.digest;
}

/** Where on the host each blob of some images is. An image that cannot be read has none: its blobs are sent. */
async function mountableBlobs(
	client: RegistryClient,
	host: string,
	images: readonly Reference[],
): Promise<ReadonlyMap<string, Reference>> {
	const blobs = new Map<string, Reference>();
	for (const image of images.filter((image) => image.host === host)) {
		const found = await client.getManifest(image).catch((error: unknown) => {
			if (error instanceof BrewlineError) {
				return undefined;
			}
			throw error;
		});
		if (found === undefined || isIndex(found.mediaType)) {
			continue;
		}
		const { layers } = readBelow(found.mediaType, found.bytes, "the manifest of a parent", "registry");
		for (const layer of layers) {
			blobs.set(layer.digest, { host, repository: image.repository });
		}
	}
	return blobs;
}

/** Runs `work` for every item, at most `limit` at a time, and waits for those that run when one fails. */
export async function eachLimited<T>(
	items: readonly T[],
	limit: number,
	work: (item: T) => Promise<void>,
): Promise<void> {
	const queue = items.values();
	let failed = false;
	const workers = Array.from({ length: Math.min(limit, items.length) }, async () => {
		for (const item of queue) {
			if (failed) {
				return;
			}
			try {
				await work(item);
			} catch (error) {
				failed = true;
				throw error;
			}
		}
	});
	const results = await Promise.allSettled(workers);
	for (const result of results) {
		if (result.status === "rejected") {
			throw result.reason;
		}
	}
}

function lazily<T>(make: () => Promise<T>): () => Promise<T> {
	let made: Promise<T> | undefined;
	return () => (made ??= make());
}
