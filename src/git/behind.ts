import { BrewlineError, messageOf } from "../errors.ts";
import type { Io } from "../io/types.ts";
import { git } from "./command.ts";
import { fetchedRef, fetchRef, fetchWhole, type Wanted } from "./fetch.ts";
import { showBytes } from "./objects.ts";
import type { ObjectReader } from "./reader.ts";
import { isConnectionProblem, type Remote } from "./remote.ts";

/** Which changes of files are looked for. */
export interface FilesLookedFor {
	/** What is somewhere in their paths. */
	readonly inPath: string;
	/** Bytes that the file has at least after the change. */
	readonly size: number;
}

/** A binary file that a commit changed into one of that size. */
export interface ModifiedFile {
	readonly commit: string;
	/** What of `wanted` it is behind; the commit itself where that was asked about. */
	readonly behind: string;
	readonly path: string;
	readonly size: number;
}

export interface History {
	/** Refs that cannot be fetched, with the reason. */
	readonly unfetchable: ReadonlyMap<string, string>;
	/** Those that are not behind their ref, as far as that could be fetched. */
	readonly outside: readonly Wanted[];
	/** By commit, then by path; each once. Neither what merges changed nor what is new, gone or renamed. */
	readonly modified: readonly ModifiedFile[];
}

/**
 * Fetches the whole history behind commits and their refs, and looks at it. To be called while `writing`.
 * @throws BrewlineError `git` where a commit cannot be had, or the whole remote
 */
export async function lookAtHistory(
	io: Io,
	remote: Remote,
	wanted: readonly Wanted[],
	files: FilesLookedFor,
	reader: () => ObjectReader,
): Promise<History> {
	const { directory } = remote;
	const unfetchable = new Map<string, string>();
	const known = new Set<string>();
	const outside: Wanted[] = [];
	for (const [ref, wants] of Map.groupBy(wanted, ({ fetch }) => fetch)) {
		try {
			await fetchRef(io, remote, ref, "all");
		} catch (error) {
			if (!(error instanceof BrewlineError) || error.code !== "git" || isConnectionProblem(messageOf(error)))
				throw error;
			unfetchable.set(ref, error.message);
			continue;
		}
		const behind = new Set(await lines(io, directory, ["rev-list", fetchedRef(ref), "--"]));
		for (const commit of behind) known.add(commit);
		outside.push(...wants.filter(({ commit }) => !behind.has(commit)));
	}
	const asked = [...new Set(wanted.map(({ commit }) => commit))];
	const unknown = asked.filter((commit) => !known.has(commit));
	if (unknown.length > 0) await fetchWhole(io, remote, unknown);
	return { unfetchable, outside, modified: await modifiedFiles(io, directory, asked, files, reader) };
}

/** A line of `git diff-tree --raw -z`: modes, ids, what was done; the path follows. */
const change = /^:\d{6} \d{6} ([0-9a-f]+) ([0-9a-f]+) [MT]$/;

async function modifiedFiles(
	io: Io,
	directory: string,
	asked: readonly string[],
	{ inPath, size: least }: FilesLookedFor,
	reader: () => ObjectReader,
): Promise<readonly ModifiedFile[]> {
	const paths = ["--", `*${inPath.replace(/[*?[\\]/g, "\\$&")}*`];
	const commits = await lines(
		io,
		directory,
		["log", "--format=%H", "--no-renames", "--diff-filter=MT", "--stdin", ...paths],
		asked,
	);
	if (commits.length === 0) return [];
	const raw = await git(
		io,
		["diff-tree", "--stdin", "-r", "-z", "--raw", "--no-renames", "--diff-filter=MT", ...paths],
		{
			directory,
			input: commits.map((commit) => `${commit}\n`).join(""),
		},
	);
	const found: { readonly commit: string; readonly path: string; readonly ids: readonly [string, string] }[] = [];
	let commit = "";
	const fields = raw.toString("latin1").split("\0").values();
	for (const field of fields) {
		const ids = change.exec(field);
		if (ids !== null) found.push({ commit, path: showBytes(fields.next().value ?? ""), ids: [ids[1]!, ids[2]!] });
		else if (field !== "") commit = field.trim();
	}
	const sizes = await sizesOf(
		io,
		directory,
		found.map(({ ids }) => ids[1]),
	);
	const large = found.filter(({ ids }) => (sizes.get(ids[1]) ?? 0) >= least);
	const binary: ModifiedFile[] = [];
	const behind = large.length === 0 ? () => "" : await closestOf(io, directory, asked);
	for (const { commit, path, ids } of large) {
		if (!(await isBinary(reader, ids[1])) && !(await isBinary(reader, ids[0]))) continue;
		binary.push({ commit, behind: behind(commit), path, size: sizes.get(ids[1])! });
	}
	return binary.sort((a, b) => (a.commit === b.commit ? order(a.path, b.path) : order(a.commit, b.commit)));
}

function order(a: string, b: string): number {
	return a < b ? -1 : a > b ? 1 : 0;
}

async function sizesOf(io: Io, directory: string, ids: readonly string[]): Promise<ReadonlyMap<string, number>> {
	const answers = await lines(
		io,
		directory,
		["cat-file", "--batch-check=%(objectname) %(objectsize)"],
		[...new Set(ids)],
	);
	return new Map(answers.map((line) => [line.split(" ")[0]!, Number(line.split(" ")[1])]));
}

/** As much as git itself looks at to tell binary files from text. */
const sample = 8000;

async function isBinary(reader: () => ObjectReader, id: string): Promise<boolean> {
	let seen = 0;
	let binary = false;
	await reader().read(id, {
		start: () => {},
		data: (chunk) => {
			if (seen < sample) binary ||= chunk.subarray(0, sample - seen).includes(0);
			seen += chunk.length;
		},
	});
	return binary;
}

/** Which of the commits that were asked about another one is behind; itself where it is one of them. */
async function closestOf(io: Io, directory: string, asked: readonly string[]): Promise<(commit: string) => string> {
	const parents = new Map<string, readonly string[]>();
	for (const line of await lines(io, directory, ["rev-list", "--parents", "--stdin", "--"], asked)) {
		const [commit, ...others] = line.split(" ");
		parents.set(commit!, others);
	}
	const closest = new Map<string, string>(asked.map((commit) => [commit, commit]));
	for (const [commit, start] of closest) {
		for (const parent of parents.get(commit) ?? []) if (!closest.has(parent)) closest.set(parent, start);
	}
	return (commit) => closest.get(commit) ?? commit;
}

async function lines(
	io: Io,
	directory: string,
	args: readonly string[],
	input: readonly string[] = [],
): Promise<string[]> {
	const output = await git(io, args, { directory, input: input.map((line) => `${line}\n`).join("") });
	return output
		.toString("latin1")
		.split("\n")
		.filter((line) => line !== "");
}
