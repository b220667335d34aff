import { BrewlineError } from "../errors.ts";
import { printable } from "../io/printable.ts";
import type { Sources } from "./types.ts";

/**
 * Throws `cycle` where a source is, on some architecture, built from itself through its parents. The build order
 * finds circles of definitions and entries; what is left are images that are FROM a tag of their own.
 */
export function checkCycles(sources: Sources): void {
	const all = Object.values(sources);
	for (const arch of new Set(all.flatMap(({ arches }) => Object.keys(arches)))) {
		const done = new Set<string>();
		for (const { sourceId } of all) walk(sources, arch, sourceId, done);
	}
}

/** Without recursion: a chain of FROMs may be as long as the library. */
function walk(sources: Sources, arch: string, start: string, done: Set<string>): void {
	const path: { readonly sourceId: string; readonly parents: string[] }[] = [];
	const onPath = new Set<string>();
	const enter = (sourceId: string): void => {
		if (done.has(sourceId)) return;
		if (onPath.has(sourceId)) {
			const steps = path.map((step) => step.sourceId);
			throw circle(sources, arch, steps.slice(steps.indexOf(sourceId)));
		}
		const parents = Object.values(sources[sourceId]?.arches[arch]?.parents ?? {});
		path.push({ sourceId, parents: parents.flatMap((parent) => parent.sourceId ?? []) });
		onPath.add(sourceId);
	};
	enter(start);
	for (let last = path.at(-1); last !== undefined; last = path.at(-1)) {
		const next = last.parents.pop();
		if (next === undefined) {
			path.pop();
			onPath.delete(last.sourceId);
			done.add(last.sourceId);
		} else enter(next);
	}
}

function circle(sources: Sources, arch: string, steps: readonly string[]): BrewlineError {
	const names = steps.map((sourceId) => sources[sourceId]?.arches[arch]?.tags[0] ?? sourceId);
	const shown = [...names, names[0]!].map((name) => printable(name, 200)).join(" FROM ");
	return new BrewlineError(
		"cycle",
		`images are built from one another in a circle on ${printable(arch, 40)}: ${shown}`,
		{
			hint: "Take one of these FROMs out, or pin it by digest.",
		},
	);
}
