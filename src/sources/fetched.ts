import { BrewlineError, messageOf } from "../errors.ts";
import { checkAddress } from "../git/address.ts";
import type { GitRepository, GitStore } from "../git/index.ts";
import { counted, printable } from "../io/printable.ts";
import type { Io } from "../io/types.ts";
import { about, type SourceCandidate } from "./assemble.ts";

/** Larger files are no Dockerfiles. */
export const maxDockerfile = 4 * 1024 * 1024;
const repositoriesAtOnce = 8;
const candidatesAtOnce = 16;

/** What a Dockerfile is called in messages: its path in the repository. */
export function dockerfileName(directory: string, file: string): string {
	return `${directory === "." ? "" : `${directory}/`}${file}`;
}

/**
 * Runs `action` on each candidate whose commit can be had, after one fetch for each repository. Gives back what went
 * wrong, by candidate, in their order.
 */
export async function withCommits(
	candidates: readonly SourceCandidate[],
	io: Io,
	git: Pick<GitStore, "repository">,
	action: (candidate: SourceCandidate, repository: GitRepository) => Promise<void>,
): Promise<ReadonlyMap<SourceCandidate, BrewlineError>> {
	const errors = new Map<SourceCandidate, BrewlineError>();
	const byRepository = Map.groupBy(candidates, ({ place }) => place.GitRepo);
	await atOnce(repositoriesAtOnce, [...byRepository], async ([address, wanted]) => {
		io.signal.throwIfAborted();
		try {
			// Before anything is said of it: what is refused may hold a password.
			checkAddress(address);
		} catch (error) {
			for (const candidate of wanted) errors.set(candidate, aboutCause(candidate, error));
			return;
		}
		const task = `git ${printable(address)}`;
		const commits = new Set(wanted.map(({ place }) => place.GitCommit)).size;
		io.log({ type: "progress", task, state: "running", detail: counted(commits, "commit") });
		const before = errors.size;
		const repository = await fetchAll(address, wanted, git, errors);
		const left = wanted.filter((candidate) => !errors.has(candidate));
		await atOnce(candidatesAtOnce, repository === undefined ? [] : left, async (candidate) => {
			io.signal.throwIfAborted();
			try {
				await action(candidate, repository!);
			} catch (error) {
				errors.set(candidate, aboutCause(candidate, error));
			}
		});
		io.log({ type: "progress", task, state: errors.size === before ? "present" : "failed" });
	});
	// In the candidates' own order, whatever came first.
	return new Map(
		candidates.flatMap((candidate) => {
			const error = errors.get(candidate);
			return error === undefined ? [] : [[candidate, error] as const];
		}),
	);
}

/** Undefined where nothing of it can be used. */
async function fetchAll(
	address: string,
	wanted: readonly SourceCandidate[],
	git: Pick<GitStore, "repository">,
	errors: Map<SourceCandidate, BrewlineError>,
): Promise<GitRepository | undefined> {
	// Values for one architecture are not checked by the definition; one that is none must not fail the others.
	for (const candidate of wanted) {
		const { GitCommit, GitFetch } = candidate.place;
		if (!/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(GitCommit)) {
			errors.set(candidate, about(candidate, "definition", `GitCommit "${printable(GitCommit, 80)}" is no commit id`));
		} else if (!/^refs\/(?:heads|tags)\/[^*?:]+$/.test(GitFetch)) {
			errors.set(
				candidate,
				about(candidate, "definition", `GitFetch "${printable(GitFetch, 80)}" is no branch or tag`),
			);
		}
	}
	const left = wanted.filter((candidate) => !errors.has(candidate));
	if (left.length === 0) return undefined;
	try {
		const repository = git.repository(address);
		const commits = new Map(
			left.map(({ place }) => [
				`${place.GitCommit} ${place.GitFetch}`,
				{ commit: place.GitCommit, fetch: place.GitFetch },
			]),
		);
		try {
			await repository.ensure([...commits.values()]);
		} catch (error) {
			// Each error names its commit; one that names none is about the whole repository.
			const each = error instanceof BrewlineError && error.errors.length > 0 ? error.errors : [error];
			for (const candidate of left) {
				const { GitCommit } = candidate.place;
				const cause =
					each.find((one) => messageOf(one).includes(GitCommit)) ??
					each.find((one) => !/[0-9a-f]{40}/.test(messageOf(one)));
				if (cause !== undefined) errors.set(candidate, aboutCause(candidate, cause));
			}
		}
		return repository;
	} catch (error) {
		for (const candidate of left) errors.set(candidate, aboutCause(candidate, error));
		return undefined;
	}
}

function aboutCause(candidate: SourceCandidate, cause: unknown): BrewlineError {
	if (!(cause instanceof BrewlineError) || cause.code === "cancelled") throw cause;
	const error = about(candidate, cause.code, cause.message);
	const hint = cause.hint ?? (cause.code === "git" ? "check GitCommit, Directory and File of this entry" : undefined);
	return new BrewlineError(error.code, error.message, {
		cause,
		...(hint === undefined ? {} : { hint }),
		...(error.at === undefined ? {} : { at: error.at }),
	});
}

/** Runs `action` on each item, at most `limit` at the same time; after an error no further one is started. */
async function atOnce<T>(limit: number, items: readonly T[], action: (item: T) => Promise<void>): Promise<void> {
	const rest = items.values();
	let failed = false;
	const worker = async (): Promise<void> => {
		for (const item of rest) {
			if (failed) return;
			try {
				await action(item);
			} catch (error) {
				failed = true;
				throw error;
			}
		}
	};
	await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker));
}
