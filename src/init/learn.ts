import { separate, type LearntCondition, type Names, type Vocabulary } from "./conditions.ts";

/** A list that rules are looked for, and the names that these may use. */
export interface Row {
	readonly names: Names;
	readonly items: readonly string[];
}

/** A rule that may stand in the list of rules: what it gives for a row; nothing where one of its names has no value. */
export interface Candidate<Rule> {
	readonly rule: Rule;
	readonly values: (names: Names) => readonly string[];
	/** Whether an item goes to the first row that may have it. */
	readonly once?: boolean;
	/** With `once`: whether that is not so, and rows before the one that has it are told so one by one. */
	readonly pinned?: boolean;
	/** What it costs to read: of two that explain the same, the plainer one is taken. */
	readonly cost: number;
}

export interface LearntRule<Rule> {
	readonly rule: Rule;
	readonly once: boolean;
	readonly if: LearntCondition;
}

interface Chosen<Rule> extends LearntRule<Rule> {
	/** The items that it explains, by row. */
	readonly explained: ReadonlyMap<number, readonly string[]>;
}

export interface Learnt<Rule> {
	readonly rules: readonly LearntRule<Rule>[];
	/** What no rule was found for, by row. */
	readonly left: readonly (readonly string[])[];
}

const maxRules = 40;

/**
 * Finds rules that give each row its list: again and again the one that explains the most of what is not explained yet and gives
 * no row what it does not have. What is left has no explanation among the candidates.
 */
export function learn<Rule>(
	rows: readonly Row[],
	candidates: readonly Candidate<Rule>[],
	vocabulary: Vocabulary,
): Learnt<Rule> {
	const open = rows.map(({ items }) => new Set(items));
	const chosen: Chosen<Rule>[] = [];
	while (open.some((items) => items.size > 0) && chosen.length < maxRules) {
		let best: Found<Rule> | undefined;
		for (const candidate of candidates) {
			const found = tryCandidate(candidate, rows, open, vocabulary);
			if (found !== undefined && (best === undefined || found.worth > best.worth)) best = found;
		}
		if (best === undefined) break;
		for (const { explained } of best.rules) {
			for (const [row, items] of explained) for (const item of items) open[row]!.delete(item);
		}
		chosen.push(...best.rules);
	}
	return { rules: ordered(chosen, rows), left: open.map((items) => [...items]) };
}

interface Found<Rule> {
	readonly worth: number;
	readonly rules: readonly Chosen<Rule>[];
}

function tryCandidate<Rule>(
	{ rule, values, once = false, pinned = false, cost }: Candidate<Rule>,
	rows: readonly Row[],
	open: readonly ReadonlySet<string>[],
	vocabulary: Vocabulary,
): Found<Rule> | undefined {
	const all = rows.map(({ names }) => [...new Set(values(names))]);
	const wanted: number[] = [];
	const others: number[] = [];
	const given: string[][] = [];
	const claimed = new Set<string>();
	for (const [index, items] of all.entries()) {
		const free = once ? items.filter((item) => !claimed.has(item)) : items;
		given.push(free);
		if (free.length === 0) continue;
		if (free.every((item) => open[index]!.has(item))) {
			wanted.push(index);
			for (const item of free) claimed.add(item);
		} else others.push(index);
	}
	if (wanted.length === 0) return undefined;
	// A pin keeps an alias from the versions before.
	const pins = pinned ? others.filter((index) => given[index]!.every((item) => claimed.has(item))) : [];
	if (pinned && pins.length === 0) return undefined;
	const names = (indexes: readonly number[]): readonly Names[] => indexes.map((index) => rows[index]!.names);
	const excluded = others.filter((index) => !pins.includes(index));
	const { conditions, cost: asking } = separate(names(wanted), names(excluded), vocabulary);
	const unclaimed = new Set(wanted);
	const rules = conditions.map((condition): Chosen<Rule> => {
		const explained = new Map<number, readonly string[]>();
		for (const index of unclaimed) {
			if (matches(condition, rows[index]!.names)) explained.set(index, given[index]!);
		}
		for (const index of explained.keys()) unclaimed.delete(index);
		return { rule, once, if: condition, explained };
	});
	const count = rules.flatMap(({ explained }) => [...explained.values()]).flat().length;
	return count === 0 ? undefined : { worth: count - (cost + asking) / 4, rules };
}

/** Whether a condition holds for names; `{name}` in it is that name's value. */
export function matches(condition: LearntCondition, names: Names): boolean {
	return Object.entries(condition).every(([key, globs]) => {
		const negated = key.startsWith("!");
		const value = names[negated ? key.slice(1) : key];
		const matching = value !== undefined && [globs].flat().some((glob) => matchesOne(glob, value, names));
		return matching !== negated;
	});
}

function matchesOne(glob: string, value: string, names: Names): boolean {
	const text = interpolate(glob, names);
	if (text === undefined) return false;
	if (text.endsWith("*")) return value.startsWith(text.slice(0, -1));
	return text.startsWith("*") ? value.endsWith(text.slice(1)) : value === text;
}

/** Puts names into a template; undefined where one has no value. */
export function interpolate(template: string, names: Names): string | undefined {
	let complete = true;
	const text = template.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
		const value = names[name];
		if (value === undefined) complete = false;
		return value ?? "";
	});
	return complete ? text : undefined;
}

/** In an order that no row contradicts; where rows contradict each other, the one that comes first in most. */
function ordered<Rule>(rules: readonly Chosen<Rule>[], rows: readonly Row[]): readonly LearntRule<Rule>[] {
	const place = (rule: number, row: number): number =>
		rows[row]!.items.indexOf(rules[rule]!.explained.get(row)?.[0] ?? "\n");
	const before = rules.map(() => rules.map(() => 0));
	for (const row of rows.keys()) {
		const here = [...rules.keys()].filter((rule) => rules[rule]!.explained.has(row));
		for (const a of here) for (const b of here) if (place(a, row) < place(b, row)) before[a]![b]!++;
	}
	const left = new Set(rules.keys());
	const result: Chosen<Rule>[] = [];
	while (left.size > 0) {
		const held = (rule: number): number =>
			[...left].reduce((sum, other) => sum + Math.max(0, before[other]![rule]! - before[rule]![other]!), 0);
		const first = (rule: number): number =>
			Math.min(...[...rules[rule]!.explained.keys()].map((row) => place(rule, row)));
		const next = [...left].toSorted((a, b) => held(a) - held(b) || first(a) - first(b) || a - b)[0]!;
		left.delete(next);
		result.push(rules[next]!);
	}
	return result.map(({ rule, once, if: condition }) => ({ rule, once, if: condition }));
}
