import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { BrewlineError } from "../errors.ts";
import { printable } from "../io/printable.ts";
import type { Io } from "../io/types.ts";
import { checkFetch, rewriteAddress } from "./address.ts";
import { bareName, commitRef, makeBare, readCommits, writing } from "./bare.ts";
import { accessTo, git, type GitCredential } from "./command.ts";
import { exportTree } from "./export.ts";
import { fetchBranch, fetchCommits, fetchHistory } from "./fetch.ts";
import { findDirectory } from "./lookup.ts";
import { openObjects, type Objects } from "./objects.ts";
import { openReader, type ObjectReader } from "./reader.ts";
import { persistently, remoteFailure, remoteGit, type Remote } from "./remote.ts";

export interface GitBranchOptions {
	/** Where the cache is; made if it is not there. */
	readonly directory: string;
	/** An address, or the absolute path of a bare repository: the operator's choice, so it is not a definition's. */
	readonly address: string;
	/** Without `refs/heads/`. */
	readonly branch: string;
	/**
	 * Branches that are given the same text keep their objects in one repository of the cache, so that a commit of one can
	 * be the parent of one for the other. Default: each has its own.
	 */
	readonly shared?: string;
	readonly rewrite?: Readonly<Record<string, string>>;
	readonly credentials?: Readonly<Record<string, GitCredential>>;
}

export interface NewCommit {
	/** The commit that the changes are made to; undefined: the first one of the branch. */
	readonly parent: string | undefined;
	/** By path: what a file holds, or null where it is taken out. */
	readonly changes: ReadonlyMap<string, string | null>;
	readonly author: { readonly name: string; readonly email: string };
	/** Unix seconds. The same time, parent and changes make the same commit. */
	readonly time: number;
	readonly message: string;
}

/** What a commit says of itself. */
export interface CommitFacts {
	readonly parents: readonly string[];
	/** `NAME <MAIL> SECONDS ZONE` */
	readonly author: string;
	readonly committer: string;
	readonly message: string;
}

/** A branch of a remote repository that is read and written without a work tree. */
export interface GitBranch extends AsyncDisposable {
	/**
	 * The commit at which it is, which is then in the cache; undefined: there is no such branch. `whole`: with all of its
	 * history that the cache lacks, for where it is to be pushed to a repository that may not have it.
	 */
	head(options?: { readonly whole?: boolean }): Promise<string | undefined>;
	/** The ids of its last commits, the latest first, which are then in the cache; only after `head`. */
	history(depth: number): Promise<readonly string[]>;
	/** Of a commit in the cache. */
	facts(commit: string): Promise<CommitFacts>;
	/** Writes a directory of a commit in the cache into `into`, which must be empty or not there. */
	exportTree(commit: string, directory: string, into: string): Promise<void>;
	/** Of the repository's object format; only after `head`. */
	objects(): Objects;
	/** Writes a commit into the cache. */
	commit(commit: NewCommit): Promise<string>;
	/**
	 * Moves the branch from `expected` (undefined: it must not be there) to a commit; false: it was moved by somebody else in
	 * the meantime. An answer that got lost is asked for: what was pushed is never said not to be.
	 */
	push(commit: string, expected: string | undefined): Promise<boolean>;
	/** Deletes the branch, if it is at that commit; false: it was moved in the meantime. */
	remove(expected: string): Promise<boolean>;
	close(): Promise<void>;
}

/** What git says where another one was faster: our own git, or the server's. */
const outrun = /stale info|fetch first|non-fast-forward|failed to update ref|cannot lock ref|incorrect old value/i;
/** How many commits of others may have come on top of ours before its answer was found to be lost. */
const searched = 1000;
/** The branch was just said to be at the commit. */
const damaged =
	"the repository may be damaged: let git fsck look at it, and bring a copy of it back or push the branch to it again";
const nextRef = "refs/brewline/next";

/** Opens a branch. Nothing is started or written before the first question. */
export function openGitBranch(io: Io, options: GitBranchOptions): GitBranch {
	const ref = `refs/heads/${options.branch}`;
	checkFetch(ref);
	const { address } = options;
	const from = placeOf(options);
	let opened: { readonly remote: Remote; readonly reader: ObjectReader; readonly objects: Objects } | undefined;

	function remoteOf(format: "sha1" | "sha256"): Remote {
		const directory = join(options.directory, bareName(options.shared ?? `${address} ${options.branch}`, format));
		return { directory, address, from, access: accessTo(io, from, options.credentials ?? {}) };
	}

	/** The repository in the cache, once it is known what its ids look like. */
	async function open(format: "sha1" | "sha256"): Promise<Remote> {
		if (opened !== undefined) return opened.remote;
		const remote = remoteOf(format);
		await mkdir(options.directory, { recursive: true });
		await makeBare(remote.directory, format);
		const reader = openReader(io, remote.directory);
		opened = { remote, reader, objects: openObjects(remote.directory, () => reader) };
		return remote;
	}

	function known(): NonNullable<typeof opened> {
		if (opened === undefined) throw new BrewlineError("internal", "the head of the branch was not asked for");
		return opened;
	}

	/** Where the branch is now; asked of the remote. */
	async function ask(): Promise<string | undefined> {
		// Without a repository of ours, which may not be there yet.
		const { remote } = opened ?? { remote: { ...remoteOf("sha1"), directory: options.directory } };
		try {
			const lines = await persistently(io, remote, "git ls-remote of", (at) =>
				remoteGit(io, remote, ["ls-remote", "--quiet", "--", at, ref, "HEAD"]),
			);
			const ids = new Map(
				[...lines.toString("utf8").matchAll(/^([0-9a-f]{40}|[0-9a-f]{64})\t(.*)$/gm)].map(([, id, name]) => [
					name!,
					id!,
				]),
			);
			const head = ids.get(ref);
			await open((head ?? ids.get("HEAD"))?.length === 64 ? "sha256" : "sha1");
			return head;
		} catch (error) {
			throw remoteFailure(remote, "cannot read the branches of", error, "check that it is a git repository");
		}
	}

	async function fetched(head: string): Promise<void> {
		const { remote } = known();
		if ((await readCommits(remote.directory)).has(head)) return;
		const failures = await writing(io, remote.directory, () =>
			fetchCommits(io, remote, [{ commit: head, fetch: ref }], undefined, damaged),
		);
		for (const failure of failures.values()) throw failure;
	}

	/** Whether the commit got into the branch, although the answer to the push did not come. */
	async function landed(commit: string): Promise<boolean> {
		const { remote } = known();
		const ids = await writing(io, remote.directory, () => fetchHistory(io, remote, ref, searched));
		return ids.includes(commit);
	}

	async function push(
		at: string,
		commit: string | undefined,
		expected: string | undefined,
		first: boolean,
	): Promise<boolean> {
		const { remote } = known();
		const lease = `--force-with-lease=${ref}:${expected ?? ""}`;
		const refspec = `${commit ?? ""}:${ref}`;
		const args = ["push", "--quiet", "--no-verify", "--no-recurse-submodules", lease, "--", at, refspec];
		try {
			await remoteGit(io, remote, args);
			return true;
		} catch (error) {
			if (!(error instanceof BrewlineError) || error.code !== "git") throw error;
			const now = await ask();
			if (now === commit) return true;
			if (now === expected) {
				// Two that hold the server's lock at the same time may both have been sent away.
				if (outrun.test(error.message)) return false;
				throw error;
			}
			// Our own git saw it before it sent anything.
			const unsent = first && /stale info/.test(error.message);
			// What the server says may be its answer to a repetition: curl sends again what it had no answer to.
			return now === undefined || commit === undefined || unsent ? false : await landed(commit);
		}
	}

	async function move(commit: string | undefined, expected: string | undefined): Promise<boolean> {
		const { remote } = known();
		try {
			let attempts = 0;
			const moved = await persistently(io, remote, "git push to", (at) => push(at, commit, expected, attempts++ === 0));
			// From now on it is as if it had been fetched.
			if (moved && commit !== undefined) {
				await writing(io, remote.directory, async () => {
					await git(io, ["update-ref", commitRef(commit), commit], { directory: remote.directory });
				});
			}
			return moved;
		} catch (error) {
			const hint = `check that ${ref} may be pushed to: it needs no review, and no rule may protect it`;
			const failure = remoteFailure(remote, "cannot push to", error, hint);
			if (!(failure instanceof BrewlineError) || failure.code !== "credentials") throw failure;
			throw new BrewlineError("credentials", failure.message, {
				hint: `the credential for this address must be one that may write (on GitHub: contents: write)`,
				cause: failure.cause,
			});
		}
	}

	const close = async () => {
		await opened?.reader.close();
	};

	return {
		head: async ({ whole = false } = {}) => {
			const head = await ask();
			if (head === undefined) return undefined;
			if (!whole) await fetched(head);
			else {
				const { remote } = known();
				await writing(io, remote.directory, () => fetchBranch(io, remote, ref, head));
			}
			return head;
		},
		history: async (depth) => {
			const { remote } = known();
			return await writing(io, remote.directory, () => fetchHistory(io, remote, ref, depth));
		},
		facts: async (commit) => {
			const text = await git(io, ["cat-file", "commit", commit], { directory: known().remote.directory });
			return factsOf(text.toString("utf8"));
		},
		objects: () => known().objects,
		exportTree: async (commit, directory, into) => {
			const { remote, objects } = known();
			const { kind, id } = await findDirectory(objects, (await objects.commit(commit)).tree, directory);
			await exportTree(io, remote.directory, objects, kind === "submodule" ? null : id, into);
		},
		commit: async (commit) => {
			const { remote } = known();
			const output = await writing(io, remote.directory, () =>
				git(io, ["fast-import", "--quiet", "--force", "--date-format=raw", "--done"], {
					directory: remote.directory,
					input: instructions(commit),
				}),
			);
			const id = output.toString("latin1").trim();
			if (!/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(id))
				throw new BrewlineError("git", `git fast-import answered ${printable(id, 100)}`);
			return id;
		},
		push: move,
		remove: (expected) => move(undefined, expected),
		close,
		[Symbol.asyncDispose]: close,
	};
}

/** Where an address leads to: the operator's, so it may be a path of this machine. */
function placeOf({ address, rewrite = {} }: Pick<GitBranchOptions, "address" | "rewrite">): string {
	return /^\/(?!.*\/\.\.(?:\/|$))\P{Cc}+$/u.test(address) ? address : rewriteAddress(address, rewrite);
}

/** The branch that a repository has as its default one; undefined: it has none, since it is empty. */
export async function defaultBranchOf(
	io: Io,
	options: Omit<GitBranchOptions, "branch" | "shared">,
): Promise<string | undefined> {
	const { address, directory } = options;
	const from = placeOf(options);
	const remote: Remote = { directory, address, from, access: accessTo(io, from, options.credentials ?? {}) };
	try {
		const lines = await persistently(io, remote, "git ls-remote of", (at) =>
			remoteGit(io, remote, ["ls-remote", "--quiet", "--symref", "--", at, "HEAD"]),
		);
		const ref = /^ref: (refs\/heads\/.*)\tHEAD$/m.exec(lines.toString("utf8"))?.[1];
		if (ref === undefined) return undefined;
		checkFetch(ref);
		return ref.slice("refs/heads/".length);
	} catch (error) {
		throw remoteFailure(remote, "cannot read the branches of", error, "check that it is a git repository");
	}
}

function factsOf(text: string): CommitFacts {
	const end = text.indexOf("\n\n");
	const header = (end < 0 ? text : text.slice(0, end)).split("\n");
	const values = (key: string) =>
		header.filter((line) => line.startsWith(`${key} `)).map((line) => line.slice(key.length + 1));
	return {
		parents: values("parent"),
		author: values("author")[0] ?? "",
		committer: values("committer")[0] ?? "",
		message: end < 0 ? "" : text.slice(end + 2),
	};
}

/** What `git fast-import` is told: one process writes all objects of a commit, each whole or not at all. */
function instructions({ parent, changes, author, time, message }: NewCommit): string {
	const name = (text: string) => text.replace(/[<>\p{Cc}]/gu, "").trim();
	const person = `${name(author.name)} <${name(author.email)}> ${time} +0000`;
	const data = (text: string) => `data ${Buffer.byteLength(text)}\n${text}\n`;
	const lines = [`commit ${nextRef}\nmark :1\nauthor ${person}\ncommitter ${person}\n`, data(message)];
	if (parent !== undefined) lines.push(`from ${parent}\n`);
	for (const [path, text] of changes) {
		if (!/^[\w./-]+$/.test(path))
			throw new BrewlineError("internal", `a path that git would not take: ${printable(path)}`);
		lines.push(text === null ? `D ${path}\n` : `M 100644 inline ${path}\n${data(text)}`);
	}
	return [...lines, "get-mark :1\ndone\n"].join("");
}
