import type { ImageConfig, Variable } from "../config/index.ts";
import type { Entry } from "../definition/index.ts";
import type { JsonObject, JsonValue } from "../json/index.ts";
import { buildMatrix, joinPath, type MatrixEntry, type RepositoryFiles } from "../matrix/index.ts";
import { dockerfileReader } from "../matrix/variables.ts";
import type { Names, Vocabulary } from "./conditions.ts";
import { layoutsOf, type Layout } from "./layout.ts";
import type { Published } from "./published.ts";
import { inferTags, type KnownEntry, type TagRules } from "./tags.ts";
import { candidatesOf, isOfToday, type Candidates } from "./variables.ts";

export interface Repository {
	readonly files: RepositoryFiles;
	/** The data of each version, where there is a `versions.json`. */
	readonly versions: ReadonlyMap<string, JsonValue> | undefined;
	readonly today: string;
}

export type JoinedEntry = KnownEntry & { readonly entry: MatrixEntry };

/** What is tried with rules: the matrix that it would have, joined with what is published. */
export interface Joined {
	readonly config: ImageConfig;
	readonly candidates: Candidates;
	readonly entries: readonly JoinedEntry[];
	/** Published, and not in the layout. */
	readonly missing: readonly Entry[];
	/** In the layout, and not published. */
	readonly extra: readonly MatrixEntry[];
	readonly axes: readonly string[];
}

const builtin = ["version", "full", "base", "basename", "major", "seriesMajor", "stable"];

/** The layout under which the most of what is published has its place, with all that rules may be made of. */
export function join(
	repository: Repository,
	published: Published,
	head: Pick<ImageConfig, "image" | "header">,
): Joined | undefined {
	const files = published.entries.map(({ Directory, File }) => ({ directory: Directory, file: File }));
	const layouts = layoutsOf({ versions: repository.versions, files });
	if (layouts.length === 0) return undefined;
	const joined = layouts
		.flatMap((layout) => withFull(repository, layout, published))
		.map((layout) => withPrereleases(repository, layout))
		.map((layout) => {
			const first = tryLayout(repository, published, { ...head, ...layout });
			const drop = unpublished(first).map((version) => ({ if: { version } }));
			if (drop.length === 0) return first;
			return tryLayout(repository, published, { ...head, ...layout, versions: { ...layout.versions, drop } });
		});
	return joined.toSorted(
		(a, b) => a.missing.length - b.missing.length || unnamed(a) - unnamed(b) || a.extra.length - b.extra.length,
	)[0]!;
}

/** Versions of which nothing is published. */
function unpublished({ entries, extra }: Joined): readonly string[] {
	const known = new Set(entries.map(({ version }) => version));
	return [...new Set(extra.map(({ version }) => version.key))].filter((key) => !known.has(key));
}

/** Entries whose tags do not begin with the full version. */
function unnamed({ entries }: Joined): number {
	return entries.filter(({ published, names }) => !isAliased(published, names["full"])).length;
}

function isAliased({ Tags }: Pick<Entry, "Tags">, full: string | undefined): boolean {
	return full !== undefined && Tags.some((tag) => tag === full || tag.startsWith(`${full}-`));
}

/** Where the full version can be: in the data, or in a variable that a Dockerfile sets. */
function withFull({ files, versions }: Repository, layout: Layout, { entries }: Published): readonly Layout[] {
	const layouts: Layout[] = [layout];
	const keys = new Set<string>();
	for (const data of versions?.values() ?? []) {
		if (typeof data !== "object" || data === null || Array.isArray(data)) continue;
		for (const [key, value] of Object.entries(data)) {
			if (key !== "version" && typeof value === "string") keys.add(key);
		}
	}
	for (const key of keys) layouts.push({ ...layout, versions: { ...layout.versions, full: key } });
	const found = new Map<string, { readonly env: string; readonly capture?: string }>();
	const dockerfile = dockerfileReader(files);
	for (const entry of entries) {
		for (const [env, value] of dockerfile(`${entry.Directory}/Dockerfile`)?.environment ?? []) {
			if (isAliased(entry, value)) found.set(env, { env });
			else if (/^v[0-9]/.test(value) && isAliased(entry, value.slice(1)))
				found.set(`${env} v`, { env, capture: "^v(.+)" });
		}
	}
	const known = layout.versions?.list ?? [...(versions?.keys() ?? [])];
	const first = entries[0]?.Directory ?? "";
	const key = known.find((one) => first.startsWith(`${one}/`) || first === one) ?? first.split("/")[0]!;
	for (const variable of found.values()) {
		const full = {
			dockerfile: joinPath("{version}", joinPath(first.slice(key.length + 1), "Dockerfile")),
			...variable,
		};
		const entryFull = { dockerfile: "{directory}/Dockerfile", ...variable };
		layouts.push({ ...layout, versions: { ...layout.versions, full, entryFull } });
	}
	return layouts;
}

/** Full versions that say themselves that they are prereleases, where the keys do not. */
function withPrereleases({ versions }: Repository, layout: Layout): Layout {
	const { full = "version" } = layout.versions ?? {};
	const words = new Set<string>();
	for (const [key, data] of versions ?? []) {
		const value = typeof full === "string" && typeof data === "object" ? (data as JsonObject)?.[full] : undefined;
		if (typeof value !== "string" || key.endsWith("-rc") || !key.startsWith(/^[0-9]+/.exec(value)?.[0] ?? "\n"))
			continue;
		const word = /[0-9][.-]?(alpha|beta|rc|RC|M|dev|preview|pre)[.-]?[0-9]*$/.exec(value)?.[1];
		if (word !== undefined) words.add(word);
	}
	if (words.size === 0) return layout;
	const all = words.has("M") || words.has("dev") ? words : new Set(["alpha", "beta", "rc", ...words]);
	return { ...layout, versions: { ...layout.versions, prerelease: [...all].join("|") } };
}

function tryLayout(repository: Repository, published: Published, head: Omit<ImageConfig, "aliases" | "tags">): Joined {
	const plain: ImageConfig = { ...head, aliases: { list: ["{version}"] }, tags: [""] };
	const first = buildMatrix({ config: plain, files: repository.files, today: repository.today });
	const axes = namesOfAxes(plain, first.entries);
	const found = candidatesOf(
		plain,
		axes,
		first.versions.map(({ data }) => data),
	);
	const observed = observedDefaults(first.entries, published, Object.keys(plain.matrix ?? {}));
	const candidates = { ...found, versionVars: { ...found.versionVars, ...observed } };
	const config: ImageConfig = { ...plain, versionVars: candidates.versionVars, vars: candidates.vars };
	const { entries, versions } = buildMatrix({ config, files: repository.files, today: repository.today });
	const byFile = new Map(entries.map((entry) => [joinPath(entry.directory, entry.file), entry]));
	const versionNames = [...builtin, ...Object.keys(candidates.versionVars)];
	const namesOfVersion = new Map(versions.map(({ key, scope }) => [key, namesIn(scope, versionNames)]));
	const entryNames = [...versionNames, ...axes.keys(), ...Object.keys(candidates.vars)];
	const missing: Entry[] = [];
	const known = published.entries.flatMap((entry) => {
		const path = joinPath(entry.Directory, entry.File);
		const found = byFile.get(path);
		if (found === undefined) {
			missing.push(entry);
			return [];
		}
		byFile.delete(path);
		return [
			{
				version: found.version.key,
				published: entry,
				entry: found,
				names: namesIn(found.scope, entryNames),
				versionNames: namesOfVersion.get(found.version.key)!,
			},
		];
	});
	return { config, candidates, entries: known, missing, extra: [...byFile.values()], axes: [...axes.keys()] };
}

/**
 * Which value of an axis a version has for its default: the only one whose entries have tags that do not name it. Where such tags
 * are there for each version, nothing but a table says which it is.
 */
function observedDefaults(
	entries: readonly MatrixEntry[],
	published: Published,
	axes: readonly string[],
): Record<string, Variable> {
	if (axes.length < 2) return {};
	const byFile = new Map(published.entries.map((entry) => [joinPath(entry.Directory, entry.File), entry]));
	const found: Record<string, Variable> = {};
	for (const axis of axes) {
		const defaults = new Map<string, Set<string>>();
		for (const entry of entries) {
			const value = entry.axes[axis]!;
			const tags = byFile.get(joinPath(entry.directory, entry.file))?.Tags ?? [];
			const values = defaults.get(entry.version.key) ?? new Set();
			defaults.set(entry.version.key, values);
			if (value !== "" && tags.some((tag) => !tag.includes(value))) values.add(value);
		}
		const single = [...defaults].flatMap(([version, values]) =>
			values.size === 1 ? [[version, [...values][0]!] as const] : [],
		);
		if (single.length === 0 || single.length < defaults.size) continue;
		const [usual] = [...Map.groupBy(single, ([, value]) => value)].toSorted(([, a], [, b]) => b.length - a.length)[0]!;
		const map = Object.fromEntries(single.filter(([, value]) => value !== usual));
		found[`${axis}Default`] = Object.keys(map).length === 0 ? usual : { map, default: usual };
	}
	return found;
}

function namesOfAxes(config: ImageConfig, entries: readonly MatrixEntry[]): ReadonlyMap<string, readonly string[]> {
	const groups = Object.values(config.split ?? {}).flatMap((source) =>
		[...source.matchAll(/\?<(\w+)>/g)].map(([, name]) => name!),
	);
	return new Map(
		[...Object.keys(config.matrix ?? {}), ...groups].map((name) => {
			const values = entries.map(({ scope }) => scope.get(name));
			return [name, [...new Set(values)].filter((value) => typeof value === "string")];
		}),
	);
}

function namesIn(scope: MatrixEntry["scope"], names: readonly string[]): Names {
	const found: Record<string, string> = {};
	for (const name of names) {
		const value = scope.get(name);
		if (typeof value === "string") found[name] = value;
	}
	return found;
}

export function vocabularies({ candidates, axes }: Joined): {
	readonly version: Vocabulary;
	readonly entry: Vocabulary;
} {
	const scalars = Object.keys(candidates.versionVars);
	const isFleeting = (name: string, value: string): boolean =>
		/[0-9]/.test(value) && !axes.includes(name) ? true : name === "full" || name === "base";
	return {
		version: { asked: ["stable", "version", ...scalars], defaults: [], isFleeting, isOfToday },
		entry: {
			asked: [...axes, "stable", "version", ...scalars],
			defaults: [...candidates.defaults, ...scalars],
			isFleeting,
			isOfToday,
		},
	};
}

/** The rules for tags under the best layout. */
export function tagRules(joined: Joined): TagRules {
	const { entries, candidates, axes } = joined;
	const { version, entry } = vocabularies(joined);
	const scalars = Object.keys(candidates.versionVars);
	const variables = Object.keys(candidates.vars).filter((name) => !candidates.defaults.includes(name));
	return inferTags({
		entries,
		versionNames: ["full", "version", "seriesMajor", "major", "base", "basename", ...scalars],
		entryNames: [...axes, ...variables, ...scalars, "version", ...candidates.defaults],
		versionVocabulary: version,
		entryVocabulary: entry,
	});
}
