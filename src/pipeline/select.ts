import { fileNames } from "../definition/index.ts";
import { nearest } from "../definition/text.ts";
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

/** Refuses a name that no definition has, before anything is fetched for it. */
export function requireImage(library: string, reference: string): void {
	const names = fileNames(library);
	const name = reference.split(":")[0]!;
	if (names.includes(name)) return;
	const near = nearest(name, names);
	throw nothingUnder(reference, near === undefined ? undefined : `did you mean ${printable(near)}?`);
}

function nothingUnder(reference: string, hint?: string): BrewlineError {
	return new BrewlineError("reference", `nothing is defined under ${printable(reference)}`, {
		hint: hint ?? "write NAME or NAME:TAG as the definitions have them: brewline inspect list",
	});
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
	if (arch === undefined) throw nothingUnder(reference);
	const elsewhere = select(sources, reference);
	throw new BrewlineError("reference", `${printable(reference)} is not defined for ${printable(arch)}`, {
		hint: `it is for ${[...new Set(elsewhere.map((one) => one.arch))].join(", ")}`,
	});
}
