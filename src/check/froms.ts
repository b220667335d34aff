import type { Bases } from "./bases.ts";
import { type CheckedEntry, type Draft, placeOf } from "./types.ts";

/** FROMs that are not served: of an entry for which none is, all of them; of others, with the architectures. */
export function checkFroms(entries: readonly CheckedEntry[], bases: Bases): readonly Draft[] {
	return entries.flatMap(({ image, entry, froms }) => {
		const pairs = [...froms].flatMap(([arch, list]) => [...new Set(list)].map((from) => ({ arch, from })));
		const lacking = pairs.flatMap((pair) => {
			const lack = bases.lack(pair.from, pair.arch);
			return lack === undefined ? [] : [{ ...pair, lack }];
		});
		const completely = lacking.length === pairs.length;
		return [...Map.groupBy(lacking, ({ from }) => from)].map(([from, group]): Draft => {
			const architectures = group.map(({ arch }) => arch).sort();
			const exception = group.find(({ lack }) => lack.exception !== undefined)?.lack.exception;
			const reasons = [...new Set(group.map(({ lack }) => lack.why))];
			return {
				rule: "from",
				image,
				tag: entry.Tags[0]!,
				at: placeOf(entry, "Architectures"),
				message: completely
					? `FROM ${from} is a base that nothing of this entry can stand on: ${reasons.join("; ")}`
					: `FROM ${from} cannot be built on ${architectures.join(", ")}: ${reasons.join("; ")}`,
				fix: group[0]!.lack.fix,
				details: {
					entry: `${image}:${entry.Tags[0]}`,
					from,
					...(completely ? { completely } : { architectures }),
					...(exception === undefined ? {} : { exception: { from: exception.from, reason: exception.reason } }),
				},
			};
		});
	});
}
