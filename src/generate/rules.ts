import type { ArchRule, ImageConfig } from "../config/index.ts";
import { createScope, holds, type MatrixEntry, type Scope } from "../matrix/index.ts";

const fromParents: ArchRule = { parents: ["from"] };

/** The rule that says which architectures an entry has: the first that matches, or that of the FROMs. */
export function ruleOf(config: ImageConfig, entry: MatrixEntry): { readonly rule: ArchRule; readonly name: string } {
	const rules = config.architectures ?? [fromParents];
	const index = rules.findIndex((rule) => holds(rule.if, entry.scope));
	return index < 0
		? { rule: { static: [] }, name: "architectures" }
		: { rule: rules[index]!, name: config.architectures === undefined ? "architectures" : `architectures.${index}` };
}

/** An image's name and tag; a digest does not matter to which entry it is. */
export function splitImage(image: string): { readonly name: string; readonly tag: string } {
	const plain = image.split("@", 1)[0]!;
	const colon = plain.indexOf(":");
	return colon < 0 ? { name: plain, tag: "latest" } : { name: plain.slice(0, colon), tag: plain.slice(colon + 1) };
}

export function withArchitecture(scope: Scope, arch: string): Scope {
	return createScope(new Map([["arch", () => arch]]), { parent: scope });
}
