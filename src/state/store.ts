import { createHash } from "node:crypto";
import { BrewlineError, messageOf } from "../errors.ts";
import { openGitBranch, type GitBranchOptions } from "../git/index.ts";
import { printable } from "../io/printable.ts";
import type { Io } from "../io/types.ts";
import { splitState } from "./files.ts";
import { readState, type StoredFiles } from "./read.ts";
import { emptyState, type State } from "./types.ts";

export interface StateStoreOptions extends Omit<GitBranchOptions, "branch"> {
	/** Default: `brewline-state`. */
	readonly branch?: string;
	/** Who the commits are by. */
	readonly author: { readonly name: string; readonly email: string };
	/** How often a change is tried while others keep changing the state; default 20. */
	readonly tries?: number;
}

export interface ReadState {
	readonly state: State;
	/** The commit that it stands in; null: the branch is not there yet, and the state is empty. */
	readonly commit: string | null;
}

export interface UpdatedState extends ReadState {
	/** Whether a commit was made. */
	readonly changed: boolean;
}

export interface StateStore extends AsyncDisposable {
	/** The state as it is now. */
	read(): Promise<ReadState>;
	/**
	 * Applies `change` to the state as it is, and writes what comes of it if nobody wrote in the meantime; else it does so
	 * again from the new state. So `change` may be called several times, and must say what changes, not what was read.
	 * The commit has the files that differ; where none does, none is made.
	 */
	update(change: (state: State) => State | Promise<State>, message: string): Promise<UpdatedState>;
	close(): Promise<void>;
}

/** Milliseconds: doubled with each try, up to the second one. */
const firstPause = 100;
const longestPause = 5000;

/**
 * Opens the state that is kept on a branch (docs/design.md, State). Nothing is asked before the first call. Throws
 * `handover` where the branch holds what is no state of this version: it is never begun anew by itself.
 */
export function openState(io: Io, options: StateStoreOptions): StateStore {
	const { author, tries = 20, branch: name = "brewline-state", ...where } = options;
	const branch = openGitBranch(io, { ...where, branch: name });
	let known: StoredFiles = new Map();
	/** What is under way: one after the other, so that one program does not race with itself. */
	let last: Promise<unknown> = Promise.resolve();

	async function read(): Promise<ReadState & { readonly files: StoredFiles }> {
		const commit = await branch.head();
		if (commit === undefined) return { state: emptyState, commit: null, files: new Map() };
		try {
			const { state, files } = await readState(branch.objects(), commit, known);
			known = files;
			return { state, commit, files };
		} catch (error) {
			throw refused(error, name, `${options.address}#${commit}`);
		}
	}

	async function update(change: (state: State) => State | Promise<State>, message: string): Promise<UpdatedState> {
		for (let attempt = 0; attempt < tries; attempt++) {
			if (attempt > 0) await io.clock.sleep(Math.min(firstPause * 2 ** (attempt - 1), longestPause), io.signal);
			const { state: before, commit: parent, files } = await read();
			const state = await change(before);
			const changes = changesTo(files, splitState(state), parent);
			if (changes.size === 0) return { state: before, commit: parent, changed: false };
			const time = Math.floor(io.clock.now() / 1000);
			const commit = await branch.commit({ parent: parent ?? undefined, changes, author, time, message });
			if (await branch.push(commit, parent ?? undefined)) return { state, commit, changed: true };
			io.log({ type: "message", level: "debug", text: `the state was changed by somebody else: try ${attempt + 2}` });
		}
		throw new BrewlineError("git", `the state was changed by others ${tries} times while it was to be changed`, {
			hint: "try again; where many jobs write at the same time, let one of them write for all",
		});
	}

	const inTurn = <T>(action: () => Promise<T>): Promise<T> => {
		const turn = last.then(action);
		last = turn.catch(() => {});
		return turn;
	};

	return {
		read: async () => {
			const { state, commit } = await inTurn(read);
			return { state, commit };
		},
		update: (change, message) => inTurn(() => update(change, message)),
		close: () => branch.close(),
		[Symbol.asyncDispose]: () => branch.close(),
	};
}

/** What differs from the files of a commit, without asking git: a blob's id says what it holds. */
function changesTo(
	before: StoredFiles,
	after: ReadonlyMap<string, string>,
	parent: string | null,
): ReadonlyMap<string, string | null> {
	const changes = new Map<string, string | null>();
	for (const path of before.keys()) if (!after.has(path)) changes.set(path, null);
	const algorithm = parent?.length === 64 ? "sha256" : "sha1";
	for (const [path, text] of after) {
		const known = before.get(path);
		const blob = () =>
			createHash(algorithm)
				.update(`blob ${Buffer.byteLength(text)}\0`)
				.update(text)
				.digest("hex");
		if (known === undefined || known.id !== blob()) changes.set(path, text);
	}
	return changes;
}

/** What git or a reader says about the content becomes an error of the state, with the way out. */
function refused(error: unknown, branch: string, where: string): unknown {
	if (!(error instanceof BrewlineError)) return error;
	// A hint of git's own is about this machine: its cache, its programs.
	const content = error.code === "handover" || (error.code === "git" && error.hint === undefined);
	if (!content) return error;
	return new BrewlineError("handover", `${printable(where)}: the state cannot be used: ${messageOf(error)}`, {
		hint:
			`push a commit of ${printable(branch)} that was sound back to it, or use the version of Brewline that wrote it; ` +
			"or delete the branch: tries, first-seen times and decisions are lost with it, nothing else",
		...(error.at === undefined ? {} : { at: error.at }),
		cause: error,
	});
}
