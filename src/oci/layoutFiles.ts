import { createHash, randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { lstat, mkdir, open, realpath, rename, rm, type FileHandle } from "node:fs/promises";
import path from "node:path";
import { BrewlineError, messageOf } from "../errors.ts";
import { printable } from "../io/printable.ts";
import { tabJson } from "../json/index.ts";
import { parseDigest, sha256Of } from "./digest.ts";
import { mediaTypes, type Descriptor, type Index } from "./types.ts";

const chunkSize = 1024 * 1024;

/** The file of a blob, relative to the layout, with `/`. Only of a valid digest, which cannot climb out. */
export function blobName(digest: string): string {
	const { algorithm, encoded } = parseDigest(digest);
	return `blobs/${algorithm}/${encoded}`;
}

/** The file of a blob on this machine. */
export function blobFile(layout: string, digest: string): string {
	return path.join(layout, blobName(digest));
}

/** Opens a regular file of a layout, whose real folder `root` is. No symbolic link is followed: it could lead outside. */
async function openInLayout(root: string, name: string): Promise<FileHandle> {
	const wanted = path.join(root, name);
	try {
		if ((await realpath(wanted)) !== wanted) {
			throw new BrewlineError("layout", `${name} is reached through a symbolic link`);
		}
		// Not to wait for the other end of a named pipe.
		const file = await open(wanted, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
		if (!(await file.stat()).isFile()) {
			await file.close();
			throw new BrewlineError("layout", `${name} is no regular file`);
		}
		return file;
	} catch (error) {
		if (error instanceof BrewlineError) {
			throw error;
		}
		const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
		const why = missing ? "is missing in the layout" : `cannot be read: ${printable(messageOf(error))}`;
		throw new BrewlineError("layout", `${name} ${why}`, { cause: error });
	}
}

/** Reads a small file whole. Throws `layout` where it is larger than `limit` bytes. */
export async function readInLayout(root: string, name: string, limit: number): Promise<Buffer> {
	const file = await openInLayout(root, name);
	try {
		const { size } = await file.stat();
		if (size > limit) {
			throw new BrewlineError("layout", `${name} is ${size} bytes long; at most ${limit} are read`);
		}
		return await file.readFile();
	} finally {
		await file.close();
	}
}

/** Checks that a file has the size and digest of a descriptor, in bounded memory. Throws `digest`. */
export async function checkBlob(
	root: string,
	descriptor: Pick<Descriptor, "digest" | "size">,
	signal?: AbortSignal,
): Promise<void> {
	const name = blobName(descriptor.digest);
	const { algorithm, encoded } = parseDigest(descriptor.digest);
	const file = await openInLayout(root, name);
	try {
		const { size } = await file.stat();
		if (size !== descriptor.size) {
			throw new BrewlineError("digest", `${name} has ${size} bytes, but its descriptor says ${descriptor.size}`);
		}
		const hash = createHash(algorithm);
		const chunk = Buffer.allocUnsafe(Math.min(chunkSize, size + 1));
		for (;;) {
			signal?.throwIfAborted();
			const { bytesRead } = await file.read(chunk, 0, chunk.length, null);
			if (bytesRead === 0) {
				break;
			}
			hash.update(chunk.subarray(0, bytesRead));
		}
		const found = hash.digest("hex");
		if (found !== encoded) {
			throw new BrewlineError("digest", `${name} has the digest ${algorithm}:${found}`);
		}
	} finally {
		await file.close();
	}
}

/** Makes an empty layout: the folders and `oci-layout`. The folder may be there already. */
export async function initLayout(layout: string): Promise<void> {
	await blobFolder(layout);
	await writeAtomically(layout, "oci-layout", `{"imageLayoutVersion":"1.0.0"}`);
}

/** Adds a blob under its sha256 digest, in one step. */
export async function writeBlob(
	layout: string,
	content: Uint8Array | string,
): Promise<{ digest: string; size: number }> {
	const digest = sha256Of(content);
	const folder = await blobFolder(layout);
	await writeAtomically(folder, digest.slice("sha256:".length), content);
	return { digest, size: Buffer.byteLength(content) };
}

/** Replaces `index.json`, in one step, with tabs and a final newline. */
export async function writeIndexJson(layout: string, index: Pick<Index, "manifests">): Promise<void> {
	await writeAtomically(layout, "index.json", tabJson(index));
}

/**
 * Makes an index a blob, and the one manifest of a new `index.json` (spec/build.md, oci-import, step 4).
 * Returns its descriptor.
 */
export async function writeRootIndex(layout: string, index: Index): Promise<Descriptor> {
	const { digest, size } = await writeBlob(layout, tabJson(index));
	const descriptor = { mediaType: index.mediaType, digest, size };
	const root: Index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [descriptor] };
	await writeIndexJson(layout, root);
	return descriptor;
}

/** `blobs/sha256`, made where it is missing; links are not followed, since a layout may come from outside. */
async function blobFolder(layout: string): Promise<string> {
	await mkdir(layout, { recursive: true });
	let folder = layout;
	for (const part of ["blobs", "sha256"]) {
		folder = path.join(folder, part);
		// Whatever it says, what stands there then decides.
		await mkdir(folder).catch(() => {});
		if (!(await lstat(folder)).isDirectory()) {
			throw new BrewlineError("layout", `${path.relative(layout, folder)} in the layout is no folder`);
		}
	}
	return folder;
}

async function writeAtomically(folder: string, name: string, content: Uint8Array | string): Promise<void> {
	const temporary = path.join(folder, `.${name.slice(0, 16)}.${randomUUID()}`);
	try {
		const file = await open(temporary, "wx", 0o644);
		try {
			await file.writeFile(content);
		} finally {
			await file.close();
		}
		await rename(temporary, path.join(folder, name));
	} catch (error) {
		await rm(temporary, { force: true });
		throw error;
	}
}
