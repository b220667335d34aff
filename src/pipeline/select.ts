import { BrewlineError } from "../errors.ts";
import { printable } from "../io/index.ts";
import { orderedEntries } from "../json/index.ts";
import type { Sources } from "../sources/index.ts";
import { imageOf } from "../state/index.ts";

/** A source on an architecture, and the tag that people call it by. */
export interface Selected {
	readonly sourceId: string;
	readonly arch: string;
	/** The first one. */
	readonly tag: string;
}

/**
 * What `IMAGE` or `IMAGE:TAG` names, on one architecture or all, in the order of the sources. Throws `reference` where that is
 * nothing.
 */
export function select(sources: Sources, reference: string, arch?: string): readonly Selected[] {
	const matches = (tag: string): boolean => tag === reference || imageOf(tag) === reference;
	const found = orderedEntries(sources).flatMap(([sourceId, { arches }]) =>
		orderedEntries(arches)
			.filter(([name, { tags }]) => (arch === undefined || arch === name) && tags.some(matches))
			.map(([name, { tags }]) => ({ sourceId, arch: name, tag: tags.find(matches) ?? tags[0]! })),
	);
	if (found.length > 0) return found;
	const elsewhere = arch === undefined ? [] : select(sources, reference);
	throw new BrewlineError(
		"reference",
		arch === undefined
			? `nothing is defined under ${printable(reference)}`
			: `${printable(reference)} is not defined for ${printable(arch)}`,
		{
			hint:
				arch === undefined
					? "write NAME or NAME:TAG as the definitions have them: brewline inspect list"
					: `it is for ${[...new Set(elsewhere.map((one) => one.arch))].join(", ")}`,
		},
	);
}
