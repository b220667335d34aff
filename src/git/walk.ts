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

interface Node {
	readonly entry: TreeEntry;
	readonly children?: readonly Node[];
}

/** All entries below a tree, depth first, each directory's sorted by name as bytes, each directory before its content. */
export async function walk(objects: Objects, tree: string): Promise<Iterable<WalkedEntry>> {
	let count = 0;
	async function nodes(id: string, length: number): Promise<readonly Node[]> {
		const entries = await objects.tree(id);
		count += entries.length;
		if (count > maxEntries) throw new BrewlineError("git", `the directory has more than ${maxEntries} entries`);
		return Promise.all(
			entries.map(async (entry) => {
				if (length + entry.name.length > maxPath)
					throw new BrewlineError(
						"git",
						`a path is longer than ${maxPath} bytes: it ends with ${showBytes(entry.name)}`,
					);
				if (entry.kind !== "directory") return { entry };
				return { entry, children: await nodes(entry.id, length + entry.name.length + 1) };
			}),
		);
	}
	return flatten(await nodes(tree, 0));
}

function* flatten(nodes: readonly Node[], prefix = ""): Generator<WalkedEntry> {
	const stack = [{ nodes, prefix, at: 0 }];
	for (let top = stack[0]; top !== undefined; top = stack.at(-1)) {
		const node = top.nodes[top.at++];
		if (node === undefined) {
			stack.pop();
			continue;
		}
		const path = top.prefix + node.entry.name;
		yield { path, entry: node.entry };
		if (node.children !== undefined) stack.push({ nodes: node.children, prefix: `${path}/`, at: 0 });
	}
}
