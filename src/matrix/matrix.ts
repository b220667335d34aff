import type { ImageConfig } from "../config/index.ts";
import { groupNames, isRepositoryPath } from "../config/text.ts";
import type { DockerfileFacts } from "../dockerfile/index.ts";
import { BrewlineError } from "../errors.ts";
import { printable } from "../io/printable.ts";
import type { JsonValue } from "../json/index.ts";
import { aliasesOf, type Alias, type Claims } from "./aliases.ts";
import { checkEntries, combinations, emptyAxis, splitValue, valuesOf } from "./axes.ts";
import { asValue, memberOf } from "./data.ts";
import type { RepositoryFiles } from "./files.ts";
import { createLanguage, createScope, expand, holds, type Scope, type Value } from "./scope.ts";
import { dockerfileReader, documentValue, evaluate, withVariables, type Sources } from "./variables.ts";
import { isSuperseded, orderVersions, readVersions } from "./versions.ts";

export interface MatrixInput {
	readonly config: ImageConfig;
	readonly files: RepositoryFiles;
	/** `YYYY-MM-DD`: what `{today}` is. */
	readonly today: string;
}

export interface Version {
	readonly key: string;
	readonly full: string | undefined;
	readonly data: JsonValue | undefined;
	readonly aliases: readonly Alias[];
	readonly scope: Scope;
	readonly sources: Sources;
}

/** One Dockerfile, or what stands for one: a version with a value of each axis. */
export interface MatrixEntry {
	readonly version: Version;
	/** By axis, in the order of the configuration. */
	readonly axes: Readonly<Record<string, string>>;
	/** Path in the repository; empty: the repository itself. */
	readonly directory: string;
	/** Relative to the directory. */
	readonly file: string;
	readonly aliases: readonly Alias[];
	readonly scope: Scope;
}

/** A version or an entry that is not there, the rule that took it away, and why. */
export interface Left {
	readonly what: string;
	readonly rule: string;
	readonly reason: string;
}

export interface Matrix {
	/** In the order of the definition. */
	readonly versions: readonly Version[];
	/** By version, then in the order of the axes' values. */
	readonly entries: readonly MatrixEntry[];
	readonly left: readonly Left[];
	/** Of all versions by their keys, those left out too. */
	readonly data: ReadonlyMap<string, JsonValue | undefined>;
	/** The version that has the alias `latest`. */
	readonly latest: string | undefined;
	readonly dockerfile: Sources["dockerfile"];
}

type BareVersion = Omit<Version, "aliases">;

/**
 * All that an image repository has by its configuration (spec/library-generation.md, 1 to 4). Pure.
 * `known`: facts of Dockerfiles that were read before.
 */
export function buildMatrix(input: MatrixInput, known?: ReadonlyMap<string, DockerfileFacts>): Matrix {
	const { config, files } = input;
	const data = readVersions(config, files);
	const left: Left[] = [];
	const dockerfile = dockerfileReader(files, known);
	const bare = withoutDropped(config, describeVersions(input, data, dockerfile), left);
	const keys = new Set(bare.map(({ key }) => key));
	left.push(...aliasesOfNobody(config.aliases, keys));
	const claims: Claims = new Map();
	const versions = bare.map((version): Version => {
		const aliases = aliasesOf({ config: config.aliases, scope: version.scope, key: version.key, keys, claims });
		return { ...version, aliases };
	});
	const entries: MatrixEntry[] = [];
	for (const version of versions) {
		const empty = emptyAxis(config, version.data, version.scope);
		if (empty !== undefined)
			left.push({ what: version.key, rule: `matrix.${empty}`, reason: "it has no values there" });
		for (const axes of combinations(config, version.data, version.scope)) {
			const entry = describeEntry(input, version, axes, { keys, claims });
			const path = joinPath(entry.directory, entry.file);
			if (config.requireDockerfile === false || isFile(files, path)) entries.push(entry);
			else left.push({ what: path, rule: "requireDockerfile", reason: "there is no such file" });
		}
		checkEntries(entries.length);
	}
	return { versions, entries, left, data, latest: claims.get("latest"), dockerfile };
}

/** Of an image without any entry, which is nothing that anybody would want: the first reason of those that were `left`. */
export function nothingLeft({ image, templates }: ImageConfig, [first]: readonly Left[]): BrewlineError {
	const why = first === undefined ? "Look at versions and matrix." : `${first.what}: ${first.reason} (${first.rule}).`;
	const isUnrendered = first?.rule === "requireDockerfile" && templates !== undefined;
	return new BrewlineError("config", `no entry is left of ${printable(image)}`, {
		hint: isUnrendered ? `${why} Render the templates first: "brewline render".` : why,
	});
}

/** What is said of aliases of versions that are not there. */
function aliasesOfNobody({ pin = {}, extra = {} }: ImageConfig["aliases"], keys: ReadonlySet<string>): readonly Left[] {
	const reason = (key: string): string => `there is no version ${printable(key)}`;
	return [
		...Object.entries(pin)
			.filter(([, key]) => !keys.has(key))
			.map(([alias, key]) => ({ what: `the pin of ${printable(alias)}`, rule: "aliases.pin", reason: reason(key) })),
		...Object.entries(extra)
			.filter(([key]) => !keys.has(key))
			.map(([key, aliases]) => ({ what: aliases.join(", "), rule: "aliases.extra", reason: reason(key) })),
	];
}

function isFile(files: RepositoryFiles, path: string): boolean {
	const file = files.files.get(path);
	return file !== undefined && file.mode !== "link";
}

export function joinPath(directory: string, file: string): string {
	return directory === "" ? file : `${directory}/${file}`;
}

function describeVersions(
	{ config, today }: MatrixInput,
	data: ReadonlyMap<string, JsonValue | undefined>,
	dockerfile: Sources["dockerfile"],
): readonly BareVersion[] {
	const { order, full = "version", prereleaseSuffix = "-rc", prerelease } = config.versions ?? {};
	const language = createLanguage();
	const keys = [...data.keys()];
	const versions: BareVersion[] = orderVersions(keys, order).map((key) => {
		const document = data.get(key);
		const isSuffixed = prereleaseSuffix !== "" && key.endsWith(prereleaseSuffix) && key !== prereleaseSuffix;
		const base = isSuffixed ? key.slice(0, -prereleaseSuffix.length) : key;
		const sources: Sources = {
			config,
			data: document,
			dockerfile,
			axis: (name, scope) =>
				(scope === "version" ? versions.filter((each) => each.key === key) : versions).flatMap((each) =>
					valuesOf(config, name, each.data, each.scope),
				),
		};
		const fullVersion = (): Value => {
			if (typeof full !== "string") return evaluate(full, scope, sources);
			const value = memberOf(document, full);
			return typeof value === "object" ? undefined : asValue(value);
		};
		const names = new Map<string, () => Value>([
			["version", () => key],
			["base", () => base],
			["basename", () => key.slice(key.lastIndexOf("/") + 1)],
			["seriesMajor", () => firstComponent(base)],
			["full", fullVersion],
			["major", () => firstComponent(scope.get("full"))],
			["stable", () => String(!isSuffixed && !isPrerelease(prerelease, scope))],
			["first", () => keys[0]],
			["equals", () => equalTo(key, scope.get("full"), versions)],
			["today", () => today],
		]);
		const plain = createScope(names, { language, doc: (path) => documentValue(document, path) });
		const scope = withVariables(plain, config.versionVars, sources);
		return {
			key,
			get full() {
				const value = scope.get("full");
				return typeof value === "string" ? value : undefined;
			},
			data: document,
			scope,
			sources,
		};
	});
	return versions;
}

function firstComponent(text: Value): Value {
	return typeof text === "string" ? /^[^.-]*/.exec(text)![0] : undefined;
}

function isPrerelease(prerelease: string | undefined, scope: Scope): boolean {
	const full = scope.get("full");
	return prerelease !== undefined && typeof full === "string" && scope.language.expression(prerelease).test(full);
}

function equalTo(key: string, full: Value, versions: readonly BareVersion[]): readonly string[] {
	if (full === undefined) return [];
	return versions.filter((each) => each.key !== key && each.full === full).map((each) => each.key);
}

function withoutDropped(config: ImageConfig, versions: readonly BareVersion[], left: Left[]): readonly BareVersion[] {
	const { drop = [], dropSupersededPrereleases = true } = config.versions ?? {};
	const byKey = new Map(versions.map((version) => [version.key, version]));
	return versions.filter((version) => {
		const rule = drop.findIndex(({ if: condition }) => holds(condition, version.scope));
		if (rule >= 0) {
			left.push({ what: version.key, rule: `versions.drop.${rule}`, reason: "its condition holds" });
			return false;
		}
		const base = version.scope.get("base") as string;
		const release = base === version.key ? undefined : byKey.get(base);
		if (dropSupersededPrereleases && release !== undefined && isSuperseded(version.full, release.full)) {
			const reason = `${base} is at ${release.full}, and this at ${version.full}`;
			left.push({ what: version.key, rule: "versions.dropSupersededPrereleases", reason });
			return false;
		}
		return true;
	});
}

function describeEntry(
	{ config }: MatrixInput,
	version: Version,
	axes: Readonly<Record<string, string>>,
	{ keys, claims }: { readonly keys: ReadonlySet<string>; readonly claims: Claims },
): MatrixEntry {
	const { entryFull } = config.versions ?? {};
	const { language } = version.scope;
	const names = new Map<string, () => Value>();
	const plain = createScope(names, { parent: version.scope });
	const scope = withVariables(plain, config.vars, version.sources);
	for (const [axis, value] of Object.entries(axes)) names.set(axis, () => value);
	for (const [axis, source] of Object.entries(config.split ?? {})) {
		const groups = splitValue(source, axes[axis] ?? "", language);
		for (const name of groupNames(source)) names.set(name, () => groups[name]);
	}
	const place = (what: string, path: string | undefined, mayBeEmpty: boolean): string => {
		if (path !== undefined && (isRepositoryPath(path) || (mayBeEmpty && path === ""))) return path;
		const why = path === undefined ? "a name in it has no value" : `"${printable(path, 200)}" is no path inside it`;
		throw new BrewlineError("config", `the ${what} of an entry of ${printable(version.key)}: ${why}`);
	};
	const parts = [version.key, ...Object.values(axes).filter(Boolean)];
	names.set("directory", () => {
		const path = config.directory === undefined ? parts.join("/") : expand(config.directory, scope);
		return place("directory", path, true);
	});
	names.set("file", () => place("file", expand(config.file ?? "Dockerfile", scope), false));
	if (entryFull !== undefined) {
		names.set("full", () => evaluate(entryFull, plain, version.sources) ?? version.scope.get("full"));
		names.set("major", () => firstComponent(plain.get("full")));
	}
	const differs = entryFull !== undefined && plain.get("full") !== version.full;
	const aliases = differs
		? aliasesOf({ config: config.aliases, scope: plain, key: version.key, keys, claims })
		: version.aliases;
	names.set("aliases", () => aliases.map(({ text }) => text));
	names.set("latestVersion", () => claims.get("latest"));
	const directory = scope.get("directory") as string;
	return { version, axes, directory, file: scope.get("file") as string, aliases, scope };
}
