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
	/** Has the blob in the repository: mounted, or copied from there. Throws `reference` where it is nowhere. */
	readonly ensureBlob: (
		repository: Reference,
		blob: Omit<Child, "mediaType">,
		from: Reference | undefined,
	) => Promise<void>;
}

/** Blobs of more bytes are asked for before they are copied (spec/publish.md, Push algorithm). */
const worthAsking = 65_535;

/** The push algorithm below one tag. Children that several manifests need are brought once. */
export function transfer(client: RegistryClient): Transfer {
	const underWay = new Map<string, Promise<void>>();
	/** One that failed is tried again by the next who needs it: it may know another place to find it. */
	const once = (kind: string, repository: Reference, digest: string, make: () => Promise<void>): Promise<void> => {
		const key = `${kind} ${canonicalReference(byDigest(repository, digest))}`;
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
		const { manifests, blobs } = childrenOf(content.bytes, content.digest);
		const repository = repositoryOf(target);
		for (const child of manifests) {
			await ensureManifest(repository, child, find(child.digest) ?? repository);
		}
		for (const child of blobs) {
			await ensureBlob(repository, child, find(child.digest));
		}
		await put();
	};

	const ensureManifest = (repository: Reference, child: Child, from: Reference): Promise<void> =>
		once("manifest", repository, child.digest, async () => {
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
		once("blob", repository, blob.digest, async () => {
			const from = source ?? repository;
			const elsewhere = canonicalReference(repositoryOf(from)) !== canonicalReference(repositoryOf(repository));
			if (elsewhere && from.host === repository.host && (await client.mountBlob(repository, blob.digest, from))) {
				return;
			}
			if ((!elsewhere || blob.size > worthAsking) && (await client.hasBlob(repository, blob.digest))) {
				return;
			}
			const first = elsewhere ? await client.getBlob(from, blob) : undefined;
			if (first === undefined) {
				// Layers that may not be given away are fetched from their URLs, by those who pull.
				if ((blob.urls?.length ?? 0) > 0) {
					return;
				}
				throw nowhere("blob", blob.digest, from);
			}
			await client.putBlob(
				repository,
				blob,
				reopened(first, () => client.getBlob(from, blob)),
			);
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
