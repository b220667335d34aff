import posix from "node:path/posix";
import type { ImageConfig, TemplatesConfig } from "../config/index.ts";
import { isRepositoryPath } from "../config/text.ts";
import { nearest } from "../definition/text.ts";
import { BrewlineError } from "../errors.ts";
import { printable } from "../io/printable.ts";
import { orderedEntries } from "../json/index.ts";
import { parseVersions } from "../matrix/data.ts";
import { textOfFile, type RepositoryFile, type RepositoryFiles } from "../matrix/files.ts";
import { buildMatrix, joinPath, type MatrixEntry, nothingLeft } from "../matrix/matrix.ts";
import { expand, holds, matchesGlob, remember, type Scope } from "../matrix/scope.ts";
import { evaluate, withVariables } from "../matrix/variables.ts";

export interface RenderInput {
	readonly config: ImageConfig;
	readonly files: RepositoryFiles;
	/** `YYYY-MM-DD`: what `{today}` is. */
	readonly today: string;
	/** Only these versions; default: all. */
	readonly versions?: readonly string[];
}

/** A file that comes of a template. */
export interface Output {
	readonly path: string;
	readonly template: string;
	readonly env: Readonly<Record<string, string>>;
}

/** A file that is put beside it as it is, or with some text replaced. */
export interface Copy {
	readonly path: string;
	readonly source: string;
	readonly text: string;
	readonly executable: boolean;
}

export interface RenderPlan {
	readonly outputs: readonly Output[];
	readonly copies: readonly Copy[];
	/** Folders whose files are all deleted but for those that come anew and those that are kept. */
	readonly cleaned: readonly { readonly folder: string; readonly keep: readonly string[] }[];
	/** The names of `env`. */
	readonly variables: readonly string[];
	/** The text of the versions' file. */
	readonly document: string;
}

/** What is to be rendered, copied and deleted by the block `templates` of a configuration. Reads no file but those given. */
export function planRendering({ config, files, today, versions }: RenderInput): RenderPlan {
	const { templates } = config;
	if (templates === undefined) return { outputs: [], copies: [], cleaned: [], variables: [], document: "{}" };
	const file = config.versions?.file ?? "versions.json";
	const document = textOfFile(files, file) ?? "{}";
	// Rendered is what is in the file, also what the definition leaves out, and what has no Dockerfile yet.
	const all = { ...config.versions, drop: [], dropSupersededPrereleases: false };
	const matrix = buildMatrix({ config: { ...config, requireDockerfile: false, versions: all }, files, today });
	// All files would be deleted, for what is a slip in most cases.
	if (matrix.entries.length === 0 && matrix.data.size > 0) throw nothingLeft(config, matrix.left);
	const gone = goneVersions(document, file).filter((key) => !matrix.data.has(key));
	const isWanted = wanted(versions, [...matrix.data.keys(), ...gone]);
	const outputs = new Map<string, Output>();
	const copies = new Map<string, Copy>();
	const env = environmentOf(config, templates);
	const find = fileFinder(files);
	for (const entry of matrix.entries) {
		if (!isWanted(entry.version.key)) continue;
		const scope = withVariables(entry.scope, templates.vars, entry.version.sources);
		if (!holds(templates.if, scope)) continue;
		const exists = templates.exists === undefined || evaluate(templates.exists, scope, entry.version.sources);
		if (exists === undefined || exists === "") continue;
		const output = outputOf(templates, entry, scope, { env, files, find });
		add(outputs, output, (other) => other.template === output.template && isSame(other.env, output.env));
		for (const copy of copiesOf(templates, entry, scope, find)) {
			add(copies, copy, (other) => other.text === copy.text && other.executable === copy.executable);
		}
	}
	for (const path of copies.keys()) if (outputs.has(path)) throw twice(path);
	const folders =
		templates.clean === false ? [] : cleanedFolders(matrix.entries, [...matrix.data.keys(), ...gone], isWanted);
	const keep = templates.keep ?? [];
	return {
		outputs: [...outputs.values()],
		copies: [...copies.values()],
		cleaned: folders.map((folder) => ({ folder, keep })),
		variables: Object.keys(env),
		document,
	};
}

/** The versions that the file has as null: their folders go. */
function goneVersions(document: string, file: string): readonly string[] {
	return orderedEntries(parseVersions(document, file)).flatMap(([key, value]) =>
		value === null && isPath(key) ? [key] : [],
	);
}

function wanted(versions: readonly string[] | undefined, known: readonly string[]): (key: string) => boolean {
	if (versions === undefined || versions.length === 0) return () => true;
	const unknown = versions.find((key) => !known.includes(key));
	if (unknown !== undefined) {
		const near = nearest(unknown, known);
		throw new BrewlineError("reference", `there is no version ${printable(unknown, 200)}`, {
			hint: near === undefined ? `There are: ${printable(known.join(", "))}.` : `Did you mean ${printable(near)}?`,
		});
	}
	return (key) => versions.includes(key);
}

type Env = NonNullable<TemplatesConfig["env"]>;

/** Where nothing is declared, what the existing scripts have: the version, and the value of each axis. */
function environmentOf(config: ImageConfig, templates: TemplatesConfig): Env {
	if (templates.env !== undefined) return templates.env;
	return Object.fromEntries(["version", ...Object.keys(config.matrix ?? {})].map((name) => [name, `{${name}}`]));
}

function outputOf(
	{ rules }: TemplatesConfig,
	entry: MatrixEntry,
	scope: Scope,
	{ env, files, find }: { readonly env: Env; readonly files: RepositoryFiles; readonly find: FindFiles },
): Output {
	const index = rules.findIndex((rule) => holds(rule.if, scope));
	const rule = rules[index];
	if (rule === undefined) {
		throw new BrewlineError("config", `no rule of templates.rules is for ${printable(nameOf(entry))}`, {
			hint: "Add a rule without a condition at the end, or say in templates.if what is rendered.",
		});
	}
	const where = `templates.rules.${index}`;
	const template = text(rule.template, scope, `${where}.template`, entry);
	const source = files.files.get(template);
	if (source === undefined || source.mode === "link" || source.text === null) {
		const why = source === undefined ? "is not there" : source.mode === "link" ? "is a link" : "is too large";
		throw new BrewlineError("template", `the template ${printable(template)} ${why}`, {
			hint: `It is what ${where} says for ${printable(nameOf(entry))}.`,
		});
	}
	const name = rule.output === undefined ? entry.file : text(rule.output, scope, `${where}.output`, entry);
	return { path: place(entry, name, `${where}.output`), template, env: variablesOf(env, scope, find) };
}

/** What has no value here is not set. */
function variablesOf(env: Env, scope: Scope, find: FindFiles): Readonly<Record<string, string>> {
	const values: (readonly [string, string])[] = [];
	for (const [name, value] of Object.entries(env)) {
		if (typeof value === "string") {
			const expanded = expand(value, scope);
			if (expanded !== undefined) values.push([name, expanded]);
		} else {
			const names = find(value.files, scope).map(([path]) => posix.basename(path));
			values.push([name, names.join("\n")]);
		}
	}
	return Object.fromEntries(values);
}

type FoundFiles = readonly (readonly [string, RepositoryFile])[];
/** Files that a pattern names, in the order of their paths; its `*` is anything but a `/`. Links are none. */
type FindFiles = (pattern: string, scope: Scope) => FoundFiles;

/** Looks for each pattern once: most are the same for all entries. */
function fileFinder({ files }: RepositoryFiles): FindFiles {
	const depthOf = (path: string): number => path.split("/").length;
	const byDepth = Map.groupBy(
		[...files].filter(([, { mode }]) => mode !== "link"),
		([path]) => depthOf(path),
	);
	const known = new Map<string, FoundFiles>();
	return (pattern, scope) => {
		const expanded = expand(pattern, scope);
		if (expanded === undefined) return [];
		// A * that a name stands for is no pattern, so the pattern itself is part of the key.
		return remember(known, `${pattern}\0${expanded}`, () =>
			(byDepth.get(depthOf(expanded)) ?? []).filter(([path]) => matchesGlob(pattern, path, scope)),
		);
	};
}

function copiesOf({ copy = [] }: TemplatesConfig, entry: MatrixEntry, scope: Scope, find: FindFiles): readonly Copy[] {
	return copy.flatMap((rule, index) => {
		if (!holds(rule.if, scope)) return [];
		const where = `templates.copy.${index}`;
		const sources = rule.files.flatMap((pattern) => {
			const found = find(pattern, scope);
			if (found.length > 0) return found;
			throw new BrewlineError("config", `${where}: there is no file ${printable(pattern, 200)}`, {
				hint: "Links are not copied.",
			});
		});
		if (rule.as !== undefined && sources.length > 1) {
			throw new BrewlineError("config", `${where}: ${sources.length} files cannot all have the one name that as gives`);
		}
		return sources.map(([source, { mode, text: content }]) => {
			if (content === null) {
				throw new BrewlineError("config", `${where}: ${printable(source, 200)} is too large to be copied`);
			}
			const name = rule.as === undefined ? posix.basename(source) : text(rule.as, scope, `${where}.as`, entry);
			return {
				path: place(entry, name, where),
				source,
				text: (rule.replace ?? []).reduce(
					(result, { from, to }, number) =>
						result.replaceAll(from, () => text(to, scope, `${where}.replace.${number}.to`, entry)),
					content,
				),
				executable: mode === "executable",
			};
		});
	});
}

/**
 * The folders that are emptied: that of a version where its entries are in there, else those of the entries. Never the
 * repository itself.
 */
function cleanedFolders(
	entries: readonly MatrixEntry[],
	keys: readonly string[],
	isWanted: (key: string) => boolean,
): readonly string[] {
	const byVersion = Map.groupBy(entries, ({ version }) => version.key);
	const folders = keys.filter(isWanted).flatMap((key) => {
		const directories = (byVersion.get(key) ?? []).map(({ directory }) => directory);
		if (directories.every((directory) => isWithin(directory, key))) return [key];
		return directories;
	});
	if (folders.includes("")) {
		throw new BrewlineError("config", "templates.clean: the directory of an entry is the repository itself", {
			hint: "Write clean: false, so that nothing is deleted there.",
		});
	}
	return [...new Set(folders)];
}

export function isWithin(path: string, folder: string): boolean {
	return path === folder || path.startsWith(`${folder}/`);
}

function nameOf({ directory, file }: MatrixEntry): string {
	return joinPath(directory, file);
}

function text(template: string, scope: Scope, where: string, entry: MatrixEntry): string {
	const expanded = expand(template, scope);
	if (expanded !== undefined) return expanded;
	throw new BrewlineError("config", `${where}: a name in it has no value for ${printable(nameOf(entry))}`);
}

/** A path below an entry's directory that may be written to. */
function place(entry: MatrixEntry, name: string, where: string): string {
	const path = joinPath(entry.directory, name);
	if (isPath(path)) return path;
	throw new BrewlineError("config", `${where}: ${printable(path, 200)} is no path that may be written to`);
}

/** Relative, without `..`, and nothing that belongs to git itself. */
function isPath(path: string): boolean {
	return isRepositoryPath(path) && !/[\p{Cc}\\]/u.test(path) && !path.split("/").some(isOfGit);
}

/** Also by names under which some file systems have the same folder: letters that do not count, a short name, a stream. */
function isOfGit(part: string): boolean {
	const [name = ""] = part.replace(/\p{Default_Ignorable_Code_Point}/gu, "").split(":");
	return /^(?:\.git[. ]*|git~\d+)$/i.test(name);
}

function add<Item extends { readonly path: string }>(
	items: Map<string, Item>,
	item: Item,
	isEqual: (other: Item) => boolean,
): void {
	const other = items.get(item.path);
	if (other !== undefined && !isEqual(other)) throw twice(item.path);
	items.set(item.path, item);
}

function twice(path: string): BrewlineError {
	return new BrewlineError("config", `${printable(path, 200)} would be written twice, with different content`, {
		hint: "Two entries have the same directory and file, or a copied file the name of a rendered one.",
	});
}

function isSame(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
	return JSON.stringify(a) === JSON.stringify(b);
}
