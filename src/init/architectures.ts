import type { ArchRule, Exclusion, ImageConfig, IntersectRule } from "../config/index.ts";
import type { Definition } from "../definition/index.ts";
import type { DockerfileFacts } from "../dockerfile/index.ts";
import { orderedEntries, orderedKeys, type JsonValue } from "../json/index.ts";
import { separate, type LearntCondition, type Vocabulary } from "./conditions.ts";
import type { JoinedEntry } from "./infer.ts";
import { interpolate } from "./learn.ts";
import { condition } from "./tags.ts";

export interface ArchitecturesInput {
	readonly image: string;
	readonly entries: readonly JoinedEntry[];
	/** What is published of each entry, in the order in which it stands there. */
	readonly wanted: ReadonlyMap<JoinedEntry, readonly string[]>;
	readonly dockerfile: (entry: JoinedEntry) => DockerfileFacts | undefined;
	/** By image; those that are not there give no architectures. */
	readonly definitions: ReadonlyMap<string, Definition>;
	/** The names of architectures that there are. */
	readonly known: ReadonlySet<string>;
	readonly axes: readonly string[];
	readonly vocabulary: Vocabulary;
}

export type ArchitectureRules = Pick<ImageConfig, "architectures" | "excludeArchitectures">;

interface Candidate {
	readonly rule: ArchRule;
	readonly cost: number;
	readonly of: (entry: JoinedEntry) => readonly string[] | undefined;
}

/** Written into a configuration where only a person can know it. */
const unknownReason = "the published definition has it so; nobody wrote down why";

const maxMain = 8;

/** Infers where architectures come from: the rule that holds for the most entries, and what differs for the others. */
export function inferArchitectures(input: ArchitecturesInput): ArchitectureRules {
	const { entries } = input;
	const candidates = candidatesOf(input);
	const mains = candidates
		.map((candidate) => {
			const explained = entries.filter((entry) => isRight(input, candidate, entry)).length;
			return { candidate, worth: worthOf(candidate, explained) };
		})
		.toSorted((a, b) => b.worth - a.worth);
	let best: { readonly rules: ArchitectureRules; readonly missed: number } | undefined;
	for (const { candidate } of mains.slice(0, maxMain)) {
		const found = beginningWith(input, candidate, candidates);
		if (best === undefined || found.missed < best.missed) best = found;
		if (best.missed === 0) break;
	}
	return best?.rules ?? {};
}

function isRight({ wanted }: ArchitecturesInput, { of }: Candidate, entry: JoinedEntry): boolean {
	return of(entry)?.join() === wanted.get(entry)!.join();
}

/** The rules with a given one as the main one, and for how many entries they do not hold. */
function beginningWith(
	input: ArchitecturesInput,
	main: Candidate,
	candidates: readonly Candidate[],
): { readonly rules: ArchitectureRules; readonly missed: number } {
	const exceptions: ArchRule[] = [];
	const exclusions: Exclusion[] = [];
	let open = input.entries.filter((entry) => !isRight(input, main, entry));
	while (open.length > 0) {
		const found = findExclusion(input, main, open, exclusions.length) ?? findException(input, candidates, open);
		if (found === undefined) break;
		if ("exclusion" in found) exclusions.push(found.exclusion);
		else exceptions.push(found.rule);
		open = open.filter((entry) => !found.explained.has(entry));
	}
	const isPlain = exceptions.length === 0 && JSON.stringify(main.rule) === JSON.stringify({ parents: ["from"] });
	const rules = {
		...(isPlain ? {} : { architectures: [...exceptions, main.rule] }),
		...(exclusions.length === 0 ? {} : { excludeArchitectures: exclusions }),
	};
	return { rules, missed: open.length };
}

/**
 * What it is worth to begin with a rule, and to list what differs. A list stays as it was written when parents change: it has to
 * explain far more than one that goes with them.
 */
function worthOf({ rule, cost }: Candidate, explained: number): number {
	return ("static" in rule ? explained / 2 : explained) - cost / 4;
}

/** What the same entries lack of what the main rule gives. */
function findExclusion(
	input: ArchitecturesInput,
	main: Candidate,
	open: readonly JoinedEntry[],
	number: number,
): { readonly exclusion: Exclusion; readonly explained: ReadonlySet<JoinedEntry> } | undefined {
	const lacks = (entry: JoinedEntry): readonly string[] | undefined => {
		const given = main.of(entry);
		const wanted = input.wanted.get(entry)!;
		if (given === undefined || given.length === 0) return undefined;
		if (given.filter((arch) => wanted.includes(arch)).join() !== wanted.join()) return undefined;
		return given.filter((arch) => !wanted.includes(arch));
	};
	if (number > 6) return undefined;
	const groups = Map.groupBy(
		open.filter((entry) => lacks(entry) !== undefined),
		(entry) => lacks(entry)!.join(),
	);
	const [largest] = [...groups].toSorted(([, a], [, b]) => b.length - a.length);
	if (largest === undefined || largest[0] === "") return undefined;
	const arches = largest[0].split(",");
	// What they have is plainer to read than all that they lack, where it is less, and the same for all.
	const kept = new Set(largest[1].map((entry) => input.wanted.get(entry)!.join()));
	const [first = ""] = kept;
	const only = kept.size === 1 && first.split(",").length < arches.length ? first.split(",") : undefined;
	const isTaken = (arch: string): boolean => (only === undefined ? arches.includes(arch) : !only.includes(arch));
	const group =
		only === undefined
			? largest[1]
			: open.filter((entry) => lacks(entry) !== undefined && input.wanted.get(entry)!.join() === first);
	const others = input.entries.filter((entry) => !group.includes(entry) && input.wanted.get(entry)!.some(isTaken));
	const when = tell(input, group, others);
	if (when === undefined) return undefined;
	const listed = only === undefined ? { arches } : { only };
	return { exclusion: { ...listed, reason: unknownReason, ...given(when.condition) }, explained: when.explained };
}

function findException(
	input: ArchitecturesInput,
	candidates: readonly Candidate[],
	open: readonly JoinedEntry[],
): { readonly rule: ArchRule; readonly explained: ReadonlySet<JoinedEntry> } | undefined {
	let best:
		| { readonly rule: ArchRule; readonly explained: ReadonlySet<JoinedEntry>; readonly worth: number }
		| undefined;
	for (const candidate of candidates) {
		const right = open.filter((entry) => isRight(input, candidate, entry));
		if (right.length === 0) continue;
		const others = input.entries.filter((entry) => !isRight(input, candidate, entry));
		const when = tell(input, right, others);
		if (when === undefined) continue;
		const worth = when.explained.size - (candidate.cost + when.cost) / 4;
		if (best !== undefined && best.worth >= worth) continue;
		best = { rule: { ...given(when.condition), ...candidate.rule }, explained: when.explained, worth };
	}
	return best;
}

/** A condition for some entries and for none of the others; one that names today's values where no other does. */
function tell(
	{ vocabulary }: ArchitecturesInput,
	wanted: readonly JoinedEntry[],
	others: readonly JoinedEntry[],
):
	| { readonly condition: LearntCondition; readonly explained: ReadonlySet<JoinedEntry>; readonly cost: number }
	| undefined {
	const names = (of: readonly JoinedEntry[]): JoinedEntry["names"][] => of.map((entry) => entry.names);
	for (const words of [vocabulary, { ...vocabulary, isFleeting: (name: string) => name === "full" }]) {
		const { conditions, missed, cost } = separate(names(wanted), names(others), words);
		if (missed === 0 && conditions.length === 1) return { condition: conditions[0]!, explained: new Set(wanted), cost };
	}
	return undefined;
}

function given(when: LearntCondition): { readonly if?: ReturnType<typeof condition> } {
	return Object.keys(when).length === 0 ? {} : { if: condition(when) };
}

function candidatesOf(input: ArchitecturesInput): readonly Candidate[] {
	const bases: Candidate[] = [];
	for (const kinds of [["from"], ["from", "copy"]] as const) {
		const cost = kinds.length;
		bases.push({ rule: { parents: [...kinds] }, cost, of: (entry) => ofParents(input, entry, kinds) });
	}
	const lists = listsOf(input);
	for (const list of lists.filter(({ rule }) => rule.where === undefined && rule.stripPrefix === undefined)) {
		for (const prefix of ["", "windows-"]) {
			bases.push({
				rule: { data: [...list.path], ...(prefix === "" ? {} : { prefix }) },
				cost: 1.5 + prefix.length / 4,
				of: (entry) => list.of(entry)?.map((arch) => prefix + arch),
			});
		}
	}
	for (const list of new Set([...input.wanted.values()].map((arches) => arches.join()))) {
		const arches = list.split(",");
		bases.push({ rule: { static: arches }, cost: 3, of: () => arches });
	}
	const narrowed = bases.flatMap((base) =>
		lists.flatMap(({ rule, of }) =>
			[false, true].map((byData): Candidate => ({
				rule: { ...base.rule, intersect: [{ ...rule, ...(byData ? { order: "data" as const } : {}) }] },
				cost: base.cost + 1 + (byData ? 0.5 : 0) + (rule.where === undefined ? 0 : 0.25),
				of: (entry) => {
					const [left, right] = [base.of(entry), of(entry)];
					if (left === undefined || right === undefined) return undefined;
					return byData ? right.filter((arch) => left.includes(arch)) : left.filter((arch) => right.includes(arch));
				},
			})),
		),
	);
	return [...bases, ...narrowed];
}

function ofParents(
	{ image, entries, wanted, definitions, dockerfile }: ArchitecturesInput,
	entry: JoinedEntry,
	kinds: readonly ("from" | "copy")[],
): readonly string[] | undefined {
	const facts = dockerfile(entry);
	const images = kinds.flatMap((kind) => (kind === "from" ? (facts?.froms ?? []) : (facts?.copyFroms ?? [])));
	let found: readonly string[] | undefined;
	for (const from of images) {
		if (from.includes("/") || from === "scratch") continue;
		const [name = "", tag = "latest"] = from.split("@")[0]!.split(":");
		const own = entries.find(({ published }) => published.Tags.includes(tag) || published.SharedTags.includes(tag));
		const parents = definitions.get(name)?.unmerged;
		const parent =
			parents?.find(({ Tags }) => Tags.includes(tag)) ?? parents?.find(({ SharedTags }) => SharedTags.includes(tag));
		const arches = name === image ? (own === undefined ? undefined : wanted.get(own)) : parent?.Architectures;
		if (arches === undefined) return undefined;
		found = found?.filter((arch) => arches.includes(arch)) ?? arches;
	}
	return found?.toSorted();
}

interface List {
	readonly path: readonly string[];
	readonly rule: IntersectRule;
	readonly of: (entry: JoinedEntry) => readonly string[] | undefined;
}

/** Where the data has architectures: a list, or an object's keys, perhaps only those whose value has something. */
function listsOf({ entries, known, axes }: ArchitecturesInput): readonly List[] {
	const found = new Map<string, List>();
	for (const { entry, names } of entries) {
		for (const { path, prefix, where } of placesIn(entry.version.data, known)) {
			const templates = path.map((part) => {
				const axis = axes.find((name) => names[name] === part && part !== "");
				return axis === undefined ? part : `{${axis}}`;
			});
			const key = JSON.stringify([templates, prefix, where]);
			if (found.has(key) || found.size > 24) continue;
			const rule: IntersectRule = {
				path: templates,
				...(where === undefined ? {} : { where }),
				...(prefix === "" ? {} : { stripPrefix: prefix }),
			};
			found.set(key, { path: templates, rule, of: (one) => architecturesAt(one, templates, prefix, where) });
		}
	}
	return [...found.values()];
}

function architecturesAt(
	{ entry, names }: JoinedEntry,
	path: readonly string[],
	prefix: string,
	where: string | undefined,
): readonly string[] | undefined {
	let value: JsonValue | undefined = entry.version.data;
	for (const part of path) {
		const key = interpolate(part, names);
		if (key === undefined || typeof value !== "object" || value === null || !Object.hasOwn(value, key))
			return undefined;
		value = (value as Readonly<Record<string, JsonValue>>)[key];
	}
	if (typeof value !== "object" || value === null) return undefined;
	const keys = Array.isArray(value)
		? value.filter((item) => typeof item === "string")
		: orderedKeys(value).filter(
				(key) => where === undefined || has((value as Readonly<Record<string, JsonValue>>)[key], where),
			);
	return keys.filter((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length));
}

function has(value: JsonValue | undefined, key: string): boolean {
	if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return false;
	const inner = (value as Readonly<Record<string, JsonValue>>)[key];
	return inner !== null && inner !== false;
}

interface PlaceInData {
	readonly path: readonly string[];
	readonly prefix: string;
	readonly where: string | undefined;
}

const maxDepth = 3;

function placesIn(
	data: JsonValue | undefined,
	known: ReadonlySet<string>,
	path: readonly string[] = [],
): readonly PlaceInData[] {
	if (typeof data !== "object" || data === null || path.length > maxDepth) return [];
	if (Array.isArray(data)) {
		const isList = data.length > 0 && data.every((item) => typeof item === "string" && known.has(item));
		return isList ? [{ path, prefix: "", where: undefined }] : [];
	}
	const entries = orderedEntries(data as Readonly<Record<string, JsonValue>>);
	const below = entries.flatMap(([key, value]) => (/[{}]/.test(key) ? [] : placesIn(value, known, [...path, key])));
	const prefixes = new Set<string>();
	for (const [key] of entries) {
		if (known.has(key)) prefixes.add("");
		const dash = key.indexOf("-");
		if (dash > 0 && known.has(key.slice(dash + 1)) && !known.has(key)) prefixes.add(key.slice(0, dash + 1));
	}
	if (prefixes.size === 0 || path.length === 0) return below;
	const details = new Set(
		entries.flatMap(([, value]) => (typeof value === "object" && value !== null ? orderedKeys(value) : [])),
	);
	const wheres = [...details].filter((key) => !entries.every(([, value]) => has(value, key)));
	const own = [...prefixes].flatMap((prefix) =>
		[undefined, ...wheres.slice(0, 8)].map((where) => ({ path, prefix, where })),
	);
	return [...own, ...below];
}
