import type { ImageConfig, SuffixRule } from "../config/index.ts";
import { BrewlineError } from "../errors.ts";
import { printable } from "../io/printable.ts";
import { compareCodePoints } from "../json/index.ts";
import { expand, holds, type Alias, type MatrixEntry } from "../matrix/index.ts";
import type { TagReason } from "./types.ts";

const tagPattern = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;

/** The tags of an entry by `tags` or `sharedTags`, in their order, without repetitions (spec/library-generation.md, 5). */
export function tagsOf(config: ImageConfig, key: "tags" | "sharedTags", entry: MatrixEntry): readonly TagReason[] {
	const found = new Map<string, TagReason>();
	const { scope } = entry;
	const prefix = config.tagPrefix === undefined ? "" : (expand(config.tagPrefix, scope) ?? "");
	for (const [index, rule] of (config[key] ?? []).entries()) {
		const name = `${key}.${index}`;
		if (typeof rule === "object" && !holds(rule.if, scope)) continue;
		const suffix = expand(typeof rule === "string" ? rule : rule.suffix, scope);
		// A name without a value: the rule is not for this entry.
		if (suffix === undefined) continue;
		for (const alias of aliasesFor(rule, name, entry)) {
			const tag = joinTag(prefix, alias.text, suffix);
			if (!tagPattern.test(tag)) {
				throw new BrewlineError("config", `${name} makes "${printable(tag, 150)}", which cannot be a tag`, {
					hint: "Tags are letters, digits, _, . and -, at most 128, and do not begin with . or -.",
				});
			}
			if (!found.has(tag)) found.set(tag, { tag, rule: name, alias: alias.text, aliasRule: alias.rule });
		}
	}
	const tags = [...found.values()];
	return config.tagSort === true ? tags.sort((a, b) => compareCodePoints(a.tag, b.tag)) : tags;
}

function aliasesFor(rule: SuffixRule, name: string, { aliases, scope }: MatrixEntry): readonly Alias[] {
	const which = typeof rule === "string" ? "all" : (rule.aliases ?? "all");
	if (which === "all") return aliases;
	if (which === "first") return aliases.slice(0, 1);
	return which
		.map((template) => expand(template, scope) ?? "")
		.filter(Boolean)
		.map((text) => ({ text, rule: name }));
}

/** `latest` is no more than the place where nothing else stands: `latest-slim` is `slim`. */
function joinTag(prefix: string, alias: string, suffix: string): string {
	const parts = [prefix, alias === "latest" ? "" : alias, suffix].filter(Boolean);
	return parts.length === 0 ? "latest" : parts.join("-");
}
