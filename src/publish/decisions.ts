import type { Decided, Decisions } from "../state/types.ts";

/** What people decided about tags; a run obeys and reports it (docs/design.md, Decisions). */
export type PublishDecisions = Omit<Decisions, "forced">;

export const undecided: PublishDecisions = { shrink: {}, holds: {}, rollbacks: {} };

/** That a tag is not moved at all. */
export interface Standstill extends Decided {
	readonly kind: "stop" | "hold";
}

/** Why a tag (`NAME:TAG`) is not moved, whatever was built; undefined: it may be. */
export function standstill(tag: string, { stop, holds }: PublishDecisions): Standstill | undefined {
	if (stop !== undefined) return { kind: "stop", ...stop };
	const hold = own(holds, tag) ?? own(holds, tag.slice(0, tag.lastIndexOf(":")));
	return hold && { kind: "hold", ...hold };
}

/** What a tag was taken back to; undefined: it was not. */
export function rollbackOf(tag: string, { rollbacks }: PublishDecisions): Decisions["rollbacks"][string] | undefined {
	return own(rollbacks, tag);
}

/** What a tag may go without although it is defined; undefined: nothing. */
export function shrinkOf(tag: string, { shrink }: PublishDecisions): Decisions["shrink"][string] | undefined {
	return own(shrink, tag) ?? own(shrink, tag.slice(0, tag.lastIndexOf(":")));
}

/** Who decided it, since when, and why. */
export function decidedText({ by, when, why }: Decided): string {
	return `by ${by}, ${when}: ${why}`;
}

function own<T>(values: Readonly<Record<string, T>>, key: string): T | undefined {
	return Object.hasOwn(values, key) ? values[key] : undefined;
}
