import type { Objects, TreeEntry } from "./objects.ts";

/** A tree may name one subtree a hundred times, and that another one: no answer is worth more than these. */
const maxTrees = 10_000;

/**
 * Paths (byte strings) of the files that are not the same below two trees, in order, at most `limit`: what is the same by
 * its id is not looked into. Undefined: there is no such tree.
 */
export async function changedPaths(
	objects: Objects,
	before: string | undefined,
	after: string | undefined,
	limit: number,
): Promise<readonly string[]> {
	const changed: string[] = [];
	let looked = 0;

	async function compare(from: string | undefined, to: string | undefined, prefix: string): Promise<void> {
		if (from === to || looked++ > maxTrees) return;
		const [old, now] = await Promise.all(
			[from, to].map(async (id) => (id === undefined ? [] : await objects.tree(id))),
		);
		const byName = new Map<string, [TreeEntry | undefined, TreeEntry | undefined]>();
		for (const entry of old!) byName.set(entry.name, [entry, undefined]);
		for (const entry of now!) byName.set(entry.name, [byName.get(entry.name)?.[0], entry]);
		for (const [name, [a, b]] of [...byName].sort(([x], [y]) => (x < y ? -1 : 1))) {
			if (changed.length >= limit) return;
			if (a?.kind === b?.kind && a?.id === b?.id) continue;
			const path = prefix + name;
			const trees = [a, b].map((entry) => (entry?.kind === "directory" ? entry.id : undefined));
			if ([a, b].some((entry) => entry !== undefined && entry.kind !== "directory")) changed.push(path);
			if (trees.some((tree) => tree !== undefined)) await compare(trees[0], trees[1], `${path}/`);
		}
	}

	await compare(before, after, "");
	return changed.slice(0, limit);
}
