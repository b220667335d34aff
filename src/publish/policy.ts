import { policyOf } from "../config/policy.ts";
import type { Program } from "../config/types.ts";
import type { PublishOptions } from "./types.ts";

/**
 * The rule of `mustWait` that a program's policies make: a tag waits for what is required, and for what is optional as long
 * as its deadline is not over. `overdue`: `SOURCE ARCHITECTURE` of those whose deadline is (the plan's). Where several sources
 * stand for one architecture, as Windows has it, the tag waits as long as one of them is waited for.
 */
export function waitingRule(
	program: Pick<Program, "architectures" | "policies" | "timeLimit">,
	overdue: ReadonlySet<string>,
): NonNullable<PublishOptions["mustWait"]> {
	return (tag, { arch, contributions }) => {
		const { platforms } = policyOf(program, [tag], arch);
		if (platforms === "best-effort") return undefined;
		if (platforms === "required") return `${arch} is required, and what is defined for it is not built`;
		const missing = contributions.filter(({ build }) => build === undefined || build.build.resolved === null);
		const waited = missing.some(({ source }) => !overdue.has(`${source.sourceId} ${arch}`));
		return waited || missing.length === 0 ? `${arch} is optional, and its deadline is not over yet` : undefined;
	};
}
