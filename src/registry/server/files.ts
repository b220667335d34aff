import { randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, readdir, readFile, rename, rm, stat, type FileHandle } from "node:fs/promises";
import path from "node:path";
import { Readable } from "node:stream";
import { isRunning } from "../../io/command.ts";

/** The few things that a registry does with files, in memory or in a folder. Paths are relative, with `/`. */
export interface Files {
	/** Undefined where there is none. */
	size(file: string): Promise<number | undefined>;
	bytes(file: string): Promise<Buffer | undefined>;
	/** From `start` to `end`, both included. */
	read(file: string, start: number, end: number): Readable;
	/** The whole of a small file, at once: whoever reads it sees the old content or the new. */
	write(file: string, bytes: Uint8Array): Promise<void>;
	/** A new file that is written piece by piece. */
	create(file: string): Promise<Growing>;
	/** Makes a file that is complete visible under its name. */
	move(from: string, to: string): Promise<void>;
	remove(file: string): Promise<void>;
	/** The names in a folder, sorted by code unit; none where it is missing. */
	list(folder: string): Promise<readonly string[]>;
}

export interface Growing {
	append(chunk: Uint8Array): Promise<void>;
	/** Ends it; with `keep`, its content is on the disk when this is done. */
	close(keep: boolean): Promise<void>;
}

/** Files that are not complete lie here. */
const unfinished = "uploads";

/**
 * The path of a file that is not complete, by the process that writes it: what that leaves behind where it is killed is told from
 * what others in the same folder are at.
 */
export function unfinishedFile(id: string): string {
	return `${unfinished}/${process.pid}-${id}`;
}

/**
 * Makes a folder ready for a registry: nobody can go on with what is left of a process that has ended, and nothing else is touched.
 * A file of our own process is of one that was killed under the same number, as in containers all are.
 */
export async function clearUnfinished(root: string): Promise<void> {
	const folder = path.join(root, unfinished);
	await mkdir(folder, { recursive: true });
	for (const name of await readdir(folder)) {
		const [, pid] = /^(\d+)-[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/.exec(name) ?? [];
		if (pid === undefined || (Number(pid) !== process.pid && isRunning(Number(pid)))) continue;
		await rm(path.join(folder, name), { force: true });
	}
}

/** Files in a map: by path, their content in pieces, which are never changed. */
export function memoryFiles(files: Map<string, readonly Uint8Array[]> = new Map()): Files {
	return {
		size: (file) => {
			const chunks = files.get(file);
			return Promise.resolve(chunks?.reduce((sum, { length }) => sum + length, 0));
		},
		bytes: (file) => {
			const chunks = files.get(file);
			return Promise.resolve(chunks && Buffer.concat(chunks));
		},
		read: (file, start, end) => Readable.from(slices(files.get(file)!, start, end), { objectMode: false }),
		write: (file, bytes) => {
			files.set(file, [bytes]);
			return Promise.resolve();
		},
		create: (file) => {
			const chunks: Uint8Array[] = [];
			files.set(file, chunks);
			return Promise.resolve({
				append: (chunk) => {
					chunks.push(chunk);
					return Promise.resolve();
				},
				close: () => Promise.resolve(),
			});
		},
		move: (from, to) => {
			files.set(to, files.get(from)!);
			files.delete(from);
			return Promise.resolve();
		},
		remove: (file) => {
			files.delete(file);
			return Promise.resolve();
		},
		list: (folder) => {
			const names = new Set<string>();
			for (const file of files.keys()) {
				if (file.startsWith(`${folder}/`)) names.add(file.slice(folder.length + 1).split("/", 1)[0]!);
			}
			return Promise.resolve([...names].sort());
		},
	};
}

function* slices(chunks: readonly Uint8Array[], start: number, end: number): Generator<Uint8Array> {
	let at = 0;
	for (const chunk of chunks) {
		const piece = chunk.subarray(Math.max(0, start - at), Math.max(0, end + 1 - at));
		at += chunk.length;
		if (piece.length > 0) yield piece;
	}
}

/**
 * Files that are there whole or not at all, also after a kill: written aside, then renamed into place.
 * @param syncEvery Bytes of a growing file, after which it is synced on the way: who puts it waits for few of them at its end.
 */
export function folderFiles(root: string, syncEvery = 32 * 1024 * 1024): Files {
	const absolute = (file: string) => path.join(root, ...file.split("/"));

	async function moveInto(from: string, to: string): Promise<void> {
		await mkdir(path.dirname(to), { recursive: true });
		await rename(from, to);
	}

	return {
		size: async (file) => (await orMissing(stat(absolute(file))))?.size,
		bytes: (file) => orMissing(readFile(absolute(file))),
		read: (file, start, end) =>
			end < start ? Readable.from([], { objectMode: false }) : createReadStream(absolute(file), { start, end }),
		write: async (file, bytes) => {
			const aside = absolute(unfinishedFile(randomUUID()));
			const handle = await openNew(aside);
			try {
				await handle.writeFile(bytes);
				await handle.sync();
			} finally {
				await handle.close();
			}
			await moveInto(aside, absolute(file));
		},
		create: async (file) => {
			const handle = await openNew(absolute(file));
			let unsynced = 0;
			let syncing: Promise<void> | undefined;
			/** The system tells once of bytes that it could not write, and never again. */
			const failures: unknown[] = [];
			return {
				append: async (chunk) => {
					if (failures.length > 0) throw failures[0];
					for (let written = 0; written < chunk.length;) {
						written += (await handle.write(chunk, written, chunk.length - written)).bytesWritten;
					}
					unsynced += chunk.length;
					if (unsynced < syncEvery || syncing !== undefined) return;
					unsynced = 0;
					syncing = handle
						.datasync()
						.catch((error: unknown) => {
							failures.push(error);
						})
						.finally(() => {
							syncing = undefined;
						});
				},
				close: async (keep) => {
					try {
						await syncing;
						if (keep) {
							await handle.sync();
							if (failures.length > 0) throw failures[0];
						}
					} finally {
						await handle.close();
					}
				},
			};
		},
		move: (from, to) => moveInto(absolute(from), absolute(to)),
		remove: (file) => rm(absolute(file), { force: true }),
		list: async (folder) => ((await orMissing(readdir(absolute(folder)))) ?? []).sort(),
	};
}

async function openNew(file: string): Promise<FileHandle> {
	await mkdir(path.dirname(file), { recursive: true });
	return open(file, "wx");
}

async function orMissing<T>(reading: Promise<T>): Promise<T | undefined> {
	return reading.catch((error: unknown) => {
		const code = (error as NodeJS.ErrnoException).code;
		if (code === "ENOENT" || code === "ENOTDIR") return undefined;
		throw error;
	});
}
