import type { Definition, MergedEntry, Selection } from "../definition/index.ts";
import { naturalAscending } from "../oci/index.ts";
import { type Draft, placeOf, placeOfTag } from "./types.ts";
import {
	allTags,
	compareVersions,
	entriesByTag,
	type EntriesByTag,
	shown,
	type Version,
	versionBehind,
	versionOf,
} from "./versions.ts";

export interface PublishedOptions {
	/** What is published of an image now; undefined: it is new. */
	readonly published: (image: string) => Definition | undefined;
	/** Why an entry has an architecture no more; undefined: nothing explains it. */
	readonly explained: (image: string, entry: MergedEntry, arch: string) => string | undefined;
}

/** What a change to a definition does to the tags that people use already. */
export function checkPublished(selections: readonly Selection[], options: PublishedOptions): readonly Draft[] {
	return selections.flatMap((selection) => {
		const before = options.published(selection.name);
		if (before === undefined) return [];
		const change = {
			image: selection.name,
			before: entriesByTag(before.entries),
			after: entriesByTag(selection.entries),
			selection,
		};
		return [
			...backwards(change),
			...latest(change),
			...vanished(change, before.entries),
			...lostArchitectures(change, options),
		];
	});
}

interface Change {
	readonly image: string;
	readonly before: EntriesByTag;
	readonly after: EntriesByTag;
	readonly selection: Selection;
}

interface Moved {
	readonly tag: string;
	readonly entry: MergedEntry;
	readonly old: Version;
	readonly version: Version;
}

function backwards({ image, before, after }: Change): readonly Draft[] {
	const moved = [...after].flatMap(([tag, entries]) => {
		// Under a shared tag each architecture has an entry of its own, and not always of the same version.
		const was = firstByArchitecture(before.get(tag) ?? []);
		const pairs = new Map<MergedEntry, MergedEntry>();
		for (const [arch, entry] of firstByArchitecture(entries)) {
			const old = was.get(arch);
			if (old !== undefined && !pairs.has(entry)) pairs.set(entry, old);
		}
		return [...pairs].flatMap(([entry, before]): Moved[] => {
			const [old, version] = [before, entry].map((one) => versionBehind(one, tag));
			if (old === undefined || version === undefined || compareVersions(version, old) >= 0) return [];
			return [{ tag, entry, old, version }];
		});
	});
	return [...Map.groupBy(moved, ({ entry }) => entry)].map(([entry, group]): Draft => {
		const { tag, old, version } = group[0]!;
		const tags = group.map((one) => one.tag);
		return {
			rule: "version-backwards",
			image,
			tag,
			at: placeOfTag(entry, tag),
			message: `${tags.join(", ")} would go back from ${shown(old)} to ${shown(version)}`,
			fix: "Give the tags to the entry of the newer version; where going back is meant, suppress this with the reason.",
			details: { tags, from: shown(old), to: shown(version) },
		};
	});
}

function firstByArchitecture(entries: readonly MergedEntry[]): ReadonlyMap<string, MergedEntry> {
	const first = new Map<string, MergedEntry>();
	// Mostly they have one of a few lists.
	const lists = new Set<readonly string[]>();
	for (const entry of entries) {
		if (lists.has(entry.Architectures)) continue;
		lists.add(entry.Architectures);
		for (const arch of entry.Architectures) if (!first.has(arch)) first.set(arch, entry);
	}
	return first;
}

function latest({ image, before, after, selection }: Change): readonly Draft[] {
	const [old] = before.get("latest") ?? [];
	const [entry] = after.get("latest") ?? [];
	if (old === undefined || selection.entries.length === 0) return [];
	if (entry === undefined) {
		return [
			{
				rule: "latest-dropped",
				image,
				tag: "latest",
				at: selection.definition.global.at,
				message: `there is no latest any more; it is ${image}:${old.Tags[0]} now, and would stay that for ever`,
				fix: "Give latest to the newest release.",
				details: { was: old.Tags[0] },
			},
		];
	}
	const [was, is] = [old, entry].map((one) => allTags(one).filter((tag) => tag !== "latest"));
	const wasTags = new Set(was);
	if (wasTags.size === 0 || is!.some((tag) => wasTags.has(tag))) return [];
	const [from, to] = [old, entry].map((one) => versionBehind(one, "latest"));
	const up = from !== undefined && to !== undefined && compareVersions(to, from) > 0;
	// As it should be; what goes back is told already.
	if (up && from.numbers[0] === to.numbers[0]) return [];
	const later = latestByForm(is!);
	if (from === undefined && was!.some((tag) => follows(later, tag))) return [];
	const now = is![0] ?? "latest";
	return [
		{
			rule: "latest-moved",
			image,
			tag: "latest",
			at: placeOfTag(entry, "latest"),
			message: `latest would move from ${was![0]} to ${now}, which have no tag in common`,
			fix: "Look at whether that is meant: users of latest get all of the difference at once.",
			details: { from: was![0], to: now },
		},
	];
}

/** Of one tag: a shared tag has one for each architecture or version of Windows. */
const mostFollowers = 100;
/**
 * Followers and tags of theirs that are looked at, of one image: about a second. A definition of the library needs some ten
 * thousand, a hostile one could ask for all of its tags with each entry. What is left then counts as followed by nothing.
 */
const mostLookedAt = 200_000;

function vanished({ image, before, after, selection }: Change, entries: readonly MergedEntry[]): readonly Draft[] {
	const isNew = (tag: string): boolean => !before.has(tag);
	const newest = newestOfSeries([...after.keys()].filter(isNew));
	let left = mostLookedAt;
	const followersOf = (old: MergedEntry): readonly MergedEntry[] => {
		const followers = new Set<MergedEntry>();
		for (const tag of allTags(old)) {
			const found = after.get(tag)?.slice(0, Math.min(mostFollowers, left)) ?? [];
			left -= found.length;
			for (const entry of found) followers.add(entry);
		}
		return [...followers];
	};
	const newTagsOf = (entry: MergedEntry): readonly string[] => {
		const count = entry.Tags.length + entry.SharedTags.length;
		if (count > left) return [];
		left -= count;
		return allTags(entry).filter(isNew);
	};
	return entries.flatMap((old): Draft[] => {
		const gone = allTags(old).filter((tag) => !after.has(tag) && tag !== "latest");
		if (gone.length === 0) return [];
		const followers = followersOf(old);
		const later = latestByForm(followers.flatMap(newTagsOf));
		const lost = gone.filter((tag) => !follows(later, tag) && !hasLater(newest, tag));
		if (lost.length === 0) return [];
		return [
			{
				rule: "tag-vanished",
				image,
				tag: lost[0]!,
				at: followers[0] === undefined ? selection.definition.global.at : placeOf(followers[0], "Tags"),
				message: `${lost.join(", ")} would not be updated any more`,
				fix: "Keep them, or say in the proposal why they end.",
				details: { tags: lost },
			},
		];
	});
}

/** A tag without its numbers; of the second build of a day, without both: `noble-20260730.1`. */
function formOf(tag: string): string {
	return tag.replace(/(?<!\d)\d{8}(?:\.\d+)?(?!\d)|\d+/g, "#");
}

/** Of tags that differ in their numbers alone, the highest. */
function latestByForm(tags: readonly string[]): ReadonlyMap<string, string> {
	const latest = new Map<string, string>();
	for (const tag of tags) {
		const known = latest.get(formOf(tag));
		if (known === undefined || naturalAscending(tag, known) > 0) latest.set(formOf(tag), tag);
	}
	return latest;
}

/** Whether there is one that differs from the tag in its numbers alone, and has the higher. */
function follows(latest: ReadonlyMap<string, string>, tag: string): boolean {
	const other = latest.get(formOf(tag));
	return other !== undefined && naturalAscending(other, tag) > 0;
}

function seriesOf({ numbers, suffix }: Version, length: number): string {
	return `${numbers.slice(0, length).join(".")} ${suffix}`;
}

/** The highest version of each series of one and of two numbers; of `25.0.4` and `25.0.4.0.1`, that of more numbers. */
function newestOfSeries(tags: readonly string[]): ReadonlyMap<string, Version> {
	const newest = new Map<string, Version>();
	for (const version of tags.flatMap((tag) => versionOf(tag) ?? [])) {
		for (const length of [1, 2].filter((one) => one <= version.numbers.length)) {
			const key = seriesOf(version, length);
			const known = newest.get(key);
			const order = known === undefined ? 1 : compareVersions(version, known);
			if (order > 0 || (order === 0 && version.numbers.length > known!.numbers.length)) newest.set(key, version);
		}
	}
	return newest;
}

/** Whether there is a later version of the tag's series and suffix: `3.14.0` after `3.14.0rc2`, `3.13.2` after `3.13.1`. */
function hasLater(newest: ReadonlyMap<string, Version>, tag: string): boolean {
	const was = versionOf(tag);
	if (was === undefined) return false;
	const length = was.pre === "" ? Math.min(2, was.numbers.length - 1) : 1;
	const version = length < 1 ? undefined : newest.get(seriesOf(was, length));
	if (version === undefined) return false;
	// A rebuild of upstream's is a number more: `25.0.4.0.1` after `25.0.4`.
	const order = compareVersions(version, was);
	return order > 0 || (order === 0 && version.numbers.length > was.numbers.length && was.numbers.length > 2);
}

/** Of all entries: mostly they have one of a few lists. */
function architecturesOf(entries: readonly MergedEntry[]): ReadonlySet<string> {
	const lists = new Set(entries.map(({ Architectures }) => Architectures));
	return new Set([...lists].flat());
}

function lostArchitectures({ image, before, after }: Change, { explained }: PublishedOptions): readonly Draft[] {
	const lost = new Map<MergedEntry, Map<string, string[]>>();
	for (const [tag, entries] of after) {
		const now = architecturesOf(entries);
		for (const arch of architecturesOf(before.get(tag) ?? [])) {
			if (now.has(arch)) continue;
			const known = lost.get(entries[0]!) ?? new Map<string, string[]>();
			lost.set(entries[0]!, known);
			const tags = known.get(arch);
			if (tags === undefined) known.set(arch, [tag]);
			else tags.push(tag);
		}
	}
	return [...lost].flatMap(([entry, arches]) => {
		const judged = [...arches].map(([arch, tags]) => ({ arch, tags, reason: explained(image, entry, arch) }));
		return [...Map.groupBy(judged, ({ reason }) => reason)].map(([reason, group]): Draft => {
			const architectures = group.map(({ arch }) => arch).sort();
			const tags = [...new Set(group.flatMap((one) => one.tags))];
			const common = { image, tag: entry.Tags[0]!, at: placeOf(entry, "Architectures") };
			const what = `${tags.join(", ")} would have no ${architectures.join(", ")} any more`;
			const details = { tags, architectures, ...(reason === undefined ? {} : { reason }) };
			if (reason !== undefined) return { ...common, rule: "architecture-ends", message: `${what}: ${reason}`, details };
			return {
				...common,
				rule: "architecture-lost",
				message: `${what}, and nothing says why`,
				fix: "Bring them back, or say why they end, where the definition is generated or in a suppression.",
				details,
			};
		});
	});
}
