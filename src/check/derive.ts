import { limit, outsideReference } from "../builds/index.ts";
import type { Program } from "../config/index.ts";
import type { Definition, Entry, Selection } from "../definition/index.ts";
import type { Io } from "../io/index.ts";
import { orderedKeys } from "../json/index.ts";
import type { SourceArch, Sources } from "../sources/index.ts";

/** An entry of a definition whose architectures are not those that its parents have. */
export interface Finding {
	/**
	 * `dropped`: a parent has the architecture no more, or never had it. `gained`: all parents have it, and the entry does not name
	 * it. `absent`: a parent from outside is not there at all, which says nothing about architectures.
	 */
	readonly kind: "dropped" | "gained" | "absent";
	readonly image: string;
	/** The first tag of the entry. */
	readonly tag: string;
	readonly arch: string;
	/** The FROM that it comes from. */
	readonly from: string;
	/** Where that begins: an image from outside, or one of ours that is not defined for the architecture. */
	readonly base: string;
}

/** An entry as it stands in its file, with the architectures that it should name. */
export interface DerivedEntry {
	readonly image: string;
	readonly definition: Definition;
	readonly entry: Entry;
	/** In the order of the entry, then what is gained in the order of the program. */
	readonly architectures: readonly string[];
}

export interface Derived {
	/** In the order of the library; of those that are not proposed (`changes`), none. */
	readonly findings: readonly Finding[];
	/** Only those that change. */
	readonly entries: readonly DerivedEntry[];
}

export interface DeriveOptions {
	readonly program: Pick<Program, "architectures">;
	/** What an image from outside is there for; undefined: it is not there. Asked once for each reference. */
	readonly architecturesOf: (reference: string) => Promise<ReadonlySet<string> | undefined>;
	/** Which changes are proposed. */
	readonly changes: "drops" | "gains" | "all";
}

interface Node {
	readonly image: string;
	readonly definition: Definition;
	readonly entry: Entry;
	/** By architecture that is defined. */
	readonly sources: ReadonlyMap<string, SourceArch>;
	/** What it has by now. */
	now: ReadonlySet<string>;
}

/**
 * Derives the architectures of all entries from their parents (docs/architectures.md): from images outside to what stands on
 * them, so that one base that loses or gains an architecture changes all its descendants at once.
 */
export async function deriveArchitectures(
	selections: readonly Selection[],
	sources: Sources,
	io: Pick<Io, "signal">,
	options: DeriveOptions,
): Promise<Derived> {
	const nodes = nodesOf(selections, sources);
	const providers = Map.groupBy(
		nodes.flatMap((node) =>
			[...node.entry.Tags, ...node.entry.SharedTags].map((tag) => ({ tag: `${node.image}:${tag}`, node })),
		),
		({ tag }) => tag,
	);
	const outside = await outsideArchitectures(nodes, providers, io, options);
	const served = Object.keys(options.program.architectures).filter(
		(arch) => options.program.architectures[arch]!.runner !== null,
	);
	/** Whether a parent has an architecture, as things are by now. */
	const holds = (from: string, arch: string): boolean =>
		from === "scratch" ||
		(providers.get(from)?.some(({ node }) => node.now.has(arch)) ?? outside.get(from)?.has(arch) ?? false);
	const absentOf = (froms: readonly string[]): string | undefined =>
		froms.find((from) => from !== "scratch" && !providers.has(from) && outside.get(from) === undefined);
	const derived = (node: Node): ReadonlySet<string> => {
		const kept = node.entry.Architectures.filter((arch) => {
			const froms = node.sources.get(arch)?.froms ?? [];
			return absentOf(froms) !== undefined || froms.every((from) => holds(from, arch));
		});
		const froms = options.changes === "drops" ? undefined : commonFroms(node);
		return new Set([
			...kept,
			...(froms === undefined ? [] : served.filter((arch) => froms.every((from) => holds(from, arch)))),
		]);
	};
	// FROMs go in no circle, so this ends after as many rounds as there are layers.
	for (let changed = true; changed;) {
		changed = false;
		for (const node of nodes) {
			const next = derived(node);
			if (next.size === node.now.size && [...next].every((arch) => node.now.has(arch))) continue;
			node.now = next;
			changed = true;
		}
	}
	/** Where it begins that a parent has, or has not, an architecture. */
	const baseOf = (from: string, arch: string): string => {
		const changedBy = providers
			.get(from)
			?.find(({ node }) => node.now.has(arch) !== node.entry.Architectures.includes(arch));
		const next = changedBy && causeOf(changedBy.node, arch);
		return next === undefined ? from : baseOf(next, arch);
	};
	/** The FROM because of which an entry changes for an architecture. */
	const causeOf = (node: Node, arch: string): string | undefined =>
		node.now.has(arch) ? commonFroms(node)?.[0] : node.sources.get(arch)?.froms.find((from) => !holds(from, arch));
	const finding = (node: Node, arch: string): Finding[] => {
		const { image, entry } = node;
		const [defined, now] = [entry.Architectures.includes(arch), node.now.has(arch)];
		const absent = defined ? absentOf(node.sources.get(arch)?.froms ?? []) : undefined;
		const from = absent ?? (defined === now ? undefined : causeOf(node, arch));
		if (from === undefined) return [];
		const kind = absent !== undefined ? "absent" : now ? "gained" : "dropped";
		return [{ kind, image, tag: entry.Tags[0]!, arch, from, base: baseOf(from, arch) }];
	};
	const unwanted = { drops: "gained", gains: "dropped", all: undefined }[options.changes];
	return {
		findings: nodes
			.flatMap((node) => [...new Set([...node.entry.Architectures, ...served])].flatMap((arch) => finding(node, arch)))
			.filter(({ kind }) => kind !== unwanted),
		entries: nodes.flatMap((node) => proposalOf(node, served, options.changes)),
	};
}

function nodesOf(selections: readonly Selection[], sources: Sources): readonly Node[] {
	const byTag = new Map<string, Map<string, SourceArch>>();
	for (const { arches } of Object.values(sources)) {
		for (const [arch, ofArch] of Object.entries(arches)) {
			for (const tag of ofArch.tags) {
				const known = byTag.get(tag) ?? new Map<string, SourceArch>();
				byTag.set(tag, known.set(arch, ofArch));
			}
		}
	}
	return selections.flatMap(({ name, definition }) =>
		definition.unmerged.map((entry): Node => {
			const all = byTag.get(`${name}:${entry.Tags[0]}`);
			const own = entry.Architectures.flatMap((arch): [string, SourceArch][] => {
				const found = all?.get(arch);
				return found === undefined ? [] : [[arch, found]];
			});
			return { image: name, definition, entry, sources: new Map(own), now: new Set(entry.Architectures) };
		}),
	);
}

/** What each image from outside is there for; undefined: it is not there. */
async function outsideArchitectures(
	nodes: readonly Node[],
	own: ReadonlyMap<string, unknown>,
	io: Pick<Io, "signal">,
	{ architecturesOf }: DeriveOptions,
): Promise<ReadonlyMap<string, ReadonlySet<string> | undefined>> {
	const references = new Map<string, string>();
	for (const { parents } of nodes.flatMap((node) => [...node.sources.values()])) {
		for (const from of orderedKeys(parents)) {
			if (from !== "scratch" && !own.has(from)) references.set(from, outsideReference(from, parents[from]!.pin));
		}
	}
	const limited = limit(16, io.signal);
	const found = [...references].map(
		async ([from, reference]) => [from, await limited(() => architecturesOf(reference))] as const,
	);
	return new Map(await Promise.all(found));
}

/**
 * The FROMs that all architectures of an entry have in common; undefined where one that is not defined yet could have others, or
 * where no parent says anything.
 */
function commonFroms({ entry, sources }: Node): readonly string[] | undefined {
	if (entry.Constraints.length > 0 || Object.keys(entry.archFields).length > 0) return undefined;
	const [first, ...others] = [...sources.values()].map(({ froms }) => froms.filter((from) => from !== "scratch"));
	if (first === undefined || first.length === 0) return undefined;
	return others.every((froms) => froms.join() === first.join()) ? first : undefined;
}

function proposalOf(
	{ image, definition, entry, now }: Node,
	served: readonly string[],
	changes: DeriveOptions["changes"],
): DerivedEntry[] {
	const before = entry.Architectures;
	const kept = before.filter((arch) => changes === "gains" || now.has(arch));
	const gained = changes === "drops" ? [] : served.filter((arch) => now.has(arch) && !before.includes(arch));
	const architectures = [...kept, ...gained];
	return architectures.join() === before.join() ? [] : [{ image, definition, entry, architectures }];
}
