import { BrewlineError } from "../errors.ts";
import { orderedKeys } from "./order.ts";

/** Deeper than any format of the pipeline by far; keeps hostile nesting away from recursive code. */
export const maxDepth = 200;

/**
 * JSON with tabs and a final newline, as `jq --tab` prints it, so that digests of it are reproducible
 * (spec/publish.md, Deploy objects). Keys stand in the order of `orderedKeys`. `undefined` members are left out.
 */
export function tabJson(value: unknown): string {
	// The engine's own writer is many times faster. It differs in DEL, and in the order of keys that look like numbers.
	const text = native(value, "\t");
	// A tab stands nowhere but before a key or an item.
	const ordered = /\t"\d+": /.test(text) ? write(value, "\n", "\t", 0) : text;
	return `${ordered.replaceAll("\u007f", "\\u007f")}\n`;
}

/** JSON on one line, without a newline, escaped as Go's encoder escapes (spec/builds.md, step 3). Key order as in `tabJson`. */
export function goJson(value: unknown): string {
	const text = native(value, "");
	const ordered = /[{,]"\d+":/.test(text) ? write(value, "", "", 0) : text;
	return ordered.replace(
		/[<>&\u2028\u2029]/g,
		(character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
	);
}

function native(value: unknown, indent: string): string {
	let text: string | undefined;
	try {
		text = JSON.stringify(value, undefined, indent);
	} catch (cause) {
		throw new BrewlineError("internal", "a value cannot be written as JSON: too deep, or no JSON value", { cause });
	}
	if (text === undefined) {
		throw new BrewlineError("internal", "undefined cannot be written as JSON");
	}
	return text;
}

/** `newline` is a line break with the indentation of this level, or empty for one line. */
function write(value: unknown, newline: string, indent: string, depth: number): string {
	if (depth > maxDepth) {
		throw new BrewlineError("internal", `a value is nested more than ${maxDepth} levels deep`);
	}
	if (typeof value !== "object" || value === null) {
		return JSON.stringify(value);
	}
	const inner = newline + indent;
	if (Array.isArray(value)) {
		const items = value.map((item) => (item === undefined ? "null" : write(item, inner, indent, depth + 1)));
		return items.length === 0 ? "[]" : `[${inner}${items.join(`,${inner}`)}${newline}]`;
	}
	const colon = indent === "" ? ":" : ": ";
	const members: string[] = [];
	for (const key of orderedKeys(value)) {
		const member = (value as Record<string, unknown>)[key];
		if (member !== undefined) {
			members.push(`${JSON.stringify(key)}${colon}${write(member, inner, indent, depth + 1)}`);
		}
	}
	return members.length === 0 ? "{}" : `{${inner}${members.join(`,${inner}`)}${newline}}`;
}
