import { decodeText } from "../definition/index.ts";
import { gitIn, type LocalRepository } from "../git/index.ts";
import type { Io } from "../io/index.ts";

/** The main line of a repository: what a definition can have been generated from. */
export interface MainLine {
	/** Oldest first. */
	readonly commits: readonly { readonly id: string; readonly time: number }[];
	/** The place in it of the first commit that has the given one among its ancestors. */
	readonly since: ReadonlyMap<string, number>;
}

export async function mainLineOf(io: Io, repository: LocalRepository): Promise<MainLine> {
	const known = new Map<string, { readonly time: number; readonly parents: readonly string[] }>();
	const told = decodeText(await gitIn(io, repository, ["log", "--format=%H %ct %P", "HEAD"]));
	const lines = told.split("\n").filter(Boolean);
	for (const line of lines) {
		const [id = "", time, ...parents] = line.split(" ");
		known.set(id, { time: Number(time), parents: parents.filter(Boolean) });
	}
	const commits: { id: string; time: number }[] = [];
	for (let id = lines[0]?.split(" ")[0]; id !== undefined && known.has(id); id = known.get(id)!.parents[0]) {
		commits.push({ id, time: known.get(id)!.time });
	}
	commits.reverse();
	const since = new Map<string, number>();
	for (const [place, { id }] of commits.entries()) {
		const open = [id];
		for (let next = open.pop(); next !== undefined; next = open.pop()) {
			if (since.has(next)) continue;
			since.set(next, place);
			open.push(...(known.get(next)?.parents ?? []));
		}
	}
	return { commits, since };
}

/** The place in a main line of the oldest commit that has all that a definition names; undefined: it does not have all. */
export function oldestMoment(line: MainLine, text: string): number | undefined {
	let oldest = 0;
	for (const id of namedCommits(text)) {
		const place = line.since.get(id);
		if (place === undefined) return undefined;
		oldest = Math.max(oldest, place);
	}
	return oldest;
}

/** A commit that a definition names and that is not on a main line. */
export function missingCommit(line: MainLine, text: string): string | undefined {
	return namedCommits(text).find((id) => !line.since.has(id));
}

/** The commits of the repository that a definition names; none where it is of a time before there were such fields. */
export function namedCommits(text: string): readonly string[] {
	// What stands in front of an architecture's commit is of a branch of its own.
	return [...text.matchAll(/(?:\/blob\/|^GitCommit: *)([0-9a-f]{40}|[0-9a-f]{64})\b/gm)].map(([, id]) => id!);
}
