import type { Selection } from "../definition/index.ts";
import { type Draft, placeOfTag } from "./types.ts";
import { allTags, compareVersions, fullVersions, isAliasOf, shown, type Version, versionOf } from "./versions.ts";

function keyOf(suffix: string, numbers: readonly string[]): string {
	return `${numbers.join(".")}${suffix}`;
}

/** The newest release of each series, by suffix: of `8`, `8.3` and `8.3.4`. */
function newestOf(versions: readonly Version[]): ReadonlyMap<string, Version> {
	const newest = new Map<string, Version>();
	for (const version of versions) {
		if (version.pre !== "") continue;
		for (let length = 1; length <= version.numbers.length; length++) {
			const key = keyOf(version.suffix, version.numbers.slice(0, length));
			const known = newest.get(key);
			if (known === undefined || compareVersions(version, known) > 0) newest.set(key, version);
		}
	}
	return newest;
}

/** Of a product that is sold by the year: its `2026.2` is no other version than its `11.1.0`. */
function isYear({ numbers: [first] }: Version): boolean {
	return /^20\d\d$/.test(first!);
}

/** What only a release is called. */
const stableNames = ["latest", "stable", "lts"];

/** Tags that say another version than the entry's, or stand for a prerelease or an older one. */
export function checkAliases(selections: readonly Selection[]): readonly Draft[] {
	return selections.flatMap(({ name, entries }) => {
		const drafts: Draft[] = [];
		const groups = entries.flatMap((entry) => {
			const tags = allTags(entry);
			const full = fullVersions(entry);
			const versions = tags.flatMap((tag) => versionOf(tag) ?? []);
			return [...Map.groupBy(versions, ({ suffix }) => suffix)].map(([suffix, list]) => ({
				entry,
				suffix,
				versions: list,
				full: full.get(suffix)!,
			}));
		});
		const newest = newestOf(groups.map(({ full }) => full));
		const byEntry = Map.groupBy(groups, ({ entry }) => entry);
		for (const [entry, own] of byEntry) {
			const prerelease = own.filter(({ full }) => full.pre !== "");
			if (prerelease.length === 0) continue;
			const version = shown(prerelease[0]!.full);
			const add = (rule: "prerelease-alias" | "prerelease-latest", tags: readonly string[]): void => {
				if (tags.length === 0) return;
				drafts.push({
					rule,
					image: name,
					tag: tags[0]!,
					at: placeOfTag(entry, tags[0]!),
					message: `${tags.join(", ")} would be the prerelease ${version}`,
					fix: "Give a prerelease no tag that people take for a release.",
					details: { tags, version },
				});
			};
			add(
				"prerelease-alias",
				prerelease.flatMap(({ versions, full }) =>
					versions.filter((one) => one.pre === "" && isAliasOf(one, full)).map(({ tag }) => tag),
				),
			);
			// A release may be in the same entry, under another name.
			if (own.length > prerelease.length) continue;
			add(
				"prerelease-latest",
				allTags(entry).filter((tag) => stableNames.includes(tag)),
			);
		}
		for (const [entry, own] of byEntry) {
			const foreign = own.flatMap(({ versions, full }) =>
				versions
					.filter((one) => !isAliasOf(one, full) && isYear(one) === isYear(full))
					.map(({ tag }) => ({ tag, full })),
			);
			if (foreign.length > 0) {
				const tags = foreign.map(({ tag }) => tag);
				const version = shown(foreign[0]!.full);
				drafts.push({
					rule: "alias-of-another-version",
					image: name,
					tag: tags[0]!,
					at: placeOfTag(entry, tags[0]!),
					message: `${tags.join(", ")} would be ${version}`,
					fix: "Give an entry the tags of one version.",
					details: { tags, version },
				});
			}
			const older = own.flatMap(({ versions, full }) =>
				versions.flatMap((alias) => {
					if (full.pre !== "" || alias.numbers.length >= full.numbers.length || !isAliasOf(alias, full)) return [];
					const newer = newest.get(keyOf(alias.suffix, alias.numbers));
					return newer === undefined || compareVersions(newer, full) <= 0 ? [] : [{ alias: alias.tag, full, newer }];
				}),
			);
			if (older.length > 0) {
				const tags = older.map(({ alias }) => alias);
				const { full, newer } = older[0]!;
				drafts.push({
					rule: "alias-not-newest",
					image: name,
					tag: tags[0]!,
					at: placeOfTag(entry, tags[0]!),
					message: `${tags.join(", ")} would be ${shown(full)}, and there is ${shown(newer)}`,
					fix: `Give what stands for both to the entry of ${shown(newer)}.`,
					details: { tags, version: shown(full), newest: shown(newer) },
				});
			}
		}
		return drafts;
	});
}
