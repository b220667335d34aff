import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { StringDecoder } from "node:string_decoder";
import { BrewlineError } from "../errors.ts";
import { printable } from "../io/printable.ts";
import type { Io } from "../io/types.ts";
import { compilePathspecs, type PathQuery } from "./pathspec.ts";
import { gitIn, gitStream, type LocalRepository } from "./repository.ts";

/** A commit, and for each parent in order which queries differ from it. Without parents: from nothing. */
interface Seen {
	readonly parents: readonly string[];
	readonly changed: ReadonlySet<number>[];
}

/**
 * For each query what `git log -1 --format=%H REVISION -- PATHS` in its directory gives, with git's own simplification of
 * history; undefined: no commit ever touched them. All of them take one walk, which ends with the last answer.
 *
 * Of one query, git's walk is a chain: where a commit is the same as a parent in these paths, it goes on to that one (to
 * the first of several) alone; otherwise that commit is the answer. So all chains can follow one listing of commits with
 * what each changed against each parent.
 * @throws BrewlineError `git` where the history that decides was not fetched
 */
export async function newestCommits(
	io: Io,
	repository: LocalRepository,
	revision: string,
	queries: readonly PathQuery[],
): Promise<{ readonly head: string; readonly commits: readonly (string | undefined)[] }> {
	const pathspecs = compilePathspecs(queries);
	const answers: (string | undefined)[] = queries.map(() => undefined);
	const waiting = new Map<string, number[]>();
	const seen = new Map<string, Seen>();
	const roots = new Set<string>();
	let open = queries.length;
	let head: string | undefined;

	const follow = (commit: string, who: readonly number[]): void => {
		for (const query of who) {
			let at = commit;
			for (let known = seen.get(at); ; known = seen.get(at)) {
				if (known === undefined) {
					const others = waiting.get(at);
					if (others === undefined) waiting.set(at, [query]);
					else others.push(query);
					break;
				}
				const { parents, changed } = known;
				const same = parents.findIndex((_, parent) => changed[parent]?.has(query) !== true);
				if (same >= 0) {
					at = parents[same]!;
					continue;
				}
				open--;
				if (parents.length > 0 || changed[0]?.has(query) === true) {
					answers[query] = at;
					if (parents.length === 0) roots.add(at);
				}
				break;
			}
		}
	};
	await listCommits(io, repository, revision, {
		begin: (commit) => {
			head ??= commit;
			if (commit === head) waiting.set(commit, [...queries.keys()]);
		},
		changes: (paths, into) => pathspecs.touched(paths, into),
		end: (commit, found) => {
			seen.set(commit, found);
			const who = waiting.get(commit);
			if (who !== undefined) {
				waiting.delete(commit);
				follow(commit, who);
			}
			return open === 0;
		},
	});
	if (head === undefined) throw new BrewlineError("git", `${printable(revision)} is no commit`);
	if (roots.size > 0) await refuseShallow(io, repository, roots);
	return { head, commits: answers };
}

interface Listener {
	begin(commit: string): void;
	changes(paths: Iterable<string>, into: Set<number>): void;
	/** Whether no more is wanted. */
	end(commit: string, seen: Seen): boolean;
}

/** On a line of its own: behind ids, a subject that begins with one would be taken for a parent. */
const header = /^\n*commit ([0-9a-f]{40,64})((?: [0-9a-f]{40,64})*)(?: \(from ([0-9a-f]{40,64})\))?(?:\n|$)/;
async function listCommits(io: Io, repository: LocalRepository, revision: string, listener: Listener): Promise<void> {
	const parser = commitParser(listener);
	const args = [
		"log",
		"--format=short",
		"--no-mailmap",
		"--no-abbrev-commit",
		"--no-decorate",
		"--no-color",
		"--no-show-signature",
		"--no-notes",
		"--parents",
		"--raw",
		"-z",
		"--diff-merges=separate",
		"--no-renames",
		"--no-ext-diff",
		"--ignore-submodules=none",
		"--end-of-options",
		revision,
	];
	try {
		const enough = await gitStream(io, repository, args, (chunk) => parser.push(chunk), {
			config: [["log.showRoot", "true"]],
		});
		if (!enough) parser.done();
	} catch (error) {
		if (!(error instanceof BrewlineError) || error.code !== "git" || error.hint !== undefined) throw error;
		throw new BrewlineError("git", `the history of ${printable(revision)} cannot be read: ${error.message}`);
	}
}

/**
 * Reads `git log --raw -z`: a header for each parent that differs, then records of two parts, the second a path. Lines of a
 * message are indented; the first record stands below them.
 */
function commitParser(listener: Listener): { push(chunk: Buffer): boolean; done(): void } {
	const decoder = new StringDecoder("utf8");
	let rest = "";
	let commit: string | undefined;
	let parents: readonly string[] = [];
	let changed: Set<number>[] = [];
	let into = new Set<number>();
	let isPath = false;
	let paths: string[] = [];

	const closeParent = (): void => {
		if (paths.length > 0) listener.changes(paths, into);
		paths = [];
	};
	const closeCommit = (): boolean => {
		closeParent();
		return commit !== undefined && listener.end(commit, { parents, changed });
	};
	const take = (token: string): boolean => {
		if (isPath) {
			paths.push(token);
			isPath = false;
			return false;
		}
		isPath = token.startsWith(":", token.lastIndexOf("\n") + 1);
		const match = header.exec(token);
		if (match === null) return false;
		const [, id, listed, from] = match;
		let enough = false;
		if (id !== commit) {
			enough = closeCommit();
			commit = id!;
			parents = listed === "" ? [] : listed!.slice(1).split(" ");
			changed = [];
			listener.begin(commit);
		} else closeParent();
		into = new Set();
		const parent = from === undefined ? 0 : parents.indexOf(from);
		changed[Math.max(0, parent)] = into;
		return enough;
	};
	return {
		push(chunk) {
			const text = decoder.write(chunk);
			rest += text;
			// A message may be as long as somebody likes, and is not looked through again with each of its pieces.
			if (!text.includes("\0")) return false;
			const tokens = rest.split("\0");
			rest = tokens.pop()!;
			return tokens.some(take);
		},
		done() {
			// Nothing ends what is said of a last commit that changes nothing.
			if (rest !== "") take(rest);
			closeCommit();
		},
	};
}

/** At the edge of what was fetched everything looks new: a commit there is no answer. */
async function refuseShallow(io: Io, repository: LocalRepository, roots: ReadonlySet<string>): Promise<void> {
	const told = await gitIn(io, repository, ["rev-parse", "--git-path", "shallow"]);
	const file = path.resolve(repository.folder, told.toString().trim());
	if (!existsSync(file)) return;
	const edges = readFileSync(file, "utf8").split("\n");
	const edge = edges.find((commit) => roots.has(commit));
	if (edge === undefined) return;
	throw new BrewlineError("git", `the history of this clone ends at ${edge}, where the newest changes cannot be told`, {
		hint: "Fetch all of it: `fetch-depth: 0` for actions/checkout, or `git fetch --unshallow`.",
	});
}
