import type { Program } from "./types.ts";

/** What reading definitions has to know of a program: the names of its architectures, and the one of entries that name none. */
export function architectureOptions({
	architectures,
	defaultArchitecture,
}: Pick<Program, "architectures" | "defaultArchitecture">): {
	readonly architectures: readonly string[];
	readonly defaultArchitecture: string;
} {
	return { architectures: Object.keys(architectures), defaultArchitecture };
}

/** The architectures that something serves: all of their images, or those that a policy has a runner for. */
export function servedArchitectures({
	architectures,
	policies,
}: Pick<Program, "architectures" | "policies">): string[] {
	const byRule = (name: string): boolean =>
		policies.some((rule) => typeof rule.runner === "string" && (rule.architectures?.includes(name) ?? true));
	return Object.keys(architectures).filter((name) => architectures[name]?.runner !== null || byRule(name));
}
