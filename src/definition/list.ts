import posix from "node:path/posix";
import { BrewlineError } from "../errors.ts";
import type { Selection } from "./library.ts";
import { printDefinition, printEntry } from "./print.ts";
import { quote } from "./problems.ts";
import { nearest } from "./text.ts";
import type { Entry } from "./types.ts";

/** Which entries of a definition count (spec/manifest.md, References, `list`). */
export interface EntryFilter {
	readonly architecture: string;
	/** Skip entries that are not for this architecture. */
	readonly archFilter?: boolean;
	/** Skip these, and entries with a constraint that is not met. */
	readonly applyConstraints?: boolean;
	/** The constraints that are met. */
	readonly constraints?: readonly string[];
	/** When constraints are applied, skip entries without any, too. */
	readonly exclusiveConstraints?: boolean;
}

export interface ListOptions {
	readonly namespace?: string;
	/** Only the first tag of each entry. */
	readonly uniq?: boolean;
	/** Names of images in place of their tags; for a reference with a tag, the tags of its first entry, unfiltered. */
	readonly repos?: boolean;
	readonly filter?: EntryFilter;
}

/** The full tags of all entries that are selected, in order, repetitions kept. */
export function list(selections: readonly Selection[], options: ListOptions = {}): readonly string[] {
	const { namespace = "", uniq = false, repos = false, filter } = options;
	return selections.flatMap(({ name, tag, entries }) => {
		const image = posix.join(namespace, name);
		const tags = (entry: Entry) => fullTags(image, entry).slice(0, uniq ? 1 : undefined);
		if (repos) return tag === null ? [image] : entries.slice(0, 1).flatMap(tags);
		return entries.filter((entry) => filter === undefined || !isSkipped(entry, filter)).flatMap(tags);
	});
}

/** `IMAGE:TAG` of the tags, then of the shared tags. */
export function fullTags(image: string, entry: Entry): readonly string[] {
	return [...entry.Tags, ...entry.SharedTags].map((tag) => `${image}:${tag}`);
}

export function isSkipped(entry: Entry, filter: EntryFilter): boolean {
	const elsewhere = !entry.Architectures.includes(filter.architecture);
	return (
		((filter.archFilter ?? false) && elsewhere) ||
		(filter.applyConstraints ? elsewhere || !meets(entry, filter) : false)
	);
}

function meets({ Constraints }: Entry, { constraints = [], exclusiveConstraints = false }: EntryFilter): boolean {
	if (Constraints.length === 0) return !exclusiveConstraints;
	return Constraints.every((constraint) =>
		constraint.startsWith("!") ? !constraints.includes(constraint.slice(1)) : constraints.includes(constraint),
	);
}

/**
 * The canonical text of each selection, with a tag each of its entries in full, with a newline at the end.
 * What was not UTF-8 is in it as in the definitions: write it through `encodeText`.
 */
export function cat(selections: readonly Selection[]): string {
	return selections
		.map(({ tag, definition, entries }) =>
			tag === null ? printDefinition(definition) : entries.map(printEntry).join("\n\n"),
		)
		.map((text) => (text.endsWith("\n") ? text : `${text}\n`))
		.join("\n\n");
}

/** @throws BrewlineError `usage` where an architecture that was asked for is none of the known ones */
export function requireArchitecture(name: string, architectures: Iterable<string>): void {
	const known = [...architectures];
	if (known.includes(name)) return;
	const near = nearest(name, known);
	throw new BrewlineError("usage", `unknown architecture ${quote(name)}`, {
		hint: `${near === undefined ? "" : `Did you mean ${near}? `}Known are ${known.join(", ")}.`,
	});
}
