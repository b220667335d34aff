import { existsSync } from "node:fs";
import { readFile, realpath, stat } from "node:fs/promises";
import path from "node:path";
import { registryLookup } from "../builds/index.ts";
import {
	annotationsOf,
	check,
	type Checked,
	type CheckIo,
	type DefinitionText,
	dockerfilesOfGit,
	readExplanations,
	type Rule,
	type RuleId,
	rules,
	sarifOf,
	textOf,
} from "../check/index.ts";
import { fileNames, readFromLibrary } from "../definition/index.ts";
import { BrewlineError, messageOf } from "../errors.ts";
import { definitionsAt, definitionsInFolder } from "../generate/index.ts";
import { printable } from "../io/index.ts";
import { tabJson } from "../json/index.ts";
import { openWorkspace } from "../pipeline/index.ts";
import { readExternalPins } from "../sources/index.ts";
import type { Context } from "./context.ts";
import { repositoryOf } from "./repository.ts";

interface Options {
	readonly published?: string;
	readonly explained?: string;
	readonly format?: "text" | "json" | "sarif" | "github";
	readonly history?: boolean;
	readonly rules?: boolean;
}

/** Checks definitions of the library; ends with 1 where there is an error among the findings. */
export async function checkStep(context: Context, options: Options, names: string[]): Promise<number> {
	if (options.rules === true) {
		listRules(context);
		return 0;
	}
	const { program, io, work } = context;
	const known = fileNames(program.library);
	const unknown = names.find((name) => !known.includes(name));
	if (unknown !== undefined) {
		throw new BrewlineError("reference", `there is no definition ${printable(unknown, 200)}`, {
			hint: `name files of ${printable(program.library)}, without tags`,
		});
	}
	const root = await realpath(program.library);
	const below = path.relative(repositoryOf(root), root).replaceAll(path.sep, "/");
	const read = (name: string): DefinitionText => ({
		name,
		file: path.posix.join(below, name),
		text: textIn(program.library, name),
	});
	const published = publishedAt(context, options.published);
	const explained = options.explained === undefined ? undefined : await explanationsIn(options.explained);
	await using workspace = openWorkspace(program, io, { work, dryRun: true });
	const lookup = registryLookup(workspace.client, program);
	const annotation = program.annotations.architecture;
	const checked = await check(
		{
			definitions: (names.length === 0 ? known : [...new Set(names)]).map(read),
			// Where there are none at all, it is not for this library to pin: images from outside are nobody's business.
			...(existsSync(program.externalPins) ? { pins: await readExternalPins(program.externalPins) } : {}),
		},
		{
			find: async (image) => (known.includes(image) ? read(image) : await published?.(image)),
			dockerfiles: dockerfilesOfGit(io, workspace.git),
			architecturesOf: async (reference) => {
				const index = await lookup(reference);
				return index && new Set(index.manifests.flatMap(({ annotations }) => annotations?.[annotation] ?? []));
			},
			git: workspace.git,
			...(published === undefined ? {} : { published }),
			...(explained === undefined ? {} : { explained }),
		},
		{
			program,
			whole: names.length === 0,
			rules: new Set(
				(Object.keys(rules) as RuleId[]).filter((id) => rules[id].needs !== "history" || options.history === true),
			),
		},
	);
	context.print(shown(checked, context, options.format ?? (context.json ? "json" : "text")));
	return checked.findings.some(({ severity }) => severity === "error") ? 1 : 0;
}

function textIn(library: string, name: string): DefinitionText["text"] {
	try {
		return readFromLibrary(library, name);
	} catch (error) {
		if (error instanceof BrewlineError) return error;
		throw error;
	}
}

/** What one run of the generator prints for the largest repositories is a megabyte. */
const maxExplanations = 64 * 1024 * 1024;

async function explanationsIn(file: string): Promise<NonNullable<CheckIo["explained"]>> {
	try {
		const { size } = await stat(file);
		if (size > maxExplanations) throw new Error(`it is larger than ${maxExplanations} bytes`);
		return readExplanations(await readFile(file, "utf8"), file);
	} catch (error) {
		if (error instanceof BrewlineError) throw error;
		throw new BrewlineError("handover", `${printable(file)} cannot be read: ${printable(messageOf(error))}`, {
			cause: error,
		});
	}
}

function publishedAt({ io }: Context, place: string | undefined): CheckIo["published"] | undefined {
	if (place === undefined) return undefined;
	const address = /^https?:\/\//i.test(place);
	const definitions = address ? definitionsAt(io, place) : definitionsInFolder(place);
	return async (name) => {
		const text = await definitions(name);
		const file = address ? `${place.replace(/\/$/, "")}/${name}` : path.join(place, name);
		return text === undefined ? undefined : { name, file, text };
	};
}

function shown(checked: Checked, { program, style }: Context, format: NonNullable<Options["format"]>): string {
	if (format === "json") return tabJson(checked);
	if (format === "sarif") return tabJson(sarifOf(checked, program.checks));
	return format === "github" ? annotationsOf(checked) : textOf(checked, style);
}

function listRules({ json, print, style, program }: Context): void {
	if (json) {
		print(tabJson(rules));
		return;
	}
	const lines = Object.entries<Rule>(rules).map(
		([id, { severity, summary }]) => `${style.bold(id.padEnd(26))} ${severity.padEnd(8)} ${summary}\n`,
	);
	print(`${lines.join("")}${style.dim(program.checks.documentation)}\n`);
}
