import type { ImageConfig, VersionsConfig } from "../config/index.ts";
import { BrewlineError } from "../errors.ts";
import { printable } from "../io/printable.ts";
import { compareCodePoints, type JsonValue } from "../json/index.ts";
import { readVersionsFile } from "./data.ts";
import type { RepositoryFiles } from "./files.ts";
import { compareKeys, compareVersions } from "./order.ts";

const maxVersions = 1000;
/** Fit to be part of a path and of a tag: `8.5-rc`, `debian/trixie`. */
const keyPattern = /^[A-Za-z0-9_][A-Za-z0-9_.+-]*(?:\/[A-Za-z0-9_][A-Za-z0-9_.+-]*)*$/;

/** The data of each version, by its key, as the file has them. Where no file has them, there is none. */
export function readVersions(config: ImageConfig, files: RepositoryFiles): ReadonlyMap<string, JsonValue | undefined> {
	const versions = config.versions ?? {};
	const found = listVersions(versions, files);
	if (found.size > maxVersions) {
		throw new BrewlineError("config", `there are ${found.size} versions, more than ${maxVersions}`);
	}
	for (const key of found.keys()) {
		if (!keyPattern.test(key) || key.length > 128) {
			throw new BrewlineError("config", `"${printable(key, 100)}" cannot be the key of a version`, {
				hint: "Keys become paths and tags: letters, digits, ., _, -, + and / between them.",
			});
		}
	}
	return found;
}

function listVersions(versions: VersionsConfig, files: RepositoryFiles): ReadonlyMap<string, JsonValue | undefined> {
	if (versions.list !== undefined) {
		const path = versions.file ?? "versions.json";
		const known = files.files.has(path) ? readVersionsFile(files, path) : undefined;
		return new Map(versions.list.map((key) => [key, known?.get(key)]));
	}
	if (versions.directories === true) {
		const keys = new Set<string>();
		for (const path of files.files.keys()) {
			const slash = path.indexOf("/");
			if (slash > 0 && /^[0-9]/.test(path)) keys.add(path.slice(0, slash));
		}
		return new Map([...keys].sort(compareCodePoints).map((key) => [key, undefined]));
	}
	return readVersionsFile(files, versions.file ?? "versions.json");
}

/** Keys in the order in which they claim aliases and stand in the definition. */
export function orderVersions(keys: readonly string[], order: VersionsConfig["order"]): readonly string[] {
	if (Array.isArray(order)) {
		const first = order.filter((key) => keys.includes(key));
		return [...new Set([...first, ...keys])];
	}
	switch (order) {
		case "file":
			return keys;
		case "name":
			return keys.toSorted(compareCodePoints);
		case "name-desc":
			return keys.toSorted((a, b) => compareCodePoints(b, a));
		default:
			return keys.toSorted((a, b) => compareKeys(b, a));
	}
}

/**
 * Whether a prerelease is out of date: its full version begins with the one of the release of its series, or is below it.
 * `8.5-rc` at `8.5.0RC1` goes when `8.5` is there at `8.5.0`, and `1.16-rc` at `1.16beta1` when `1.16` is.
 */
export function isSuperseded(prerelease: string | undefined, release: string | undefined): boolean {
	if (prerelease === undefined || release === undefined) return false;
	return prerelease.startsWith(release) || compareVersions(prerelease, release) < 0;
}
