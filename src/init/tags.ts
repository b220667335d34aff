import type { Condition, ImageConfig, SuffixRule } from "../config/index.ts";
import type { Entry } from "../definition/index.ts";
import { blocksOf, mixedBlocksOf, sortedBlocksOf, type Block } from "./blocks.ts";
import type { LearntCondition, Names, Vocabulary } from "./conditions.ts";
import { interpolate, learn, matches, type Candidate, type LearntRule, type Row } from "./learn.ts";
import { templatesOf } from "./texts.ts";

/** An entry that is published and that the layout has as well. */
export interface KnownEntry {
	readonly version: string;
	readonly published: Entry;
	/** Those of the entry, with the ones of its version. */
	readonly names: Names;
	/** Those of its version alone. */
	readonly versionNames: Names;
}

export interface TagsInput {
	/** In the order of the definition. */
	readonly entries: readonly KnownEntry[];
	/** What rules may be made of: names of the version, and of the entry. */
	readonly versionNames: readonly string[];
	readonly entryNames: readonly string[];
	readonly versionVocabulary: Vocabulary;
	readonly entryVocabulary: Vocabulary;
}

export type TagRules = Pick<ImageConfig, "aliases" | "tags" | "sharedTags" | "tagSort">;

interface Taken {
	readonly entry: KnownEntry;
	readonly tags: readonly Block[];
	readonly sharedTags: readonly Block[];
}

/** Infers the rules for aliases and suffixes; what no rule was found for is what the generated definition then lacks. */
export function inferTags(input: TagsInput): TagRules {
	const sorted = input.entries.every(({ published: { Tags } }) => Tags.join() === [...Tags].sort().join());
	const plain = takeApart(input.entries, blocksOf, input.versionNames);
	const bySuffix = sorted ? takeApart(input.entries, sortedBlocksOf, input.versionNames) : [];
	const tagSort = plain.length < bySuffix.length;
	// Tags may be written alias by alias, each with all suffixes: then the rules are the same, although their order is not.
	const byAlias = tagSort || areEven(plain) ? [] : takeApart(input.entries, mixedBlocksOf, input.versionNames);
	const taken = tagSort ? bySuffix : areEven(byAlias) && byAlias.length >= plain.length ? byAlias : plain;
	const aliases = aliasesByVersion(taken);
	const suffixRules = (blocks: (one: Taken) => readonly Block[]): readonly SuffixRule[] =>
		inferSuffixes(taken, blocks, aliases, input);
	const tags = suffixRules((one) => one.tags);
	const sharedTags = suffixRules((one) => one.sharedTags);
	return {
		aliases: inferAliases(input.entries, aliases, input),
		tags: tags.length === 0 ? [""] : [...tags],
		...(sharedTags.length === 0 ? {} : { sharedTags: [...sharedTags] }),
		...(tagSort ? { tagSort } : {}),
	};
}

/** Whether each entry puts the same aliases to all of its suffixes. */
function areEven(taken: readonly Taken[]): boolean {
	return (
		taken.length > 0 &&
		taken.every(
			({ tags, sharedTags }) => new Set([...tags, ...sharedTags].map(({ aliases }) => aliases.join())).size <= 1,
		)
	);
}

/**
 * Entries whose tags can be taken apart, each by the first alias that makes blocks of the same aliases. What is the first alias of
 * most is tried first: it may be the full version, or the name of a suite.
 */
function takeApart(
	entries: readonly KnownEntry[],
	blocks: typeof blocksOf,
	versionNames: readonly string[],
): readonly Taken[] {
	const tryAlias = (entry: KnownEntry, alias: string | undefined): Taken | undefined => {
		if (alias === undefined || alias === "") return undefined;
		const tags = blocks(entry.published.Tags, alias);
		const sharedTags = blocks(entry.published.SharedTags, alias);
		if (tags === undefined || sharedTags === undefined || tags.length === 0) return undefined;
		return areAlike([...tags, ...sharedTags]) ? { entry, tags, sharedTags } : undefined;
	};
	const counted = versionNames.map((name) => ({
		name,
		count: entries.filter((entry) => tryAlias(entry, entry.names[name]) !== undefined).length,
	}));
	const best = counted.toSorted((a, b) => b.count - a.count).map(({ name }) => name);
	const aliasesFor = (entry: KnownEntry): readonly string[] => {
		const [first = ""] = entry.published.Tags;
		// `devel-20260101` is as good a first alias as `1.2.3`.
		const pieces = [...first.matchAll(/-/g)].map(({ index }) => first.slice(0, index)).toReversed();
		return [...best.map((name) => entry.names[name] ?? ""), first, ...pieces];
	};
	return [...Map.groupBy(entries, ({ version }) => version).values()].flatMap((ofVersion) => {
		// All entries of a version have the same one, unless the full version differs; one that has not is odd, and teaches nothing.
		let taken: readonly Taken[] = [];
		for (const [index] of aliasesFor(ofVersion[0]!).entries()) {
			const isNamed = index < best.length;
			const found = ofVersion.flatMap((entry) => {
				const alias = isNamed ? entry.names[best[index]!] : aliasesFor(ofVersion[0]!)[index];
				return tryAlias(entry, alias) ?? [];
			});
			if (found.length > taken.length) taken = found;
		}
		return taken;
	});
}

/** Whether all blocks have the same aliases, but for those that have only the first one, and for what some have beside. */
function areAlike(blocks: readonly Block[]): boolean {
	const lists = blocks.map(({ aliases }) => aliases).filter((aliases) => aliases.length > 1);
	const longest = lists.toSorted((a, b) => b.length - a.length)[0];
	return lists.every((aliases) => aliases.every((alias) => longest!.includes(alias)));
}

function aliasesByVersion(taken: readonly Taken[]): ReadonlyMap<string, readonly string[]> {
	const counted = new Map<string, Map<string, { aliases: readonly string[]; count: number }>>();
	for (const { entry, tags, sharedTags } of taken) {
		for (const block of [...tags, ...sharedTags]) {
			const lists = counted.get(entry.version) ?? new Map<string, { aliases: readonly string[]; count: number }>();
			counted.set(entry.version, lists);
			const key = block.aliases.join();
			const known = lists.get(key) ?? { aliases: block.aliases, count: 0 };
			lists.set(key, { ...known, count: known.count + 1 });
		}
	}
	// What most suffixes are put to; of two as many, the longer list.
	return new Map(
		[...counted].map(([version, lists]) => {
			const [most] = [...lists.values()].toSorted((a, b) => b.count - a.count || b.aliases.length - a.aliases.length);
			return [version, most!.aliases];
		}),
	);
}

type AliasRule = ImageConfig["aliases"]["list"][number];
type OnceRule = Exclude<AliasRule, string>;

function inferAliases(
	entries: readonly KnownEntry[],
	aliases: ReadonlyMap<string, readonly string[]>,
	{ versionNames, versionVocabulary }: TagsInput,
): ImageConfig["aliases"] {
	const versions = new Map(entries.map(({ version, versionNames: names }) => [version, names]));
	const keys: string[] = [];
	const rows = [...versions].flatMap(([version, names]): Row[] => {
		const items = aliases.get(version);
		if (items === undefined) return [];
		keys.push(version);
		return [{ names, items }];
	});
	const candidates: Candidate<OnceRule>[] = [];
	const add: AddAlias = (rule, cost, values) => {
		// A text without names would be given to the next version too.
		const isOnly = rows.length === 1 && "alias" in rule && !rule.alias.includes("{");
		if (!isOnly) candidates.push({ rule, cost, values });
		candidates.push({ rule: { ...rule, once: true }, once: true, cost: cost + 0.5, values });
		// Not every alias that stands still means a pin.
		candidates.push({ rule: { ...rule, once: true }, once: true, pinned: true, cost: cost + 3, values });
	};
	for (const [template, cost] of costsOf(rows, versionNames)) {
		// A number of today's is no rule: it is told of its version alone.
		if (/[0-9]/.test(template.replaceAll(/\{\w+\}/g, "")) || isChance(template)) continue;
		add({ alias: template }, cost, (names) => valueOf(template, names));
	}
	// `1.2.3, 1.2` is plainer as two rules than as what is cut off: that is for what no others give.
	const plain = learn(rows, candidates, versionVocabulary);
	addTruncations(add);
	const cut = isComplete(plain) ? plain : learn(rows, candidates, versionVocabulary);
	const { rules, left } = count(cut) < count(plain) ? cut : plain;
	const all = rules.map((learnt): AliasRule => {
		const { values } = candidates.find((candidate) => candidate.rule === learnt.rule)!;
		// Where no prerelease is published now, nothing shows that `latest` is not for the next one; nor has one ever had it.
		const isOpen = learnt.once && Object.keys(learnt.if).every((name) => name.startsWith("!"));
		const when = isOpen && onlyStableHave(rows, values) ? { stable: "true", ...learnt.if } : learnt.if;
		const rule = { ...learnt.rule, ...(isEmpty(when) ? {} : { if: condition(when) }) };
		return "alias" in rule && rule.once === undefined && rule.if === undefined ? rule.alias : rule;
	});
	// Rules that differed in what they had to explain alone say the same.
	const list = [...new Map(all.map((rule) => [JSON.stringify(rule), rule])).values()];
	const pin = pinsOf(rules, rows, keys, candidates);
	const extra = keys.flatMap((key, index) =>
		left[index]!.length === 0 ? [] : [[key, [...left[index]!]] as [string, string[]]],
	);
	return {
		list,
		...(Object.keys(pin).length === 0 ? {} : { pin }),
		...(extra.length === 0 ? {} : { extra: Object.fromEntries(extra) }),
	};
}

/** Parts of one version say nothing beside each other: `2.11.2` is no `{version}.{major}`, although it may look like it today. */
function isChance(template: string): boolean {
	const names = [...template.matchAll(/\{(\w+)\}/g)].map(([, name]) => name!);
	return partsOfVersions.some((parts) => names.filter((name) => parts.includes(name)).length > 1);
}

const partsOfVersions = [
	["version", "base", "basename", "seriesMajor"],
	["full", "major", "minor"],
];

function onlyStableHave(rows: readonly Row[], values: (names: Names) => readonly string[]): boolean {
	const unstable = rows.filter(({ names }) => names["stable"] !== "true");
	return !unstable.some(({ names, items }) => values(names).some((alias) => items.includes(alias)));
}

type AddAlias = (rule: OnceRule, cost: number, values: (names: Names) => readonly string[]) => void;

function count({ left }: { readonly left: readonly (readonly string[])[] }): number {
	return left.flat().length;
}

function isComplete(learnt: { readonly left: readonly (readonly string[])[] }): boolean {
	return count(learnt) === 0;
}

/** Aliases that a version before would take although another one is published with them. */
function pinsOf(
	rules: readonly LearntRule<OnceRule>[],
	rows: readonly Row[],
	keys: readonly string[],
	candidates: readonly Candidate<OnceRule>[],
): Record<string, string> {
	const pins: Record<string, string> = {};
	for (const { rule, once, if: when } of rules) {
		const { values } = candidates.find((candidate) => candidate.rule === rule)!;
		if (!once) continue;
		const taken = new Set<string>();
		for (const [index, { names, items }] of rows.entries()) {
			if (!matches(when, names)) continue;
			for (const item of values(names)) {
				if (!taken.has(item) && !items.includes(item)) taken.add(item);
				else if (taken.has(item) && items.includes(item)) pins[item] = keys[index]!;
			}
		}
	}
	return pins;
}

function addTruncations(add: AddAlias): void {
	for (const separators of [undefined, "."]) {
		for (const until of [undefined, "{version}", "{base}"]) {
			for (const inclusive of until === undefined ? [true] : [false, true]) {
				const rule = {
					truncate: "{full}",
					...(until === undefined ? {} : { until }),
					...(separators === undefined ? {} : { separators }),
					...(inclusive && until !== undefined ? { inclusive } : {}),
				};
				const cost = 1.5 + Object.keys(rule).length / 8;
				add(rule, cost, (names) => truncated(names, until, separators ?? ".-", inclusive));
			}
		}
	}
}

/** As the engine has it: before `until`, or with it, and with what has no separator any more where that is meant. */
function truncated(names: Names, until: string | undefined, separators: string, inclusive: boolean): readonly string[] {
	const bound = until === undefined ? undefined : interpolate(until, names);
	const found: string[] = [];
	for (let value = names["full"] ?? ""; value !== "";) {
		const at = Math.max(...Array.from(separators, (separator) => value.lastIndexOf(separator)));
		const ends = value === bound || at <= 0;
		if (!ends || inclusive) found.push(value);
		if (ends) break;
		value = value.slice(0, at);
	}
	return found;
}

/** What a block's aliases are, beside those of its version. */
type Which = "all" | "first" | readonly string[];

function inferSuffixes(
	taken: readonly Taken[],
	blocks: (one: Taken) => readonly Block[],
	aliases: ReadonlyMap<string, readonly string[]>,
	{ entryNames, entryVocabulary, versionNames }: TagsInput,
): readonly SuffixRule[] {
	const rows: Row[] = [];
	const whiches = new Map<string, Which>();
	for (const one of taken) {
		const all = aliases.get(one.entry.version) ?? [];
		const items = blocks(one)
			.flatMap((block) => partsOf(block, all))
			.map(({ suffix, aliases: own }) => {
				const which = whichOf(own, all, (alias) => cheapest(alias, one.entry.names, versionNames));
				const key = JSON.stringify(which);
				whiches.set(key, which);
				return itemOf(suffix, key);
			});
		rows.push({ names: one.entry.names, items });
	}
	const candidates: Candidate<{ readonly template: string; readonly which: Which }>[] = [];
	for (const [key, which] of whiches) {
		// Aliases of today's releases are no rule.
		if (typeof which === "object" && which.some((alias) => /[0-9]/.test(alias.replaceAll(/\{\w+\}/g, "")))) continue;
		const own = rows.map(({ names, items }) => ({
			names,
			items: items.filter((item) => item.endsWith(`\n${key}`)).map((item) => item.slice(0, -key.length - 1)),
		}));
		for (const [template, cost] of costsOf(own, entryNames)) {
			candidates.push({
				rule: { template, which },
				cost: which === "all" ? cost : cost + 0.5,
				values: (names) => valueOf(template, names).map((suffix) => itemOf(suffix, key)),
			});
		}
	}
	return withoutRepeats(learn(rows, candidates, entryVocabulary).rules).map(({ rule: { template, which }, if: when }) =>
		which === "all" && isEmpty(when)
			? template
			: {
					suffix: template,
					...(which === "all" ? {} : { aliases: which === "first" ? which : [...which] }),
					...(isEmpty(when) ? {} : { if: condition(when) }),
				},
	);
}

/** Texts with names and conditions, for lists that are nothing but what their rules give. */
export function inferTexts(
	rows: readonly Row[],
	allowed: readonly string[],
	vocabulary: Vocabulary,
): readonly { readonly value: string; readonly if?: Condition }[] {
	const candidates = [...costsOf(rows, allowed)].map(([template, cost]) => ({
		rule: template,
		cost,
		values: (names: Names) => valueOf(template, names),
	}));
	return learn(rows, candidates, vocabulary).rules.map(({ rule, if: when }) => ({
		value: rule,
		...(isEmpty(when) ? {} : { if: condition(when) }),
	}));
}

function itemOf(suffix: string, which: string): string {
	return `${suffix}\n${which}`;
}

/** A block that has all aliases and some more is two. */
function partsOf(block: Block, all: readonly string[]): readonly Block[] {
	const more = block.aliases.filter((alias) => !all.includes(alias));
	const rest = block.aliases.filter((alias) => all.includes(alias));
	if (more.length === 0 || rest.length < all.length) return [block];
	return [
		{ ...block, aliases: rest },
		{ ...block, aliases: more },
	];
}

function whichOf(aliases: readonly string[], all: readonly string[], template: (alias: string) => string): Which {
	if (aliases.toSorted().join() === all.toSorted().join()) return "all";
	return aliases.length === 1 && aliases[0] === all[0] ? "first" : aliases.map(template);
}

function cheapest(text: string, names: Names, allowed: readonly string[]): string {
	return templatesOf(text, names, allowed)[0]?.template ?? text;
}

/** Rules that follow each other and differ in their condition alone, where that asks for one name, are one. */
function withoutRepeats<Rule>(rules: readonly LearntRule<Rule>[]): readonly LearntRule<Rule>[] {
	const result: LearntRule<Rule>[] = [];
	for (const rule of rules) {
		const before = result.at(-1);
		const [name, ...others] = Object.keys(rule.if);
		if (
			before !== undefined &&
			before.rule === rule.rule &&
			name !== undefined &&
			others.length === 0 &&
			Object.keys(before.if).join() === name
		) {
			result[result.length - 1] = { ...rule, if: { [name]: [before.if[name]!, rule.if[name]!].flat() } };
		} else result.push(rule);
	}
	return result;
}

/** All ways to write the items of rows with names, each with the least that it costs. */
function costsOf(rows: readonly Row[], allowed: readonly string[]): ReadonlyMap<string, number> {
	const costs = new Map<string, number>();
	for (const { names, items } of rows) {
		for (const item of items) {
			for (const { template, cost } of templatesOf(item, names, allowed)) {
				if (cost < (costs.get(template) ?? Infinity)) costs.set(template, cost);
			}
		}
	}
	return costs;
}

function valueOf(template: string, names: Names): readonly string[] {
	const text = interpolate(template, names);
	return text === undefined ? [] : [text];
}

function isEmpty(condition: LearntCondition): boolean {
	return Object.keys(condition).length === 0;
}

/** As the configuration writes it. */
export function condition(learnt: LearntCondition): Condition {
	const list = (globs: string | readonly string[]): string | string[] =>
		typeof globs === "string" ? globs : [...globs];
	const entries = Object.entries(learnt).map(([name, globs]) => [name, list(globs)] as const);
	const not = entries.filter(([name]) => name.startsWith("!")).map(([name, globs]) => [name.slice(1), globs] as const);
	const plain = Object.fromEntries(entries.filter(([name]) => !name.startsWith("!")));
	if (not.length === 0) return plain;
	// Of several that must not hold, none may: they are one each.
	return {
		...plain,
		not: not.length === 1 ? Object.fromEntries(not) : { any: not.map((one) => Object.fromEntries([one])) },
	};
}
