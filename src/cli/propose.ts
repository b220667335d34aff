import { readFile, stat } from "node:fs/promises";
import path from "node:path";
import type { ImageConfig, ScriptedImage } from "../config/index.ts";
import { BrewlineError, messageOf } from "../errors.ts";
import { generateAll } from "../generate/index.ts";
import { gitIn } from "../git/index.ts";
import { printable } from "../io/index.ts";
import { tabJson } from "../json/index.ts";
import { openLibrary, proposalText, propose, proposeOptionsOf, type Proposal } from "../propose/index.ts";
import { chosenImages, type Context } from "./context.ts";
import { parentsOf } from "./generate.ts";

interface Options {
	readonly definitions?: string;
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
	try {
		return await proposeAll(context, options, names);
	} catch (error) {
		throw error instanceof BrewlineError && error.code === "credentials" ? named(error, context, options) : error;
	}
}

/** What was refused, or is missing, by the name that it has here. */
function named(error: BrewlineError, { io }: Context, { tokenVariable }: Options): BrewlineError {
	const variable = printable(tokenVariable, 100);
	const from = io.env[tokenVariable]
		? `the token is that of ${variable}`
		: `${variable} is not set (--token-variable names another one)`;
	const hint = error.hint === undefined ? from : `${error.hint}; ${from}`;
	const { at, errors } = error;
	return new BrewlineError(error.code, error.message, {
		hint,
		cause: error,
		...(at === undefined ? {} : { at }),
		...(errors.length === 0 ? {} : { errors }),
	});
}

async function proposeAll(context: Context, options: Options, names: string[]): Promise<number> {
	const { io, program, json } = context;
	const { definitions: folder, tokenVariable, ...given } = options;
	const settings = { ...given, token: io.env[tokenVariable] || undefined };
	const images = proposed(context, names);
	const scripted = folder === undefined ? images.find((image) => "script" in image) : undefined;
	if (scripted !== undefined) {
		throw new BrewlineError("usage", `a script of the repository prints the definition of ${scripted.image}`, {
			hint: `run it first, and name the folder: brewline generate --allow-script --output FOLDER/, then --definitions FOLDER`,
		});
	}
	const how = images.map((config) => proposeOptionsOf(config.propose, program, settings));
	const repository = { folder: context.folder };
	await using library = openLibrary(io, how[0]!);
	const all =
		folder === undefined
			? await generateAll(
					context.images,
					{
						repository,
						configuration: path.basename(context.file),
						definitions: parentsOf(context, () => (image) => library.definition(image)),
						architectures: Object.keys(program.architectures),
						defaultArchitecture: program.defaultArchitecture,
					},
					io,
				)
			: undefined;
	const proposals: Proposal[] = [];
	for (const [index, { image }] of images.entries()) {
		const text = all?.get(image)?.text ?? (await readDefinition(folder!, image));
		await warnOfUnpushed(context, image, text);
		const proposal = await propose({ definitions: new Map([[image, text]]), repository }, io, how[index]!);
		proposals.push(proposal);
		if (!json) context.print(`${proposalText(proposal)}\n`);
	}
	if (json) context.print(tabJson(proposals));
	return proposals.some(({ outcome }) => outcome === "foreign") ? 7 : 0;
}

/** A commit that is only here cannot be built by anybody else. What is known of a remote may be old, so this refuses nothing. */
async function warnOfUnpushed({ io, folder }: Context, image: string, text: string): Promise<void> {
	const commits = new Set(text.match(/(?<=^[a-z0-9-]*GitCommit: )[0-9a-f]{40,64}$/gm));
	if (commits.size === 0) return;
	try {
		const remotes = await gitIn(io, { folder }, ["for-each-ref", "--count=1", "refs/remotes"]);
		if (remotes.length === 0) return;
		const told = await gitIn(io, { folder }, ["rev-list", "--max-count=10000", ...commits, "--not", "--remotes"]);
		const [first] = told
			.toString("latin1")
			.split("\n")
			.filter((commit) => commits.has(commit));
		if (first === undefined) return;
		io.log({
			type: "message",
			level: "warning",
			text: `${image}: commit ${first.slice(0, 12)} is on no branch of a remote, as far as is known here: push it before its definition is merged`,
		});
	} catch (error) {
		// Commits of another repository, or of none: whoever reads them says so.
		if (!(error instanceof BrewlineError) || error.code !== "git") throw error;
	}
}

/** The images of these names; all of the configuration's, those of scripts too, where none is given. */
function proposed(context: Context, names: readonly string[]): readonly (ImageConfig | ScriptedImage)[] {
	const { images, scripts } = context;
	if (names.length === 0 && scripts.length > 0) return [...images, ...scripts];
	if (names.length === 0) return chosenImages(context, undefined);
	return names.flatMap((name): readonly (ImageConfig | ScriptedImage)[] => {
		const script = scripts.find(({ image }) => image === name);
		return script === undefined ? chosenImages(context, name) : [script];
	});
}

const maxDefinition = 1024 * 1024;

async function readDefinition(folder: string, image: ImageConfig["image"]): Promise<string> {
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
