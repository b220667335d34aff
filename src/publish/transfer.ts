import { Readable } from "node:stream";
import { BrewlineError } from "../errors.ts";
import {
	canonicalReference,
	printReference,
	repositoryOf,
	withDigest,
	withoutTag,
	type Reference,
} from "../oci/index.ts";
import { answerOf } from "../registry/answer.ts";
import type { RegistryClient } from "../registry/types.ts";
import { childrenOf, type Child } from "./children.ts";

export interface ManifestContent {
	readonly digest: string;
	readonly mediaType: string;
	readonly bytes: Uint8Array;
}

type Find = (digest: string) => Reference | undefined;

export interface Transfer {
	/** Puts a manifest, and first whatever below it the registry says is missing. */
	readonly putManifest: (target: Reference, content: ManifestContent, find: Find) => Promise<void>;
	/**
	 * Has the blob in the repository: mounted, or copied from there. Throws `reference` where it is nowhere; one that has URLs
	 * to be fetched from may be.
	 */
	readonly ensureBlob: (
		repository: Reference,
		blob: Omit<Child, "mediaType">,
		from: Reference | undefined,
	) => Promise<BlobOutcome>;
}

/** How a blob got there; `nowhere`: it has to be fetched from its URLs. */
export type BlobOutcome = "mounted" | "copied" | "present" | "nowhere";

/** Blobs of more bytes are asked for before they are copied (spec/publish.md, Push algorithm). */
export const worthAsking = 65_535;

/** The push algorithm below one tag. Children that several manifests need are brought once. */
export function transfer(client: RegistryClient): Transfer {
	const manifests = new Map<string, Promise<void>>();
	const blobs = new Map<string, Promise<BlobOutcome>>();
	/** One that failed is tried again by the next who needs it: it may know another place to find it. */
	const once = <T>(
		underWay: Map<string, Promise<T>>,
		repository: Reference,
		digest: string,
		make: () => Promise<T>,
	): Promise<T> => {
		const key = canonicalReference(byDigest(repository, digest));
		const before = underWay.get(key);
		if (before !== undefined) {
			return before;
		}
		const made = make();
		underWay.set(key, made);
		made.catch(() => underWay.delete(key));
		return made;
	};

	const putManifest: Transfer["putManifest"] = async (target, content, find) => {
		const put = () => client.putManifest(addressed(target, content.digest), content.mediaType, content.bytes);
		try {
			await put();
			return;
		} catch (error) {
			if (!saysChildrenMissing(error)) {
				throw error;
			}
		}
		const children = childrenOf(content.bytes, content.digest);
		const repository = repositoryOf(target);
		for (const child of children.manifests) {
			await ensureManifest(repository, child, find(child.digest) ?? repository);
		}
		for (const child of children.blobs) {
			await ensureBlob(repository, child, find(child.digest));
		}
		await put();
	};

	const ensureManifest = (repository: Reference, child: Child, from: Reference): Promise<void> =>
		once(manifests, repository, child.digest, async () => {
			const present = await client.headManifest(byDigest(repository, child.digest));
			if (present?.size === child.size) {
				return;
			}
			const found = await client.getManifest(byDigest(from, child.digest));
			if (found === undefined) {
				throw nowhere("manifest", child.digest, from);
			}
			if (found.bytes.length !== child.size) {
				throw new BrewlineError(
					"digest",
					`${printReference(byDigest(from, child.digest))} has ${found.bytes.length} bytes, not ${child.size}`,
				);
			}
			// Its own children are looked for beside it.
			const content = { digest: child.digest, mediaType: child.mediaType, bytes: found.bytes };
			await putManifest(byDigest(repository, child.digest), content, () => from);
		});

	const ensureBlob: Transfer["ensureBlob"] = (repository, blob, source) =>
		once(blobs, repository, blob.digest, async () => {
			const from = source ?? repository;
			const elsewhere = canonicalReference(repositoryOf(from)) !== canonicalReference(repositoryOf(repository));
			if (elsewhere && from.host === repository.host && (await client.mountBlob(repository, blob.digest, from))) {
				return "mounted";
			}
			if ((!elsewhere || blob.size > worthAsking) && (await client.hasBlob(repository, blob.digest))) {
				return "present";
			}
			const first = elsewhere ? await client.getBlob(from, blob) : undefined;
			if (first === undefined) {
				// Layers that may not be given away are fetched from their URLs, by those who pull.
				if ((blob.urls?.length ?? 0) > 0) {
					return "nowhere";
				}
				throw nowhere("blob", blob.digest, from);
			}
			try {
				const source = reopened(first, () => client.getBlob(from, blob));
				await client.putBlob(repository, blob, source);
			} finally {
				// Nobody has read it where no upload could be opened.
				first.destroy();
			}
			return "copied";
		});

	return { putManifest, ensureBlob };
}

/** A stream that is open already, and for further tries new ones. */
function reopened(first: Readable, open: () => Promise<Readable | undefined>): () => Readable {
	let opened: Readable | undefined = first;
	return () => {
		const stream = opened;
		opened = undefined;
		return stream ?? Readable.from(again(open), { objectMode: false });
	};
}

async function* again(open: () => Promise<Readable | undefined>): AsyncGenerator<Buffer> {
	const stream = await open();
	if (stream === undefined) {
		throw new BrewlineError("registry", "a blob vanished while it was copied");
	}
	yield* stream as AsyncIterable<Buffer>;
}

/** Whether a manifest was refused for what it points at. 401, 403 and 429 are about who asks. */
function saysChildrenMissing(error: unknown): boolean {
	const answer = answerOf(error);
	if (answer === undefined) {
		return false;
	}
	const { status, codes } = answer;
	return (
		(status >= 400 && status < 500 && ![401, 403, 429].includes(status)) ||
		codes.includes("MANIFEST_BLOB_UNKNOWN") ||
		codes.includes("BLOB_UNKNOWN")
	);
}

function nowhere(what: string, digest: string, from: Reference): BrewlineError {
	return new BrewlineError("reference", `the ${what} ${digest} is not in ${printReference(repositoryOf(from))}`, {
		hint: "a child of a manifest must be in the target already, or where the lookup says",
	});
}

/** What a HEAD or PUT is about: the tag, or the digest where there is no tag. */
export function addressed(target: Reference, digest: string): Reference {
	return target.tag === undefined ? withDigest(target, digest) : target;
}

/** The same repository, by digest. */
export function byDigest(repository: Reference, digest: string): Reference {
	return withDigest(withoutTag(repository), digest);
}
