/** A commit of an image's repository. */
export interface SourceCommit {
	readonly id: string;
	/** The first line of its message: text from outside. */
	readonly subject: string;
	/** Unix seconds of the committer's date. */
	readonly time: number;
}

/** What happened in an image's repository since what the library has. */
export interface SourceChanges {
	/** The latest first; at most as many as a message lists. */
	readonly commits: readonly SourceCommit[];
	/** How many there are beyond those. */
	readonly more: number;
	/** Whether one of all these says that it is about security. */
	readonly security: boolean;
	/** Unix seconds of the newest commit that the new definitions name; undefined: none of them is known here. */
	readonly newest: number | undefined;
	/** The same of the definitions that the library has. */
	readonly published: number | undefined;
	/** The address of a commit's page is this, and `/commit/ID`; undefined: nobody serves one. */
	readonly page: string | undefined;
}

/** Name of an image to the text of its definition. */
export type Definitions = ReadonlyMap<string, string>;

export type Outcome =
	/** A pull request was opened, or the branch pushed for the first time. */
	| "proposed"
	/** What was proposed before is now this. */
	| "updated"
	/** Just this is proposed already. */
	| "unchanged"
	/** The library has all of it; a branch that was left is deleted, its pull request closed. */
	| "published"
	/** It is not proposed yet: the last proposal is too young. */
	| "waits"
	/** The same was proposed before, and people closed it. */
	| "declined"
	/** Somebody else committed to the branch: it was not touched. */
	| "foreign";

export interface Proposal {
	readonly outcome: Outcome;
	/** One sentence for people: why this came of it. */
	readonly reason: string;
	/** Of the images whose definitions differ from the library's. */
	readonly images: readonly string[];
	readonly branch: string;
	/** The library's default branch, and the commit that it was at. */
	readonly base: { readonly branch: string; readonly commit: string };
	/** The commit that the branch is at, in a dry run now; null: there is none. */
	readonly commit: string | null;
	/** The page of the pull request; null: there is none. */
	readonly url: string | null;
	/** Null where nothing is to be proposed. */
	readonly title: string | null;
	readonly body: string | null;
	/** When it can be proposed (ISO 8601), where it waits. */
	readonly after: string | null;
	readonly security: boolean;
	readonly commits: readonly SourceCommit[];
	readonly dryRun: boolean;
}
