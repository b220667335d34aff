import { createHash, randomUUID, type Hash } from "node:crypto";
import type { Readable } from "node:stream";
import { tryParseDigest } from "../../oci/index.ts";
import { type Files, type Growing, unfinishedFile } from "./files.ts";

export interface StoredManifest {
	readonly mediaType: string;
	readonly bytes: Buffer;
}

/** An upload that is under way; gone when the server ends. */
export interface Upload {
	readonly id: string;
	readonly repository: string;
	/** Bytes so far. */
	size: number;
	/** Set while a request writes to it. */
	busy: boolean;
}

/**
 * What a registry keeps: blobs once for all repositories, and for each repository which blobs and manifests are in it,
 * its tags, and which manifests name which subject.
 * Everything is written before what refers to it, so a kill at any point leaves nothing that points at nothing.
 */
export interface Store {
	blobSize(repository: string, digest: string): Promise<number | undefined>;
	readBlob(digest: string, start: number, end: number): Readable;
	/** Whether it was there to link. */
	linkBlob(repository: string, digest: string, from: string): Promise<boolean>;
	unlinkBlob(repository: string, digest: string): Promise<boolean>;

	startUpload(repository: string): Promise<Upload>;
	upload(id: string): Upload | undefined;
	append(upload: Upload, content: AsyncIterable<Uint8Array>): Promise<void>;
	/** Whether the content had the digest; the upload is over either way. */
	finishUpload(upload: Upload, digest: string): Promise<boolean>;
	cancelUpload(upload: Upload): Promise<void>;

	manifest(repository: string, digest: string): Promise<StoredManifest | undefined>;
	putManifest(repository: string, digest: string, manifest: StoredManifest, subject: string | undefined): Promise<void>;
	removeManifest(repository: string, digest: string): Promise<boolean>;
	tag(repository: string, tag: string): Promise<string | undefined>;
	putTag(repository: string, tag: string, digest: string): Promise<void>;
	removeTag(repository: string, tag: string): Promise<boolean>;
	/** Sorted by code unit; undefined where the repository is missing. */
	tags(repository: string): Promise<readonly string[] | undefined>;
	/** Digests of the manifests with this subject. */
	referrers(repository: string, subject: string): Promise<readonly string[]>;
	/** Gives up the uploads that are open. */
	close(): Promise<void>;
}

export function createStore(files: Files): Store {
	interface OpenUpload extends Upload {
		readonly file: string;
		readonly growing: Growing;
		/** Kept up while bytes come in, for the digest that nearly all use. */
		readonly hash: Hash;
	}
	const uploads = new Map<string, OpenUpload>();

	// No part of a repository's name begins with "_", so these folders cannot be another repository.
	const link = (repository: string, kind: string, digest: string) =>
		`repositories/${repository}/_${kind}/${slashed(digest)}`;
	const tagFile = (repository: string, tag: string) => `repositories/${repository}/_tags/${encodeTag(tag)}`;

	async function tags(repository: string): Promise<readonly string[] | undefined> {
		if ((await files.list(`repositories/${repository}`)).every((name) => !name.startsWith("_"))) return undefined;
		return (await files.list(`repositories/${repository}/_tags`)).map(decodeTag).sort();
	}

	async function tag(repository: string, name: string): Promise<string | undefined> {
		return (await files.bytes(tagFile(repository, name)))?.toString("utf8");
	}

	async function hasDigest(upload: OpenUpload, digest: string): Promise<boolean> {
		const { algorithm, encoded } = tryParseDigest(digest)!;
		if (algorithm === "sha256") return upload.hash.digest("hex") === encoded;
		const hash = createHash(algorithm);
		for await (const chunk of files.read(upload.file, 0, upload.size - 1)) hash.update(chunk as Buffer);
		return hash.digest("hex") === encoded;
	}

	async function cancelUpload(upload: Upload): Promise<void> {
		const open = uploads.get(upload.id);
		if (open === undefined) return;
		uploads.delete(upload.id);
		await open.growing.close(false);
		await files.remove(open.file);
	}

	return {
		blobSize: async (repository, digest) => {
			const linked = await files.size(link(repository, "blobs", digest));
			return linked === undefined ? undefined : files.size(blobFile(digest));
		},
		readBlob: (digest, start, end) => files.read(blobFile(digest), start, end),
		linkBlob: async (repository, digest, from) => {
			if ((await files.size(link(from, "blobs", digest))) === undefined) return false;
			await files.write(link(repository, "blobs", digest), new Uint8Array());
			return true;
		},
		unlinkBlob: async (repository, digest) => {
			const file = link(repository, "blobs", digest);
			if ((await files.size(file)) === undefined) return false;
			await files.remove(file);
			return true;
		},

		startUpload: async (repository) => {
			const id = randomUUID();
			const file = unfinishedFile(id);
			const growing = await files.create(file);
			const upload = { id, repository, size: 0, busy: false, file, growing, hash: createHash("sha256") };
			uploads.set(id, upload);
			return upload;
		},
		upload: (id) => uploads.get(id),
		append: async (upload, content) => {
			const { growing, hash } = uploads.get(upload.id)!;
			for await (const chunk of content) {
				// While one thread writes it, this one hashes it.
				const written = growing.append(chunk);
				hash.update(chunk);
				try {
					await written;
				} catch (error) {
					// Nobody knows how much of it is there.
					await cancelUpload(upload);
					throw error;
				}
				upload.size += chunk.length;
			}
		},
		finishUpload: async (upload, digest) => {
			const open = uploads.get(upload.id)!;
			uploads.delete(upload.id);
			const right = await hasDigest(open, digest);
			try {
				await open.growing.close(right);
			} catch (error) {
				await files.remove(open.file);
				throw error;
			}
			if (!right) {
				await files.remove(open.file);
				return false;
			}
			await files.move(open.file, blobFile(digest));
			await files.write(link(upload.repository, "blobs", digest), new Uint8Array());
			return true;
		},
		cancelUpload,

		manifest: async (repository, digest) => {
			const mediaType = await files.bytes(link(repository, "manifests", digest));
			const bytes = mediaType && (await files.bytes(blobFile(digest)));
			return bytes && { mediaType: mediaType.toString("utf8"), bytes };
		},
		putManifest: async (repository, digest, { mediaType, bytes }, subject) => {
			if ((await files.size(blobFile(digest))) === undefined) await files.write(blobFile(digest), bytes);
			if (subject !== undefined) {
				await files.write(`${link(repository, "referrers", subject)}/${digest.replace(":", "-")}`, new Uint8Array());
			}
			await files.write(link(repository, "manifests", digest), Buffer.from(mediaType));
		},
		removeManifest: async (repository, digest) => {
			const file = link(repository, "manifests", digest);
			if ((await files.size(file)) === undefined) return false;
			// The repository is there: it has this manifest.
			for (const name of (await tags(repository))!) {
				if ((await tag(repository, name)) === digest) await files.remove(tagFile(repository, name));
			}
			await files.remove(file);
			return true;
		},
		tag,
		putTag: (repository, name, digest) => files.write(tagFile(repository, name), Buffer.from(digest)),
		removeTag: async (repository, name) => {
			if ((await tag(repository, name)) === undefined) return false;
			await files.remove(tagFile(repository, name));
			return true;
		},
		tags,
		referrers: async (repository, subject) =>
			(await files.list(link(repository, "referrers", subject))).map((name) => name.replace("-", ":")),
		close: async () => {
			await Promise.all([...uploads.values()].map(cancelUpload));
		},
	};
}

function blobFile(digest: string): string {
	return `blobs/${slashed(digest)}`;
}

function slashed(digest: string): string {
	return digest.replace(":", "/");
}

/** Bytes: what file systems take as a name. */
const maxName = 255;

/**
 * Tags differ by case, file names on some systems do not: each capital has a mark. The only tag that is too long with them is one of
 * 128 capitals, which has one mark for all.
 */
function encodeTag(tag: string): string {
	const name = tag.replace(/[A-Z]/g, (letter) => `!${letter.toLowerCase()}`);
	return name.length > maxName ? `!!${tag.toLowerCase()}` : name;
}

function decodeTag(name: string): string {
	if (name.startsWith("!!")) return name.slice(2).toUpperCase();
	return name.replace(/!([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
