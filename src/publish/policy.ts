import { policyOf } from "../config/policy.ts";
import type { Program } from "../config/types.ts";
import type { Part } from "./parts.ts";
import type { PublishOptions } from "./types.ts";

type Policies = Pick<Program, "architectures" | "policies" | "timeLimit">;

/**
 * The rule of `mustWait` that a program's policies make: a tag waits for what is required, whatever keeps it away, and for
 * what is optional as long as its deadline is not over and something here builds it. `overdue`: `SOURCE ARCHITECTURE` of
 * those whose deadline is over (the plan's). Where several sources stand for one architecture, as Windows has it, the tag
 * waits as long as one of those that lack is waited for.
 */
export function waitingRule(program: Policies, overdue: ReadonlySet<string>): NonNullable<PublishOptions["mustWait"]> {
	return (tag, part) => {
		const { arch, contributions } = part;
		const { platforms, deadline } = policyOf(program, [tag], arch);
		if (platforms === "best-effort") return undefined;
		const untested = contributions.length > 0 && contributions.every(({ test }) => test !== undefined);
		if (platforms === "required" && untested) {
			return `${arch} is required, and what is defined for it has not passed its test`;
		}
		if (platforms === "required") {
			const nobody = isUnserved(program, part) ? ", and nothing here builds it" : "";
			return `${arch} is required, and what is defined for it is not there${nobody}`;
		}
		if (contributions.length === 0) return `${arch} is optional, and what is built for it could not be published`;
		// A deadline is one of builds: what is built is waited for until it is tested, and not longer.
		if (contributions.some(({ test }) => test === "missing")) return `${arch} is optional, and is not tested yet`;
		const waited = contributions.some(
			(one) =>
				one.test === undefined &&
				!overdue.has(`${one.source.sourceId} ${arch}`) &&
				!isUnserved(program, { arch, contributions: [one] }),
		);
		return waited ? `${arch} is optional, and its deadline of ${durationText(deadline ?? 0)} is not over` : undefined;
	};
}

/** Whether nothing here builds any of what a part lacks, given as its contributions. Of nothing, nothing is unserved. */
export function isUnserved(program: Policies, { arch, contributions }: Omit<Part, "archTag">): boolean {
	return (
		contributions.length > 0 &&
		contributions.every(
			({ source, test }) =>
				test === undefined && policyOf(program, source.arches[arch]?.tags ?? [], arch).runner === null,
		)
	);
}

/** `90m`, `48h`, `7d`: in the largest unit that it is a whole number of, days from three on. */
function durationText(seconds: number): string {
	if (seconds % 86_400 === 0 && seconds > 2 * 86_400) return `${seconds / 86_400}d`;
	return seconds % 3_600 === 0 ? `${seconds / 3_600}h` : `${seconds / 60}m`;
}
