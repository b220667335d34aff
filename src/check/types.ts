import type { Entry, MergedEntry } from "../definition/index.ts";
import type { Location } from "../errors.ts";
import type { SourceCandidate } from "../sources/index.ts";
import type { RuleId } from "./rules.ts";

export type Severity = "error" | "warning" | "note";

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

/** Where an entry names a tag or shared tag. */
export function placeOfTag({ parts }: MergedEntry, tag: string): Location {
	for (const part of parts) {
		if (part.Tags.includes(tag)) return placeOf(part, "Tags");
		if (part.SharedTags.includes(tag)) return placeOf(part, "SharedTags");
	}
	return parts[0]!.at;
}

/** Where in which Dockerfile, to be put behind a message; empty where it is about none. */
export function sourceText({ source }: Pick<Finding, "source">): string {
	if (source === undefined) return "";
	const { file, line, commit } = source;
	return ` (${file}${line === undefined ? "" : `:${line}`} at ${commit.slice(0, 12)})`;
}
