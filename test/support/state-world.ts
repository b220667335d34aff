import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Io } from "../../src/io/index.ts";
import {
	emptyState,
	joinState,
	openState,
	readStateFile,
	splitState,
	type State,
	type StateStore,
	type StateStoreOptions,
} from "../../src/state/index.ts";
import { makeRepository, type TestEntry, type TestRepository } from "./git-repository.ts";
import { startGitServer, type GitServer, type GitServerOptions } from "./git-server.ts";
import { testIo } from "./scripted.ts";

export const stateRef = "refs/heads/brewline-state";

/** A repository that is served, and the programs that keep their state in it. */
export interface StateWorld extends AsyncDisposable {
	readonly repository: TestRepository;
	readonly server: GitServer;
	/** A program with a cache of its own, unless it is given another one's. */
	open(options?: Partial<StateStoreOptions>, io?: Io): StateStore;
	/** A folder for a cache that several programs use, one after the other. */
	cache(): string;
	/** Ids of the branch's commits, the latest first. */
	log(): readonly string[];
	/** What is in the repository now, read without the code that is tested as far as git is concerned. */
	now(): State;
}

export async function stateWorld(
	options: Partial<GitServerOptions> & { readonly format?: "sha1" | "sha256" } = {},
): Promise<StateWorld> {
	const root = mkdtempSync(join(tmpdir(), "brewline-state-"));
	const { format = "sha1", ...rest } = options;
	const repository = makeRepository(join(root, "served/library.git"), { format });
	const server = await startGitServer({ root: join(root, "served"), push: true, ...rest });
	let count = 0;
	const cache = () => join(root, `cache-${count++}`);
	const address = `${server.url}/library.git`;
	const author = { name: "Brewline", email: "brewline@example.org" };
	const lines = (...args: readonly string[]) =>
		repository
			.git(...args)
			.split("\n")
			.filter((line) => line !== "");
	return {
		repository,
		server,
		cache,
		open: (more, io = testIo()) => openState(io, { directory: cache(), address, author, ...more }),
		log: () => lines("for-each-ref", "--format=%(objectname)", stateRef).flatMap((id) => lines("rev-list", id)),
		now: () => {
			const paths = lines("ls-tree", "-r", "--name-only", stateRef);
			const value = (path: string) => readStateFile(path, repository.git("show", `${stateRef}:${path}`));
			return joinState(new Map(paths.map((path) => [path, value(path)])));
		},
		[Symbol.asyncDispose]: async () => {
			await server.close();
			rmSync(root, { recursive: true, force: true });
		},
	};
}

/** A build id that is told from others by its number. */
export function buildIdOfNumber(number: number): string {
	return number.toString(16).padStart(64, "a");
}

/** A change: one more forced build, and one more record of it. */
export function adding(number: number, image = "tool"): (state: State) => State {
	const id = buildIdOfNumber(number);
	return (state) => ({
		...state,
		queue: { ...state.queue, [image]: { ...state.queue[image], [id]: { count: 1 } } },
		decisions: {
			...state.decisions,
			forced: {
				...state.decisions.forced,
				[id]: { text: `again ${number}`, by: "somebody", when: "2026-01-01T00:00:00Z" },
			},
		},
	});
}

/** The numbers that were added, in rising order; each must be in both places. */
export function added(state: State): readonly number[] {
	const ids = Object.values(state.queue).flatMap((records) => Object.keys(records));
	if (ids.toSorted().join() !== Object.keys(state.decisions.forced).toSorted().join())
		throw new Error("queue and decisions are not of one state");
	return ids.map((id) => Number(/ (.*)/.exec(state.decisions.forced[id]!.text)![1])).sort((a, b) => a - b);
}

/** The tree of an empty state, with other entries in place of its own. */
export function stateTree(
	repository: TestRepository,
	entries: readonly TestEntry[] = [],
	without: readonly string[] = [],
): string {
	const own = [...splitState(emptyState)].map(([path, text]): TestEntry => [
		"100644",
		path,
		repository.object("blob", text),
	]);
	const names = new Set([...entries.map(([, name]) => String(name)), ...without]);
	const all = [...own.filter(([, name]) => !names.has(String(name))), ...entries];
	return repository.tree(all.sort(([, a], [, b]) => Buffer.compare(Buffer.from(a), Buffer.from(b))));
}
