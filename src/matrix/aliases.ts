import type { AliasRule, ImageConfig } from "../config/index.ts";
import { expand, holds, type Scope } from "./scope.ts";

/** A name of a version, and where the configuration says so: `aliases.list.2`, `aliases.extra`. */
export interface Alias {
	readonly text: string;
	readonly rule: string;
}

/** Which version has an alias that only one may have; filled in the order of the versions. */
export type Claims = Map<string, string>;

export interface AliasOptions {
	readonly config: ImageConfig["aliases"];
	/** The version's, or an entry's where the full version differs by entry. */
	readonly scope: Scope;
	readonly key: string;
	readonly keys: ReadonlySet<string>;
	readonly claims: Claims;
}

/** The aliases of a version, in the order of the rules, without repetitions. */
export function aliasesOf({ config, scope, key, keys, claims }: AliasOptions): readonly Alias[] {
	const found = new Map<string, Alias>();
	const add = (text: string, rule: string): void => {
		if (!found.has(text)) found.set(text, { text, rule });
	};
	for (const [index, rule] of config.list.entries()) {
		const texts = textsOf(rule, scope);
		if (texts.length === 0) continue;
		const once = typeof rule === "object" && rule.once === true;
		const applies = typeof rule === "string" || holds(rule.if, scope);
		for (const text of texts) {
			const pinned = pinOf(config, text, keys);
			if (pinned === undefined ? !applies : pinned !== key) continue;
			const owner = claims.get(text);
			if (owner === undefined) claims.set(text, key);
			else if (once && owner !== key) continue;
			add(text, `aliases.list.${index}`);
		}
	}
	const { extra = {} } = config;
	if (Object.hasOwn(extra, key)) for (const text of extra[key]!) add(text, "aliases.extra");
	return [...found.values()];
}

/** The version that an alias is pinned to, if that version is there. */
function pinOf({ pin = {} }: ImageConfig["aliases"], text: string, keys: ReadonlySet<string>): string | undefined {
	const key = Object.hasOwn(pin, text) ? pin[text] : undefined;
	return key !== undefined && keys.has(key) ? key : undefined;
}

function textsOf(rule: AliasRule, scope: Scope): readonly string[] {
	if (typeof rule === "string") return [expand(rule, scope) ?? ""].filter(Boolean);
	if ("alias" in rule) return [expand(rule.alias, scope) ?? ""].filter(Boolean);
	const text = expand(rule.truncate, scope);
	if (text === undefined || text === "") return [];
	const until = rule.until === undefined ? undefined : expand(rule.until, scope);
	return truncations(text, until, rule.separators ?? ".-", rule.inclusive ?? rule.until === undefined);
}

/**
 * A text, then without its last component, and so on: `1.2.3`, `1.2`, `1`. It ends before `until`, and before what has
 * no separator any more; where it is `inclusive`, after that.
 */
function truncations(
	text: string,
	until: string | undefined,
	separators: string,
	inclusive: boolean,
): readonly string[] {
	const found: string[] = [];
	for (let value = text; ;) {
		const at = Math.max(...Array.from(separators, (separator) => value.lastIndexOf(separator)));
		const ends = value === until || at <= 0;
		if (!ends || inclusive) found.push(value);
		if (ends) return found;
		value = value.slice(0, at);
	}
}
