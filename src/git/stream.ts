import { isUtf8 } from "node:buffer";
import { createHash } from "node:crypto";
import { BrewlineError } from "../errors.ts";
import { maxTarSize, tarHeader, tarPadding } from "../tar/index.ts";
import { maxTarget } from "./lookup.ts";
import { showBytes, smallBlob, type EntryKind, type Objects } from "./objects.ts";
import type { ObjectReader, ObjectSink } from "./reader.ts";
import { walk, type WalkedEntry } from "./walk.ts";

export interface TarOptions {
	readonly modes: Readonly<Record<EntryKind, number>>;
	/** Unix seconds. */
	readonly mtime: number;
}

const checksumOptions: TarOptions = {
	modes: { file: 0o664, executable: 0o775, directory: 0o775, submodule: 0o775, symlink: 0o777 },
	mtime: 0,
};

/** The content checksum of a tree, in hex (spec/sources.md, Content checksum). */
export async function checksumTree(objects: Objects, tree: string): Promise<string> {
	const hash = createHash("sha256");
	await writeTree(objects, objects.reader, tree, checksumOptions, (bytes) => {
		hash.update(bytes);
	});
	return hash.digest("hex");
}

/**
 * Writes a tree as a tar stream, without the blocks that close an archive. All blobs are asked for at once and are passed
 * on as they come, in the order of the stream, so the memory that it takes does not grow with their size.
 */
export async function writeTree(
	objects: Objects,
	/** Asked for once all blobs are known: until then it could be idle, and be ended for another one. */
	reader: () => ObjectReader,
	tree: string,
	options: TarOptions,
	write: (bytes: Buffer) => void | Promise<void>,
): Promise<void> {
	const steps = await walk(objects, tree);
	for (const { path, entry } of steps) {
		if (entry.kind !== "symlink" && !isUtf8(Buffer.from(entry.name, "latin1")))
			throw new BrewlineError("git", `the name of the ${entry.kind} ${showBytes(path)} is not UTF-8`);
	}
	// Taken out of the cache now: it may forget them before it is their turn.
	const known = new Map<number, Buffer>();
	const reads: Promise<void>[] = [];
	let done = 0;
	let failed = false;
	for (const [index, { entry }] of steps.entries()) {
		if (entry.kind === "directory" || entry.kind === "submodule") continue;
		const content = objects.cachedBlob(entry.id);
		if (content !== undefined) known.set(index, content);
		else reads.push(reader().read(entry.id, sink(index)).catch(fail));
	}
	await Promise.all(reads);
	await advance(steps.length);

	function fail(error: unknown): never {
		failed = true;
		throw error;
	}

	/** Writes all that comes before the step `end`, none of which has to be read any more. */
	async function advance(end: number): Promise<void> {
		for (; done < end; done++) {
			const step = steps[done]!;
			const content = known.get(done);
			await write(header(step, content?.length ?? 0, content));
			if (content === undefined || step.entry.kind === "symlink") continue;
			await write(content);
			await write(tarPadding(content.length));
		}
	}

	function sink(index: number): ObjectSink {
		const step = steps[index]!;
		const link = step.entry.kind === "symlink";
		const chunks: Buffer[] = [];
		let keep = false;
		let size = 0;
		return {
			start: async (type, length) => {
				if (failed) throw new BrewlineError("git", "reading was given up");
				if (type !== "blob") throw new BrewlineError("git", `${showBytes(step.path)} is a ${type}, not a blob`);
				if (length > (link ? maxTarget : maxTarSize))
					throw new BrewlineError(
						"git",
						`${showBytes(step.path)} has ${length} bytes, more than a ${step.entry.kind} may have`,
					);
				size = length;
				keep = size <= smallBlob;
				await advance(index);
				if (!link) await write(header(step, size, undefined));
			},
			data: (chunk) => {
				if (keep) chunks.push(chunk);
				if (!link) return write(chunk);
				return undefined;
			},
			end: async () => {
				const content = Buffer.concat(chunks);
				if (keep) objects.keepBlob(step.entry.id, content);
				await write(link ? header(step, size, content) : tarPadding(size));
				done = index + 1;
			},
		};
	}

	function header({ path, entry }: WalkedEntry, size: number, content: Buffer | undefined): Buffer {
		const common = { mode: options.modes[entry.kind], mtime: options.mtime };
		if (entry.kind === "directory" || entry.kind === "submodule")
			return tarHeader({ ...common, name: `${path}/`, type: "directory" });
		if (entry.kind !== "symlink") return tarHeader({ ...common, name: path, type: "file", size });
		const target = content!.toString("latin1");
		if (target === "" || target.includes("\0"))
			throw new BrewlineError(
				"git",
				`the symlink ${showBytes(path)} has a target that none can have: ${showBytes(target) || "an empty one"}`,
			);
		return tarHeader({ ...common, name: path, type: "symlink", target });
	}
}
