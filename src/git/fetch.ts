import { createHash } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { BrewlineError, messageOf } from "../errors.ts";
import { printable } from "../io/printable.ts";
import type { Io } from "../io/types.ts";
import { protocolOf } from "./address.ts";
import { commitRef } from "./bare.ts";
import { git, type Access, type GitConfig } from "./command.ts";

export interface Wanted {
	readonly commit: string;
	/** The ref that is fetched where the server does not give the commit by its id. */
	readonly fetch: string;
}

export interface Remote {
	readonly directory: string;
	/** As in the definition: what messages say. */
	readonly address: string;
	/** After `git.rewrite`. */
	readonly from: string;
	readonly access: Access;
}

/** Everything that one pack per fetch and no housekeeping needs. */
const fetchConfig: GitConfig = [
	["gc.auto", "0"],
	["maintenance.auto", "false"],
	// One pack for each fetch, not thousands of files.
	["fetch.unpackLimit", "1"],
	["transfer.unpackLimit", "1"],
	["fetch.recurseSubmodules", "false"],
	["submodule.recurse", "false"],
	["core.hooksPath", "/dev/null"],
];

const fetchArgs = [
	"fetch",
	"--quiet",
	"--no-tags",
	"--no-write-fetch-head",
	"--no-auto-gc",
	"--no-recurse-submodules",
	"--update-shallow",
];

/** Git's own locks: what is there while we hold ours is what a killed process left. */
const staleLocks = ["shallow.lock", "packed-refs.lock", "config.lock"];

/** Refused by this server or unknown to it: asking again changes nothing, and other ids may well be had. */
const connectionProblems =
	/could not resolve|couldn't connect|failed to connect|connection |could not read (?:username|password|from remote)|authentication failed|repository .*not found|does not appear to be a git repository|returned error: |unable to access|SSL|certificate|early EOF|unexpected disconnect|RPC failed|permission denied|host key|protocol '|transport '|timed out|hung up|cannot start/i;
/** Where asking again can help: the server's own troubles, and connections that broke off. */
const passing =
	/connection (?:reset|timed out)|operation timed out|empty reply|transfer closed|RPC failed; curl|(?:returned error:|RPC failed; HTTP) (?:408|429|5\d\d)|early EOF|unexpected disconnect|unexpected EOF|hung up|temporary failure/i;
const refusedCredentials =
	/authentication failed|could not read (?:username|password)|returned error: (?:401|403)|permission denied|host key verification/i;
const pauses = [1000, 3000];
const redirect = /returned error: 30[12378]\b/;
const maxRedirects = 5;
/** What git takes for all of the history. */
const wholeHistory = 0x7fffffff;

/**
 * Fetches commits, each without its history: all in one go by their ids, and those that the server does not give
 * so by their refs: the tip first, which it mostly is, then the whole history. Gives back the reasons for those that
 * cannot be had. To be called by one process at a time (`withLock`).
 */
export async function fetchCommits(
	io: Io,
	remote: Remote,
	wanted: readonly Wanted[],
): Promise<ReadonlyMap<string, BrewlineError>> {
	for (const file of staleLocks) await rm(join(remote.directory, file), { force: true });
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
		for (const depth of [1, wholeHistory]) {
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
				failures.set(commit, unreachable(remote, commit, ref, byId.get(commit), reason));
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
			} else if (left.length > 1 && !connectionProblems.test(text) && !/unadvertised object/.test(text)) {
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

async function fetchRef(io: Io, remote: Remote, ref: string, depth: number): Promise<void> {
	const own = `refs/brewline/fetched/${createHash("sha256").update(ref).digest("hex")}`;
	await fetch(io, remote, [`--depth=${depth}`], [`+${ref}:${own}`]);
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
	const { directory, access } = remote;
	let from = remote.from;
	let redirects = 0;
	for (let attempt = 0; ; attempt++) {
		try {
			await git(io, [...fetchArgs, ...options, "--stdin", "--", from], {
				directory,
				config: [...fetchConfig, ...access.config],
				env: access.env,
				secrets: access.secrets,
				input: refspecs.map((refspec) => `${refspec}\n`).join(""),
			});
			return;
		} catch (error) {
			if (access.authorization !== undefined && redirect.test(messageOf(error)) && redirects++ < maxRedirects) {
				from = await redirected(io, from, access.authorization);
				attempt--;
				continue;
			}
			const pause = pauses[attempt];
			if (
				pause === undefined ||
				!(error instanceof BrewlineError) ||
				error.code !== "git" ||
				!passing.test(error.message) ||
				/remote error/.test(error.message)
			)
				throw error;
			io.log({
				type: "message",
				level: "notice",
				text: `git fetch from ${printable(remote.address)} failed, trying again: ${error.message}`,
			});
			await io.clock.sleep(pause, io.signal);
		}
	}
}

/**
 * Where the server sends a request that carries a credential: a repository that was renamed, for one. Git would take the
 * credential along to whatever host that is; we follow within the origin that it is for, and nowhere else.
 */
async function redirected(io: Io, from: string, authorization: string): Promise<string> {
	const question = "/info/refs?service=git-upload-pack";
	const asked = new URL(from.replace(/\/$/, "") + question);
	const headers = { authorization, "user-agent": "git/brewline" };
	const response = await io.http({ method: "GET", url: asked, headers, signal: io.signal }).catch((cause: unknown) => {
		throw new BrewlineError("git", `unable to access ${asked.host}: ${messageOf(cause)}`, { cause });
	});
	response.body.destroy();
	const to = URL.parse(response.headers["location"] ?? "", asked.href);
	if (to?.origin === asked.origin && to.href.endsWith(question) && to.username === "" && to.password === "") {
		return to.href.slice(0, -question.length);
	}
	throw new BrewlineError(
		"git",
		`unable to access ${asked.host}: it sends us on to ${to === null ? "nowhere" : printable(to.origin, 200)}, where its credential does not go`,
		{ hint: "write the address that it leads to, with a credential of its own where it needs one" },
	);
}

function unreachable(remote: Remote, commit: string, ref: string, byId: unknown, byRef: unknown): BrewlineError {
	const ids = reason(byId);
	const refs = byRef === undefined ? "it is not in the history of that ref" : reason(byRef);
	const from = remote.from === remote.address ? "" : ` (fetched from ${printable(remote.from)})`;
	const text = `${messageOf(byId)} ${messageOf(byRef)}`;
	const refused = refusedCredentials.test(text);
	return new BrewlineError(
		refused ? "credentials" : "git",
		`cannot fetch ${commit} of ${printable(remote.address)}${from}: by its id: ${ids}; by ${printable(ref)}: ${refs}`,
		{
			// Where git itself cannot be started, that is what to mend.
			hint: (byId instanceof BrewlineError ? byId.hint : undefined) ?? hintFor(remote, refused, text),
			cause: byId,
		},
	);
}

/** Without the command line, which says nothing that the rest does not. */
function reason(error: unknown): string {
	return messageOf(error)
		.replace(/^git fetch [^:]*: exit code \d+: /, "")
		.replace(/; fatal: the remote end hung up unexpectedly$/, "")
		.replace(/[; ]*Please make sure you have the correct access rights; and the repository exists\.$/, "");
}

function hintFor(remote: Remote, refused: boolean, text: string): string {
	if (refused) {
		if (remote.access.credential)
			return "the credential for this address was refused: check that it may read this repository";
		return protocolOf(remote.from) === "ssh"
			? "ssh was not let in: give a key for this address"
			: "the repository is private, or not there: check the address, or give a token for it";
	}
	if (connectionProblems.test(text)) return "check the address, the network and the proxy";
	return "check GitCommit, and that GitFetch names a ref whose history has it: a commit that was force-pushed away may be gone";
}
