import type { Checks } from "../config/types.ts";
import type { MergedEntry, Selection } from "../definition/index.ts";
import { type Draft, placeOfTag } from "./types.ts";

/** Tags and shared tags that look like `latest`. */
export function checkLatest(selections: readonly Selection[]): readonly Draft[] {
	return selections.flatMap(({ name, entries }) => {
		const seen = new Set(["latest"]);
		return entries.flatMap((entry) =>
			[...entry.Tags, ...entry.SharedTags].flatMap((tag): Draft[] => {
				if (seen.has(tag) || !tag.includes("latest")) return [];
				seen.add(tag);
				return [
					{
						rule: "latest",
						image: name,
						tag,
						at: placeOfTag(entry, tag),
						message: `the tag ${tag} has latest in its name, and is not latest`,
						fix: "Leave latest out of the name: of latest-alpine, alpine is what people look for.",
						details: { tag: `${name}:${tag}` },
					},
				];
			}),
		);
	});
}

/** Shared tags that two entries provide for the same architecture. */
export function checkSharedTags(
	selections: readonly Selection[],
	{ repeatable }: Pick<Checks, "repeatable">,
): readonly Draft[] {
	const ofTag = new Map<string, { image: string; tag: string; entries: MergedEntry[] }>();
	for (const { name, entries } of selections) {
		for (const entry of entries) {
			for (const tag of entry.SharedTags) {
				const full = `${name}:${tag}`;
				const known = ofTag.get(full) ?? { image: name, tag, entries: [] };
				ofTag.set(full, known);
				known.entries.push(entry);
			}
		}
	}
	const allowed = new Set(repeatable.map(({ architecture }) => architecture));
	// Tags with one list of architectures are mostly those of the same entries: one report is enough.
	const groups = Map.groupBy(
		[...ofTag].filter(([, { entries }]) => repeatedIn(entries, allowed).size > 0),
		([, { entries }]) => entries.map(({ Architectures }) => Architectures.join()).join(),
	);
	return [...groups.values()].map((group): Draft => {
		const [, { image, tag, entries }] = group[0]!;
		const again = repeatedIn(entries, allowed);
		const repeated = entries.flatMap(({ Architectures }) => Architectures.filter((arch) => again.has(arch)));
		const tags = group.map(([full]) => full);
		const names = entries.map(({ Tags }) => `${image}:${Tags[0]}`);
		return {
			rule: "shared-tags",
			image,
			tag,
			at: placeOfTag(entries[0]!, tag),
			message: `${tags.join(", ")}: ${names.join(" and ")} both provide ${[...again].sort().join(", ")}`,
			fix: "A shared tag joins entries that differ in their architectures: give it to one of those that share one.",
			details: { tags, entries: names, architectures: repeated.sort() },
		};
	});
}

/** The architectures that more than one of the entries has. */
function repeatedIn(entries: readonly MergedEntry[], allowed: ReadonlySet<string>): ReadonlySet<string> {
	const once = new Set<string>();
	const again = new Set<string>();
	// Entries mostly have one of a few lists, which are looked at twice at most: what comes a second time is there again.
	const lists = new Map<readonly string[], number>();
	for (const { Architectures } of entries) {
		const times = (lists.get(Architectures) ?? 0) + 1;
		lists.set(Architectures, times);
		if (times > 2) continue;
		for (const arch of Architectures) {
			if (once.has(arch)) again.add(arch);
			else once.add(arch);
		}
	}
	return new Set([...again].filter((arch) => !allowed.has(arch)));
}
