import { BrewlineError } from "../errors.ts";
import type { Io } from "../io/types.ts";
import { checkCommit } from "./address.ts";
import { openObjects, type EntryKind } from "./objects.ts";
import { openReader } from "./reader.ts";
import { walk } from "./walk.ts";

export interface SnapshotLimits {
	/** Bytes of one file; a larger one has no content here. */
	readonly maxFile: number;
	/** Bytes of all of them, and their number: more is an error. */
	readonly maxTotal: number;
	readonly maxFiles: number;
}

export interface SnapshotFile {
	readonly kind: Exclude<EntryKind, "directory" | "submodule">;
	readonly content: Buffer | null;
}

/**
 * All files of a commit of any repository on this machine, bare or not, by path as a byte string: one git process.
 * Links are not followed; their content is the target.
 */
export async function readSnapshot(
	io: Io,
	gitDirectory: string,
	commit: string,
	limits: SnapshotLimits,
): Promise<ReadonlyMap<string, SnapshotFile>> {
	checkCommit(commit);
	const reader = openReader(io, gitDirectory);
	try {
		const objects = openObjects(gitDirectory, () => reader);
		const { tree } = await objects.commit(commit);
		const entries = (await walk(objects, tree)).filter(
			({ entry }) => entry.kind !== "directory" && entry.kind !== "submodule",
		);
		checkCount(entries.length, limits);
		let total = 0;
		const contents = await Promise.all(
			entries.map(async ({ entry }) => {
				const chunks: Buffer[] = [];
				let kept = false;
				await reader.read(entry.id, {
					start: (_type, size) => {
						kept = size <= limits.maxFile;
						if (kept) total += size;
						checkTotal(total, limits);
					},
					data: (chunk) => {
						if (kept) chunks.push(chunk);
					},
				});
				return kept ? Buffer.concat(chunks) : null;
			}),
		);
		return new Map(
			entries.map(({ path, entry }, index) => [
				path,
				{ kind: entry.kind as SnapshotFile["kind"], content: contents[index]! },
			]),
		);
	} finally {
		await reader.close();
	}
}

export function checkCount(count: number, { maxFiles }: SnapshotLimits): void {
	if (count > maxFiles) throw new BrewlineError("git", `there are ${count} files, more than ${maxFiles}`);
}

export function checkTotal(total: number, { maxTotal }: SnapshotLimits): void {
	if (total > maxTotal) throw new BrewlineError("git", `the files are larger than ${maxTotal} bytes together`);
}
