import type { ImageConfig } from "../config/index.ts";
import { parseFile } from "../config/index.ts";
import { fileDiff } from "../check/index.ts";
import { BrewlineError, messageOf } from "../errors.ts";
import { decodeText } from "../definition/index.ts";
import { generate, runScript, type Definitions, type Generated } from "../generate/index.ts";
import { gitIn } from "../git/index.ts";
import { printable, type Io } from "../io/index.ts";
import { readCommit, readWorkTree, textOfFile, type RepositoryFiles } from "../matrix/index.ts";
import { compareDefinitions, type Comparison } from "./compare.ts";
import { mainLineOf, oldestMoment } from "./moment.ts";
import { propose } from "./propose.ts";
import { readPublished, type Published } from "./published.ts";
import { proposeTemplates, type TemplatesProposal } from "./templates.ts";
import { printConfig } from "./yaml.ts";

export interface InitInput {
	/** The top of the image repository. */
	readonly folder: string;
	/** The image's name, where it cannot be told from the repository. */
	readonly image?: string;
	/** The definition that is to come out; default: what the script prints, or what the library has. */
	readonly published?: { readonly text: string; readonly file: string };
	/** Definitions of parents; and the image's own, where it is not given. */
	readonly definitions: Definitions;
	/** The same as a folder, for the script. */
	readonly library?: string;
	/** Whether the repository's own script may be run: it is code of the repository. */
	readonly runScripts: boolean;
	readonly architectures: readonly string[];
	/** `YYYY-MM-DD`. */
	readonly today: string;
}

export interface InitResult {
	readonly image: string;
	/** The text of the proposed `brewline.yaml`. */
	readonly text: string;
	/** Undefined: nothing but the script gives the definition. */
	readonly config: ImageConfig | undefined;
	/** What the proposal gives, against what it should give. */
	readonly target: { readonly source: string; readonly comparison: Comparison; readonly diff: string } | undefined;
	/** The same against what the script prints, where that is not the target. */
	readonly script:
		| { readonly file: string; readonly comparison?: Comparison; readonly diff?: string; readonly error?: string }
		| undefined;
	readonly templates: TemplatesProposal | undefined;
	/** What could not be explained, in words. */
	readonly notes: readonly string[];
}

/**
 * Looks at an image repository and a definition of it, proposes the description that gives the one from the other, and says what
 * it could not explain. Nothing is written.
 */
export async function init(input: InitInput, io: Io): Promise<InitResult> {
	const files = await readWorkTree(io, input.folder);
	const script = scriptOf(files);
	const image = input.image ?? (await imageOf(input, files, script, io));
	const printed = input.runScripts && script !== undefined ? await printedBy(input, script, io) : undefined;
	const target = await targetOf(input, image, script, printed);
	const published = readPublished(target.text, target.source);
	const notes: string[] = [];
	// What a script prints is of now; a definition is of the moment when it was made.
	const moment = target.source === script ? undefined : await momentOf(input, published, io);
	if (moment === null) {
		notes.push(
			`${target.source} names commits that are not on the branch that is checked out: it may be newer, or of another one.`,
		);
	}
	const state: Moment =
		moment == null ? { files } : { files: await readCommit(io, moment.gitDirectory, moment.commit), at: moment };
	let config: ImageConfig;
	try {
		config = await propose({ ...input, image, files: state.files, published });
	} catch (error) {
		if (!(error instanceof BrewlineError) || script === undefined) throw error;
		notes.push(`No description was found: ${error.message}. The script is kept, as a last resort.`);
		const text = printConfig({ image, script }, notes);
		return { image, text, config: undefined, target: undefined, script: { file: script }, templates: undefined, notes };
	}
	const tried = await best(input, config, { published, moment: state }, io);
	const templates = await proposeTemplates(tried.config, files, { today: input.today, io });
	const complete: ImageConfig = {
		...tried.config,
		...(templates === undefined ? {} : { templates: templates.templates }),
	};
	notes.push(...notesOn(tried, target.source), ...(templates?.notes ?? []));
	const text = printConfig(complete, notes);
	// What cannot be read again would be no proposal.
	parseFile(text, "brewline.yaml");
	return {
		image,
		text,
		config: complete,
		target: { source: target.source, comparison: tried.comparison, diff: diffOf(image, published, tried.made) },
		script: script === undefined ? undefined : againstScript(script, printed, target.source, tried.made, image),
		templates,
		notes,
	};
}

/** The file that makes the definition, as the known repositories call theirs. */
function scriptOf({ files }: RepositoryFiles): string | undefined {
	const names = [...files.keys()].filter((path) => !path.includes("/") && /stackbrew/.test(path));
	return (
		names.find((name) => name === "generate-stackbrew-library.sh") ?? names.find((name) => /\.(?:sh|js|py)$/.test(name))
	);
}

async function imageOf(
	{ folder, published }: InitInput,
	files: RepositoryFiles,
	script: string | undefined,
	io: Io,
): Promise<string> {
	const own = published?.file.split(/[\\/]/).at(-1);
	if (own !== undefined && /^[a-z0-9][a-z0-9._-]*$/.test(own) && !own.includes(".")) return own;
	const text = script === undefined ? "" : (textOfFile(files, script) ?? "");
	const called = /^getArches ['"]?([a-z0-9][a-z0-9._-]*)/m.exec(text)?.[1];
	if (called !== undefined) return called;
	const address = decodeText(
		await gitIn(io, { folder }, ["config", "--get", "remote.origin.url"]).catch(() => Buffer.alloc(0)),
	);
	const name = /([a-z0-9][a-z0-9._-]*?)(?:\.git)?\/?\s*$/.exec(address)?.[1]?.replace(/^docker-(?:library-)?/, "");
	if (name !== undefined && name !== "") return name;
	throw new BrewlineError("usage", "the repository does not say what its image is called", {
		hint: "Name it with --image.",
	});
}

interface Printed {
	readonly text?: string;
	readonly error?: string;
}

async function printedBy({ folder, library }: InitInput, script: string, io: Io): Promise<Printed> {
	try {
		return { text: await runScript({ folder, script, ...(library === undefined ? {} : { library }) }, io) };
	} catch (error) {
		if (error instanceof BrewlineError && error.code === "cancelled") throw error;
		return { error: messageOf(error) };
	}
}

async function targetOf(
	{ published, definitions }: InitInput,
	image: string,
	script: string | undefined,
	printed: Printed | undefined,
): Promise<{ readonly text: string; readonly source: string }> {
	if (published !== undefined) return { text: published.text, source: published.file };
	if (printed?.text !== undefined) return { text: printed.text, source: script! };
	const text = await definitions(image);
	if (text !== undefined) return { text, source: `the library's ${image}` };
	throw new BrewlineError("definition", `there is no definition of ${printable(image)} to come near to`, {
		hint:
			printed?.error === undefined
				? "Name one with --published, or let the repository's script print it with --run-scripts."
				: `Name one with --published; the script failed: ${printed.error}`,
	});
}

interface Tried {
	readonly config: ImageConfig;
	readonly made: Published;
	readonly generated: Generated;
	readonly comparison: Comparison;
}

interface Moment {
	readonly files: RepositoryFiles;
	/** The commit that they are of; undefined: they are those of the work tree. */
	readonly at?: { readonly gitDirectory: string; readonly commit: string };
}

/** The commit that a definition was made at; null: the repository does not have what it names. */
async function momentOf({ folder }: InitInput, { text }: Published, io: Io): Promise<Moment["at"] | null> {
	const line = await mainLineOf(io, { folder });
	const oldest = oldestMoment(line, text);
	if (oldest === undefined) return null;
	// Nothing was committed since: then it is what lies here.
	if (oldest === line.commits.length - 1) return undefined;
	const gitDirectory = decodeText(await gitIn(io, { folder }, ["rev-parse", "--absolute-git-dir"])).trim();
	return { gitDirectory, commit: line.commits[oldest]!.id };
}

/** The proposal with the kind of commits that comes nearest. */
async function best(
	input: InitInput,
	config: ImageConfig,
	{ published, moment: state }: { readonly published: Published; readonly moment: Moment },
	io: Io,
): Promise<Tried> {
	const { folder, definitions, architectures, today } = input;
	const attempt = async (one: ImageConfig): Promise<Tried> => {
		const generated = await generate(
			{ config: one, repository: state.at ?? { folder }, definitions, architectures, today },
			io,
		);
		const made = readPublished(generated.text, config.image);
		return { config: one, made, generated, comparison: compareDefinitions(published, made) };
	};
	const first = await attempt(config);
	const ofCommits = first.comparison.differences.filter(({ what }) => what.some((one) => one.startsWith("GitCommit")));
	if (ofCommits.length === 0 || config.commit !== undefined) return first;
	const second = await attempt({ ...config, commit: "directory" });
	return second.comparison.differences.length < first.comparison.differences.length ? second : first;
}

function notesOn({ config, comparison, generated }: Tried, source: string): readonly string[] {
	const { differences, bytesOnly } = comparison;
	const notes: string[] = [];
	if (differences.length > 0) {
		notes.push(`This differs from ${printable(source)} in ${differences.length} places:`);
		for (const { entry, what } of differences.slice(0, 40))
			notes.push(`  ${printable(entry)}: ${printable(what.join("; "), 500)}`);
		if (differences.length > 40) notes.push(`  and ${differences.length - 40} more`);
	} else if (bytesOnly) notes.push(`This says the same as ${printable(source)}, in other bytes.`);
	else notes.push(`This gives ${printable(source)} to the byte.`);
	if (Object.keys(config.aliases.extra ?? {}).length > 0) notes.push("aliases.extra: no rule was found for these.");
	if ((config.excludeArchitectures ?? []).length > 0) notes.push("excludeArchitectures: write down why.");
	for (const drop of config.versions?.drop ?? [])
		notes.push(`versions.drop: nothing of ${JSON.stringify(drop.if)} is published.`);
	for (const { what, reason } of generated.left.slice(0, 10))
		notes.push(`Left out: ${printable(what)}: ${printable(reason)}.`);
	return notes;
}

function diffOf(image: string, before: Published, after: Published): string {
	return fileDiff(image, { text: before.text }, { text: after.text });
}

function againstScript(
	file: string,
	printed: Printed | undefined,
	source: string,
	made: Published,
	image: string,
): NonNullable<InitResult["script"]> {
	if (printed?.error !== undefined) return { file, error: printed.error };
	if (printed?.text === undefined || source === file) return { file };
	const own = readPublished(printed.text, file);
	return { file, comparison: compareDefinitions(own, made), diff: diffOf(image, own, made) };
}
