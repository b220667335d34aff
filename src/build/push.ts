import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { BrewlineError } from "../errors.ts";
import {
	isIndexType,
	repositoryOf,
	withDigest,
	type LayoutItem,
	type readLayout,
	type Reference,
} from "../oci/index.ts";
import { asReferrer } from "../registry/referrers.ts";
import type { RegistryClient } from "../registry/types.ts";
import { readBelow } from "./content.ts";

const parallelBlobs = 4;

/** A layout that was validated, by `readLayout` of brewline/oci. */
export type ValidLayout = Awaited<ReturnType<typeof readLayout>>;

export interface PushOptions {
	/** Images that may share blobs: what they have on the same host is mounted instead of sent. */
	readonly mountFrom?: readonly Reference[];
	readonly signal?: AbortSignal;
}

/**
 * Pushes the one manifest that a layout's `index.json` names, with everything below it, under a
 * reference: children first, the reference last. What is there already is not sent.
 * Returns the digest, which the registry confirmed.
 */
export async function pushLayout(
	client: RegistryClient,
	{ root, items }: ValidLayout,
	reference: Reference,
	options: PushOptions = {},
): Promise<string> {
	const repository = repositoryOf(reference);
	const mountable = lazily(() => mountableBlobs(client, repository.host, options.mountFrom ?? []));

	const pushBlob = async ({ digest, size, file }: LayoutItem): Promise<void> => {
		options.signal?.throwIfAborted();
		if (await client.hasBlob(repository, digest)) {
			return;
		}
		const from = (await mountable()).get(digest);
		if (from !== undefined && (await client.mountBlob(repository, digest, from))) {
			return;
		}
		await client.putBlob(repository, { digest, size }, () => createReadStream(file));
	};

	const pushManifest = async ({ mediaType, digest, file }: LayoutItem, target: Reference): Promise<void> => {
		options.signal?.throwIfAborted();
		const bytes = await readFile(file);
		// One with a subject may be there and not be listed for it, where that takes a second step.
		const listed = asReferrer({ mediaType, digest, bytes }) !== undefined;
		if (!listed && (await client.headManifest(target))?.digest === digest) {
			return;
		}
		const put = await client.putManifest(target, mediaType, bytes);
		if (put.digest !== digest) {
			throw new BrewlineError("digest", `the registry stored ${put.digest} where ${digest} was sent`);
		}
	};

	if ((await client.headManifest(reference))?.digest === root.digest) {
		return root.digest;
	}
	let blobs: LayoutItem[] = [];
	for (const item of items) {
		if (item.kind === "blob") {
			blobs.push(item);
			continue;
		}
		await eachLimited(blobs, parallelBlobs, pushBlob);
		blobs = [];
		await pushManifest(item, item.digest === root.digest ? reference : withDigest(repository, item.digest));
	}
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
		if (found === undefined || isIndexType(found.mediaType)) {
			continue;
		}
		const { layers } = readBelow(found.mediaType, found.bytes, "the manifest of a parent", "registry");
		for (const layer of layers) {
			blobs.set(layer.digest, repositoryOf(image));
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
