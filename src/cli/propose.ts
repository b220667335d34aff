import { readFile, stat } from "node:fs/promises";
import path from "node:path";
import { architectureOptions, type ImageConfig, type ScriptedImage } from "../config/index.ts";
import { definitionLimit } from "../definition/index.ts";
import { BrewlineError, messageOf } from "../errors.ts";
import { generateAll } from "../generate/index.ts";
import { gitIn } from "../git/index.ts";
import { printable } from "../io/index.ts";
import { tabJson } from "../json/index.ts";
import {
	attempt,
	type Attempt,
	attemptText,
	failureOf,
	missingToken,
	openLibrary,
	propose,
	proposeOptionsOf,
	warnOfDryRun,
} from "../propose/index.ts";
import { exitCodeOf, failuresOf } from "../report/index.ts";
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

/** Proposes definitions to the library, one image after the other; one that fails does not keep others from it. */
export async function proposeStep(context: Context, options: Options, names: string[]): Promise<number> {
	try {
		return await proposeAll(context, options, names);
	} catch (error) {
		throw error instanceof BrewlineError ? named(error, context, options) : error;
	}
}

/** What was refused, or is missing, by the name that it has here. */
function named(error: BrewlineError, context: Context, options: Options): BrewlineError {
	const { code, message, at } = error;
	const errors = error.errors.map((one) => named(one, context, options));
	const from = code === "credentials" ? [whence(context, options)] : [];
	const hints = [...(error.hint === undefined ? [] : [error.hint]), ...from];
	return new BrewlineError(code, message, {
		cause: error,
		errors,
		...(hints.length === 0 ? {} : { hint: hints.join("; ") }),
		...(at === undefined ? {} : { at }),
	});
}

function whence({ io }: Context, { tokenVariable }: Options): string {
	const variable = printable(tokenVariable, 100);
	return io.env[tokenVariable]
		? `the token is that of ${variable}`
		: `${variable} is not set (--token-variable names another one)`;
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
	const [lacking] = images.flatMap((config) => missingToken(config.propose, settings) ?? []);
	if (lacking !== undefined) warnOfDryRun(named(lacking, context, options), io);
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
						...architectureOptions(program),
					},
					io,
				)
			: undefined;
	const attempts: Attempt[] = [];
	for (const [index, { image }] of images.entries()) {
		const one = await attempt(image, io, async () => {
			const text = all?.get(image)?.text ?? (await readDefinition(folder!, image));
			await warnOfUnpushed(context, image, text);
			return await propose({ definitions: new Map([[image, text]]), repository }, io, how[index]!);
		});
		attempts.push(one);
		if (!json) context.print(`${attemptText(one)}\n`);
	}
	const failure = failureOf(attempts);
	if (json) return printJson(context, attempts, failure && named(failure, context, options));
	if (failure !== undefined) throw failure;
	return isLeft(attempts) ? 7 : 0;
}

/** Whether a branch was left to somebody else. */
function isLeft(attempts: readonly Attempt[]): boolean {
	return attempts.some((one) => "proposal" in one && one.proposal.outcome === "foreign");
}

/** The proposals, those that failed among them: what is thrown would be printed as another document. */
function printJson({ io, print }: Context, attempts: readonly Attempt[], failure: BrewlineError | undefined): number {
	print(
		tabJson(
			attempts.map((one) =>
				"proposal" in one ? one.proposal : { outcome: "failed", images: [one.image], errors: failuresOf(one.error) },
			),
		),
	);
	if (failure === undefined) return isLeft(attempts) ? 7 : 0;
	for (const { code, message, hint, at } of failure.errors) {
		io.log({
			type: "message",
			level: "error",
			code,
			text: message,
			...(hint === undefined ? {} : { hint }),
			...(at === undefined ? {} : { at }),
		});
	}
	return exitCodeOf(failure);
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

async function readDefinition(folder: string, image: ImageConfig["image"]): Promise<string> {
	const file = path.join(folder, image);
	try {
		if ((await stat(file)).size > definitionLimit) throw new Error(`it is larger than ${definitionLimit} bytes`);
		return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(await readFile(file));
	} catch (cause) {
		throw new BrewlineError("definition", `cannot read the definition ${printable(file)}: ${messageOf(cause)}`, {
			cause,
		});
	}
}
