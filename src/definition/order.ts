import posix from "node:path/posix";
import { BrewlineError } from "../errors.ts";
import type { Selection } from "./library.ts";
import { type EntryFilter, fullTags, isSkipped } from "./list.ts";
import { quote } from "./problems.ts";
import type { MergedEntry } from "./types.ts";

export interface BuildOrderOptions {
	/**
	 * The images that an entry needs on one architecture, as a Dockerfile's FROMs resolve (spec/sources.md), with
	 * `:latest` where no tag was written. Asked once for each pair, one after another: what has to be fetched should
	 * have been fetched before.
	 */
	readonly froms: (entry: MergedEntry, architecture: string) => Promise<readonly string[]>;
	readonly namespace?: string;
	/** Matters where it applies constraints: what entries need that are skipped does not count, nor other architectures. */
	readonly filter?: EntryFilter;
	/** Whether the entries within each selection are sorted as well (default); the existing `cat` and `--repos` do not. */
	readonly entries?: boolean;
}

/** What is sorted: a definition, some entries of one, or one entry. */
interface Item {
	readonly id: string;
	readonly name: string;
	readonly entries: readonly MergedEntry[];
	/** Whether it owns its tags before the definition does. */
	readonly tagged: boolean;
}

/** Why `from` must come first: the entry that needs it. */
interface Need {
	readonly entry: MergedEntry;
	readonly name: string;
	readonly from: string;
}

interface Node<T> {
	value: T;
	readonly needs: Map<Node<T>, Need>;
	readonly index: number;
	readonly id: string;
}

type FromsOf = (entry: MergedEntry) => Promise<ReadonlySet<string>>;

/**
 * Sorts selections by what they are built from, and the entries within each likewise; otherwise the order stays
 * (spec/manifest.md, References, `--build-order`). A repeated reference is left once. Linear in entries, tags and FROMs.
 * @throws BrewlineError `cycle` that names the circle's members; whatever `froms` throws
 */
export async function buildOrder(
	selections: readonly Selection[],
	options: BuildOrderOptions,
): Promise<readonly Selection[]> {
	const froms = rememberFroms(options);
	const sorted = selections.length < 2 ? selections : await sortSelections(selections, froms, options);
	if (options.entries === false) return sorted;
	const result: Selection[] = [];
	for (const selection of sorted) {
		if (selection.entries.length < 2) {
			result.push(selection);
			continue;
		}
		const { name } = selection;
		const items = selection.entries.map((entry) => ({
			id: `${name}:${entry.Tags[0]!}`,
			name,
			entries: [entry],
			tagged: true,
		}));
		const order = await sortItems(items, froms, options.namespace);
		result.push({ ...selection, entries: order.flatMap(({ entries }) => entries) });
	}
	return result;
}

async function sortSelections(
	selections: readonly Selection[],
	froms: FromsOf,
	options: BuildOrderOptions,
): Promise<readonly Selection[]> {
	const unique = new Map<string, Selection>();
	for (const selection of selections) {
		if (!unique.has(selection.reference)) unique.set(selection.reference, selection);
	}
	const items = [...unique.values()].map((selection) => {
		const { name, tag, entries } = selection;
		const id = tag === null ? name : `${name}:${entries[0]!.Tags[0]!}`;
		return { id, name, entries, tagged: tag !== null, selection };
	});
	const order = await sortItems(items, froms, options.namespace);
	return order.map(({ selection }) => selection);
}

/** Each entry's FROMs are needed by both sorts. */
function rememberFroms({ froms, filter }: BuildOrderOptions): FromsOf {
	const known = new Map<MergedEntry, ReadonlySet<string>>();
	return async (entry) => {
		let images = known.get(entry);
		if (images === undefined) {
			const found = new Set<string>();
			if (!filter?.applyConstraints) {
				for (const arch of entry.Architectures) for (const from of await froms(entry, arch)) found.add(from);
			} else if (!isSkipped(entry, { ...filter, archFilter: false })) {
				for (const from of await froms(entry, filter.architecture)) found.add(from);
			}
			images = found;
			known.set(entry, images);
		}
		return images;
	};
}

async function sortItems<T extends Item>(items: readonly T[], froms: FromsOf, namespace = ""): Promise<readonly T[]> {
	const nodes = new Map<string, Node<T>>();
	const owners = new Map<string, { readonly node: Node<T>; readonly tagged: boolean }>();
	for (const item of items) {
		let node = nodes.get(item.id);
		if (node === undefined) {
			node = { value: item, needs: new Map(), index: nodes.size, id: item.id };
			nodes.set(item.id, node);
		}
		node.value = item;
		for (const entry of item.entries) {
			for (const image of new Set([item.name, posix.join(namespace, item.name)])) {
				for (const tag of fullTags(image, entry)) {
					if (!owners.get(tag)?.tagged) owners.set(tag, { node, tagged: item.tagged });
				}
			}
		}
	}
	for (const { name, entries } of items) {
		for (const entry of entries) {
			let dependants: ReadonlySet<Node<T>> | undefined;
			for (const from of await froms(entry)) {
				const owner = owners.get(from)?.node;
				if (owner === undefined) continue;
				dependants ??= new Set(fullTags(name, entry).map((tag) => owners.get(tag)!.node));
				for (const dependant of dependants) {
					if (dependant !== owner && !dependant.needs.has(owner)) dependant.needs.set(owner, { entry, name, from });
				}
			}
		}
	}
	return inRounds([...nodes.values()]);
}

/**
 * The order that comes of going through what remains, again and again, and putting out each whose needs are all out;
 * what is in a circle, or needs what is in one, is left out. `needs` has for each the indexes of what it needs. In
 * which round it is put out follows from the rounds of its needs, so one pass over the graph is enough.
 */
export function orderInRounds(needs: readonly Iterable<number>[]): readonly number[] {
	const dependants: number[][] = needs.map(() => []);
	const waiting = needs.map((each, index) => {
		const before = new Set(each);
		for (const need of before) dependants[need]!.push(index);
		return before.size;
	});
	const round = needs.map(() => 0);
	const ready = waiting.flatMap((count, index) => (count === 0 ? [index] : []));
	for (const index of ready) {
		for (const dependant of dependants[index]!) {
			const after = round[index]! + (index > dependant ? 1 : 0);
			round[dependant] = Math.max(round[dependant]!, after);
			waiting[dependant]! -= 1;
			if (waiting[dependant] === 0) ready.push(dependant);
		}
	}
	return ready.toSorted((a, b) => round[a]! - round[b]! || a - b);
}

function inRounds<T>(nodes: readonly Node<T>[]): readonly T[] {
	const order = orderInRounds(nodes.map(({ needs }) => needs.keys().map(({ index }) => index)));
	const out = new Set(order);
	if (out.size < nodes.length) throw circle(nodes.filter(({ index }) => !out.has(index)));
	return order.map((index) => nodes[index]!.value);
}

/** Each of `stuck` needs another one of them, so following the needs leads into a circle. */
function circle<T>(stuck: readonly Node<T>[]): BrewlineError {
	const among = new Set(stuck);
	const path: Node<T>[] = [];
	const seen = new Map<Node<T>, number>();
	let node = stuck[0]!;
	while (!seen.has(node)) {
		seen.set(node, path.length);
		path.push(node);
		node = node.needs.keys().find((need) => among.has(need))!;
	}
	const members = path.slice(seen.get(node));
	const needs = members.map((member, index) => member.needs.get(members[(index + 1) % members.length]!)!);
	const steps = needs.map((need, index) => {
		const user = `${need.name}:${need.entry.Tags[0]!}`;
		const id = members[index]!.id;
		return `${quote(id)} needs ${quote(need.from)}${user === id ? "" : ` for ${quote(user)}`}`;
	});
	return new BrewlineError("cycle", `images are built from one another in a circle: ${steps.join(", ")}`, {
		hint: "Change one of these FROMs, or move what is needed into an image of its own.",
		at: needs[0]!.entry.at,
	});
}
