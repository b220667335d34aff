import { existsSync, statSync } from "node:fs";
import path from "node:path";
import { officialLibrary, type ImageConfig } from "../config/index.ts";
import { encodeText } from "../definition/index.ts";
import { BrewlineError } from "../errors.ts";
import {
	definitionsAt,
	definitionsInFolder,
	type Definitions,
	explainTag,
	explanationText,
	generateAll,
} from "../generate/index.ts";
import { printable, writeWhole } from "../io/index.ts";
import { tabJson } from "../json/index.ts";
import { chosenImages, type Context } from "./context.ts";

interface Options {
	readonly image?: string;
	readonly output?: string;
	readonly explain?: string;
	readonly today?: string;
	readonly dryRun?: boolean;
}

/** Generates the definitions of the repository that the configuration is in. */
export async function generateStep(context: Context, options: Options): Promise<number> {
	const { io, program } = context;
	const images = chosenImages(context, options.image);
	const { explain } = options;
	if (explain !== undefined && images.length > 1) {
		throw new BrewlineError("usage", "--explain is about one image", { hint: "Name it with --image." });
	}
	const output = options.output === undefined ? undefined : outputOf(options.output, images);
	if (output === undefined && images.length > 1 && !context.json) {
		throw new BrewlineError("usage", `there are ${images.length} images`, {
			hint: "Name one with --image, or a folder for all of them with --output.",
		});
	}
	const { today } = options;
	const input = {
		repository: { folder: context.folder },
		definitions: parentsOf(context, () => definitionsAt(io, officialLibrary)),
		architectures: Object.keys(program.architectures),
		...(today === undefined ? {} : { today }),
	};
	const done = await generateAll(images, input, io);
	if (explain !== undefined) {
		const [config] = images;
		const explanations = explainTag(done.get(config!.image)!, explain);
		context.print(context.json ? tabJson(explanations) : `${explanationText(config!, explanations)}\n`);
		return 0;
	}
	if (output !== undefined && options.dryRun !== true) {
		for (const { image, text } of done.values()) await writeWhole(output(image), encodeText(text));
	}
	if (context.json) context.print(tabJson({ images: [...done.values()] }));
	else if (output === undefined) context.print(encodeText([...done.values()].map(({ text }) => text).join("")));
	for (const { image, left } of done.values()) {
		for (const { what, reason, rule } of left) {
			io.log({ type: "message", level: "debug", text: `${image}: without ${what}: ${reason} (${rule})` });
		}
	}
	return 0;
}

/** The file of each image's definition: one, or in a folder under the image's name. */
function outputOf(output: string, images: readonly ImageConfig[]): (image: string) => string {
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
