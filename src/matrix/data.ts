import { BrewlineError } from "../errors.ts";
import { printable } from "../io/printable.ts";
import { orderedKeys, parseJsonObject, type JsonObject, type JsonValue } from "../json/index.ts";
import { textOfFile, type RepositoryFiles } from "./files.ts";
import { expand, type Scope, type Value } from "./scope.ts";

/** The largest `versions.json` of 2026 has 150 KB. */
const maxBytes = 4 * 1024 * 1024;

/** The versions of a file by key, in its order, without those that are null. */
export function readVersionsFile(files: RepositoryFiles, path: string): ReadonlyMap<string, JsonValue> {
	const text = textOfFile(files, path);
	if (text === undefined) {
		const isThere = files.files.has(path);
		const problem = isThere ? "cannot be read: it is too large, or a link" : "is missing, or git ignores it,";
		throw new BrewlineError("config", `${printable(path)} ${problem} in ${printable(files.source)}`, {
			hint: "Name the file in versions.file, or list the versions in versions.list.",
		});
	}
	const data = parseVersions(text, path);
	return new Map(
		orderedKeys(data)
			.map((key) => [key, data[key]!] as const)
			.filter(([, value]) => value !== null),
	);
}

/** All that is in the text of a versions' file. */
export function parseVersions(text: string, path: string): JsonObject {
	return parseJsonObject(text, { what: path, maxBytes, code: "config" });
}

/** What is at a path of the data, whose parts are templates; undefined: nothing, or null. */
export function valueAt(
	data: JsonValue | undefined,
	path: string | readonly string[],
	scope: Scope,
): JsonValue | undefined {
	let value = data;
	for (const part of typeof path === "string" ? [path] : path) {
		const key = expand(part, scope);
		if (key === undefined) return undefined;
		value = memberOf(value, key);
	}
	return value ?? undefined;
}

export function memberOf(value: JsonValue | undefined, key: string): JsonValue | undefined {
	if (typeof value !== "object" || value === null) return undefined;
	return Object.hasOwn(value, key) ? (value as Record<string, JsonValue>)[key] : undefined;
}

/** Data as a value of a variable: a list's items that are plain, an object's keys. */
export function asValue(value: JsonValue | undefined): Value {
	if (value === undefined || value === null) return undefined;
	if (Array.isArray(value)) return value.filter((item) => item !== null && typeof item !== "object").map(String);
	if (typeof value === "object") return orderedKeys(value);
	return String(value);
}
