import type { Program } from "../config/types.ts";
import { buildOrder, forArchitecture, type MergedEntry, type Selection } from "../definition/index.ts";
import { BrewlineError } from "../errors.ts";
import { isAddress } from "../git/address.ts";
import type { GitStore } from "../git/index.ts";
import { counted } from "../io/printable.ts";
import type { Io } from "../io/types.ts";
import { assembleSources, type SourceCandidate, type SourceFacts } from "./assemble.ts";
import { throwAll } from "./errors.ts";
import { recordedFacts } from "./facts.ts";
import type { Sources } from "./types.ts";

export interface SourcesInput {
	/** Whole definitions, or what references select of them; in the order that stays where FROMs say nothing. */
	readonly selections: readonly Selection[];
	/** Digests of images from outside, by their FROM (`readExternalPins`). */
	readonly pins: ReadonlyMap<string, string>;
	/** An earlier result: what it knows of a commit is not asked for again. */
	readonly previous?: Sources;
}

export interface SourcesOptions {
	readonly program: Pick<Program, "architectures">;
	/** Is asked for what `previous` does not know; without it, that is an error. */
	readonly git?: Pick<GitStore, "repository">;
}

/**
 * What there is to build: one source for each distinct content, parents before children (spec/sources.md). Asks no
 * registry. An error in any entry is an error of the whole, and all of them are reported at once, each with its
 * definition and tag: nothing is left out silently. Codes: those of git and Dockerfiles, `definition`, `cycle`, and
 * `failed` where several differ.
 */
export async function sources(input: SourcesInput, io: Io, options: SourcesOptions): Promise<Sources> {
	const { architectures } = options.program;
	const candidates = new Map<MergedEntry, ReadonlyMap<string, SourceCandidate>>();
	for (const { name, entries } of input.selections) {
		for (const entry of entries) if (!candidates.has(entry)) candidates.set(entry, candidatesOf(name, entry));
	}
	const facts = new Map<SourceCandidate, SourceFacts>();
	const unknown: SourceCandidate[] = [];
	const recorded = recordedFacts(input.previous ?? {});
	for (const candidate of [...candidates.values()].flatMap((byArch) => [...byArch.values()])) {
		// The content is the same wherever it is, but the address goes into what is published, and is judged each time.
		const known = isAddress(candidate.place.GitRepo) ? recorded(candidate) : undefined;
		if (known === undefined) unknown.push(candidate);
		else facts.set(candidate, known);
	}
	const takenOver = facts.size;
	if (unknown.length > 0) {
		// Mostly nothing is new, and this brings all that reads Dockerfiles and hashes trees along.
		const { gitFacts } = await import("./git-facts.ts");
		const asked = await gitFacts(unknown, io, {
			git: options.git ?? noGit,
			platformOf: (arch) => {
				if (Object.hasOwn(architectures, arch)) return architectures[arch]!.platform;
				throw new BrewlineError("definition", "the program has no such architecture");
			},
		});
		throwAll(asked.errors, "Not every source can be computed");
		for (const [candidate, each] of asked.facts) facts.set(candidate, each);
	}
	const ordered = await buildOrder(input.selections, {
		froms: async (entry, arch) => facts.get(candidates.get(entry)!.get(arch)!)!.froms,
	});
	const inOrder = ordered.flatMap(({ entries }) => entries.flatMap((entry) => [...candidates.get(entry)!.values()]));
	const result = assembleSources(
		inOrder.map((candidate) => [candidate, facts.get(candidate)!] as const),
		{ architectures, pins: input.pins },
	);
	io.log({
		type: "message",
		level: "info",
		text: `${counted(Object.keys(result).length, "source")}; git was asked for ${unknown.length} of ${takenOver + unknown.length} (entries, each on an architecture)`,
	});
	return result;
}

/** By architecture, in the entry's order. */
function candidatesOf(name: string, entry: MergedEntry): ReadonlyMap<string, SourceCandidate> {
	const tags = [...entry.Tags, ...entry.SharedTags];
	return new Map(
		entry.Architectures.map((arch) => [arch, { name, tags, arch, place: forArchitecture(entry, arch), at: entry.at }]),
	);
}

const noGit: Pick<GitStore, "repository"> = {
	repository: () => {
		throw new BrewlineError("git", "it is not in the previous sources, and git may not be asked");
	},
};
