import type { ImageConfig } from "../config/index.ts";
import { orderedEntries, orderedKeys, type JsonValue } from "../json/index.ts";
import { orderVersions } from "../matrix/versions.ts";

/** How versions and variants lie in a repository: what `versions`, `matrix`, `split` and `directory` say of it. */
export type Layout = Pick<ImageConfig, "versions" | "matrix" | "split" | "directory" | "file">;

export interface LayoutInput {
	/** The data of each version, as `versions.json` has it; undefined where there is no such file. */
	readonly versions: ReadonlyMap<string, JsonValue> | undefined;
	/** The directories of the entries with their Dockerfiles, in the order of the definition. */
	readonly files: readonly EntryFile[];
}

export interface EntryFile {
	readonly directory: string;
	/** `Dockerfile`, or another name. */
	readonly file: string;
}

interface Place {
	readonly version: string;
	/** The directory without the version; empty: the version's own. */
	readonly rest: string;
}

/** Which version a directory is of: the longest key that it is, or begins with. */
function placesOf({ versions, files }: LayoutInput): readonly (Place | undefined)[] {
	const keys = versions === undefined ? undefined : [...versions.keys()].toSorted((a, b) => b.length - a.length);
	// Several images in one repository: `app/1.2`, `app/1.3`.
	const depth = files.every(({ directory }) => /^[^/0-9][^/]*\/[0-9]/.test(directory)) ? 2 : 1;
	return files.map(({ directory }) => {
		const key =
			keys === undefined
				? directory.split("/").slice(0, depth).join("/")
				: keys.find((version) => directory === version || directory.startsWith(`${version}/`));
		return key === undefined || key === "" || key === "."
			? undefined
			: { version: key, rest: directory.slice(key.length + 1) };
	});
}

/** The layouts that fit, the likeliest first. */
export function layoutsOf(input: LayoutInput): readonly Layout[] {
	const places = placesOf(input).filter((place) => place !== undefined);
	if (places.length === 0) return [];
	const versions = versionsOf(input, places);
	const named = namedFiles(input, versions);
	if (named !== undefined) return [named];
	if (places.every(({ rest }) => rest === "")) return [versions];
	const rests = Map.groupBy(places, ({ version }) => version);
	const single = axisOf(input, rests, (rest) => rest);
	const layouts = single === undefined ? [] : [withSplit({ ...versions, matrix: { variant: single } }, places)];
	const parts = new Set(places.map(({ rest }) => rest.split("/").length));
	if (parts.size === 1 && parts.has(2)) {
		const [prefix, first] = prefixed(input, rests);
		const second = axisOf(input, rests, (rest) => rest.split("/")[1]!);
		if (first !== undefined && second !== undefined && prefix !== "") {
			const matrix = { [prefix]: first, variant: second };
			const directory = `{version}/${prefix}{${prefix}}/{variant}`;
			const variants = places.map(({ version, rest }) => ({ version, rest: rest.split("/")[1]! }));
			layouts.unshift(withSplit({ ...versions, matrix, directory }, variants));
		}
	}
	const listed = [...new Set(places.map(({ rest }) => rest))];
	return layouts.length > 0 ? layouts : [withSplit({ ...versions, matrix: { variant: listed } }, places)];
}

/** Several Dockerfiles in one directory: `Dockerfile.oracle`, `Dockerfile.debian`. */
function namedFiles({ files }: LayoutInput, versions: Layout): Layout | undefined {
	const parts = files.map(({ file }) => /^Dockerfile([.-])(.+)$/.exec(file));
	const [separator] = new Set(parts.map((part) => part?.[1]));
	const variants = [...new Set(parts.map((part) => part?.[2] ?? ""))];
	if (separator === undefined || variants.includes("")) return undefined;
	return {
		...versions,
		matrix: { variant: variants },
		directory: "{version}",
		file: `Dockerfile${separator}{variant}`,
	};
}

function versionsOf({ versions, files }: LayoutInput, places: readonly Place[]): Layout {
	const keys = [...new Set(places.map(({ version }) => version))];
	const isListed = versions === undefined && !files.every(({ directory }) => /^[0-9]/.test(directory));
	const all = isListed ? keys : versions === undefined ? keys.toSorted() : [...versions.keys()];
	const order = (["version-desc", "file", "name", "name-desc"] as const).find(
		(each) =>
			orderVersions(all, each)
				.filter((key) => keys.includes(key))
				.join("\n") === keys.join("\n"),
	);
	const ordered = order === "version-desc" ? {} : { order: order ?? keys };
	const listed = isListed ? { list: keys } : versions === undefined ? { directories: true as const } : {};
	const chosen = { ...listed, ...ordered };
	return Object.keys(chosen).length === 0 ? {} : { versions: chosen };
}

/** An axis whose values are in the data, or the same list for all versions. */
function axisOf(
	{ versions }: LayoutInput,
	rests: ReadonlyMap<string, readonly Place[]>,
	partOf: (rest: string) => string,
): NonNullable<ImageConfig["matrix"]>[string] | undefined {
	const parts = [...rests].map(([version, places]) => ({
		version,
		values: [...new Set(places.map(({ rest }) => partOf(rest)))],
	}));
	const paths = new Map<string, readonly string[]>();
	for (const { version } of parts) {
		for (const path of listsIn(versions?.get(version))) paths.set(path.join("\n"), path);
	}
	for (const path of paths.values()) {
		const fits = parts.every(({ version, values }) => {
			const listed = listAt(versions?.get(version), path);
			return listed !== undefined && isInOrder(values, listed);
		});
		if (fits) return [{ path: [...path] }];
	}
	const [longest] = parts.toSorted((a, b) => b.values.length - a.values.length);
	const same = parts.every(({ values }) => isInOrder(values, longest!.values));
	return same ? [...longest!.values] : undefined;
}

/** `php8.4` of a list of `8.4`: the letters before, and the axis. */
function prefixed(
	input: LayoutInput,
	rests: ReadonlyMap<string, readonly Place[]>,
): readonly [string, NonNullable<ImageConfig["matrix"]>[string] | undefined] {
	const prefixes = new Set([...rests.values()].flat().map(({ rest }) => /^[a-z]*/.exec(rest)![0]));
	const [prefix = ""] = prefixes;
	if (prefixes.size !== 1) return ["", undefined];
	return [prefix, axisOf(input, rests, (rest) => rest.split("/")[0]!.slice(prefix.length))];
}

/** All of some values, and in their order. */
function isInOrder(values: readonly string[], listed: readonly string[]): boolean {
	let at = 0;
	for (const value of values) {
		at = listed.indexOf(value, at) + 1;
		if (at === 0) return false;
	}
	return true;
}

const maxDepth = 3;

/** Where lists of texts are in the data. */
function listsIn(data: JsonValue | undefined, path: readonly string[] = []): readonly (readonly string[])[] {
	if (typeof data !== "object" || data === null || path.length > maxDepth) return [];
	if (Array.isArray(data)) return data.length > 0 && data.every((item) => typeof item === "string") ? [path] : [];
	const entries = orderedEntries(data as Readonly<Record<string, JsonValue>>);
	const below = entries.flatMap(([key, value]) => (/[{}]/.test(key) ? [] : listsIn(value, [...path, key])));
	// An object's keys are a list too, though not the likeliest.
	return path.length === 0 ? below : [...below, path];
}

function listAt(data: JsonValue | undefined, path: readonly string[]): readonly string[] | undefined {
	let value = data;
	for (const key of path) {
		if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
		value = (value as Readonly<Record<string, JsonValue>>)[key];
	}
	if (Array.isArray(value)) return value as readonly string[];
	return typeof value === "object" && value !== null ? orderedKeys(value) : undefined;
}

/** What a variant is made of: `trixie/cli`, `windows/nanoserver-1809`, `fpm-alpine3.24`. */
function withSplit(layout: Layout, places: readonly Place[]): Layout {
	const variants = [...new Set(places.map(({ rest }) => rest))];
	if (layout.split !== undefined || variants.length < 2) return layout;
	const depths = new Set(variants.map((variant) => variant.split("/").length));
	if (depths.size === 1 && depths.has(2)) {
		const isSuite = variants.every((variant) => /^(?:alpine|[a-z]+\/)/.test(variant));
		return renamed(layout, "path", isSuite ? "^(?<suite>[^/]+)/(?<kind>[^/]+)$" : "^(?<outer>[^/]+)/(?<inner>[^/]+)$");
	}
	// `alpine` and `alpine/management`: what lies below a variant is something added to it.
	if (depths.size > 1 && variants.every((variant) => variants.includes(variant.split("/")[0]!))) {
		return renamed(layout, "path", "^(?<variant>[^/]+)(?:/(?<added>.+))?$");
	}
	if (depths.size > 1) return renamed(layout, "path", "^(?<dir>.*/)?(?<variant>[^/]+)$");
	if (variants.every((variant) => /^[a-z]+-./.test(variant))) {
		const kinds = new Set(variants.map((variant) => variant.split("-")[0]));
		const suites = new Set(variants.map((variant) => variant.slice(variant.indexOf("-") + 1)));
		if (kinds.size > 1 && suites.size > 1 && kinds.size * suites.size <= 2 * variants.length) {
			return { ...layout, split: { variant: "^(?<kind>[^-]+)-(?<suite>.+)$" } };
		}
	}
	return layout;
}

function renamed(layout: Layout, axis: string, split: string): Layout {
	const { variant, ...others } = layout.matrix!;
	const directory = layout.directory?.replace("{variant}", `{${axis}}`);
	return {
		...layout,
		matrix: { ...others, [axis]: variant! },
		split: { [axis]: split },
		...(directory === undefined ? {} : { directory }),
	};
}
