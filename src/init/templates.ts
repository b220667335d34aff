import type { ImageConfig, TemplatesConfig } from "../config/index.ts";
import { messageOf } from "../errors.ts";
import { counted, printable, type Io } from "../io/index.ts";
import { buildMatrix, joinPath, textOfFile, type MatrixEntry, type RepositoryFiles } from "../matrix/index.ts";
import { openSandbox, type Sandbox } from "../sandbox/index.ts";
import { changesTo } from "../template/changes.ts";
import type { Names, Vocabulary } from "./conditions.ts";
import { interpolate } from "./learn.ts";
import { inferTexts } from "./tags.ts";
import { isOfToday } from "./variables.ts";

export interface TemplatesProposal {
	/** Undefined: they cannot be rendered with what was found. */
	readonly templates?: TemplatesConfig;
	/** How many files it renders and copies, and how many of them are as they are committed. */
	readonly files: number;
	readonly equal: number;
	readonly notes: readonly string[];
}

interface Place {
	readonly entry: MatrixEntry;
	readonly path: string;
	/** What is committed. */
	readonly text: string;
	readonly names: Names;
}

const maxSamples = 8;
const maxTemplates = 12;

/**
 * Proposes how the Dockerfiles are rendered: which template a directory has, what the templates' variables are, and what is copied
 * beside them; each is tried, and kept where what is committed comes out.
 */
export async function proposeTemplates(
	config: ImageConfig,
	files: RepositoryFiles,
	{ today, io }: { readonly today: string; readonly io: Io },
): Promise<TemplatesProposal | undefined> {
	const templates = [...files.files.keys()]
		.filter((path) => /^Dockerfile[^/]*\.template$/.test(path))
		.slice(0, maxTemplates);
	const places = placesOf(config, files, today);
	if (templates.length === 0 || places.length === 0) return undefined;
	await using sandbox = openSandbox({ signal: io.signal });
	const trial: Trial = { files, sandbox, header: headerOf(places) };
	const notes: string[] = [];
	const env = await environmentOf(trial, templates, places, notes);
	const vocabulary = vocabularyOf(places);
	const rules = await rulesOf(trial, templates, places, env, vocabulary, notes);
	if (rules.length === 0) {
		return {
			files: 0,
			equal: 0,
			notes: [...notes, "templates: left out, as none of them gives a Dockerfile; see docs/templates.md."],
		};
	}
	const { copy, strays } = copiesOf(files, places, vocabulary);
	if (strays.length > 0)
		notes.push(`templates.copy: nothing was found that ${strays.slice(0, 8).join(", ")} would come of.`);
	const vars = windowsVars(config, env, places);
	const proposed: TemplatesConfig = {
		...(vars === undefined ? {} : { vars }),
		...(Object.keys(env).length === 0 || isUsual(env, config) ? {} : { env }),
		...(trial.header === usualHeader ? {} : { header: trial.header ?? "" }),
		...(strays.length > 0 ? { clean: false } : {}),
		rules,
		...(copy.length === 0 ? {} : { copy }),
	};
	return await verified({ ...config, templates: proposed }, files, today, { sandbox, io, notes, places });
}

interface Trying {
	readonly sandbox: Sandbox;
	readonly io: Io;
	readonly notes: readonly string[];
	readonly places: readonly Place[];
}

async function verified(
	config: ImageConfig & { readonly templates: TemplatesConfig },
	files: RepositoryFiles,
	today: string,
	{ sandbox, io, notes, places }: Trying,
): Promise<TemplatesProposal> {
	const { templates } = config;
	const leftOut = (why: string): TemplatesProposal => ({
		files: 0,
		equal: 0,
		notes: [...notes, `templates: left out, as ${why}; see docs/templates.md.`],
	});
	try {
		const rendering = await sandbox.run("render", { config, files, today });
		const changes = changesTo(files, [rendering]);
		const other = changes.filter(({ kind }) => kind !== "deleted");
		const equal = rendering.files.length - other.length;
		const changed = new Set(other.map(({ path }) => path));
		// Copies are right anyway: what is rendered would only be spoilt.
		if (places.every(({ path }) => changed.has(path))) return leftOut("no Dockerfile comes out as it is committed");
		const found =
			changes.length === 0
				? [`templates: all ${equal} files come out as they are committed.`]
				: [
						`templates: ${equal} of ${counted(rendering.files.length, "file")} come out as they are committed; not so:`,
						...changes.slice(0, 20).map(({ path, kind }) => `  ${printable(path)} (${kind})`),
					];
		return { templates, files: rendering.files.length, equal, notes: [...notes, ...found] };
	} catch (error) {
		io.signal.throwIfAborted();
		// With such rules "brewline render" would do nothing but fail.
		return leftOut(`what was found renders nothing (${printable(messageOf(error), 300)})`);
	}
}

interface Trial {
	readonly files: RepositoryFiles;
	readonly sandbox: Sandbox;
	readonly header: string | undefined;
}

const usualHeader =
	'#\n# NOTE: THIS DOCKERFILE IS GENERATED VIA "apply-templates.sh"\n#\n# PLEASE DO NOT EDIT IT DIRECTLY.\n#\n\n';

/** The comment and the blank line that all rendered files begin with. */
function headerOf(places: readonly Place[]): string | undefined {
	const headers = new Set(places.map(({ text }) => /^(?:#[^\n]*\n)+\n/.exec(text)?.[0]));
	const [header] = headers;
	return headers.size === 1 ? header : undefined;
}

function placesOf(config: ImageConfig, files: RepositoryFiles, today: string): readonly Place[] {
	const names = [
		"version",
		"full",
		"base",
		...Object.keys(config.matrix ?? {}),
		...Object.values(config.split ?? {}).flatMap((source) =>
			[...source.matchAll(/\?<(\w+)>/g)].map(([, name]) => name!),
		),
		...Object.keys(config.vars ?? {}),
	];
	const matrix = buildMatrix({ config, files, today });
	return matrix.entries.flatMap((entry) => {
		const path = joinPath(entry.directory, entry.file);
		const text = textOfFile(files, path);
		if (text === undefined) return [];
		const known = names.map((name) => [name, entry.scope.get(name)] as const);
		const texts = Object.fromEntries(known.filter(([, value]) => typeof value === "string")) as Names;
		return [{ entry, path, text, names: { ...texts, ...windowsNames(entry) } }];
	});
}

/** What the templates for Windows ask for, in all repositories that have some. */
const windows = {
	windowsVariant: "(?:windows)?(servercore|nanoserver)-",
	windowsRelease: "(?:servercore|nanoserver)-(.+)$",
};

function windowsNames({ axes }: MatrixEntry): Names {
	const variant = Object.values(axes).find((value) => /(?:servercore|nanoserver)-/.test(value));
	if (variant === undefined) return {};
	const found = Object.entries(windows).map(([name, source]) => [name, new RegExp(source).exec(variant)![1]!] as const);
	return Object.fromEntries(found);
}

/** The variables for those, where they are used. */
function windowsVars(
	config: ImageConfig,
	env: Readonly<Record<string, string>>,
	places: readonly Place[],
): TemplatesConfig["vars"] {
	const place = places.find(({ entry }) => Object.keys(windowsNames(entry)).length > 0);
	const axis = Object.entries(place?.entry.axes ?? {}).find(([, value]) =>
		/(?:servercore|nanoserver)-/.test(value),
	)?.[0];
	const used = Object.entries(windows).filter(
		([name]) => env[name] === `{${name}}` && config.vars?.[name] === undefined,
	);
	if (axis === undefined || used.length === 0) return undefined;
	return Object.fromEntries(used.map(([name, capture]) => [name, { value: `{${axis}}`, capture }]));
}

function vocabularyOf(places: readonly Place[]): Vocabulary {
	const derived = new Set(["full", "version", ...Object.keys(windows)]);
	const names = Object.keys(places[0]?.names ?? {}).filter((name) => !derived.has(name));
	return {
		asked: [...names, "version"],
		defaults: [],
		isFleeting: (name, value) => (name === "version" || name === "base") && /[0-9]/.test(value),
		isOfToday,
	};
}

/** What one template gives for one place; undefined: nothing, as it fails there. */
async function renderOne(
	{ files, sandbox, header = "" }: Trial,
	template: string,
	{ path, names }: Place,
	env: Readonly<Record<string, string>>,
): Promise<string | undefined> {
	const modules = [...files.files.keys()].filter((name) => name.endsWith(".jq"));
	const values = Object.entries(env).flatMap(([name, text]) => {
		const value = interpolate(text, names);
		return value === undefined ? [] : [[name, value]];
	});
	const texts = await sandbox
		.run("template", {
			file: template,
			text: textOfFile(files, template) ?? "",
			modules: modules.map((name) => [name, textOfFile(files, name) ?? ""] as const),
			variables: Object.keys(env),
			document: textOfFile(files, "versions.json") ?? "{}",
			environments: [{ of: path, env: Object.fromEntries(values) as Record<string, string> }],
		})
		.catch(() => undefined);
	return texts === undefined ? undefined : header + texts[0]!;
}

/** Whether that is what templates see where nothing is said: the version, and the axes of the matrix. */
function isUsual(env: Readonly<Record<string, string>>, { matrix = {} }: ImageConfig): boolean {
	return Object.entries(env).every(
		([name, text]) => (name === "version" || Object.hasOwn(matrix, name)) && text === `{${name}}`,
	);
}

/** What the templates see of `env`: the names that they use, with the values under which the most of what is committed comes out. */
async function environmentOf(
	trial: Trial,
	templates: readonly string[],
	places: readonly Place[],
	notes: string[],
): Promise<Record<string, string>> {
	const used = new Set<string>();
	for (const [path, { text }] of trial.files.files) {
		if (path.includes("/") || !/\.(?:template|jq)$/.test(path)) continue;
		for (const [, name] of (text ?? "").matchAll(/\benv\.([A-Za-z_]\w*)/g)) used.add(name!);
	}
	used.add("version");
	const names = [...new Set(places.flatMap((place) => Object.keys(place.names)))];
	const axes = names.filter((name) => !["version", "full", "base"].includes(name));
	const env: Record<string, string> = {};
	const open: string[] = [];
	for (const name of used) {
		const same = names.find((other) => other.toLowerCase() === name.toLowerCase() || `${other}Version` === name);
		const known = name === "rcVersion" ? "base" : same;
		env[name] = known === undefined ? "" : `{${known}}`;
		if (known === undefined || name === "variant") open.push(name);
	}
	const samples = places.filter((_, index) => index % Math.ceil(places.length / maxSamples) === 0);
	const count = async (tried: Readonly<Record<string, string>>): Promise<number> => {
		let right = 0;
		for (const place of samples) {
			for (const template of templates) {
				if ((await renderOne(trial, template, place, tried)) !== place.text) continue;
				right++;
				break;
			}
		}
		return right;
	};
	let best = open.length === 0 ? samples.length : await count(env);
	for (const name of open) {
		for (const axis of axes.slice(0, 8)) {
			if (best === samples.length) break;
			const tried = { ...env, [name]: `{${axis}}` };
			const right = await count(tried);
			if (right <= best) continue;
			best = right;
			env[name] = `{${axis}}`;
		}
		if (env[name] !== "") continue;
		delete env[name];
		notes.push(`templates.env: nothing was found that ${name} would be; give it a value.`);
	}
	return env;
}

/** Which template each place has: the only one, or those that give what is committed. */
async function rulesOf(
	trial: Trial,
	templates: readonly string[],
	places: readonly Place[],
	env: Readonly<Record<string, string>>,
	vocabulary: Vocabulary,
	notes: string[],
): Promise<TemplatesConfig["rules"]> {
	if (templates.length === 1) return [{ template: templates[0]! }];
	const rows = [];
	for (const place of places) {
		const fitting = [];
		for (const template of templates) {
			if ((await renderOne(trial, template, place, env)) === place.text) fitting.push(template);
		}
		if (fitting.length > 0) rows.push({ names: place.names, items: [fitting[0]!] });
	}
	if (rows.length < places.length) {
		notes.push(
			`templates.rules: no template gives ${places.length - rows.length} of the ${places.length} Dockerfiles.`,
		);
	}
	const names = [...new Set(places.flatMap((place) => Object.keys(place.names)))].filter((name) => name !== "full");
	const rules = inferTexts(rows, names, vocabulary);
	// The first that matches: the one without a condition comes last.
	return rules
		.map(({ value, if: when }) => ({ ...(when === undefined ? {} : { if: when }), template: value }))
		.toSorted((a, b) => Number("if" in b) - Number("if" in a));
}

/** Files that lie beside Dockerfiles and are the same as one at the top. */
function copiesOf(
	{ files }: RepositoryFiles,
	places: readonly Place[],
	vocabulary: Vocabulary,
): { readonly copy: NonNullable<TemplatesConfig["copy"]>; readonly strays: readonly string[] } {
	const strays = new Set<string>();
	const rows = places.map(({ entry, path, names }) => {
		const prefix = entry.directory === "" ? "" : `${entry.directory}/`;
		const beside = [...files].filter(
			([other]) => other !== path && other.startsWith(prefix) && !other.slice(prefix.length).includes("/"),
		);
		const items: string[] = [];
		for (const [other, file] of beside) {
			const name = other.slice(prefix.length);
			const top = files.get(name);
			if (name.startsWith("Dockerfile")) continue;
			if (top !== undefined && top.text === file.text && top.mode === file.mode) items.push(name);
			else strays.add(name);
		}
		return { names, items };
	});
	const groups = new Map<string, { files: string[]; when: object | undefined }>();
	for (const { value, if: when } of inferTexts(rows, [], vocabulary)) {
		const key = JSON.stringify(when ?? {});
		const group = groups.get(key) ?? { files: [], when };
		groups.set(key, group);
		group.files.push(value);
	}
	const copy = [...groups.values()].map(({ files: names, when }) => ({
		files: names,
		...(when === undefined ? {} : { if: when }),
	}));
	return { copy: copy as NonNullable<TemplatesConfig["copy"]>, strays: [...strays] };
}
