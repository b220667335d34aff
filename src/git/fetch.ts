import { createHash } from "node:crypto";
import { BrewlineError, messageOf } from "../errors.ts";
import { printable } from "../io/printable.ts";
import type { Io } from "../io/types.ts";
import { commitRef } from "./bare.ts";
import { git } from "./command.ts";
import { hintFor, isConnectionProblem, isRefused, persistently, reason, remoteGit, type Remote } from "./remote.ts";

export interface Wanted {
	readonly commit: string;
	/** The ref that is fetched where the server does not give the commit by its id. */
	readonly fetch: string;
}

const fetchArgs = [
	"fetch",
	"--quiet",
	"--no-tags",
	"--no-write-fetch-head",
	"--no-auto-gc",
	"--no-recurse-submodules",
	"--update-shallow",
];

/** What git takes for all of the history. */
const wholeHistory = 0x7fffffff;

/**
 * Fetches commits, each without its history: all in one go by their ids, and those that the server does not give
 * so by their refs: the tip first, which it mostly is, then the whole history. Gives back the reasons for those that
 * cannot be had. `depths`: how much of a ref's history is fetched, one try after the other. `otherwise`: how to mend what is neither
 * about the connection nor about access. To be called while `writing`.
 */
export async function fetchCommits(
	io: Io,
	remote: Remote,
	wanted: readonly Wanted[],
	depths: readonly number[] = [1, wholeHistory],
	otherwise = namedByDefinition,
): Promise<ReadonlyMap<string, BrewlineError>> {
	const byId = await fetchById(io, remote, [...new Set(wanted.map((want) => want.commit))]);
	const failures = new Map<string, BrewlineError>();
	const byRef = Map.groupBy(
		wanted.filter((want) => byId.has(want.commit)),
		(want) => want.fetch,
	);
	for (const [ref, wants] of byRef) {
		// Another ref may have brought them by now.
		let left = wants.map((want) => want.commit).filter((commit) => byId.has(commit));
		if (left.length === 0) continue;
		let reason: unknown;
		for (const depth of depths) {
			try {
				await fetchRef(io, remote, ref, depth);
			} catch (error) {
				if (error instanceof BrewlineError && error.code === "cancelled") throw error;
				reason = error;
				break;
			}
			left = await markThose(io, remote, left);
			if (left.length === 0) break;
		}
		for (const commit of wants.map((want) => want.commit)) {
			if (!left.includes(commit)) {
				byId.delete(commit);
				failures.delete(commit);
			} else {
				failures.set(commit, unreachable(remote, { commit, ref, otherwise }, byId.get(commit), reason));
			}
		}
	}
	return failures;
}

/** One fetch for all of them; the ids that the server complains about are left out of the next try. */
async function fetchById(io: Io, remote: Remote, commits: readonly string[]): Promise<Map<string, unknown>> {
	const failed = new Map<string, unknown>();
	let left = commits;
	while (left.length > 0) {
		try {
			await fetch(
				io,
				remote,
				["--depth=1"],
				left.map((commit) => `${commit}:${commitRef(commit)}`),
			);
			return failed;
		} catch (error) {
			if (error instanceof BrewlineError && error.code === "cancelled") throw error;
			const text = messageOf(error);
			const named = new Set([...text.matchAll(/not our ref ([0-9a-f]{40,64})/g)].map((match) => match[1]!));
			const bad = left.filter((commit) => named.has(commit));
			if (bad.length > 0) {
				for (const commit of bad) failed.set(commit, error);
				left = left.filter((commit) => !named.has(commit));
			} else if (left.length > 1 && !isConnectionProblem(text) && !/unadvertised object/.test(text)) {
				const middle = left.length >>> 1;
				for (const half of [left.slice(0, middle), left.slice(middle)])
					for (const [commit, reason] of await fetchById(io, remote, half)) failed.set(commit, reason);
				return failed;
			} else {
				for (const commit of left) failed.set(commit, error);
				return failed;
			}
		}
	}
	return failed;
}

/** Fetches a ref with that much of its history. To be called while `writing`. */
export async function fetchRef(io: Io, remote: Remote, ref: string, depth: number | "all"): Promise<void> {
	await fetch(io, remote, [`--depth=${depth === "all" ? wholeHistory : depth}`], [`+${ref}:${fetchedRef(ref)}`]);
}

/** Fetches commits by their ids, with all of their history. To be called while `writing`. */
export async function fetchWhole(io: Io, remote: Remote, commits: readonly string[]): Promise<void> {
	await fetch(
		io,
		remote,
		[`--depth=${wholeHistory}`],
		commits.map((commit) => `${commit}:${commitRef(commit)}`),
	);
}

/** Where in the cache a ref is that was fetched. */
export function fetchedRef(ref: string): string {
	return `refs/brewline/fetched/${createHash("sha256").update(ref).digest("hex")}`;
}

/** The ids of a ref's last commits, the latest first. To be called while `writing`. */
export async function fetchHistory(io: Io, remote: Remote, ref: string, depth: number): Promise<readonly string[]> {
	await fetchRef(io, remote, ref, depth);
	const ids = await git(io, ["rev-list", fetchedRef(ref), "--"], { directory: remote.directory });
	return ids.toString("latin1").trim().split("\n");
}

/**
 * A ref that is at a commit, with all of its history that is not here: what is here is told to the server, so where this is a
 * part of that history, only what came after it is fetched. To be called while `writing`.
 */
export async function fetchBranch(io: Io, remote: Remote, ref: string, commit: string): Promise<void> {
	await fetch(io, remote, [], [`+${ref}:${fetchedRef(ref)}`]);
	const [missing] = await markThose(io, remote, [commit]);
	if (missing === undefined) return;
	throw new BrewlineError("git", `${printable(ref)} of ${printable(remote.address)} was moved while it was read`, {
		hint: "try again",
	});
}

/** Marks the commits that are there with all that belongs to them; gives back the others. */
async function markThose(io: Io, remote: Remote, commits: readonly string[]): Promise<string[]> {
	const left: string[] = [];
	for (const commit of commits) {
		try {
			await git(io, ["rev-list", "--objects", "--no-walk", "--quiet", commit, "--"], { directory: remote.directory });
			await git(io, ["update-ref", commitRef(commit), commit], { directory: remote.directory });
		} catch (error) {
			if (error instanceof BrewlineError && error.code === "cancelled") throw error;
			left.push(commit);
		}
	}
	return left;
}

async function fetch(io: Io, remote: Remote, options: readonly string[], refspecs: readonly string[]): Promise<void> {
	const input = refspecs.map((refspec) => `${refspec}\n`).join("");
	await persistently(io, remote, "git fetch from", (from) =>
		remoteGit(io, remote, [...fetchArgs, ...options, "--stdin", "--", from], input),
	);
}

const namedByDefinition =
	"check GitCommit, and that GitFetch names a ref whose history has it: a commit that was force-pushed away may be gone";

function unreachable(
	remote: Remote,
	{ commit, ref, otherwise }: Readonly<Record<"commit" | "ref" | "otherwise", string>>,
	byId: unknown,
	byRef: unknown,
): BrewlineError {
	const ids = reason(byId);
	const refs = byRef === undefined ? "it is not in the history of that ref" : reason(byRef);
	const from = remote.from === remote.address ? "" : ` (fetched from ${printable(remote.from)})`;
	const text = `${messageOf(byId)} ${messageOf(byRef)}`;
	return new BrewlineError(
		isRefused(text) ? "credentials" : "git",
		`cannot fetch ${commit} of ${printable(remote.address)}${from}: by its id: ${ids}; by ${printable(ref)}: ${refs}`,
		{
			// Where git itself cannot be started, that is what to mend.
			hint: (byId instanceof BrewlineError ? byId.hint : undefined) ?? hintFor(remote, text, otherwise),
			cause: byId,
		},
	);
}
