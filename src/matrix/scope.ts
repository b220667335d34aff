import type { Condition, ConditionValue } from "../config/index.ts";
import { compileExpression, parseTemplate, type TemplatePart } from "../config/text.ts";
import { BrewlineError } from "../errors.ts";
import { printable } from "../io/printable.ts";

/** What a name stands for; undefined: nothing, in this version or entry. */
export type Value = string | readonly string[] | undefined;

/** The names that are known at a place. Each is evaluated when it is asked for, and once. */
export interface Scope {
	get(name: string): Value;
	readonly language: Language;
}

/** Templates and regular expressions in the form in which they are used, each made once in a run. */
export interface Language {
	parts(template: string): readonly TemplatePart[];
	expression(source: string): RegExp;
}

export function createLanguage(): Language {
	const templates = new Map<string, readonly TemplatePart[]>();
	const expressions = new Map<string, RegExp>();
	return {
		parts: (template) => remember(templates, template, () => parseTemplate(template)),
		expression: (source) => remember(expressions, source, () => compileExpression(source)),
	};
}

export function remember<K, V>(known: Map<K, V>, key: K, make: () => V): V {
	let value = known.get(key);
	if (value === undefined) {
		value = make();
		known.set(key, value);
	}
	return value;
}

export type Names = ReadonlyMap<string, () => Value>;

/** A scope whose names cover those of `parent`; `doc` answers to `doc.KEY.KEY`. */
export function createScope(
	names: Names,
	from: { readonly parent: Scope } | { readonly language: Language; readonly doc: (path: readonly string[]) => Value },
): Scope {
	const values = new Map<string, Value>();
	const active: string[] = [];
	return {
		language: "parent" in from ? from.parent.language : from.language,
		get(name) {
			if (values.has(name)) return values.get(name);
			const make = names.get(name);
			if (make === undefined) {
				if ("parent" in from) return from.parent.get(name);
				return name.startsWith("doc.") ? from.doc(name.slice(4).split(".")) : undefined;
			}
			if (active.includes(name)) {
				const circle = [...active.slice(active.indexOf(name)), name].join(" → ");
				throw new BrewlineError("config", `variables stand for one another in a circle: ${circle}`);
			}
			active.push(name);
			try {
				const value = make();
				values.set(name, value);
				return value;
			} finally {
				active.pop();
			}
		},
	};
}

/** Where no name is known. */
export function emptyScope(): Scope {
	return createScope(new Map(), { language: createLanguage(), doc: () => undefined });
}

/** A template's text; undefined where one of its names has no value here. */
export function expand(template: string, scope: Scope): string | undefined {
	let result = "";
	for (const part of scope.language.parts(template)) {
		if ("text" in part) {
			result += part.text;
			continue;
		}
		const value = textOf(part.name, scope);
		if (value === undefined) return undefined;
		result += value;
	}
	return result;
}

function textOf(name: string, scope: Scope): string | undefined {
	const value = scope.get(name);
	if (value === undefined || typeof value === "string") return value;
	throw new BrewlineError("config", `{${name}} is a list here (${printable(value.join(", "), 100)}), not one text`, {
		hint: "A list can stand in a condition: NAME: GLOB holds where any of its values matches.",
	});
}

/** What a glob must match: text, names put in as they are, and `*` for anything. */
type Pattern = readonly string[];

function patternOf(glob: string, scope: Scope): Pattern | undefined {
	const pieces = [""];
	for (const part of scope.language.parts(glob)) {
		if ("text" in part) {
			const [first, ...rest] = part.text.split("*");
			pieces[pieces.length - 1] += first!;
			pieces.push(...rest);
			continue;
		}
		const value = textOf(part.name, scope);
		if (value === undefined) return undefined;
		pieces[pieces.length - 1] += value;
	}
	return pieces;
}

/** In time linear in pieces and text, whatever they are. */
function matchesPattern(pieces: Pattern, text: string): boolean {
	const first = pieces[0]!;
	if (pieces.length === 1) return text === first;
	const last = pieces.at(-1)!;
	if (!text.startsWith(first)) return false;
	let at = first.length;
	for (const piece of pieces.slice(1, -1)) {
		const found = text.indexOf(piece, at);
		if (found < 0) return false;
		at = found + piece.length;
	}
	return text.length - last.length >= at && text.endsWith(last);
}

/** Whether one of the globs matches; one with a name that has no value matches nothing. */
export function matchesGlob(globs: string | readonly string[], text: string, scope: Scope): boolean {
	const all = typeof globs === "string" ? [globs] : globs;
	return all.some((glob) => {
		const pattern = patternOf(glob, scope);
		return pattern !== undefined && matchesPattern(pattern, text);
	});
}

/** Whether a glob matches a path: its `*` is anything but a `/`. */
export function matchesPath(glob: string, path: string, scope: Scope): boolean {
	const pattern = patternOf(glob, scope);
	if (pattern === undefined) return false;
	// Of as many slashes as the glob has itself, none is left for a `*`.
	const slashesIn = (text: string): number => text.split("/").length;
	return slashesIn(pattern.join("")) === slashesIn(path) && matchesPattern(pattern, path);
}

/** Whether a condition holds; one that is left out does. A name without a value matches nothing. */
export function holds(condition: Condition | undefined, scope: Scope): boolean {
	if (condition === undefined) return true;
	for (const name of Object.keys(condition)) {
		if (name === "not") {
			if (condition.not !== undefined && holds(condition.not, scope)) return false;
		} else if (name === "any") {
			if (condition.any !== undefined && !condition.any.some((each) => holds(each, scope))) return false;
		} else if (!matchesName(name, condition[name] as ConditionValue, scope)) return false;
	}
	return true;
}

function matchesName(name: string, wanted: ConditionValue, scope: Scope): boolean {
	const value = scope.get(name);
	if (value === undefined) return false;
	const values = typeof value === "string" ? [value] : value;
	if (typeof wanted === "string") return values.some((each) => matchesGlob(wanted, each, scope));
	if ("matches" in wanted) {
		const expression = scope.language.expression(wanted.matches);
		return values.some((each) => expression.test(each));
	}
	if ("le" in wanted || "ge" in wanted) {
		const bound = expand("le" in wanted ? wanted.le : wanted.ge, scope);
		// Nothing is neither before nor after anything: a release without a date has no date in the future.
		if (bound === undefined || bound === "") return false;
		return values.some((each) => each !== "" && ("le" in wanted ? each <= bound : each >= bound));
	}
	return values.some((each) => matchesGlob(wanted, each, scope));
}
