import type { ImageConfig } from "../config/index.ts";
import { BrewlineError, type Location } from "../errors.ts";
import { printable } from "../io/printable.ts";
import { orderedKeys, parseJsonObject, repeatedKeys, type JsonObject, type JsonValue } from "../json/index.ts";
import { largestFile, textOfFile, type RepositoryFiles } from "./files.ts";
import { expand, type Scope, type Value } from "./scope.ts";

/** The largest `versions.json` of 2026 has 150 KB. */
const maxBytes = 4 * 1024 * 1024;

/** The versions of a file by key, in its order, without those that are null. */
export function readVersionsFile(files: RepositoryFiles, path: string): ReadonlyMap<string, JsonValue> {
	const text = textOfFile(files, path);
	if (text === undefined) throw unreadable(files, path);
	const data = parseVersions(text, path);
	return new Map(
		orderedKeys(data)
			.map((key) => [key, data[key]!] as const)
			.filter(([, value]) => value !== null),
	);
}

/** All that is in the text of a versions' file. */
export function parseVersions(text: string, path: string): JsonObject {
	const wrong = (what: string, hint: string, line: number): BrewlineError =>
		new BrewlineError("config", `${printable(path)} ${what}`, { at: { file: path, line }, hint });
	// Bytes that are not UTF-8 were read as halves of surrogate pairs.
	const foreign = text.search(/\p{Surrogate}/u);
	if (foreign >= 0) throw wrong("is not UTF-8", "Save it as UTF-8.", text.slice(0, foreign).split("\n").length);
	if (text.startsWith("\uFEFF")) throw wrong("begins with a byte order mark", "Save it as UTF-8 without one.", 1);
	return parseJsonObject(text, { what: path, maxBytes, code: "config" });
}

function unreadable({ files, source }: RepositoryFiles, path: string): BrewlineError {
	const file = files.get(path);
	if (file === undefined) {
		return new BrewlineError("config", `${printable(path)} is missing, or git ignores it, in ${printable(source)}`, {
			hint: "Name the file in versions.file, or list the versions in versions.list.",
		});
	}
	const at = { file: path };
	if (file.mode === "link") {
		return new BrewlineError("config", `${printable(path)} is a link, which is not followed`, {
			at,
			hint: "Commit the file itself, or name the one that it leads to in versions.file.",
		});
	}
	return new BrewlineError(
		"config",
		`${printable(path)} is larger than the ${largestFile} bytes that are read of a file`,
		{
			at,
			hint: "Take out what neither the definition nor a template needs, or name a smaller file in versions.file.",
		},
	);
}

/** What is doubtful in a file of the repository. */
export interface FileWarning {
	readonly message: string;
	readonly at: Location;
	readonly hint: string;
}

/** What of the file of the versions is never read: of a key that stands twice in one object, the last one counts. */
export function versionsWarnings({ versions }: ImageConfig, files: RepositoryFiles): readonly FileWarning[] {
	if (versions?.directories === true) return [];
	const file = versions?.file ?? "versions.json";
	return repeatedKeys(textOfFile(files, file) ?? "{}").map(({ key, line, column, earlier }) => ({
		message: `the key "${printable(key, 100)}" stands twice in one object: what it has in line ${earlier} is not read`,
		at: { file, line, column },
		hint: "Take one of the two out, or rename it; jq takes the last one too, and says nothing.",
	}));
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
