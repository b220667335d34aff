import { definitionLimit } from "../definition/library.ts";
import { BrewlineError } from "../errors.ts";
import { changedPaths } from "../git/diff.ts";
import { defaultBranchOf, openGitBranch, type GitBranch, type GitBranchOptions } from "../git/index.ts";
import type { Objects, TreeEntry } from "../git/objects.ts";
import { printable } from "../io/printable.ts";
import type { Io } from "../io/types.ts";
import { replacedBy, trailer } from "./message.ts";
import type { Definitions } from "./types.ts";

export interface RepositoryOptions extends Pick<GitBranchOptions, "rewrite" | "credentials"> {
	/** The git address of the library. */
	readonly library: string;
	/** The git address of a fork of it that the branch is pushed to; undefined: the library itself. */
	readonly fork?: string;
	/** The folder of its definitions. */
	readonly folder: string;
	readonly branch: string;
}

/** What the proposal's branch is at. */
export interface Tip {
	readonly commit: string;
	/** Why it is somebody else's; undefined: it is just what an earlier run pushed. */
	readonly foreign: string | undefined;
	/** What it has for a definition. */
	readonly texts: ReadonlyMap<string, string | undefined>;
	/** The definitions that it changes. */
	readonly changed: readonly string[];
	/** What its pull request said before it was pushed (`digestOfText`); undefined: there was none, or nobody knows. */
	readonly replaced: string | undefined;
	/** What the definitions were where it was made. */
	readonly before: ReadonlyMap<string, string | undefined>;
}

/** The library as it is, and the branch for it: one where there is no fork, else of two repositories. */
export interface Repositories extends AsyncDisposable {
	readonly base: { readonly branch: string; readonly commit: string };
	/** What the library's default branch has; undefined: there is no such definition. */
	readonly published: ReadonlyMap<string, string | undefined>;
	readonly tip: Tip | undefined;
	/** The branch, to be written to. */
	readonly target: GitBranch;
}

/** Reads the library and the branch; `directory` is empty, and for this alone. */
export async function openRepositories(
	io: Io,
	directory: string,
	names: readonly string[],
	options: RepositoryOptions,
): Promise<Repositories> {
	const { library, fork, folder, branch, rewrite = {}, credentials = {} } = options;
	// All in one, so that the library's commit can be the parent of what goes to the fork.
	const common = { directory, shared: "proposal", rewrite, credentials };
	const name = await defaultOf(io, { ...common, address: library });
	const forks = fork === undefined ? undefined : await defaultBranchOf(io, { ...common, address: fork });
	if (branch === name || branch === forks) {
		throw new BrewlineError(
			"usage",
			`${printable(branch)} is the default branch: nothing is ever proposed by pushing it`,
			{
				hint: "name another branch; the usual one is brewline/NAME",
			},
		);
	}
	const source = openGitBranch(io, { ...common, address: library, branch: name });
	const target = openGitBranch(io, { ...common, address: fork ?? library, branch });
	const close = async (): Promise<void> => {
		await Promise.all([source.close(), target.close()]);
	};
	try {
		if (fork !== undefined && forks !== undefined) {
			// A fork may be behind. What it has is told to the library, which then gives only what came later.
			await using known = openGitBranch(io, { ...common, address: fork, branch: forks });
			await known.head();
		}
		const commit = await source.head({ whole: fork !== undefined });
		if (commit === undefined) throw new BrewlineError("git", `${printable(library)}: its branch ${name} is gone`);
		const at = await target.head();
		return {
			base: { branch: name, commit },
			published: await textsAt(source.objects(), commit, folder, names),
			tip: at === undefined ? undefined : await readTip(target, at, names, options),
			target,
			[Symbol.asyncDispose]: close,
		};
	} catch (error) {
		await close();
		throw error;
	}
}

async function defaultOf(io: Io, options: Omit<GitBranchOptions, "branch" | "shared">): Promise<string> {
	const name = await defaultBranchOf(io, options);
	if (name !== undefined) return name;
	throw new BrewlineError("git", `${printable(options.address)} has no default branch`, {
		hint: "check the address of the library",
	});
}

async function readTip(
	target: GitBranch,
	commit: string,
	names: readonly string[],
	{ folder, branch }: RepositoryOptions,
): Promise<Tip> {
	await target.history(2);
	const objects = target.objects();
	const { parents, author, committer, message } = await target.facts(commit);
	const [parent] = parents;
	const texts = await textsAt(objects, commit, folder, names);
	const none = new Map<string, undefined>();
	const others = { commit, texts, changed: [], replaced: undefined, before: none };
	if (author !== committer || !message.trimEnd().endsWith(`\n${trailer}: ${branch}`)) {
		return { ...others, foreign: `its last commit is by ${printable(committer.replace(/ <[^<]*$/, ""), 100)}` };
	}
	if (parents.length !== 1 || parent === undefined) return { ...others, foreign: "its last commit is a merge" };
	const trees = await Promise.all([parent, commit].map(async (id) => (await objects.commit(id)).tree));
	const paths = (await changedPaths(objects, trees[0], trees[1], 100)).map((path) =>
		Buffer.from(path, "latin1").toString("utf8"),
	);
	const prefix = `${folder}/`;
	const stray = paths.find((path) => !path.startsWith(prefix) || path.slice(prefix.length).includes("/"));
	if (stray !== undefined) return { ...others, foreign: `its last commit changes ${printable(stray, 200)} as well` };
	return {
		commit,
		foreign: undefined,
		texts,
		changed: paths.map((path) => path.slice(prefix.length)),
		replaced: replacedBy(message),
		before: await textsAt(objects, parent, folder, names),
	};
}

/** What a commit has for these definitions; undefined: there is no such file. */
export async function textsAt(
	objects: Objects,
	commit: string,
	folder: string,
	names: readonly string[],
): Promise<ReadonlyMap<string, string | undefined>> {
	let tree: string | undefined = (await objects.commit(commit)).tree;
	for (const part of folder.split("/")) {
		const entries: readonly TreeEntry[] = await objects.tree(tree);
		const entry = entries.find(({ name }) => name === part);
		tree = entry?.kind === "directory" ? entry.id : undefined;
		if (tree === undefined) break;
	}
	const entries = tree === undefined ? [] : await objects.tree(tree);
	const texts = new Map<string, string | undefined>();
	for (const name of names) {
		const entry = entries.find((one) => one.name === name);
		const isFile = entry?.kind === "file" || entry?.kind === "executable";
		if (entry !== undefined && !isFile) {
			throw new BrewlineError("git", `${folder}/${name} of the library is a ${entry.kind}, not a definition`);
		}
		texts.set(name, entry === undefined ? undefined : (await objects.blob(entry.id, definitionLimit)).toString("utf8"));
	}
	return texts;
}

/** The definitions that the library has not got, or has otherwise. */
export function missingIn(published: ReadonlyMap<string, string | undefined>, wanted: Definitions): Definitions {
	return new Map([...wanted].filter(([name, text]) => published.get(name) !== text));
}
