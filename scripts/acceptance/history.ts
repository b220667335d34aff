import { findFile } from "../../src/git/lookup.ts";
import { oldestMoment, type MainLine } from "../../src/init/moment.ts";
import type { Copy } from "./copies.ts";

/** One change of a published definition. */
export interface Change {
	readonly commit: string;
	/** Where the definitions of its parents are read: what it was made on. */
	readonly parent: string | undefined;
	/** When it was written, in Unix seconds. */
	readonly time: number;
	/** Whether it changed other definitions too, of those that are looked at. */
	readonly isOfMany: boolean;
}

const format = ["--no-renames", "--diff-filter=AM", "--format=commit %H %at %P", "--name-only"];

function changesIn(lines: readonly string[]): readonly { readonly file: string; readonly change: Change }[] {
	const found: { file: string; change: Change }[] = [];
	let change: Omit<Change, "isOfMany"> | undefined;
	for (const line of lines) {
		const [, commit, time, parent] = /^commit ([0-9a-f]+) (\d+) ?([0-9a-f]*)/.exec(line) ?? [];
		if (commit !== undefined) change = { commit, time: Number(time), parent: parent === "" ? undefined : parent };
		else found.push({ file: line, change: { ...change!, isOfMany: false } });
	}
	const files = Map.groupBy(found, ({ change: { commit } }) => commit);
	return found.map(({ file, change: one }) => ({
		file,
		change: { ...one, isOfMany: files.get(one.commit)!.length > 1 },
	}));
}

const month = 30.44 * 24 * 3600;

/**
 * The changes of definitions in the months before the newest commit of the library, newest first; where there is none in that
 * time, the last one before.
 */
export async function changesOf(
	library: Copy,
	images: readonly string[],
	months: number,
): Promise<ReadonlyMap<string, readonly Change[]>> {
	const paths = images.map((image) => `library/${image}`);
	const [newest] = await library.lines("log", "-1", "--format=%ct", "HEAD");
	const since = Number(newest) - months * month;
	const read = (...args: string[]): Promise<readonly string[]> => library.lines("log", ...format, ...args);
	const found = new Map<string, Change[]>(images.map((image) => [image, []]));
	const add = (lines: readonly string[]): void => {
		for (const { file, change } of changesIn(lines)) found.get(file.slice("library/".length))?.push(change);
	};
	add(await read(`--since=${Math.floor(since)}`, "HEAD", "--", ...paths));
	for (const [image, changes] of found) {
		if (changes.length === 0) add(await read("-1", "HEAD", "--", `library/${image}`));
	}
	return found;
}

/** Changes of a definition before the given ones, newest first, for a copy that is older than all of these. */
export async function earlierChanges(
	library: Copy,
	image: string,
	known: readonly Change[],
): Promise<readonly Change[]> {
	const from = known.at(-1);
	const lines = await library.lines(
		"log",
		"-400",
		...format,
		from === undefined ? "HEAD" : `${from.commit}^`,
		"--",
		`library/${image}`,
	);
	return changesIn(lines).map(({ change }) => change);
}

/**
 * Where a definition can have been generated: commits of the main line that have all that it names among their ancestors. The
 * newest one of the time when the change was written comes first, then the oldest that is possible.
 */
export function momentsOf(line: MainLine, text: string, time: number): readonly string[] | undefined {
	const oldest = oldestMoment(line, text);
	if (oldest === undefined) return undefined;
	const dated = line.commits.findLastIndex((commit) => commit.time <= time);
	const places = new Set([Math.max(oldest, dated), oldest]);
	return [...places].map((place) => line.commits[place]!.id);
}

/** The branches that a definition names for architectures, with their commits. */
export function namedBranches(text: string): readonly (readonly [branch: string, commit: string])[] {
	return [...text.matchAll(/^([a-z0-9-]+)-GitFetch: *refs\/heads\/(\S+)\n\1-GitCommit: *([0-9a-f]{40})$/gm)].map(
		([, , branch, commit]) => [branch!, commit!] as const,
	);
}

/** The branches of a copy: those of the remote where it has some, or its own. */
export async function branchesOf(repository: Copy): Promise<ReadonlyMap<string, string>> {
	const lines = await repository.lines(
		"for-each-ref",
		"--format=%(refname) %(objectname)",
		"refs/heads",
		"refs/remotes/origin",
	);
	return new Map(
		lines.map((line) => {
			const [ref = "", commit = ""] = line.split(" ");
			return [ref.replace(/^refs\/(?:heads|remotes\/origin)\//, ""), commit] as const;
		}),
	);
}

/** A file of a commit; undefined where it is not there. */
export async function readText({ objects }: Copy, commit: string, file: string): Promise<string | undefined> {
	const { tree } = await objects.commit(commit);
	const id = await blobOf({ objects }, tree, file);
	return id === undefined ? undefined : (await objects.blob(id, 16 * 1024 * 1024)).toString("utf8");
}

/** The id of a file's content in a commit. */
export async function blobAt(copy: Copy, commit: string, file: string): Promise<string | undefined> {
	return blobOf(copy, (await copy.objects.commit(commit)).tree, file);
}

async function blobOf({ objects }: Pick<Copy, "objects">, tree: string, file: string): Promise<string | undefined> {
	return await findFile(objects, tree, ".", file).then(
		({ id }) => id,
		() => undefined,
	);
}
