import type { Entry, MergedEntry } from "../definition/index.ts";
import type { Location } from "../errors.ts";
import type { SourceCandidate } from "../sources/index.ts";
import type { RuleId } from "./rules.ts";

export type Severity = "error" | "warning" | "note";

/** What GitHub's runner calls them: the commands that annotate; the worst first. */
export const runnerLevels = { error: "error", warning: "warning", note: "notice" } as const satisfies Record<
	Severity,
	string
>;

/** A line of a Dockerfile in the repository that an entry names. */
export interface SourceLine {
	readonly repository: string;
	readonly commit: string;
	/** The path in the repository. */
	readonly file: string;
	readonly line?: number;
}

/** Something that reviewers should know. Nothing in it is escaped: who shows it does that. */
export interface Finding {
	readonly rule: RuleId;
	readonly severity: Severity;
	readonly image: string;
	/** The first tag of the entry that it is about, or the tag; without it, the definition as a whole. */
	readonly tag?: string;
	/** Where in the definition. */
	readonly at?: Location;
	readonly source?: SourceLine;
	readonly message: string;
	/** How to mend it. */
	readonly fix?: string;
	/** What explains the rule. */
	readonly link: string;
	/** The same for programs; which keys there are depends on the rule. */
	readonly details?: Readonly<Record<string, unknown>>;
}

/** What a rule finds; the table of rules adds the rest. */
export type Draft = Omit<Finding, "severity" | "link">;

/** An entry with what is known of its Dockerfiles. */
export interface CheckedEntry {
	readonly image: string;
	readonly entry: MergedEntry;
	/** By architecture. */
	readonly candidates: ReadonlyMap<string, SourceCandidate>;
	/** By architecture; those whose Dockerfile cannot be read are left out. */
	readonly froms: ReadonlyMap<string, readonly string[]>;
}

/** Where an entry has a field; where the entry starts, if it inherits that. */
export function placeOf(entry: Entry, field: string): Location {
	const place = entry.positions.get(field);
	return place === undefined ? entry.at : { file: entry.at.file, line: place.line, column: place.column };
}

/** Of each entry that was asked about: there may be a finding for each of very many tags. */
const placesByTag = new WeakMap<MergedEntry, ReadonlyMap<string, Location>>();

/** Where an entry names a tag or shared tag. */
export function placeOfTag(entry: MergedEntry, tag: string): Location {
	let places = placesByTag.get(entry);
	if (places === undefined) placesByTag.set(entry, (places = placesOfTags(entry)));
	return places.get(tag) ?? entry.parts[0]!.at;
}

function placesOfTags({ parts }: MergedEntry): ReadonlyMap<string, Location> {
	const places = new Map<string, Location>();
	for (const part of parts) {
		for (const field of ["Tags", "SharedTags"] as const) {
			// What is inherited stands in no line of its own, and would be very much where all entries inherit it.
			if (!part.positions.has(field)) continue;
			const place = placeOf(part, field);
			for (const tag of part[field]) if (!places.has(tag)) places.set(tag, place);
		}
	}
	return places;
}

/** Where in which Dockerfile, to be put behind a message; empty where it is about none. */
export function sourceText({ source }: Pick<Finding, "source">): string {
	if (source === undefined) return "";
	const { file, line, commit } = source;
	return ` (${file}${line === undefined ? "" : `:${line}`} at ${commit.slice(0, 12)})`;
}
