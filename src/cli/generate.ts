import { existsSync, statSync } from "node:fs";
import path from "node:path";
import { architectureOptions, officialLibrary, type ScriptedImage } from "../config/index.ts";
import { encodeText, parseDefinition } from "../definition/index.ts";
import { BrewlineError } from "../errors.ts";
import {
	definitionsAt,
	definitionsInFolder,
	type Definitions,
	explainTag,
	explanationText,
	firstOf,
	generateAll,
	runScript,
} from "../generate/index.ts";
import { printable, refuseLinks, writeWhole } from "../io/index.ts";
import { tabJson } from "../json/index.ts";
import { chosenImages, type Context } from "./context.ts";

interface Options {
	readonly image?: string;
	readonly output?: string;
	readonly explain?: string;
	readonly today?: string;
	readonly allowScript?: boolean;
	readonly dryRun?: boolean;
}

/** Generates the definitions of the repository that the configuration is in. */
export async function generateStep(context: Context, options: Options): Promise<number> {
	const { io, program } = context;
	const scripts = context.scripts.filter(({ image }) => options.image === undefined || image === options.image);
	const images =
		scripts.length > 0 && !hasDescribed(context, options.image) ? [] : chosenImages(context, options.image);
	const names = [...scripts, ...images].map(({ image }) => image);
	const { explain } = options;
	if (explain !== undefined && scripts.length > 0) {
		throw new BrewlineError(
			"usage",
			`nobody knows what the script of ${scripts[0]!.image} does: there is nothing to explain`,
		);
	}
	if (explain !== undefined && images.length > 1) {
		throw new BrewlineError("usage", "--explain is about one image", { hint: "Name it with --image." });
	}
	if (explain !== undefined && options.output !== undefined) {
		throw new BrewlineError("usage", "--explain writes no definition: it does not go with --output", {
			hint: "Leave one of the two out.",
		});
	}
	const output = options.output === undefined ? undefined : outputOf(options.output, names);
	if (output === undefined && names.length > 1 && !context.json) {
		throw new BrewlineError("usage", `there are ${names.length} images`, {
			hint: "Name one with --image, or a folder for all of them with --output.",
		});
	}
	const { today } = options;
	const printed = await printedBy(context, scripts, options.allowScript === true);
	const input = {
		repository: { folder: context.folder },
		configuration: path.basename(context.file),
		definitions: firstOf(
			async (image) => await Promise.resolve(printed.get(image)),
			parentsOf(context, () => definitionsAt(io, officialLibrary)),
		),
		...architectureOptions(program),
		...(today === undefined ? {} : { today }),
	};
	const done = await generateAll(images, input, io);
	if (explain !== undefined) {
		const [config] = images;
		// `NAME:TAG` is what other commands call it.
		const tag = explain.startsWith(`${config!.image}:`) ? explain.slice(config!.image.length + 1) : explain;
		const explanations = explainTag(done.get(config!.image)!, tag);
		context.print(context.json ? tabJson(explanations) : `${explanationText(config!, explanations)}\n`);
		return 0;
	}
	const texts = [...printed, ...[...done].map(([image, { text }]) => [image, text] as const)];
	if (output !== undefined && options.dryRun !== true) {
		for (const [image, text] of texts) {
			refuseLinks(context.folder, path.dirname(output(image)));
			await writeWhole(output(image), encodeText(text));
		}
	}
	if (context.json) {
		const nothing = { entries: [], left: [], parents: [], uncommitted: [], warnings: [] };
		const scripted = [...printed].map(([image, text]) => ({ image, text, ...nothing }));
		context.print(tabJson({ images: [...scripted, ...done.values()] }));
	} else if (output === undefined) context.print(encodeText(texts.map(([, text]) => text).join("")));
	return 0;
}

function hasDescribed({ images }: Context, name: string | undefined): boolean {
	return images.some(({ image }) => name === undefined || image === name);
}

/** What scripts of the repository print, where the user allows them to run. */
async function printedBy(
	{ io, folder, program }: Context,
	scripts: readonly ScriptedImage[],
	isAllowed: boolean,
): Promise<ReadonlyMap<string, string>> {
	const printed = new Map<string, string>();
	for (const { image, script } of scripts) {
		if (!isAllowed) {
			throw new BrewlineError(
				"usage",
				`the definition of ${image} is made by ${printable(script)}, which may not run`,
				{
					hint: "It is code of this repository, and can do all that you can; allow it with --allow-script.",
				},
			);
		}
		const library = existsSync(program.library) ? { library: program.library } : {};
		const text = await runScript({ folder, script, ...library }, io);
		parseDefinition(text, { file: script, ...architectureOptions(program) });
		printed.set(image, text);
	}
	return printed;
}

/** The file of each image's definition: one, or in a folder under the image's name. */
function outputOf(output: string, images: readonly string[]): (image: string) => string {
	const isFolder = output.endsWith("/") || (existsSync(output) && statSync(output).isDirectory());
	if (isFolder) return (image) => path.join(output, image);
	if (images.length === 1) return () => path.resolve(output);
	throw new BrewlineError("usage", `${printable(output)} is no folder, and there are ${images.length} images`, {
		hint: "Name a folder that is there, or end its name with /.",
	});
}

/** Where the definitions of parents are: what was named, the configuration's folder, or something else. */
export function parentsOf({ io, program, libraryGiven }: Context, otherwise: () => Definitions): Definitions {
	if (libraryGiven !== undefined && /^https?:\/\//.test(libraryGiven)) return definitionsAt(io, libraryGiven);
	if (libraryGiven !== undefined || existsSync(program.library)) return definitionsInFolder(program.library);
	return otherwise();
}
