import { BrewlineError, messageOf } from "../errors.ts";
import { printable } from "../io/printable.ts";
import type { Io } from "../io/types.ts";
import { protocolOf } from "./address.ts";
import { git, type Access, type GitConfig } from "./command.ts";

export interface Remote {
	readonly directory: string;
	/** As in the definition: what messages say. */
	readonly address: string;
	/** After `git.rewrite`. */
	readonly from: string;
	readonly access: Access;
}

/** Everything that one pack per fetch and no housekeeping needs. */
const remoteConfig: GitConfig = [
	["gc.auto", "0"],
	["maintenance.auto", "false"],
	// One pack for each fetch, not thousands of files.
	["fetch.unpackLimit", "1"],
	["transfer.unpackLimit", "1"],
	["fetch.recurseSubmodules", "false"],
	["submodule.recurse", "false"],
	["core.hooksPath", "/dev/null"],
];

/** The remote as a whole cannot be reached or used: asking it for other ids changes nothing. */
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

/** Runs a git command that speaks to the remote, with the access to it. */
export async function remoteGit(
	io: Io,
	{ directory, access }: Remote,
	args: readonly string[],
	input = "",
): Promise<Buffer> {
	const config = [...remoteConfig, ...access.config];
	return await git(io, args, { directory, config, env: access.env, secrets: access.secrets, input });
}

/**
 * Does something with a remote: again after a pause, some times, where that can help, and where the server sends us to.
 * `what` is the beginning of a notice about it; `from` is the address to be used.
 */
export async function persistently<T>(
	io: Io,
	remote: Remote,
	what: string,
	action: (from: string) => Promise<T>,
): Promise<T> {
	const { access } = remote;
	let from = remote.from;
	let redirects = 0;
	for (let attempt = 0; ; attempt++) {
		try {
			return await action(from);
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
				text: `${what} ${printable(remote.address)} failed, trying again: ${error.message}`,
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

/** Why a remote cannot be read or written as a whole; `hint` where nothing else is known to help. */
export function remoteFailure(remote: Remote, what: string, error: unknown, hint: string): unknown {
	if (!(error instanceof BrewlineError) || error.code !== "git") return error;
	const refused = isRefused(error.message);
	return new BrewlineError(refused ? "credentials" : "git", `${what} ${printable(remote.address)}: ${reason(error)}`, {
		hint: error.hint ?? hintFor(remote, error.message, hint),
		cause: error.cause,
	});
}

/** Without the command line, which says nothing that the rest does not. */
export function reason(error: unknown): string {
	return messageOf(error)
		.replace(/^git (?:fetch|push|ls-remote) [^:]*: exit code \d+: /, "")
		.replace(/; fatal: the remote end hung up unexpectedly$/, "")
		.replace(/[; ]*Please make sure you have the correct access rights; and the repository exists\.$/, "");
}

export function isRefused(text: string): boolean {
	return refusedCredentials.test(text);
}

/** Whether the whole remote cannot be reached or used, whatever is asked of it. */
export function isConnectionProblem(text: string): boolean {
	return connectionProblems.test(text);
}

/** How to mend what git said of a remote; `otherwise` where it is about what was asked for. */
export function hintFor(remote: Remote, text: string, otherwise: string): string {
	if (isRefused(text)) {
		if (remote.access.credential)
			return "the credential for this address was refused: check that it may read this repository";
		return protocolOf(remote.from) === "ssh"
			? "ssh was not let in: give a key for this address"
			: "the repository is private, or not there: check the address, or give a token for it";
	}
	return isConnectionProblem(text) ? "check the address, the network and the proxy" : otherwise;
}
