import { constants } from "node:fs";
import { mkdir, open, readdir, symlink } from "node:fs/promises";
import { join, posix } from "node:path";
import { PassThrough, type Readable } from "node:stream";
import { once } from "node:events";
import { BrewlineError } from "../errors.ts";
import type { Io } from "../io/types.ts";
import { tarEndSize } from "../tar/index.ts";
import { maxTarget } from "./lookup.ts";
import { showBytes, type Objects } from "./objects.ts";
import { openReader } from "./reader.ts";
import { writeTree, type TarOptions } from "./stream.ts";
import { walk, type WalkedEntry } from "./walk.ts";

export interface OpenFile {
	/** Bytes. */
	readonly size: number;
	readonly content: Readable;
}

/** As git checks files out for everybody, which is what a builder with the git address itself would see. */
const contextModes: TarOptions["modes"] = {
	file: 0o644,
	executable: 0o755,
	directory: 0o755,
	submodule: 0o755,
	symlink: 0o777,
};

/**
 * A stream that is written while it is read, from a process of its own: a reader that is slow, or stops, holds up
 * nobody else.
 */
function produce(
	io: Io,
	directory: string,
	writer: (write: (bytes: Buffer) => Promise<void>, reader: ReturnType<typeof openReader>) => Promise<void>,
): PassThrough {
	const stream = new PassThrough();
	const reader = openReader(io, directory);
	const gone = new AbortController();
	stream.once("close", () => {
		gone.abort();
		void reader.close();
	});
	const write = async (bytes: Buffer) => {
		if (stream.destroyed) throw new BrewlineError("git", "the stream was closed");
		if (bytes.length > 0 && !stream.write(bytes)) await once(stream, "drain", { signal: gone.signal });
	};
	writer(write, reader).then(
		() => stream.end(),
		(error: unknown) => stream.destroy(error as Error),
	);
	return stream;
}

/** The archive of a tree (null: empty), with the blocks that close it. */
export function tarOf(
	io: Io,
	directory: string,
	objects: Objects,
	find: () => Promise<{ readonly tree: string | null; readonly epoch: number }>,
): Readable {
	return produce(io, directory, async (write, reader) => {
		const { tree, epoch } = await find();
		if (tree !== null)
			await writeTree(objects, () => reader, tree, { modes: contextModes, mtime: Math.max(0, epoch) }, write);
		await write(Buffer.alloc(tarEndSize));
	});
}

/** A blob of any size. */
export async function openBlob(io: Io, directory: string, id: string): Promise<OpenFile> {
	let started: (size: number) => void;
	const size = new Promise<number>((resolve) => {
		started = resolve;
	});
	const content = produce(io, directory, (write, reader) =>
		reader.read(id, {
			start: (_, size) => {
				started(size);
			},
			data: write,
		}),
	);
	const failed = new Promise<never>((_, reject) => {
		content.once("error", reject);
	});
	// From here on it is for the one who reads to see it.
	failed.catch(() => {});
	return { size: await Promise.race([size, failed]), content };
}

/**
 * Writes a tree (null: empty) into a folder that is empty or not there. The content may come from anybody: nothing is
 * ever written through a link, no link leads out of the folder, and there is no `.git` in which a later git could find
 * hooks. A link's target is written as spec/sources.md reads it, cleaned as text.
 */
export async function exportTree(
	io: Io,
	directory: string,
	objects: Objects,
	tree: string | null,
	into: string,
): Promise<void> {
	await mkdir(into, { recursive: true });
	if ((await readdir(into)).length > 0) throw new BrewlineError("git", `${into} is not empty`);
	if (tree === null) return;
	const steps = await walk(objects, tree);
	for (const { path, entry } of steps) {
		// Also in the forms that other file systems take for the same.
		if (/^(?:\.git|git~1)[. ]*$/i.test(entry.name))
			throw new BrewlineError("git", `${showBytes(path)}: a directory of git itself is not exported`);
	}
	const links: { readonly path: string; readonly target: string }[] = [];
	const reader = openReader(io, directory);
	try {
		for (const step of steps) {
			if (step.entry.kind === "directory" || step.entry.kind === "submodule") await mkdir(place(into, step.path));
			else if (step.entry.kind === "symlink") links.push({ path: step.path, target: await targetOf(objects, step) });
			else await exportFile(step);
		}
	} finally {
		await reader.close();
	}
	// Last of all, so that no path above can have led through one.
	for (const { path, target } of links) await symlink(Buffer.from(target, "latin1"), place(into, path));

	async function exportFile({ path, entry }: WalkedEntry): Promise<void> {
		const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
		const file = await open(place(into, path), flags, entry.kind === "executable" ? 0o755 : 0o644);
		try {
			await reader.read(entry.id, {
				start: (type) => {
					if (type !== "blob") throw new BrewlineError("git", `${showBytes(path)} is a ${type}, not a blob`);
				},
				data: async (chunk) => {
					await file.writeFile(chunk);
				},
			});
		} finally {
			await file.close();
		}
	}
}

function place(into: string, path: string): Buffer {
	return Buffer.concat([Buffer.from(join(into, "/")), Buffer.from(path, "latin1")]);
}

/**
 * Cleaned, a target has `..` only at its start, where it counts from a real directory; what follows can lead through
 * other links, but those stay inside for the same reason.
 */
async function targetOf(objects: Objects, { path, entry }: WalkedEntry): Promise<string> {
	const target = (await objects.blob(entry.id, maxTarget)).toString("latin1");
	const link = `the symlink ${showBytes(path)}`;
	if (target === "" || target.includes("\0")) throw new BrewlineError("git", `${link} has no target`);
	const cleaned = posix.normalize(target);
	const leads = posix.normalize(posix.join(posix.dirname(path), cleaned));
	if (target.startsWith("/") || leads === ".." || leads.startsWith("../"))
		throw new BrewlineError("git", `${link} leads out of the directory, to ${showBytes(target)}`, {
			hint: "only links within the directory can be exported",
		});
	return cleaned;
}
