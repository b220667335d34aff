import { readFile, stat } from "node:fs/promises";
import path from "node:path";
import type { ImageConfig } from "../config/index.ts";
import { BrewlineError, messageOf } from "../errors.ts";
import { printable } from "../io/index.ts";
import { tabJson } from "../json/index.ts";
import { proposalText, propose, proposeOptionsOf, type Proposal } from "../propose/index.ts";
import type { Context } from "./context.ts";

interface Options {
	readonly definitions?: string;
	readonly repository: string;
	readonly tokenVariable: string;
	readonly minAge?: string;
	readonly security?: boolean;
	readonly overwrite?: boolean;
	readonly again?: boolean;
	readonly branchOnly?: boolean;
	readonly dryRun?: boolean;
}

/** Proposes definitions to the library, one image after the other. */
export async function proposeStep(context: Context, options: Options, names: string[]): Promise<number> {
	const { io, program, json, images } = context;
	const unknown = names.find((name) => !images.some(({ image }) => image === name));
	if (unknown !== undefined) {
		throw new BrewlineError("usage", `the configuration has no image ${printable(unknown, 200)}`, {
			hint: `it has: ${images.map(({ image }) => image).join(", ")}`,
		});
	}
	const token = io.env[options.tokenVariable];
	const { definitions: folder, repository, tokenVariable: _, ...settings } = options;
	const proposals: Proposal[] = [];
	for (const image of images.filter(({ image: name }) => names.length === 0 || names.includes(name))) {
		const input = {
			definitions: new Map([[image.image, await definitionOf(image, folder)]]),
			repository: { folder: path.resolve(repository) },
		};
		const own = { ...settings, token: token === "" ? undefined : token };
		const proposal = await propose(input, io, proposeOptionsOf(image.propose, program, own));
		proposals.push(proposal);
		if (!json) context.print(`${proposalText(proposal)}\n`);
	}
	if (json) context.print(tabJson(proposals));
	return proposals.some(({ outcome }) => outcome === "foreign") ? 7 : 0;
}

const maxDefinition = 1024 * 1024;

async function definitionOf({ image }: ImageConfig, folder: string | undefined): Promise<string> {
	if (folder === undefined)
		throw new BrewlineError("usage", "where are the definitions?", { hint: "name their folder with --definitions" });
	const file = path.join(folder, image);
	try {
		if ((await stat(file)).size > maxDefinition) throw new Error(`it is larger than ${maxDefinition} bytes`);
		return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(await readFile(file));
	} catch (cause) {
		throw new BrewlineError("definition", `cannot read the definition ${printable(file)}: ${messageOf(cause)}`, {
			cause,
		});
	}
}
