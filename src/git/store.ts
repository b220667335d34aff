import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { BrewlineError, messageOf } from "../errors.ts";
import { printable } from "../io/printable.ts";
import type { Io } from "../io/types.ts";
import { checkAddress, checkCommit, checkFetch, rewriteAddress } from "./address.ts";
import { bareName, makeBare, readCommits, writing } from "./bare.ts";
import { accessTo, type GitCredential } from "./command.ts";
import { changedPaths } from "./diff.ts";
import { exportTree, openBlob, tarOf, type OpenFile } from "./export.ts";
import { fetchCommits, type Wanted } from "./fetch.ts";
import { lookAtHistory, type FilesLookedFor, type History } from "./behind.ts";
import { findDirectory, findFile, type Found } from "./lookup.ts";
import { openObjects, showBytes, type EntryKind, type Objects } from "./objects.ts";
import { openReader, type ObjectReader } from "./reader.ts";
import { checksumTree } from "./stream.ts";

export interface GitStoreOptions {
	/** Where the cache is; made if it is not there. Several processes may use it at the same time. */
	readonly directory: string;
	/** Prefix to prefix, for fetching only; the longest match wins. */
	readonly rewrite?: Readonly<Record<string, string>>;
	/** By prefix of the address that is fetched from (after `rewrite`); the longest match wins. */
	readonly credentials?: Readonly<Record<string, GitCredential>>;
	/** How many repositories are fetched from at the same time; default 8. */
	readonly concurrency?: number;
}

export interface GitStore extends AsyncDisposable {
	/** By the address of a definition, which is checked: it may come from anybody. */
	repository(address: string): GitRepository;
	close(): Promise<void>;
}

/**
 * Commits of one repository. Everything but `ensure` reads commits that are in the cache; a path is looked up, and links are
 * followed, as spec/sources.md says. Errors name the repository, the commit and the path.
 */
export interface GitRepository {
	/** Fetches those commits that are not in the cache: by their ids, then by their refs. An error lists all that failed. */
	ensure(wanted: readonly Wanted[], options?: EnsureOptions): Promise<void>;
	/** Fetches all of the history behind commits and their refs, and looks for changes of large binary files in it. */
	history(wanted: readonly Wanted[], files: FilesLookedFor): Promise<History>;
	/** `SOURCE_DATE_EPOCH`: Unix seconds. */
	commitEpoch(commit: string): Promise<number>;
	/** The content checksum, in hex; the same tree is hashed once. */
	checksum(commit: string, directory: string): Promise<string>;
	/** At most `maxSize` bytes, by default 16 MiB. */
	readFile(commit: string, directory: string, file: string, maxSize?: number): Promise<Uint8Array>;
	/** The id of the blob that `readFile` would read: the same id, the same content. */
	blobId(commit: string, directory: string, file: string): Promise<string>;
	/** A file of any size as a stream, which is to be read to its end or destroyed. */
	openFile(commit: string, directory: string, file: string): Promise<OpenFile>;
	/** The entries of one directory, sorted by name as bytes; `name` is null where it is not UTF-8. */
	readTree(commit: string, directory: string): Promise<readonly ListedEntry[]>;
	/**
	 * Paths of the files that differ between two directories of two commits, relative to these, at most `limit`; what is no
	 * UTF-8 is shown as such.
	 */
	changedPaths(before: Place, after: Place, limit: number): Promise<readonly string[]>;
	/** Writes the directory's content into `into`, which must be empty or not there. */
	exportTree(commit: string, directory: string, into: string): Promise<void>;
	/** The directory's content as an uncompressed tar archive, the same bytes each time: dates are the commit's. */
	contextTar(commit: string, directory: string): Readable;
}

export interface EnsureOptions {
	/** Whether all of a ref's history may be fetched, where a commit is neither given by its id nor the tip. Default: yes. */
	readonly history?: boolean;
}

/** A directory of a commit. */
export interface Place {
	readonly commit: string;
	readonly directory: string;
}

export interface ListedEntry {
	readonly name: string | null;
	readonly kind: EntryKind;
	readonly id: string;
}

/** Processes that wait for questions cost memory; beyond these the idle ones are ended. */
const maxReaders = 24;
const defaultMaxFile = 16 * 1024 * 1024;

/** A cache of git repositories on disk. Nothing is started or written before the first question. */
export function openGitStore(io: Io, options: GitStoreOptions): GitStore {
	const repositories = new Map<string, GitRepository>();
	const readers = new Map<string, ObjectReader>();
	const slot = semaphore(options.concurrency ?? 8);
	let closed = false;

	/** The running reader of a repository, or a new one. */
	function reader(directory: string): ObjectReader {
		if (closed) throw new BrewlineError("git", "the git store was closed");
		const known = readers.get(directory);
		if (known !== undefined) {
			readers.delete(directory);
			readers.set(directory, known);
			return known;
		}
		const idle = readers.size < maxReaders ? undefined : [...readers].find(([, reader]) => reader.pending() === 0);
		if (idle !== undefined) {
			readers.delete(idle[0]);
			void idle[1].close();
		}
		const fresh = openReader(io, directory);
		readers.set(directory, fresh);
		return fresh;
	}

	const close = async () => {
		closed = true;
		await Promise.all([...readers.values()].map((reader) => reader.close()));
		readers.clear();
	};

	return {
		repository: (address) => {
			checkAddress(address);
			let repository = repositories.get(address);
			if (repository === undefined) {
				repository = openRepository(io, options, address, reader, slot);
				repositories.set(address, repository);
			}
			return repository;
		},
		close,
		[Symbol.asyncDispose]: close,
	};
}

/** The part of a repository in one object format: its ids have one length. */
interface Bare {
	readonly directory: string;
	readonly objects: Objects;
	readonly checksums: Map<string, Promise<string>>;
	have: Set<string> | undefined;
	/** The fetch that is under way: another one waits for it. */
	fetching: Promise<unknown>;
}

type Slot = <T>(action: () => Promise<T>) => Promise<T>;

function openRepository(
	io: Io,
	options: GitStoreOptions,
	address: string,
	reader: (directory: string) => ObjectReader,
	slot: Slot,
): GitRepository {
	const bares = new Map<"sha1" | "sha256", Bare>();

	function bareOf(commit: string): Bare {
		checkCommit(commit);
		const format = commit.length === 64 ? "sha256" : "sha1";
		let bare = bares.get(format);
		if (bare === undefined) {
			const directory = join(options.directory, bareName(address, format));
			bare = {
				directory,
				objects: openObjects(directory, () => reader(directory)),
				checksums: new Map(),
				have: undefined,
				fetching: Promise.resolve(),
			};
			bares.set(format, bare);
		}
		return bare;
	}

	async function known(bare: Bare, commit: string): Promise<void> {
		bare.have ??= await readCommits(bare.directory);
		if (!bare.have.has(commit)) bare.have = await readCommits(bare.directory);
		if (bare.have.has(commit)) return;
		throw new BrewlineError("git", "the commit is not in the cache", { hint: "fetch it first (ensure)" });
	}

	/** Runs `action` on a commit's tree; its errors then say where. */
	async function at<T>(
		commit: string,
		path: readonly string[],
		action: (objects: Objects, tree: string, bare: Bare) => Promise<T>,
	): Promise<T> {
		const bare = bareOf(commit);
		try {
			await known(bare, commit);
			const { tree } = await bare.objects.commit(commit);
			return await action(bare.objects, tree, bare);
		} catch (error) {
			throw located(error, `${address}#${commit}${path.map((part) => `:${part}`).join("")}`);
		}
	}

	async function ensure(
		bare: Bare,
		wanted: readonly Wanted[],
		{ history = true }: EnsureOptions,
	): Promise<readonly BrewlineError[]> {
		bare.have ??= await readCommits(bare.directory);
		const missing = () => wanted.filter((want) => !bare.have!.has(want.commit));
		if (missing().length === 0) return [];
		const from = rewriteAddress(address, options.rewrite ?? {});
		const access = accessTo(io, from, options.credentials ?? {});
		await mkdir(options.directory, { recursive: true });
		const failures = await writing(io, bare.directory, async () => {
			await makeBare(bare.directory, wanted[0]!.commit.length === 64 ? "sha256" : "sha1");
			bare.have = await readCommits(bare.directory);
			const wants = missing();
			if (wants.length === 0) return new Map<string, BrewlineError>();
			io.log({
				type: "message",
				level: "debug",
				text: `fetching ${wants.length === 1 ? wants[0]!.commit : `${wants.length} commits`} of ${printable(address)}`,
			});
			const failures = await fetchCommits(
				io,
				{ directory: bare.directory, address, from, access },
				wants,
				...(history ? [] : [[1]]),
			);
			bare.have = await readCommits(bare.directory);
			return failures;
		});
		return [...failures.values()];
	}

	const found = (commit: string, directory: string, file: string): Promise<Found> =>
		at(commit, [directory, file], (objects, tree) => findFile(objects, tree, directory, file));

	/** The tree that `Directory` leads to; null for a submodule, which is empty. */
	const treeAt = async (objects: Objects, root: string, directory: string): Promise<string | null> => {
		const { kind, id } = await findDirectory(objects, root, directory);
		return kind === "submodule" ? null : id;
	};

	return {
		ensure: async (wanted, options = {}) => {
			const errors: BrewlineError[] = [];
			// One entry's mistake must not keep the others from being fetched.
			const sound = wanted.filter(({ commit, fetch }) => {
				try {
					checkCommit(commit);
					checkFetch(fetch);
					return true;
				} catch (error) {
					errors.push(located(error, `${address}#${commit}`));
					return false;
				}
			});
			for (const wants of Map.groupBy(sound, (want) => want.commit.length).values()) {
				const bare = bareOf(wants[0]!.commit);
				const run = bare.fetching.then(() => slot(() => ensure(bare, wants, options)));
				bare.fetching = run.catch(() => {});
				errors.push(...(await run));
				for (const commit of new Set(wants.map((want) => want.commit))) {
					if (!bare.have?.has(commit)) continue;
					await bare.objects.commit(commit).catch((error: unknown) => errors.push(located(error, address)));
				}
			}
			if (errors.length === 1) throw errors[0]!;
			if (errors.length > 1) {
				throw new BrewlineError(
					errors[0]!.code,
					`${errors.length} commits of ${printable(address)} cannot be had: ${errors[0]!.message}; …`,
					{
						...(errors[0]!.hint === undefined ? {} : { hint: errors[0]!.hint }),
						errors,
					},
				);
			}
		},
		history: async (wanted, files) => {
			for (const { commit, fetch } of wanted) {
				checkCommit(commit);
				checkFetch(fetch);
			}
			const from = rewriteAddress(address, options.rewrite ?? {});
			const access = accessTo(io, from, options.credentials ?? {});
			const parts = await Promise.all(
				[...Map.groupBy(wanted, ({ commit }) => commit.length).values()].map(async (wants) => {
					const { directory } = bareOf(wants[0]!.commit);
					await mkdir(options.directory, { recursive: true });
					return await slot(() =>
						writing(io, directory, async () => {
							await makeBare(directory, wants[0]!.commit.length === 64 ? "sha256" : "sha1");
							return await lookAtHistory(io, { directory, address, from, access }, wants, files, () =>
								reader(directory),
							);
						}),
					);
				}),
			);
			return {
				unfetchable: new Map(parts.flatMap(({ unfetchable }) => [...unfetchable])),
				outside: parts.flatMap(({ outside }) => outside),
				modified: parts.flatMap(({ modified }) => modified),
			};
		},
		commitEpoch: (commit) => at(commit, [], async (objects) => (await objects.commit(commit)).epoch),
		checksum: (commit, directory) =>
			at(commit, [directory], async (objects, root, bare) => {
				const tree = (await treeAt(objects, root, directory)) ?? emptyTree;
				let checksum = bare.checksums.get(tree);
				if (checksum === undefined) {
					checksum = tree === emptyTree ? Promise.resolve(emptyChecksum) : checksumTree(objects, tree);
					bare.checksums.set(tree, checksum);
					checksum.catch(() => bare.checksums.delete(tree));
				}
				return checksum;
			}),
		readFile: async (commit, directory, file, maxSize = defaultMaxFile) => {
			const { id } = await found(commit, directory, file);
			return at(commit, [directory, file], (objects) => objects.blob(id, maxSize));
		},
		blobId: async (commit, directory, file) => (await found(commit, directory, file)).id,
		openFile: (commit, directory, file) =>
			at(commit, [directory, file], async (objects, tree, bare) => {
				const { id } = await findFile(objects, tree, directory, file);
				return openBlob(io, bare.directory, id);
			}),
		readTree: (commit, directory) =>
			at(commit, [directory], async (objects, root) => {
				const tree = await treeAt(objects, root, directory);
				return tree === null ? [] : (await objects.tree(tree)).map(listed);
			}),
		changedPaths: (before, after, limit) =>
			at(after.commit, [after.directory], async (objects, root) => {
				const now = await treeAt(objects, root, after.directory);
				const old = await at(before.commit, [before.directory], (_, tree) => treeAt(objects, tree, before.directory));
				return (await changedPaths(objects, old ?? undefined, now ?? undefined, limit)).map(showBytes);
			}),
		exportTree: (commit, directory, into) =>
			at(commit, [directory], async (objects, root, bare) => {
				await exportTree(io, bare.directory, objects, await treeAt(objects, root, directory), into);
			}),
		contextTar: (commit, directory) =>
			tarOf(io, bareOf(commit).directory, bareOf(commit).objects, () =>
				at(commit, [directory], async (objects, root) => ({
					tree: await treeAt(objects, root, directory),
					epoch: (await objects.commit(commit)).epoch,
				})),
			),
	};
}

const emptyTree = "";
/** The SHA-256 of nothing. */
const emptyChecksum = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

function listed(entry: { readonly name: string; readonly kind: EntryKind; readonly id: string }): ListedEntry {
	const bytes = Buffer.from(entry.name, "latin1");
	const text = bytes.toString("utf8");
	return { ...entry, name: Buffer.from(text, "utf8").equals(bytes) ? text : null };
}

function located(error: unknown, where: string): BrewlineError {
	if (!(error instanceof BrewlineError)) throw error;
	return new BrewlineError(error.code, `${printable(where)}: ${messageOf(error)}`, {
		...(error.hint === undefined ? {} : { hint: error.hint }),
		cause: error,
	});
}

/** Lets at most `count` actions run at the same time. */
function semaphore(count: number): Slot {
	let free = count;
	const waiting: (() => void)[] = [];
	return async (action) => {
		if (free > 0) free--;
		else await new Promise<void>((resolve) => waiting.push(resolve));
		try {
			return await action();
		} finally {
			const next = waiting.shift();
			if (next === undefined) free++;
			else next();
		}
	};
}
