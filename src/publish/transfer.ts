import { Readable } from "node:stream";
import { BrewlineError, messageOf } from "../errors.ts";
import {
	canonicalReference,
	printReference,
	repositoryOf,
	withDigest,
	withoutTag,
	type Reference,
} from "../oci/index.ts";
import { answerOf } from "../registry/answer.ts";
import { asReferrer } from "../registry/referrers.ts";
import type { RegistryClient } from "../registry/types.ts";
import { childrenOf, type Child } from "./children.ts";

export interface ManifestContent {
	readonly digest: string;
	readonly mediaType: string;
	readonly bytes: Uint8Array;
}

type Find = (digest: string) => Reference | undefined;

export interface Transfer {
	/**
	 * Puts a manifest, and first all below it that is not known to be there. What is not there although it should be is brought
	 * once the registry says so.
	 */
	readonly putManifest: (target: Reference, content: ManifestContent, find: Find) => Promise<void>;
	/**
	 * Has the blob in the repository: mounted, or copied from there. Throws `reference` where it is nowhere; one that has URLs
	 * to be fetched from may be. Once all of it has been read, the registry has only to store it: `onRead`.
	 */
	readonly ensureBlob: (
		repository: Reference,
		blob: Omit<Child, "mediaType">,
		from: Reference | undefined,
		onRead?: () => void,
	) => Promise<BlobOutcome>;
	/** Whether a manifest is known to be in a repository, or is being brought there. */
	readonly isKnown: (repository: Reference, digest: string) => boolean;
	/** Has a manifest count as known. */
	readonly know: (repository: Reference, digest: string) => void;
}

/** How a blob got there; `nowhere`: it has to be fetched from its URLs. */
export type BlobOutcome = "mounted" | "copied" | "present" | "nowhere";

export interface TransferOptions {
	/** Whether the artifacts that have a manifest as their `subject` come along with it, behind it. Default: no. */
	readonly referrers?: boolean;
}

/** Blobs of more bytes are asked for before they are copied (spec/publish.md, Push algorithm). */
export const worthAsking = 65_535;

/** Signatures of attestations of images, and one more: how far artifacts about artifacts are followed. */
export const maxGenerations = 4;
/** Artifacts about one manifest; each costs several requests. */
export const maxArtifacts = 1000;

/** The push algorithm below one tag. Children that several manifests need are brought once. */
export function transfer(client: RegistryClient, { referrers = false }: TransferOptions = {}): Transfer {
	const manifests = new Map<string, Promise<void>>();
	const blobs = new Map<string, Promise<BlobOutcome>>();
	const keyOf = (repository: Reference, digest: string): string => canonicalReference(byDigest(repository, digest));
	/** One that failed is tried again by the next who needs it: it may know another place to find it. */
	const once = <T>(
		underWay: Map<string, Promise<T>>,
		repository: Reference,
		digest: string,
		make: () => Promise<T>,
	): Promise<T> => {
		const key = keyOf(repository, digest);
		const before = underWay.get(key);
		if (before !== undefined) {
			return before;
		}
		const made = make();
		underWay.set(key, made);
		made.catch(() => underWay.delete(key));
		return made;
	};

	const putManifest: Transfer["putManifest"] = (target, content, find) => put(target, content, find, 0);

	const put = async (target: Reference, content: ManifestContent, find: Find, generation: number): Promise<void> => {
		const children = childrenOf(content.bytes, content.digest);
		const repository = repositoryOf(target);
		const send = () => putContent(client, addressed(target, content.digest), content);
		const elsewhere = (digest: string) => {
			const from = find(digest);
			return from === undefined || isSameRepository(from, repository) ? undefined : from;
		};
		// On one host what may be missing is mounted at once. Between two it may be large, and the registry is asked: by the
		// manifest, or about each child where all must have what is about it.
		for (const child of children.manifests) {
			const from = elsewhere(child.digest);
			if (from !== undefined && (from.host === repository.host || referrers)) {
				await bring(repository, child, from, generation, from.host !== repository.host);
			}
		}
		for (const child of children.blobs) {
			const from = elsewhere(child.digest);
			if (from?.host === repository.host) {
				await ensureBlob(repository, child, from);
			}
		}
		const believed = [...children.manifests, ...children.blobs].map(({ digest }) => {
			const key = keyOf(repository, digest);
			return [key, manifests.get(key) ?? blobs.get(key)] as const;
		});
		try {
			await send();
			return;
		} catch (error) {
			if (!saysChildrenMissing(error)) {
				throw error;
			}
		}
		// What was taken to be there is looked at again, unless another has begun with that.
		for (const [key, made] of believed) {
			for (const underWay of [manifests, blobs]) {
				if (made !== undefined && underWay.get(key) === made) {
					underWay.delete(key);
				}
			}
		}
		for (const child of children.manifests) {
			await bring(repository, child, find(child.digest) ?? repository, generation, true);
		}
		for (const child of children.blobs) {
			await ensureBlob(repository, child, find(child.digest));
		}
		await send();
	};

	/**
	 * Puts a manifest by its digest, and then what is about it. Its own children are looked for beside it.
	 * @param asks Whether it may be there, so that the registry is asked first.
	 */
	const bring = async (
		repository: Reference,
		child: Child,
		from: Reference,
		generation: number,
		asks: boolean,
	): Promise<void> => {
		let mine = false;
		await once(manifests, repository, child.digest, async () => {
			mine = true;
			if (asks && (await client.headManifest(byDigest(repository, child.digest)))?.size === child.size) {
				return;
			}
			const content = await read(child, from);
			if (content === undefined) {
				throw nowhere("manifest", child.digest, from);
			}
			await put(byDigest(repository, child.digest), content, () => from, generation);
		});
		// Not while others wait for it: what is about it may have it as a child.
		if (mine) {
			await follow(repository, child.digest, from, generation + 1);
		}
	};

	const read = async (child: Child, from: Reference): Promise<ManifestContent | undefined> => {
		const found = await client.getManifest(byDigest(from, child.digest));
		if (found !== undefined && found.bytes.length !== child.size) {
			throw new BrewlineError(
				"digest",
				`${printReference(byDigest(from, child.digest))} has ${found.bytes.length} bytes, not ${child.size}`,
			);
		}
		return found && { digest: child.digest, mediaType: child.mediaType, bytes: found.bytes };
	};

	/** Brings the artifacts about a manifest that was brought. */
	const follow = async (repository: Reference, digest: string, from: Reference, generation: number): Promise<void> => {
		if (!referrers || isSameRepository(from, repository)) {
			return;
		}
		const found = await client.listReferrers({ ...repositoryOf(from), digest }).catch((error: unknown) => {
			// The manifest itself could be read: it is the question that is refused.
			if ([401, 403].includes(answerOf(error)?.status ?? 0)) {
				return [];
			}
			throw error;
		});
		if (found.length > maxArtifacts || (found.length > 0 && generation > maxGenerations)) {
			throw new BrewlineError("registry", `${printReference(byDigest(from, digest))} has too many artifacts`);
		}
		for (const { mediaType, digest: artifact, size } of found) {
			let done = false;
			// What is about an image may stand in its index, too.
			await once(manifests, repository, artifact, async () => {
				const content = await read({ mediaType, digest: artifact, size }, from);
				// A list may hold what is gone by now, or what never was about this.
				if (content !== undefined && asReferrer(content)?.subject === digest) {
					await put(byDigest(repository, artifact), content, () => from, generation);
					done = true;
				}
			});
			if (done) {
				await follow(repository, artifact, from, generation + 1);
			}
		}
	};

	const isKnown: Transfer["isKnown"] = (repository, digest) => manifests.has(keyOf(repository, digest));

	const ensureBlob: Transfer["ensureBlob"] = (repository, blob, source, onRead = () => {}) =>
		once(blobs, repository, blob.digest, async () => {
			const from = source ?? repository;
			const elsewhere = !isSameRepository(from, repository);
			if (elsewhere && from.host === repository.host && (await client.mountBlob(repository, blob.digest, from))) {
				return "mounted";
			}
			if ((!elsewhere || blob.size > worthAsking) && (await client.hasBlob(repository, blob.digest))) {
				return "present";
			}
			const open = () => client.getBlob(from, blob);
			const first = elsewhere ? await open() : undefined;
			if (first === undefined) {
				// Layers that may not be given away are fetched from their URLs, by those who pull.
				if ((blob.urls?.length ?? 0) > 0) {
					return "nowhere";
				}
				throw nowhere("blob", blob.digest, from);
			}
			first.once("end", onRead);
			try {
				await client.putBlob(repository, blob, reopened(first, open), undefined, { release: true });
			} finally {
				// Nobody has read it where no upload could be opened.
				first.destroy();
			}
			return "copied";
		});

	const know: Transfer["know"] = (repository, digest) => {
		manifests.set(keyOf(repository, digest), Promise.resolve());
	};
	return { putManifest, ensureBlob, isKnown, know };
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

/** Puts a manifest, and says of one that is refused that this may be because it names a subject. */
export async function putContent(client: RegistryClient, at: Reference, content: ManifestContent): Promise<void> {
	try {
		await client.putManifest(at, content.mediaType, content.bytes);
	} catch (cause) {
		const status = answerOf(cause)?.status ?? 0;
		if (![400, 405, 406, 415, 422].includes(status) || asReferrer(content) === undefined) {
			throw cause;
		}
		throw new BrewlineError("registry", messageOf(cause), {
			cause,
			hint: "it names a subject, as signatures and attestations do since OCI 1.1, which some registries refuse",
		});
	}
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

function isSameRepository(a: Reference, b: Reference): boolean {
	return a.host === b.host && a.repository === b.repository;
}

/** The same repository, by digest. */
export function byDigest(repository: Reference, digest: string): Reference {
	return withDigest(withoutTag(repository), digest);
}
