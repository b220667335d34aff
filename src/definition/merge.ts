import { buildFieldNames, buildFieldsBy } from "./names.ts";
import type { BuildFields, Entry, MergedEntry, SharedTagGroup } from "./types.ts";

/** Appends the tags of an entry to the earlier one that has the same build (spec/manifest.md, Merging). */
export function mergeEntries(entries: readonly Entry[]): readonly MergedEntry[] {
	// Hardly any have directory and commit of another: of these alone the whole is compared.
	const places = new Map<string, number>();
	for (const entry of entries) {
		const place = placeOf(entry);
		places.set(place, (places.get(place) ?? 0) + 1);
	}
	const byBuild = new Map<string | Entry, [Entry, ...Entry[]]>();
	for (const entry of entries) {
		const key = places.get(placeOf(entry)) === 1 ? entry : buildKey(entry);
		const same = byBuild.get(key);
		if (same === undefined) byBuild.set(key, [entry]);
		else same.push(entry);
	}
	return [...byBuild.values()].map((parts) => {
		const [first] = parts;
		if (parts.length === 1) return { ...first, parts };
		return {
			...first,
			Tags: parts.flatMap(({ Tags }) => Tags),
			// Entries that inherit their shared tags have the same list.
			SharedTags: [...new Set([...new Set(parts.map(({ SharedTags }) => SharedTags))].flat())],
			parts,
		};
	});
}

function placeOf({ Directory, GitCommit }: Entry): string {
	return `${GitCommit}:${Directory}`;
}

/** The same for two entries exactly if their builds are the same. */
function buildKey(entry: Entry): string {
	return JSON.stringify([
		entry.Architectures,
		...buildFieldNames.map((name) => entry[name]),
		entry.Constraints.join(", "),
		entry.archFields,
	]);
}

/** What an entry is built from on one architecture: `ARCH-…` fields over the plain ones. */
export function forArchitecture(entry: BuildFields & Pick<Entry, "archFields">, architecture: string): BuildFields {
	return buildFieldsBy((name) => entry.archFields[`${architecture}-${name}`] ?? entry[name]);
}

/** Shared tags that cover the same list of entries, grouped, in order of first appearance. */
export function sharedTagGroups(entries: readonly MergedEntry[]): readonly SharedTagGroup[] {
	const covered = new Map<string, number[]>();
	for (const [index, entry] of entries.entries()) {
		for (const tag of entry.SharedTags) {
			const indexes = covered.get(tag);
			if (indexes === undefined) covered.set(tag, [index]);
			else indexes.push(index);
		}
	}
	const groups = new Map<string, { sharedTags: string[]; entries: readonly MergedEntry[] }>();
	for (const [tag, indexes] of covered) {
		const key = indexes.join();
		const group = groups.get(key);
		if (group !== undefined) group.sharedTags.push(tag);
		else groups.set(key, { sharedTags: [tag], entries: indexes.map((index) => entries[index]!) });
	}
	return [...groups.values()];
}

/** The entries that a tag means: one for a tag, all that have it for a shared tag, none if it is unknown. */
export function entriesWithTag(entries: readonly MergedEntry[], tag: string): readonly MergedEntry[] {
	const entry = entries.find(({ Tags }) => Tags.includes(tag));
	return entry === undefined ? entries.filter(({ SharedTags }) => SharedTags.includes(tag)) : [entry];
}
