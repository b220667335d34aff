import type { Entry } from "../definition/index.ts";
import { counted } from "../io/index.ts";
import type { Published } from "./published.ts";

/** What is different of one entry, in words. */
export interface EntryDifference {
	/** Where it is: its directory, or its first tag. */
	readonly entry: string;
	readonly what: readonly string[];
}

export interface Comparison {
	readonly differences: readonly EntryDifference[];
	/** Whether they differ in nothing that has a meaning, and yet in their bytes. */
	readonly bytesOnly: boolean;
	readonly equal: boolean;
}

/** Compares a definition with the one that it should be, entry by entry and tag by tag. */
export function compareDefinitions(wanted: Published, made: Published): Comparison {
	const differences: EntryDifference[] = [];
	const left = new Map(made.entries.map((entry) => [keyOf(entry), entry]));
	for (const entry of wanted.entries) {
		const key = keyOf(entry);
		const other = left.get(key);
		left.delete(key);
		const what =
			other === undefined ? [`it is missing, with ${counted(entry.Tags.length, "tag")}`] : differencesOf(entry, other);
		if (what.length > 0) differences.push({ entry: nameOf(entry), what });
	}
	for (const entry of left.values()) {
		differences.push({ entry: nameOf(entry), what: [`it is not published: ${entry.Tags.join(", ")}`] });
	}
	const header = headerDifferences(wanted, made);
	if (header.length > 0) differences.unshift({ entry: "header", what: header });
	const equal = wanted.text === made.text;
	return { differences, bytesOnly: !equal && differences.length === 0, equal };
}

/** A directory with its Dockerfile; what has none is known by its first tag. */
function keyOf({ Directory, File, Tags, positions }: Entry): string {
	return positions.has("Directory") ? `${Directory}/${File}` : `:${Tags[0]}`;
}

function nameOf({ Directory, Tags, positions }: Entry): string {
	return positions.has("Directory") ? Directory : Tags[0]!;
}

function differencesOf(wanted: Entry, made: Entry): readonly string[] {
	return [
		...listDifferences("tags", wanted.Tags, made.Tags),
		...listDifferences("shared tags", wanted.SharedTags, made.SharedTags),
		...listDifferences("architectures", wanted.Architectures, made.Architectures),
		...listDifferences("constraints", wanted.Constraints, made.Constraints),
		...(["GitCommit", "GitFetch", "Builder", "File"] as const).flatMap((field) =>
			wanted[field] === made[field]
				? []
				: [`${field} is ${made[field] || "not there"}, not ${wanted[field] || "left out"}`],
		),
	];
}

function listDifferences(what: string, wanted: readonly string[], made: readonly string[]): readonly string[] {
	const lost = wanted.filter((item) => !made.includes(item));
	const more = made.filter((item) => !wanted.includes(item));
	if (lost.length > 0 || more.length > 0) {
		return [
			...(lost.length === 0 ? [] : [`${what} missing: ${lost.join(", ")}`]),
			...(more.length === 0 ? [] : [`${what} too many: ${more.join(", ")}`]),
		];
	}
	return wanted.join() === made.join() ? [] : [`${what} in another order`];
}

function headerDifferences(wanted: Published, made: Published): readonly string[] {
	const differences: string[] = [];
	if (wanted.comment !== made.comment) differences.push(`the first line is "${made.comment}", not "${wanted.comment}"`);
	if (wanted.maintainers.join() !== made.maintainers.join()) differences.push("other maintainers");
	for (const field of new Set([...Object.keys(wanted.fields), ...Object.keys(made.fields)])) {
		const [is, was] = [made.fields[field], wanted.fields[field]];
		if (is !== was) differences.push(`${field} is ${is ?? "not there"}, not ${was ?? "left out"}`);
	}
	return differences;
}
