import { BrewlineError } from "../errors.ts";
import { showBytes, type Objects, type TreeEntry } from "./objects.ts";

/** An entry of a tree walked to its leaves. */
export interface WalkedEntry {
	/** Byte string, relative to the tree that the walk began at, without a closing slash. */
	readonly path: string;
	readonly entry: TreeEntry;
}

/** A tree may name one subtree a hundred times, and that another: few objects, and more entries than any memory has. */
const maxEntries = 1_000_000;
const maxPath = 32 * 1024;

interface Directory {
	readonly children: readonly { readonly entry: TreeEntry; readonly directory?: Directory }[];
	/** Of all that is below. */
	readonly entries: number;
	/** Bytes of the longest path below. */
	readonly longest: number;
}

/** All entries below a tree, depth first, each directory's sorted by name as bytes, each directory before its content. */
export async function walk(objects: Objects, tree: string): Promise<readonly WalkedEntry[]> {
	// A subtree is looked at once, however often it is named.
	const known = new Map<string, Promise<Directory>>();

	function directoryOf(id: string): Promise<Directory> {
		let directory = known.get(id);
		if (directory === undefined) {
			directory = readDirectory(id);
			known.set(id, directory);
		}
		return directory;
	}

	async function readDirectory(id: string): Promise<Directory> {
		const children = await Promise.all(
			(await objects.tree(id)).map(async (entry) =>
				entry.kind === "directory" ? { entry, directory: await directoryOf(entry.id) } : { entry },
			),
		);
		let entries = children.length;
		let longest = 0;
		for (const { entry, directory } of children) {
			entries += directory?.entries ?? 0;
			longest = Math.max(longest, entry.name.length + 1 + (directory?.longest ?? 0));
			if (longest > maxPath)
				throw new BrewlineError(
					"git",
					`a path is longer than ${maxPath} bytes: it goes through ${showBytes(entry.name)}`,
				);
		}
		if (entries > maxEntries) throw new BrewlineError("git", `the directory has more than ${maxEntries} entries`);
		return { children, entries, longest };
	}

	return flatten(await directoryOf(tree));
}

function flatten(root: Directory): readonly WalkedEntry[] {
	const walked: WalkedEntry[] = [];
	const stack = [{ directory: root, prefix: "", at: 0 }];
	for (let top = stack[0]; top !== undefined; top = stack.at(-1)) {
		const child = top.directory.children[top.at++];
		if (child === undefined) {
			stack.pop();
			continue;
		}
		const path = top.prefix + child.entry.name;
		walked.push({ path, entry: child.entry });
		if (child.directory !== undefined) stack.push({ directory: child.directory, prefix: `${path}/`, at: 0 });
	}
	return walked;
}
