import { BrewlineError } from "../errors.ts";
import type { Objects, TreeEntry } from "../git/objects.ts";
import { printable } from "../io/printable.ts";
import { formatOfPath, joinState, readStateFile, stateFolders } from "./files.ts";
import type { State } from "./types.ts";

/** One file of a commit: what it holds is known by the id of its blob. */
export interface StoredFile {
	readonly id: string;
	readonly value: unknown;
}

export type StoredFiles = ReadonlyMap<string, StoredFile>;

/** Docker's program has some 150 images; all files of it have 25 MB. */
const maxFiles = 20_000;
const maxBytes = 1024 * 1024 * 1024;

/**
 * Reads the state of a commit: every object through one process, and of what was read before only what changed. Whoever
 * may push to the branch may put anything there, so a name is checked before it is used, and a size before it is read.
 */
export async function readState(
	objects: Objects,
	commit: string,
	before: StoredFiles,
): Promise<{ readonly state: State; readonly files: StoredFiles }> {
	const blobs = await listBlobs(objects, commit);
	let left = maxBytes;
	const files = await Promise.all(
		[...blobs].map(async ([path, id]): Promise<[string, StoredFile]> => {
			const known = before.get(path);
			if (known?.id === id) return [path, known];
			const bytes = await objects.blob(id, formatOfPath(path)!.maxBytes);
			left -= bytes.length;
			if (left < 0) throw new BrewlineError("handover", `its files have more than ${maxBytes} bytes`);
			return [path, { id, value: readStateFile(path, bytes) }];
		}),
	);
	return { state: joinState(new Map(files.map(([path, { value }]) => [path, value]))), files: new Map(files) };
}

/** The ids of all files, by path. Anything that is no file of a state is refused. */
async function listBlobs(objects: Objects, commit: string): Promise<ReadonlyMap<string, string>> {
	const { tree } = await objects.commit(commit);
	const blobs = new Map<string, string>();
	const add = (path: string, { kind, id }: TreeEntry): void => {
		if (kind !== "file") throw new BrewlineError("handover", `${shown(path)} is no file, but of the kind ${kind}`);
		if (formatOfPath(path) === undefined) throw new BrewlineError("handover", `${shown(path)} is no file of a state`);
		blobs.set(path, id);
		if (blobs.size > maxFiles) throw new BrewlineError("handover", `it has more than ${maxFiles} files`);
	};
	for (const entry of await objects.tree(tree)) {
		if (entry.kind === "directory" && stateFolders.some((folder) => folder === entry.name)) {
			for (const file of await objects.tree(entry.id)) add(`${entry.name}/${file.name}`, file);
		} else add(entry.name, entry);
	}
	return blobs;
}

/** The path's bytes as text, fit for a message. */
function shown(path: string): string {
	return printable(Buffer.from(path, "latin1").toString("utf8"), 300);
}
