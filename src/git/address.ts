import { BrewlineError } from "../errors.ts";
import { printable } from "../io/printable.ts";

/**
 * The addresses that repositories are fetched from. `GitRepo` comes out of definitions that anybody may propose: what
 * git would take for an option, a helper program (`ext::`), a path of this machine or a shell's text is refused.
 */

/** One of ours or a scp-like address; a host never begins with `-`, which ssh would take for an option. */
const remote =
	/^(?:(?:https?|git|ssh):\/\/[\w[][\w.~!$&'()*+,;=:@/%?#[\]-]*|[A-Za-z0-9_][\w.-]*@[A-Za-z0-9][A-Za-z0-9.-]*:[\w.~/][\w.~/+@%-]*)$/;

/** The protocol of an address, as `GIT_ALLOW_PROTOCOL` names it. */
export type Protocol = "https" | "http" | "git" | "ssh" | "file";

export function protocolOf(address: string): Protocol {
	const scheme = /^(https?|git|ssh):\/\//.exec(address)?.[1];
	if (scheme !== undefined) return scheme as Protocol;
	return address.startsWith("file:") || address.startsWith("/") ? "file" : "ssh";
}

/** Throws where an address is none that is ever fetched from. */
export function checkAddress(address: string): void {
	const problem = addressProblem(address);
	if (problem === undefined) return;
	throw new BrewlineError(
		"git",
		`not a git address: ${printable(address.replace(/\/\/[^/]*@/, "//…@"), 200)}: ${problem}`,
		{
			hint: "write https://HOST/PATH.git, or http, git or ssh",
		},
	);
}

/** Whether an address is one that may be fetched from. */
export function isAddress(address: string): boolean {
	return addressProblem(address) === undefined;
}

function addressProblem(address: string): string | undefined {
	if (address.length > 2000) return "it is too long";
	if (!remote.test(address)) return "the protocol is not allowed, or it has characters that no address has";
	if (/%(?:0[0-9a-f]|1[0-9a-f]|7f)/i.test(address)) return "it hides a control character";
	if (!address.includes("://")) return undefined;
	if (!URL.canParse(address)) return "it is no URL";
	const url = new URL(address);
	if (url.hostname === "") return "it has no host";
	if (decodeURIComponentSafely(url.hostname).startsWith("-") || url.username.startsWith("-"))
		return "the host begins with -";
	if (url.password !== "") return "a password in it would be in messages and provenance";
	if (url.protocol.startsWith("http") && url.username !== "")
		return "credentials in it would be in messages and provenance";
	if (url.hash !== "") return "it has a fragment";
	return undefined;
}

function decodeURIComponentSafely(text: string): string {
	try {
		return decodeURIComponent(text);
	} catch {
		return text;
	}
}

/**
 * Where a repository is fetched from: the longest prefix in `rewrite` that it begins with is replaced, as git's
 * `insteadOf` does. What comes of a rewrite was written by the operator, so it may also be a path or `file:///…`.
 */
export function rewriteAddress(address: string, rewrite: Readonly<Record<string, string>>): string {
	checkAddress(address);
	let longest: string | undefined;
	for (const prefix of Object.keys(rewrite))
		if (address.startsWith(prefix) && (longest === undefined || prefix.length > longest.length)) longest = prefix;
	if (longest === undefined) return address;
	const rewritten = rewrite[longest]! + address.slice(longest.length);
	if (/^(?:file:\/\/)?\//.test(rewritten)) {
		if (rewritten.split("/").includes(".."))
			throw new BrewlineError("git", `${printable(address)} is rewritten to a path with ..`);
		return rewritten;
	}
	checkAddress(rewritten);
	return rewritten;
}

/** A commit id, in either of git's object formats; anything else is an error. */
export function checkCommit(commit: string): void {
	if (!/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(commit))
		throw new BrewlineError("git", `not a commit id: ${printable(commit, 80)}`, {
			hint: "GitCommit is the whole id, 40 or 64 lower-case hex digits",
		});
}

/** A ref as `GitFetch` may name it (spec/manifest.md): never a pattern, a pair or an option. */
export function checkFetch(ref: string): void {
	if (!/^refs\/(?:heads|tags)\/[^\p{Cc} *?:[\\^~]+$/u.test(ref) || /\.\.|\/\/|\/$|@\{/.test(ref) || ref.length > 1000)
		throw new BrewlineError("git", `not a ref: ${printable(ref, 200)}`, {
			hint: "GitFetch is refs/heads/NAME or refs/tags/NAME",
		});
}
