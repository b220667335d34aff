/** How much one run can take. */
export interface Capacity {
	readonly legs: number;
	/** Where there are more builds than legs, so many may share one. */
	readonly buildsPerLeg: number;
}

/**
 * Puts items into groups, in their order, one each as long as there is room; else as many together as it takes, of those
 * with the same key. What finds no room even so is left over.
 */
export function grouped<T>(
	items: readonly T[],
	keyOf: (item: T) => string,
	capacity: Capacity | undefined,
): { readonly groups: readonly (readonly T[])[]; readonly rest: readonly T[] } {
	if (capacity === undefined || items.length <= capacity.legs) return { groups: items.map((item) => [item]), rest: [] };
	const keys = items.map(keyOf);
	let size = Math.ceil(items.length / capacity.legs);
	for (; size < capacity.buildsPerLeg && countGroups(keys, size) > capacity.legs; size++);
	size = Math.min(size, capacity.buildsPerLeg);
	const groups: T[][] = [];
	const rest: T[] = [];
	/** The group that still has room, by key. */
	const open = new Map<string, T[]>();
	for (const [index, item] of items.entries()) {
		const key = keys[index]!;
		const group = open.get(key);
		if (group !== undefined && group.length < size) group.push(item);
		else if (groups.length < capacity.legs) {
			const fresh = [item];
			open.set(key, fresh);
			groups.push(fresh);
		} else rest.push(item);
	}
	return { groups, rest };
}

function countGroups(keys: readonly string[], size: number): number {
	const counts = new Map<string, number>();
	for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1);
	return [...counts.values()].reduce((sum, count) => sum + Math.ceil(count / size), 0);
}
