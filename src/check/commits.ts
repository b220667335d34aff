import type { Checks } from "../config/types.ts";
import { forArchitecture, type Selection } from "../definition/index.ts";
import { BrewlineError, type Location } from "../errors.ts";
import type { GitStore, History, WantedCommit } from "../git/index.ts";
import type { Draft } from "./types.ts";

interface Asked extends WantedCommit {
	readonly address: string;
	readonly tag: string;
	readonly at: Location;
}

/** Commits that are not where the definition says, and large archives that change in the history behind them. */
export async function checkCommits(
	selections: readonly Selection[],
	git: Pick<GitStore, "repository">,
	{ archives }: Pick<Checks, "archives">,
): Promise<readonly Draft[]> {
	const drafts: Draft[] = [];
	for (const { name, entries } of selections) {
		const asked = entries.flatMap((entry) =>
			entry.Architectures.map((arch): Asked => {
				const { GitRepo, GitFetch, GitCommit } = forArchitecture(entry, arch);
				return { address: GitRepo, fetch: GitFetch, commit: GitCommit, tag: entry.Tags[0]!, at: entry.at };
			}),
		);
		for (const [address, wanted] of Map.groupBy(asked, (one) => one.address)) {
			try {
				const unique = new Map(wanted.map(({ commit, fetch }) => [`${commit} ${fetch}`, { commit, fetch }]));
				const history = await git.repository(address).history([...unique.values()], archives);
				drafts.push(...draftsOf(name, wanted, history, archives.reason));
			} catch (error) {
				if (!(error instanceof BrewlineError) || error.code === "cancelled") throw error;
				drafts.push({
					rule: "history",
					image: name,
					tag: wanted[0]!.tag,
					at: wanted[0]!.at,
					message: error.message,
					fix: error.hint ?? "Check GitRepo, GitFetch and GitCommit.",
				});
			}
		}
	}
	return drafts;
}

type Problem =
	| { readonly kind: "fetch"; readonly ref: string }
	| { readonly kind: "unreachable"; readonly ref: string }
	| { readonly kind: "modified"; readonly path: string; readonly mebibytes: number };

function draftsOf(image: string, wanted: readonly Asked[], history: History, reason: string): readonly Draft[] {
	const found = new Map<string, { readonly behind: string; readonly problems: Problem[] }>();
	const add = (commit: string, behind: string, problem: Problem): void => {
		const known = found.get(commit) ?? { behind, problems: [] };
		found.set(commit, known);
		known.problems.push(problem);
	};
	for (const [commit, group] of Map.groupBy(wanted, (one) => one.commit)) {
		for (const ref of new Set(group.map(({ fetch }) => fetch))) {
			if (history.unfetchable.has(ref)) add(commit, commit, { kind: "fetch", ref });
		}
	}
	for (const { commit, fetch } of history.outside) add(commit, commit, { kind: "unreachable", ref: fetch });
	for (const { commit, behind, path, size } of history.modified) {
		add(commit, behind, { kind: "modified", path, mebibytes: Math.floor(size / 1024 / 1024) });
	}
	const byCommit = new Map(wanted.toReversed().map((one) => [one.commit, one]));
	return [...found]
		.sort(([a], [b]) => (a < b ? -1 : 1))
		.map(([commit, { behind, problems }]): Draft => {
			const { tag, at } = byCommit.get(behind)!;
			const moved = problems.some(({ kind }) => kind !== "modified");
			return {
				rule: "commits",
				image,
				tag,
				at,
				message: `commit ${commit}${behind === commit ? "" : ` (behind ${behind})`}: ${problems.map(said).join("; ")}`,
				fix: moved
					? "GitFetch is the branch or tag whose history has GitCommit."
					: `Give each version of the archive a branch without a history; ${reason}.`,
				details: { image, commit, ...(behind === commit ? {} : { inHistoryOf: behind }), problems },
			};
		});
}

function said(problem: Problem): string {
	if (problem.kind === "fetch") return `${problem.ref} cannot be fetched`;
	if (problem.kind === "unreachable") return `it is not behind ${problem.ref}`;
	return `it changes the binary file ${problem.path} (${problem.mebibytes} MiB)`;
}
