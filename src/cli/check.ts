import { existsSync } from "node:fs";
import { readFile, realpath, stat } from "node:fs/promises";
import path from "node:path";
import { architectureLookup } from "../builds/index.ts";
import {
	annotationsOf,
	check,
	type Checked,
	type CheckIo,
	type DefinitionText,
	dockerfilesOfGit,
	explanationsOf,
	readExplanations,
	type Rule,
	type RuleId,
	rules,
	sarifOf,
	textOf,
} from "../check/index.ts";
import { architectureOptions, officialLibrary, type Program } from "../config/index.ts";
import { fileNames, readFromLibrary } from "../definition/index.ts";
import { BrewlineError, messageOf } from "../errors.ts";
import { type Definitions, definitionsAt, definitionsInFolder, generateAll, rewriteTo } from "../generate/index.ts";
import { printable, writeWhole } from "../io/index.ts";
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

/** Checks definitions of the library, or those that an image repository would propose; ends with 1 where there is an error among the findings. */
export async function checkStep(context: Context, options: Options, names: string[]): Promise<number> {
	if (options.rules === true) {
		listRules(context);
		return 0;
	}
	const { io, work } = context;
	const checkable = isImageRepository(context)
		? await generatedHere(context, options.published ?? officialLibrary)
		: await libraryOf(context, options.published);
	const { program, known, where, read, published } = checkable;
	const unknown = names.find((name) => !known.includes(name));
	if (unknown !== undefined) {
		throw new BrewlineError("reference", `there is no definition ${printable(unknown, 200)}`, {
			hint: `name ${where}, without tags`,
		});
	}
	const explained = options.explained === undefined ? checkable.explained : await explanationsIn(options.explained);
	await using workspace = openWorkspace(program, io, { work, dryRun: true });
	const checked = await check(
		{
			definitions: (names.length === 0 ? known : [...new Set(names)]).map(read),
			// Where there are none at all, it is not for this library to pin: images from outside are nobody's business.
			...(existsSync(program.externalPins) ? { pins: await readExternalPins(program.externalPins) } : {}),
		},
		{
			find: async (image) => (known.includes(image) ? read(image) : await published?.(image)),
			dockerfiles: dockerfilesOfGit(io, workspace.git),
			architecturesOf: architectureLookup(workspace.client, program),
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
	if (options.format === "github") context.printCommands(annotationsOf(checked));
	else context.print(shown(checked, context, options.format ?? (context.json ? "json" : "text")));
	return checked.findings.some(({ severity }) => severity === "error") ? 1 : 0;
}

/** What there is to check, and what it is compared with. */
interface Checkable {
	readonly program: Program;
	readonly known: readonly string[];
	/** What `known` are, for who names another one. */
	readonly where: string;
	readonly read: (name: string) => DefinitionText;
	readonly published?: CheckIo["published"] | undefined;
	readonly explained?: CheckIo["explained"] | undefined;
}

async function libraryOf(context: Context, published: string | undefined): Promise<Checkable> {
	const { program } = context;
	const known = fileNames(program.library);
	const root = await realpath(program.library);
	const below = path.relative(repositoryOf(root), root).replaceAll(path.sep, "/");
	return {
		program,
		known,
		where: `files of ${printable(program.library)}`,
		read: (name) => ({ name, file: path.posix.join(below, name), text: textIn(program.library, name) }),
		published: publishedAt(context, published),
	};
}

/** A repository that describes images, and has no library beside them. */
function isImageRepository({ images, libraryGiven, program }: Context): boolean {
	return images.length > 0 && libraryGiven === undefined && !existsSync(program.library);
}

/** What the repository of the configuration would propose; its commits need not be where others can fetch them yet. */
async function generatedHere(context: Context, place: string): Promise<Checkable> {
	const { program, io, images, folder, work } = context;
	await hideFromGit(work);
	const definitions = definitionsOf(context, place);
	const generated = await generateAll(
		images,
		{
			repository: { folder },
			configuration: path.basename(context.file),
			definitions,
			...architectureOptions(program),
		},
		io,
	);
	const rewrite = { ...program.git.rewrite, ...rewriteTo(folder, images) };
	return {
		program: { ...program, git: { ...program.git, rewrite } },
		known: [...generated.keys()],
		where: "images of the configuration",
		read: (name) => ({ name, file: name, text: generated.get(name)!.text }),
		published: publishedAt(context, place),
		explained: explanationsOf([...generated.values()]),
	};
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

function publishedAt(context: Context, place: string | undefined): CheckIo["published"] | undefined {
	if (place === undefined) return undefined;
	const definitions = definitionsOf(context, place);
	return async (name) => {
		const text = await definitions(name);
		const file = isAddress(place) ? `${place.replace(/\/$/, "")}/${name}` : path.join(place, name);
		return text === undefined ? undefined : { name, file, text };
	};
}

function definitionsOf({ io }: Context, place: string): Definitions {
	return isAddress(place) ? definitionsAt(io, place) : definitionsInFolder(place);
}

function isAddress(place: string): boolean {
	return /^https?:\/\//i.test(place);
}

/** The work folder is in the repository, whose maintainers add all that they see there. */
async function hideFromGit(work: string): Promise<void> {
	const file = path.join(work, ".gitignore");
	if (existsSync(file)) return;
	await writeWhole(file, "*\n");
}

function shown(checked: Checked, { program, style }: Context, format: "text" | "json" | "sarif"): string {
	if (format === "json") return tabJson(checked);
	if (format === "sarif") return tabJson(sarifOf(checked, program.checks));
	return textOf(checked, style);
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
