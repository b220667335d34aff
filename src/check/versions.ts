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

/** Of tags with one suffix, the version that says most; undefined where none has a version. */
export function fullVersion(tags: readonly string[], suffix: string): Version | undefined {
	let full: Version | undefined;
	for (const tag of tags) {
		const version = versionOf(tag);
		if (version === undefined || version.suffix !== suffix) continue;
		if (
			full === undefined ||
			version.numbers.length > full.numbers.length ||
			(version.numbers.length === full.numbers.length && version.pre !== "" && full.pre === "")
		) {
			full = version;
		}
	}
	return full;
}

export function allTags({ Tags, SharedTags }: Pick<MergedEntry, "Tags" | "SharedTags">): readonly string[] {
	return [...Tags, ...SharedTags];
}

/** The version of an entry as a tag of it has it: of those with the same suffix, or for a tag without a version, of all. */
export function versionBehind(entry: MergedEntry, tag: string): Version | undefined {
	const tags = allTags(entry);
	const own = versionOf(tag);
	if (own !== undefined) return fullVersion(tags, own.suffix);
	const suffixes = [...new Set(tags.flatMap((each) => versionOf(each)?.suffix ?? []))];
	return suffixes
		.sort((a, b) => a.length - b.length)
		.flatMap((suffix) => fullVersion(tags, suffix) ?? [])
		.at(0);
}

/** As people write it. */
export function shown({ tag, suffix }: Version): string {
	return tag.slice(0, tag.length - suffix.length);
}
