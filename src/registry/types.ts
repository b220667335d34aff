import type { Readable } from "node:stream";
import type { Descriptor, Reference } from "../oci/types.ts";

export interface RegistryManifest {
	/** The `Content-Type` of the answer, exactly. */
	readonly mediaType: string;
	/** Checked against the bytes. */
	readonly digest: string;
	readonly bytes: Uint8Array;
}

export interface ReadOptions {
	/** The registry itself is asked, also where a mirror is set: a mirror may not have what was just written. Default: no. */
	readonly direct?: boolean;
}

export type BlobSource = () => Readable;

/**
 * A client for registries that speak the OCI distribution API. Of a reference with a tag and a digest the digest
 * is asked for; one with neither asks for `latest`.
 * "Missing" is 404, the registry's own codes for it, and 401 or 403 where the options say that they hide things.
 */
export interface RegistryClient {
	/** What a tag or digest points at, without its content; undefined where it is missing. */
	headManifest(
		reference: Reference,
		options?: ReadOptions,
	): Promise<{ mediaType: string; digest: string; size: number } | undefined>;
	/** Undefined where it is missing. At most 4 MiB. */
	getManifest(reference: Reference, options?: ReadOptions): Promise<RegistryManifest | undefined>;
	/**
	 * Puts under the tag, or under the digest where there is no tag. The registry's digest must equal ours. One with a
	 * `subject` is listed under the tag for that subject's referrers where the registry keeps no list of them.
	 */
	putManifest(reference: Reference, mediaType: string, bytes: Uint8Array): Promise<{ digest: string }>;
	/**
	 * The manifests that name this digest as their `subject`, as the registry lists them, or the tag that stands in for its
	 * list (`sha256-HEX`). Untrusted: any of them may be missing, or name another subject.
	 */
	listReferrers(
		subject: Reference & { readonly digest: string },
		options?: { readonly artifactType?: string },
	): Promise<readonly Descriptor[]>;
	/**
	 * Takes a tag away, or with a digest the manifest and all tags that point at it; false: it is not there. Many registries
	 * do only one of the two, or neither: what they answer then is thrown.
	 */
	deleteManifest(reference: Reference): Promise<boolean>;
	/** Whether the blob is in the repository. */
	hasBlob(repository: Reference, digest: string): Promise<boolean>;
	/** Bytes; undefined where the blob is missing. */
	blobSize(repository: Reference, digest: string): Promise<number | undefined>;
	/**
	 * A stream that fails at its end if digest or size differ; undefined where the blob is missing. `putBlob` knows it, and does
	 * not check it again: hashing is most of what a copy takes.
	 */
	getBlob(repository: Reference, descriptor: Pick<Descriptor, "digest" | "size">): Promise<Readable | undefined>;
	/**
	 * Uploads (streamed, digest and size checked). Does not look first. With `from`, a repository of the same host, it is
	 * mounted from there, and uploaded only if the registry does not do that. The source is opened again for each try.
	 * `release`: nobody else has what the source gives, as of one that was just read; what is sent gives its memory back at once.
	 */
	putBlob(
		repository: Reference,
		descriptor: Pick<Descriptor, "digest" | "size">,
		source: BlobSource,
		from?: Reference,
		options?: { readonly release?: boolean },
	): Promise<void>;
	/** Cross-repository mount on one host; false where the registry did not do it. */
	mountBlob(repository: Reference, digest: string, from: Reference): Promise<boolean>;
	/**
	 * All tags, or an error: also where there are more than `maxPages` pages of 1,000 (default 10,000), and where the registry
	 * refuses, whatever refusals mean elsewhere. None where the registry says that it does not know the repository.
	 */
	listTags(repository: Reference, options?: { readonly maxPages?: number }): AsyncIterable<string>;
}
