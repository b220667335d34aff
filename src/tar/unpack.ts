import { mkdir, open, readdir } from "node:fs/promises";
import path from "node:path";
import { Readable } from "node:stream";
import { createTarDecoder } from "modern-tar";
import { BrewlineError, messageOf } from "../errors.ts";
import { printable } from "../io/printable.ts";

export interface UnpackOptions {
	/** Of all files together. Default: 64 GiB. */
	readonly maxBytes?: number;
	/** Files and folders. Default: 20,000. */
	readonly maxEntries?: number;
	readonly signal?: AbortSignal;
}

const maxDepth = 16;
const maxPartLength = 255;

/**
 * Unpacks a tar stream that is not trusted (BuildKit's OCI tarball) into a new or empty folder. Files and folders
 * alone: links, devices, absolute paths, `.` and `..`, a file that comes twice, and an archive that is cut or damaged
 * are errors (`layout`), after which the folder is to be thrown away. Modes, owners and times are not taken over.
 */
export async function unpackTar(input: Readable, folder: string, options: UnpackOptions = {}): Promise<void> {
	const { maxBytes = 64 * 1024 ** 3, maxEntries = 20_000, signal } = options;
	// What is there already could be a link that leads elsewhere.
	await mkdir(folder, { recursive: true });
	if ((await readdir(folder)).length > 0) {
		throw new BrewlineError("layout", `an archive is only unpacked into an empty folder, and ${folder} is none`);
	}
	const made = new Set<string>();
	let entries = 0;
	let bytes = 0;
	try {
		const decoder = createTarDecoder({ strict: true });
		for await (const { header, body } of Readable.toWeb(input).pipeThrough(decoder)) {
			signal?.throwIfAborted();
			const name = checkName(header.name, header.type);
			entries++;
			bytes += header.size;
			if (entries > maxEntries || !(bytes <= maxBytes)) {
				const what = entries > maxEntries ? `${maxEntries} files` : `${maxBytes} bytes`;
				throw new BrewlineError("layout", `the archive holds more than ${what}`);
			}
			if (header.type === "directory") {
				await makeFolder(folder, name, made);
				await body.cancel();
			} else {
				await makeFolder(folder, name.slice(0, -1), made);
				await writeFile(path.join(folder, ...name), body, signal);
			}
		}
	} catch (error) {
		input.destroy();
		if (error instanceof BrewlineError) {
			throw error;
		}
		signal?.throwIfAborted();
		throw new BrewlineError("layout", `the archive cannot be unpacked: ${printable(messageOf(error))}`, {
			cause: error,
		});
	}
}

/** The parts of an entry's path, each fit to be the name of a file. */
function checkName(name: string, type: string | undefined): readonly string[] {
	if (type !== "file" && type !== "directory") {
		throw refused(name, `is a ${printable(type ?? "thing of no type")}; only files and folders are unpacked`);
	}
	const parts = (type === "directory" ? name.replace(/\/$/, "") : name).split("/");
	if (parts.length > maxDepth) {
		throw refused(name, `is more than ${maxDepth} folders deep`);
	}
	for (const part of parts) {
		if (part === "" || part === "." || part === "..") {
			throw refused(name, "is no path below the folder");
		}
		// Backslash and colon mean folders and drives on other systems; U+FFFD is what bytes that are no UTF-8 become.
		if (Buffer.byteLength(part) > maxPartLength || /[\p{Cc}\\:\ufffd]/u.test(part)) {
			throw refused(name, "has a part that is too long or has characters that are not allowed");
		}
	}
	return parts;
}

function refused(name: string, why: string): BrewlineError {
	return new BrewlineError("layout", `"${printable(name, 200)}" in the archive ${why}`);
}

/** Makes a folder and those above it, each once. */
async function makeFolder(root: string, parts: readonly string[], made: Set<string>): Promise<void> {
	for (let depth = 1; depth <= parts.length; depth++) {
		const name = parts.slice(0, depth).join("/");
		if (!made.has(name)) {
			// Fails where a file of that name was unpacked before.
			await mkdir(path.join(root, name));
			made.add(name);
		}
	}
}

async function writeFile(
	target: string,
	body: ReadableStream<Uint8Array>,
	signal: AbortSignal | undefined,
): Promise<void> {
	const file = await open(target, "wx", 0o644);
	try {
		for await (const chunk of body) {
			signal?.throwIfAborted();
			for (let done = 0; done < chunk.length;) {
				done += (await file.write(chunk, done)).bytesWritten;
			}
		}
	} finally {
		await file.close();
	}
}
