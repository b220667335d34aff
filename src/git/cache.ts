/** A map that forgets what was not used for longest, once the weights of its values exceed a limit. */
export interface WeightedCache<V> {
	get(key: string): V | undefined;
	set(key: string, weight: number, value: V): void;
	/** Changes the weight of a value that may have become known only now. */
	weigh(key: string, weight: number): void;
	/** The value, made if it is not there; a promise that is rejected is forgotten. */
	use(key: string, weight: number, make: () => V): V;
}

export function weightedCache<V>(limit: number): WeightedCache<V> {
	const entries = new Map<string, { value: V; weight: number }>();
	let total = 0;

	function remove(key: string): void {
		total -= entries.get(key)?.weight ?? 0;
		entries.delete(key);
	}

	/** The last one stays, whatever it weighs: it is in use. */
	function shrink(): void {
		for (const key of entries.keys()) {
			if (total <= limit || entries.size === 1) return;
			remove(key);
		}
	}

	const cache: WeightedCache<V> = {
		get: (key) => {
			const entry = entries.get(key);
			if (entry === undefined) return undefined;
			// A map iterates in the order of insertion.
			entries.delete(key);
			entries.set(key, entry);
			return entry.value;
		},
		set: (key, weight, value) => {
			remove(key);
			entries.set(key, { value, weight });
			total += weight;
			shrink();
		},
		weigh: (key, weight) => {
			const entry = entries.get(key);
			if (entry === undefined) return;
			total += weight - entry.weight;
			entry.weight = weight;
			shrink();
		},
		use: (key, weight, make) => {
			const known = cache.get(key);
			if (known !== undefined) return known;
			const value = make();
			cache.set(key, weight, value);
			if (value instanceof Promise) {
				value.catch(() => {
					if (entries.get(key)?.value === value) remove(key);
				});
			}
			return value;
		},
	};
	return cache;
}
