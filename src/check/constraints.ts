import { imagePattern } from "../config/policy.ts";
import type { Checks } from "../config/types.ts";
import type { Bases } from "./bases.ts";
import { type CheckedEntry, type Draft, placeOf } from "./types.ts";

/** Constraints of an entry that its FROMs do not demand, and the other way round, architecture by architecture. */
export function checkConstraints(
	entries: readonly CheckedEntry[],
	bases: Bases,
	{ demands }: Pick<Checks, "demands">,
): readonly Draft[] {
	return entries.flatMap((checked) => {
		const { image, entry, froms } = checked;
		const drafts = new Map<string, Draft>();
		const add = (
			kind: "missing" | "extra" | "unknown",
			from: string,
			list: readonly string[],
			draft: Pick<Draft, "message" | "fix">,
		): void => {
			const key = JSON.stringify([kind, list]);
			if (list.length === 0 || drafts.has(key)) return;
			drafts.set(key, {
				rule: kind === "unknown" ? "constraints-unknown" : "constraints",
				image,
				tag: entry.Tags[0]!,
				at: placeOf(entry, "Constraints"),
				...draft,
				details: { entry: `${image}:${entry.Tags[0]}`, from, [kind]: list },
			});
		};
		for (const [arch, list] of froms) {
			const wanted = new Set<string>();
			const unknown: string[] = [];
			for (const from of list) {
				const demanded = demandOf(from, bases, demands);
				if (demanded === undefined) unknown.push(from);
				else for (const constraint of demanded) wanted.add(constraint);
			}
			for (const from of unknown) {
				add("unknown", from, [from], {
					message: `nobody knows which constraints FROM ${from} demands`,
					fix: "Stand on nanoserver or servercore, with a tag and without a digest.",
				});
			}
			// What else it would demand is not known.
			if (unknown.length > 0) continue;
			const last = list.at(-1) ?? "scratch";
			const missing = [...wanted].filter((constraint) => !entry.Constraints.includes(constraint)).sort();
			const extra = [...new Set(entry.Constraints)].filter((constraint) => !wanted.has(constraint)).sort();
			add("missing", last, missing, {
				message: `FROM ${last} on ${arch} demands the constraint ${missing.join(", ")}`,
				fix: `Add to Constraints: ${missing.join(", ")}`,
			});
			add("extra", last, extra, {
				message: `no FROM on ${arch} demands the constraint ${extra.join(", ")}`,
				fix: `Take out of Constraints, or split the entry: ${extra.join(", ")}`,
			});
		}
		return [...drafts.values()];
	});
}

/** What a FROM demands; undefined: nobody can say. */
function demandOf(from: string, bases: Bases, demands: Checks["demands"]): readonly string[] | undefined {
	const [first] = bases.entriesOf(from);
	if (first !== undefined) return first.Constraints;
	const demand = demands.find((one) => imagePattern(one.from)(from));
	if (demand === undefined) return [];
	if (demand.constraint === null || from.includes("@")) return undefined;
	const tag = from.slice(from.lastIndexOf(":") + 1);
	return [tag === "latest" ? demand.constraint : `${demand.constraint}-${tag}`];
}
