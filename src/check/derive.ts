import { limit, outsideReference } from "../builds/index.ts";
import { policyOf } from "../config/policy.ts";
import type { Program } from "../config/types.ts";
import type { Definition, Entry, Selection } from "../definition/index.ts";
import type { Io } from "../io/index.ts";
import { orderedKeys } from "../json/index.ts";
import type { SourceArch, Sources } from "../sources/index.ts";

/** An entry of a definition whose architectures are not those that its parents have. */
export interface ArchitectureFinding {
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
	/** Those of the entry that stay, then what is gained. */
	readonly architectures: readonly string[];
}

export interface Derived {
	/** In the order of the library; what could be gained only where that is proposed (`changes`), what was dropped always. */
	readonly findings: readonly ArchitectureFinding[];
	/** Only those that change by what is proposed. */
	readonly entries: readonly DerivedEntry[];
}

export interface DeriveOptions {
	readonly program: Pick<Program, "architectures" | "policies" | "timeLimit">;
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
	/** What could be gained, as far as the entry itself goes: where it has runners, and takes no other entry's place. */
	readonly open: readonly string[];
	/** What the FROMs of what could be gained are. */
	readonly commonFroms: readonly string[] | undefined;
	/** What it has by now. */
	now: ReadonlySet<string>;
}

/** Answers about FROMs, as things are by now. */
interface Bases {
	/** Entries of ours that provide a FROM for an architecture, if they are defined for it; none: it is from outside. */
	readonly own: (from: string, arch: string) => readonly Node[];
	/** Whether it is from outside, and not there at all. */
	readonly isAbsent: (from: string, arch: string) => boolean;
	readonly has: (from: string, arch: string) => boolean;
}

/**
 * Derives the architectures of all entries from their parents (docs/operating.md): from images outside to what stands on
 * them, so that one base that loses or gains an architecture changes all its descendants at once.
 */
export async function deriveArchitectures(
	selections: readonly Selection[],
	sources: Sources,
	io: Pick<Io, "signal">,
	options: DeriveOptions,
): Promise<Derived> {
	const nodes = nodesOf(selections, sources, options);
	const bases = await basesOf(nodes, io, options);
	const lost = (node: Node, arch: string): string | undefined =>
		node.sources.get(arch)?.froms.find((from) => !bases.has(from, arch) && !bases.isAbsent(from, arch));
	const keeps = (node: Node): readonly string[] =>
		node.entry.Architectures.filter((arch) => lost(node, arch) === undefined);
	const gains = ({ open, commonFroms }: Node): readonly string[] =>
		commonFroms === undefined ? [] : open.filter((arch) => commonFroms.every((from) => bases.has(from, arch)));
	// First architectures only go, then they only come (also those that a parent gains): this ends, whatever stands on what.
	settle(nodes, (node) => keeps(node).filter((arch) => node.now.has(arch)));
	if (options.changes !== "drops") settle(nodes, (node) => [...node.now, ...keeps(node), ...gains(node)]);

	/** The FROM because of which an entry changes for an architecture. */
	const causeOf = (node: Node, arch: string): string | undefined =>
		node.now.has(arch) ? node.commonFroms?.[0] : lost(node, arch);
	/** Where it begins that a FROM has, or has not, an architecture. */
	const baseOf = (from: string, arch: string): string => {
		const seen = new Set<string>();
		for (let base = from; ;) {
			seen.add(base);
			const changed = bases
				.own(base, arch)
				.find((node) => node.now.has(arch) !== node.entry.Architectures.includes(arch));
			const next = changed && causeOf(changed, arch);
			if (next === undefined || seen.has(next)) return base;
			base = next;
		}
	};
	const finding = (node: Node, arch: string): ArchitectureFinding[] => {
		const { image, entry } = node;
		const [defined, now] = [entry.Architectures.includes(arch), node.now.has(arch)];
		const absent = node.sources.get(arch)?.froms.find((name) => bases.isAbsent(name, arch));
		const from = defined === now ? absent : causeOf(node, arch);
		if (from === undefined) return [];
		const kind = defined === now ? "absent" : now ? "gained" : "dropped";
		return [{ kind, image, tag: entry.Tags[0]!, arch, from, base: baseOf(from, arch) }];
	};
	return {
		findings: nodes.flatMap((node) =>
			[...new Set([...node.entry.Architectures, ...node.now])].flatMap((arch) => finding(node, arch)),
		),
		entries: nodes.flatMap((node) => proposalOf(node, options.changes)),
	};
}

/** Asks for what each entry has until none changes any more. */
function settle(nodes: readonly Node[], next: (node: Node) => readonly string[]): void {
	for (let changed = true; changed;) {
		changed = false;
		for (const node of nodes) {
			const has = new Set(next(node));
			if (has.size === node.now.size) continue;
			node.now = has;
			changed = true;
		}
	}
}

function nodesOf(
	selections: readonly Selection[],
	sources: Sources,
	{ program }: Pick<DeriveOptions, "program">,
): readonly Node[] {
	const byTag = new Map<string, Map<string, SourceArch>>();
	for (const { arches } of Object.values(sources)) {
		for (const [arch, ofArch] of Object.entries(arches)) {
			for (const tag of ofArch.tags) {
				const known = byTag.get(tag) ?? new Map<string, SourceArch>();
				byTag.set(tag, known.set(arch, ofArch));
			}
		}
	}
	return selections.flatMap(({ name, definition }) => {
		const drafts = definition.unmerged.map((entry) => {
			const all = byTag.get(`${name}:${entry.Tags[0]}`);
			const own = entry.Architectures.flatMap((arch): [string, SourceArch][] => {
				const found = all?.get(arch);
				return found === undefined ? [] : [[arch, found]];
			});
			return { entry, sources: new Map(own), commonFroms: commonFromsOf(entry, new Map(own)) };
		});
		// A shared tag is one image for each architecture: of several entries nobody here can tell whose that should be.
		const shared = new Map<string, { readonly arches: Set<string>; gainers: number }>();
		for (const { entry, commonFroms } of drafts) {
			for (const tag of entry.SharedTags) {
				const known = shared.get(tag) ?? { arches: new Set<string>(), gainers: 0 };
				for (const arch of entry.Architectures) known.arches.add(arch);
				if (commonFroms !== undefined) known.gainers++;
				shared.set(tag, known);
			}
		}
		return drafts.map((draft): Node => {
			const { entry } = draft;
			const tags = [...entry.Tags, ...entry.SharedTags].map((tag) => `${name}:${tag}`);
			const groups = entry.SharedTags.map((tag) => shared.get(tag)!);
			const open = Object.keys(program.architectures).filter(
				(arch) =>
					groups.every(({ arches, gainers }) => gainers <= 1 && !arches.has(arch)) &&
					policyOf(program, tags, arch).runner !== null,
			);
			return { image: name, definition, ...draft, open, now: new Set(entry.Architectures) };
		});
	});
}

/**
 * The FROMs that all architectures of an entry have in common; undefined where one that is not defined yet could have others, or
 * where no parent says anything.
 */
function commonFromsOf(
	{ Constraints, archFields }: Entry,
	sources: ReadonlyMap<string, SourceArch>,
): readonly string[] | undefined {
	if (Constraints.length > 0 || Object.keys(archFields).length > 0) return undefined;
	const [first, ...others] = [...sources.values()].map(({ froms }) => froms.filter((from) => from !== "scratch"));
	if (first === undefined || first.length === 0) return undefined;
	return others.every((froms) => froms.join() === first.join()) ? first : undefined;
}

/** Looks at all FROMs; each reference to the outside is asked for once, whatever it is called. */
async function basesOf(
	nodes: readonly Node[],
	io: Pick<Io, "signal">,
	{ program, architecturesOf }: DeriveOptions,
): Promise<Bases> {
	const used = new Set(nodes.flatMap(({ sources }) => [...sources.values()].flatMap(({ froms }) => froms)));
	const providers = new Map<string, { readonly node: Node; readonly only: string | undefined }[]>();
	const provide = (from: string, node: Node, only: string | undefined): void => {
		if (!used.has(from)) return;
		const known = providers.get(from);
		if (known === undefined) providers.set(from, [{ node, only }]);
		else known.push({ node, only });
	};
	const namespaces = Object.entries(program.architectures).flatMap(([arch, { namespace }]) =>
		namespace === null ? [] : [[arch, namespace] as const],
	);
	for (const node of nodes) {
		for (const tag of [...node.entry.Tags, ...node.entry.SharedTags]) {
			const full = `${node.image}:${tag}`;
			provide(full, node, undefined);
			// An architecture's own tag is ours for that architecture (spec/sources.md, parents).
			for (const [arch, namespace] of namespaces) provide(`${namespace}/${full}`, node, arch);
		}
	}
	const own = (from: string, arch: string): readonly Node[] =>
		(providers.get(from) ?? []).flatMap(({ node, only }) => (only === undefined || only === arch ? [node] : []));

	const references = new Map<string, string>();
	for (const [arch, { parents }] of nodes.flatMap(({ sources }) => [...sources])) {
		for (const from of orderedKeys(parents)) {
			if (from !== "scratch" && own(from, arch).length === 0) {
				references.set(from, outsideReference(from, parents[from]!.pin));
			}
		}
	}
	const limited = limit(16, io.signal);
	const asked = [...new Set(references.values())].map(
		async (reference) => [reference, await limited(() => architecturesOf(reference))] as const,
	);
	const found = new Map(await Promise.all(asked));
	const outside = (from: string): ReadonlySet<string> | undefined => found.get(references.get(from) ?? "");
	const isOutside = (from: string, arch: string): boolean => from !== "scratch" && own(from, arch).length === 0;
	return {
		own,
		isAbsent: (from, arch) => isOutside(from, arch) && outside(from) === undefined,
		has: (from, arch) =>
			from === "scratch" ||
			(isOutside(from, arch) ? outside(from)?.has(arch) === true : own(from, arch).some(({ now }) => now.has(arch))),
	};
}

function proposalOf({ image, definition, entry, now }: Node, changes: DeriveOptions["changes"]): DerivedEntry[] {
	const before = entry.Architectures;
	const kept = before.filter((arch) => changes === "gains" || now.has(arch));
	const gained = [...now].filter((arch) => !before.includes(arch));
	const architectures = [...kept, ...gained];
	return architectures.join() === before.join() ? [] : [{ image, definition, entry, architectures }];
}
