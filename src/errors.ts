/** What each error code means and which exit code a command ends with because of it: the one table of both. */
export const errorCodes = {
	failed: { exit: 1, meaning: "some of the work failed: a build, a check, a tag" },
	usage: { exit: 2, meaning: "the command line or an action's inputs cannot be used" },
	config: { exit: 2, meaning: "the configuration cannot be used" },
	definition: { exit: 3, meaning: "a library definition is not valid" },
	reference: { exit: 3, meaning: "an image reference is not valid, or names nothing" },
	dockerfile: { exit: 3, meaning: "a Dockerfile cannot be read" },
	template: { exit: 3, meaning: "a template cannot be rendered" },
	limit: { exit: 3, meaning: "what an image repository brings ran into a limit of time or memory" },
	cycle: { exit: 3, meaning: "images are built from one another in a circle" },
	handover: { exit: 3, meaning: "a hand-over file is damaged, of an unknown version, or not the one expected" },
	layout: { exit: 3, meaning: "an OCI layout or archive is not valid" },
	git: { exit: 4, meaning: "a commit, path or repository cannot be read" },
	registry: { exit: 5, meaning: "a registry is down, or answered what it must not" },
	credentials: { exit: 5, meaning: "a registry or git server refused the credentials" },
	github: { exit: 5, meaning: "GitHub's API is down, or answered what it must not" },
	digest: { exit: 5, meaning: "content is not what its digest or size says" },
	engine: { exit: 6, meaning: "Docker, BuildKit or an emulator is missing or cannot do what is needed" },
	build: { exit: 1, meaning: "a build failed" },
	timeout: { exit: 1, meaning: "a build ran into its time limit" },
	incomplete: { exit: 7, meaning: "nothing failed, but something is held back or waits" },
	"node-version": { exit: 8, meaning: "this Node.js is too old" },
	internal: { exit: 70, meaning: "a defect in this program" },
	cancelled: { exit: 130, meaning: "ended by a signal" },
} as const;

export type ErrorCode = keyof typeof errorCodes;

/** A place in a file that a person can go to; line and column count from 1. */
export interface Location {
	readonly file: string;
	readonly line?: number;
	readonly column?: number;
}

export interface ErrorDetails {
	/** How to mend it, as one sentence. */
	readonly hint?: string;
	readonly at?: Location;
	readonly cause?: unknown;
	/** Where several things are wrong: each of them. */
	readonly errors?: readonly BrewlineError[];
}

/** Every error that this package throws on purpose: what (message), where (at) and how to mend it (hint). */
export class BrewlineError extends Error {
	override readonly name = "BrewlineError";
	readonly code: ErrorCode;
	readonly hint: string | undefined;
	readonly at: Location | undefined;
	readonly errors: readonly BrewlineError[];

	constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
		super(message, details.cause === undefined ? undefined : { cause: details.cause });
		this.code = code;
		this.hint = details.hint;
		this.at = details.at;
		this.errors = details.errors ?? [];
	}
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
	return error instanceof Error ? error.message : String(error);
}
