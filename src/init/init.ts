import type { ImageConfig } from "../config/index.ts";
import { parseFile } from "../config/index.ts";
import { fileDiff } from "../check/index.ts";
import { BrewlineError, messageOf, type ErrorCode } from "../errors.ts";
import { decodeText } from "../definition/index.ts";
import { generate, runScript, type Definitions, type Generated } from "../generate/index.ts";
import { gitIn } from "../git/index.ts";
import { counted, printable, type Io } from "../io/index.ts";
import { readWorkTree, textOfFile, type RepositoryFiles } from "../matrix/index.ts";
import { compareDefinitions, type Comparison } from "./compare.ts";
import { propose } from "./propose.ts";
import { imagesFrom, readPublished, type Published } from "./published.ts";
import { momentOf, targetOf, type Moment, type Printed, type Target } from "./target.ts";
import { proposeTemplates, type TemplatesProposal } from "./templates.ts";
import { suffixesOfToday } from "./variables.ts";
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
	await using open = new AsyncDisposableStack();
	const files = await readWorkTree(io, input.folder);
	const script = scriptOf(files);
	const image = input.image ?? (await imageOf(input, files, script, io));
	const printed = input.runScripts && script !== undefined ? await printedBy(input, script, io) : undefined;
	const wanted = await targetOf(input, image, script, printed);
	// What a script prints is of now; a definition is of the moment when it was made.
	const moment: Moment =
		wanted.source === script
			? { target: wanted, files, definitions: [input.definitions], notes: [] }
			: await momentOf(input, wanted, files, io, open);
	const { target } = moment;
	const published = readPublished(target.text, target.source);
	const notes = [...moment.notes];
	let tried: Tried;
	try {
		tried = await nearest({ ...input, image }, { published, moment }, io);
	} catch (error) {
		if (!(error instanceof BrewlineError) || !ofDescription.includes(error.code)) throw error;
		if (script === undefined) {
			throw new BrewlineError("config", `no description of ${printable(image)} was found: ${error.message}`, {
				cause: error,
				hint: `${byHand} Or keep the program that prints the definition: images: { image: ${image}, script: FILE }.`,
			});
		}
		notes.push(`No description was found: ${error.message}. The script is kept, as a last resort. ${byHand}`);
		const text = printConfig({ image, script }, notes);
		return { image, text, config: undefined, target: undefined, script: { file: script }, templates: undefined, notes };
	}
	const templates = await proposeTemplates(tried.config, files, { today: input.today, io });
	const complete: ImageConfig = {
		...tried.config,
		...(templates?.templates === undefined ? {} : { templates: templates.templates }),
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
		script:
			script === undefined
				? undefined
				: await againstScript(input, { script, printed, target, config: tried.config }, io),
		templates,
		notes,
	};
}

/** What is wrong with the description that was looked for, and not with the machine or a server. */
const ofDescription: readonly ErrorCode[] = ["config", "definition", "dockerfile", "limit"];

const byHand =
	"What has no rules that can be inferred is described by hand, as in examples/busybox and examples/hello-world: entries without a directory of their own, or of other branches.";

/** The file that makes the definition, as the known repositories call theirs. */
function scriptOf({ files }: RepositoryFiles): string | undefined {
	const names = [...files.keys()].filter((path) => !path.includes("/") && /stackbrew/.test(path));
	return (
		names.find((name) => name === "generate-stackbrew-library.sh") ?? names.find((name) => /\.(?:sh|js|py)$/.test(name))
	);
}

async function imageOf(
	{ folder, published, library }: InitInput,
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
	).trim();
	const name = /([a-z0-9][a-z0-9._-]*?)(?:\.git)?\/?$/.exec(address)?.[1]?.replace(/^docker-(?:library-)?/, "");
	const known = library === undefined || address === "" ? [] : imagesFrom(address, library);
	if (known.length === 1) return known[0]!;
	if (known.length > 1 && !known.includes(name!)) {
		const images = printable(known.join(", "), 300);
		throw new BrewlineError("usage", `the library has several images that are from ${printable(address)}: ${images}`, {
			hint: "Name one of them with --image.",
		});
	}
	if (name !== undefined && name !== "") return name;
	throw new BrewlineError("usage", "the repository does not say what its image is called", {
		hint: "Name it with --image.",
	});
}

async function printedBy({ folder, library }: InitInput, script: string, io: Io): Promise<Printed> {
	try {
		return { text: await runScript({ folder, script, ...(library === undefined ? {} : { library }) }, io) };
	} catch (error) {
		if (error instanceof BrewlineError && error.code === "cancelled") throw error;
		return { error: messageOf(error) };
	}
}

interface Tried {
	readonly config: ImageConfig;
	readonly made: Published;
	readonly generated: Generated;
	readonly comparison: Comparison;
}

/** The proposal that comes nearest, with the definitions of parents as they may have been then. */
async function nearest(
	input: InitInput & { readonly image: string },
	state: { readonly published: Published; readonly moment: Moment },
	io: Io,
): Promise<Tried> {
	let found: Tried | undefined;
	const proposed = propose({ ...input, files: state.moment.files, published: state.published });
	for (const definitions of state.moment.definitions) {
		const tried = await best({ ...input, definitions }, await proposed(definitions), state, io);
		if (found === undefined || isBetter(tried, found)) found = tried;
		if (found.comparison.equal && listed(found) === 0) break;
	}
	return found!;
}

/** Nearer to what is published, or else with less that only a person can have known. */
function isBetter(one: Tried, other: Tried): boolean {
	const missed = ({ comparison: { equal, differences } }: Tried): number => (equal ? 0 : 1 + differences.length);
	return missed(one) - missed(other) < 0 || (missed(one) === missed(other) && listed(one) < listed(other));
}

/** How many lists of architectures there are that come neither of parents nor of data. */
function listed({ config: { architectures = [], excludeArchitectures = [] } }: Tried): number {
	return architectures.filter((rule) => "static" in rule).length + excludeArchitectures.length;
}

/** A proposal with the kind of commits that comes nearest. */
async function best(
	input: InitInput,
	config: ImageConfig,
	{ published, moment }: { readonly published: Published; readonly moment: Moment },
	io: Io,
): Promise<Tried> {
	const { folder, definitions, architectures, today } = input;
	const attempt = async (one: ImageConfig): Promise<Tried> => {
		const generated = await generate(
			{ config: one, repository: moment.at ?? { folder }, definitions, architectures, today },
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
		notes.push(`This differs from ${printable(source)} in ${counted(differences.length, "place")}:`);
		for (const { entry, what } of differences.slice(0, 40))
			notes.push(`  ${printable(entry)}: ${printable(what.join("; "), 500)}`);
		if (differences.length > 40) notes.push(`  and ${differences.length - 40} more`);
	} else if (bytesOnly) notes.push(`This says the same as ${printable(source)}, in other bytes.`);
	else notes.push(`This gives ${printable(source)} to the byte.`);
	if (Object.keys(config.aliases.extra ?? {}).length > 0) notes.push("aliases.extra: no rule was found for these.");
	const fleeting = suffixesOfToday(config);
	if (fleeting.length > 0) {
		const listed = fleeting.map((suffix) => JSON.stringify(suffix)).join(", ");
		notes.push(`tags: these are of today, and have to be changed with the next release: ${printable(listed)}.`);
	}
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

interface Scripted {
	readonly script: string;
	readonly printed: Printed | undefined;
	readonly target: Target;
	readonly config: ImageConfig;
}

/** What a script prints is of what lies here now, whatever the moment that the proposal was learnt from. */
async function againstScript(
	{ folder, definitions, architectures, today }: InitInput,
	{ script: file, printed, target, config }: Scripted,
	io: Io,
): Promise<NonNullable<InitResult["script"]>> {
	if (printed?.error !== undefined) return { file, error: printed.error };
	if (printed?.text === undefined || target.source === file) return { file };
	const own = readPublished(printed.text, file);
	const { text } = await generate({ config, repository: { folder }, definitions, architectures, today }, io);
	const made = readPublished(text, config.image);
	return { file, comparison: compareDefinitions(own, made), diff: diffOf(config.image, own, made) };
}
