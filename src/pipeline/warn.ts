import type { Selection } from "../definition/index.ts";
import type { Io } from "../io/index.ts";

/** Says what is odd in definitions, though it is read. */
export function warnOf(selections: readonly Selection[], io: Io): void {
	for (const definition of new Set(selections.map((selection) => selection.definition))) {
		for (const { message, at, hint } of definition.warnings) {
			io.log({
				type: "message",
				level: "warning",
				code: "definition",
				text: message,
				at,
				...(hint === undefined ? {} : { hint }),
			});
		}
	}
}
