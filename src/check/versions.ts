import type { MergedEntry } from "../definition/index.ts";
import { naturalAscending } from "../oci/index.ts";

/** A version at the beginning of a tag, and what follows it. */
export interface Version {
	/** Without leading zeros. */
	readonly numbers: readonly string[];
	/** `rc1`, `beta2`; empty for a release. */
	readonly pre: string;
	/** `-alpine3.20`, with its dash; mostly empty. */
	readonly suffix: string;
	readonly tag: string;
}

const form =
	/^v?(?<numbers>\d{1,12}(?:\.\d{1,12}){0,5})(?:[-._~]?(?<pre>(?:alpha|beta|rc|preview|pre|milestone|snapshot|nightly|dev|ea|m(?=\d)|a(?=\d)|b(?=\d))(?:[.-]?\d{1,12}){0,3}))?(?<suffix>-[\w.-]*)?$/i;

/** The version that a tag begins with, if it does. */
export function versionOf(tag: string): Version | undefined {
	const { numbers, pre = "", suffix = "" } = form.exec(tag)?.groups ?? {};
	if (numbers === undefined) return undefined;
	return { numbers: numbers.split(".").map((one) => one.replace(/^0+(?=.)/, "")), pre: pre.toLowerCase(), suffix, tag };
}

function compareNumbers(a: string, b: string): number {
	return a.length - b.length || (a < b ? -1 : a > b ? 1 : 0);
}

/**
 * Natural order: a prerelease before its release (spec/library-generation.md). As far as both say anything: `6.9` is as
 * good as `6.9.1`.
 */
export function compareVersions(a: Version, b: Version): number {
	for (let at = 0; at < Math.min(a.numbers.length, b.numbers.length); at++) {
		const order = compareNumbers(a.numbers[at]!, b.numbers[at]!);
		if (order !== 0) return order;
	}
	if (a.pre === b.pre) return 0;
	if (a.pre === "" || b.pre === "") return a.pre === "" ? 1 : -1;
	return naturalAscending(a.pre, b.pre);
}

/** Whether `version` is one of those that `alias` stands for: `8.1` for `8.1.3`, but not for `8.10`. */
export function isAliasOf(alias: Version, version: Version): boolean {
	return (
		alias.numbers.length <= version.numbers.length && alias.numbers.every((part, at) => part === version.numbers[at])
	);
}

/** Of an entry's tags with one suffix, the version that says most. */
function fullVersionsOf(tags: readonly string[]): ReadonlyMap<string, Version> {
	const full = new Map<string, Version>();
	for (const tag of tags) {
		const version = versionOf(tag);
		if (version === undefined) continue;
		const known = full.get(version.suffix);
		if (
			known === undefined ||
			version.numbers.length > known.numbers.length ||
			(version.numbers.length === known.numbers.length && version.pre !== "" && known.pre === "")
		) {
			full.set(version.suffix, version);
		}
	}
	return full;
}

/** Each entry is asked about for each of its tags. */
const fullOf = new WeakMap<object, ReadonlyMap<string, Version>>();

/** By suffix: the version that an entry has, as far as its tags say it. */
export function fullVersions(entry: Pick<MergedEntry, "Tags" | "SharedTags">): ReadonlyMap<string, Version> {
	const full = fullOf.get(entry) ?? fullVersionsOf(allTags(entry));
	fullOf.set(entry, full);
	return full;
}

export function allTags({ Tags, SharedTags }: Pick<MergedEntry, "Tags" | "SharedTags">): readonly string[] {
	return [...Tags, ...SharedTags];
}

/** By tag or shared tag: all entries that have it. */
export type EntriesByTag = ReadonlyMap<string, readonly MergedEntry[]>;

/** As `entriesWithTag`, for all tags at once. */
export function entriesByTag(entries: readonly MergedEntry[]): EntriesByTag {
	const found = new Map<string, MergedEntry[]>();
	for (const entry of entries) {
		for (const tag of allTags(entry)) {
			const known = found.get(tag);
			if (known === undefined) found.set(tag, [entry]);
			else known.push(entry);
		}
	}
	return found;
}

/** The version of an entry as a tag of it has it: of those with the same suffix, or for a tag without a version, of all. */
export function versionBehind(entry: Pick<MergedEntry, "Tags" | "SharedTags">, tag: string): Version | undefined {
	const full = fullVersions(entry);
	const own = versionOf(tag);
	if (own !== undefined) return full.get(own.suffix);
	if (!shortestOf.has(full)) shortestOf.set(full, shortestIn(full));
	return shortestOf.get(full);
}

/** Of the suffixes that an entry has, which may be very many, the shortest is the same for each of its tags. */
const shortestOf = new WeakMap<object, Version | undefined>();

function shortestIn(full: ReadonlyMap<string, Version>): Version | undefined {
	let shortest: Version | undefined;
	for (const version of full.values()) {
		if (shortest === undefined || version.suffix.length < shortest.suffix.length) shortest = version;
	}
	return shortest;
}

/** As people write it. */
export function shown({ tag, suffix }: Version): string {
	return tag.slice(0, tag.length - suffix.length);
}
