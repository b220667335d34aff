import type { Builds, Waiting } from "../builds/types.ts";
import { orderedEntries } from "../json/index.ts";
import type { Sources } from "../sources/types.ts";

/** A source on an architecture, as the graph names it. */
export function pairOf(sourceId: string, arch: string): string {
	return `${sourceId} ${arch}`;
}

/** What is built from what, over all images and each architecture on its own: FROM, `COPY --from`, bind mounts. */
export interface Graph {
	/**
	 * In which wave a pair can be built, if every build before it succeeds: 0, now; null, in none, because something that it
	 * needs is not to be had. Undefined for what is there already.
	 */
	wave(pair: string): number | null | undefined;
	/** How many pairs of later waves need this one, directly or by way of others. */
	unblocks(pair: string): number;
}

/**
 * The graph of what is not there yet. `now`: the pairs that can be built now; `never`: those that nothing builds, whatever becomes
 * of their parents. Parents stand before their children.
 */
export function graphOf(
	sources: Sources,
	builds: Builds,
	waiting: readonly Waiting[],
	{ now, never }: { readonly now: ReadonlySet<string>; readonly never: ReadonlySet<string> },
): Graph {
	const waves = new Map<string, number | null | undefined>();
	const children = new Map<string, string[]>();
	for (const { build } of Object.values(builds)) {
		const pair = pairOf(build.sourceId, build.arch);
		waves.set(pair, build.resolved !== null ? undefined : now.has(pair) ? 0 : null);
	}
	const waits = new Map(waiting.map((item) => [pairOf(item.sourceId, item.arch), item]));
	for (const [sourceId, { arches }] of orderedEntries(sources)) {
		for (const [arch, { parents }] of orderedEntries(arches)) {
			const pair = pairOf(sourceId, arch);
			const item = waits.get(pair);
			if (item === undefined) continue;
			const ids = [item.parentSourceId, ...orderedEntries(parents).map(([, parent]) => parent.sourceId)];
			const own = [...new Set(ids)].flatMap((id) => (id === null ? [] : [pairOf(id, arch)]));
			const comes = !never.has(pair) && (item.reason === "parent-not-built" || item.reason === "parent-waiting");
			const wave = comes ? waveAfter(own, waves) : null;
			waves.set(pair, wave);
			if (wave === null) continue;
			for (const parent of own) {
				if (waves.get(parent) === undefined) continue;
				const known = children.get(parent);
				if (known === undefined) children.set(parent, [pair]);
				else known.push(pair);
			}
		}
	}
	return {
		wave: (pair) => waves.get(pair),
		unblocks: (pair) => {
			const found = new Set<string>();
			const open = [pair];
			for (let next = open.pop(); next !== undefined; next = open.pop()) {
				for (const child of children.get(next) ?? []) {
					if (found.has(child)) continue;
					found.add(child);
					open.push(child);
				}
			}
			return found.size;
		},
	};
}

/** One later than the last of the parents; null where one of them comes in no wave. */
function waveAfter(parents: readonly string[], waves: ReadonlyMap<string, number | null | undefined>): number | null {
	let last = 0;
	for (const parent of parents) {
		const wave = waves.get(parent);
		if (wave === null || !waves.has(parent)) return null;
		last = Math.max(last, wave ?? 0);
	}
	return last + 1;
}
