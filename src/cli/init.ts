import { constants, copyFileSync, existsSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { blocksOf, configurationLimit, officialLibrary } from "../config/index.ts";
import { decodeText, definitionLimit, encodeText } from "../definition/index.ts";
import { BrewlineError, messageOf } from "../errors.ts";
import { definitionsAt } from "../generate/index.ts";
import { init, type InitResult } from "../init/index.ts";
import { counted, printable, printableLines, writeWhole } from "../io/index.ts";
import { tabJson } from "../json/index.ts";
import type { Context } from "./context.ts";
import { dayOf } from "../matrix/index.ts";
import { parentsOf } from "./generate.ts";

interface Options {
	readonly image?: string;
	readonly published?: string;
	readonly runScripts?: boolean;
	readonly force?: boolean;
	readonly diff?: boolean;
	readonly today?: string;
	readonly dryRun?: boolean;
}

/** Proposes the brewline.yaml of an image repository, and says how near it comes to the definition. */
export async function initStep(context: Context, options: Options, [folder = "."]: string[]): Promise<number> {
	const { io, program, libraryGiven } = context;
	const file = path.join(folder, "brewline.yaml");
	const writes = options.dryRun !== true && !context.json;
	const copy = writes ? copyFor(file, options.force === true) : undefined;
	if (context.unread !== undefined) {
		const text = `the brewline.yaml that is here is passed over: ${context.unread.message}`;
		io.log({ type: "message", level: "notice", text });
	}
	const library = libraryGiven ?? program.library;
	const isFolder = !/^https?:\/\//.test(library) && existsSync(library);
	const result = await init(
		{
			folder,
			definitions: parentsOf(context, () => definitionsAt(io, officialLibrary)),
			runScripts: options.runScripts === true,
			architectures: Object.keys(program.architectures),
			today: dayOf(io, options.today),
			...(isFolder ? { library: path.resolve(library) } : {}),
			...(options.image === undefined ? {} : { image: options.image }),
			...(options.published === undefined ? {} : { published: readFile(options.published) }),
		},
		io,
	);
	if (context.json) context.print(tabJson(result));
	else if (writes) {
		if (copy !== undefined) copyFileSync(file, copy, constants.COPYFILE_EXCL);
		await writeWhole(file, encodeText(result.text));
		const kept = copy === undefined ? "" : `What it was is kept as ${printable(copy)}.\n`;
		context.print(encodeText(`${printable(file)} is written.\n${kept}${summary(result, options)}`));
	} else context.print(encodeText(`${printableLines(result.text)}\n${summary(result, options)}`));
	return isExact(result) ? 0 : 7;
}

/**
 * Where the file that is there is kept, before it is replaced; undefined: there is none, or one that was proposed like this. What
 * else it says of a program is in no proposal: it is not replaced at all.
 */
function copyFor(file: string, force: boolean): string | undefined {
	const found = statSync(file, { throwIfNoEntry: false });
	if (found === undefined) return undefined;
	const refuse = (what: string, hint: string): BrewlineError =>
		new BrewlineError("usage", `${printable(file)} ${what}`, { hint });
	if (!found.isFile()) throw refuse("is no file", "Move it away, or see the proposal with --dry-run.");
	if (!force) throw refuse("is there already", "See the proposal with --dry-run, or replace the file with --force.");
	const blocks = found.size > configurationLimit ? undefined : blocksOf(readFileSync(file, "utf8"));
	const others = blocks?.filter((name) => name !== "images") ?? [];
	if (others.length > 0) {
		throw refuse(
			`says more than images: ${printable(others.join(", "), 200)}`,
			"Take the block images from --dry-run, and put it into the file by hand.",
		);
	}
	if (blocks !== undefined) return undefined;
	const copy = `${file}.old`;
	if (!existsSync(copy)) return copy;
	throw refuse("cannot be read, and a copy of one is there already", `Move ${printable(copy)} away.`);
}

function isExact({ target, templates }: InitResult): boolean {
	const rendered =
		templates === undefined || (templates.templates !== undefined && templates.files === templates.equal);
	return target?.comparison.equal === true && rendered;
}

function readFile(file: string): { readonly text: string; readonly file: string } {
	try {
		if (statSync(file).size > definitionLimit) throw new Error(`it is larger than ${definitionLimit} bytes`);
		return { text: decodeText(readFileSync(file)), file };
	} catch (cause) {
		throw new BrewlineError("usage", `${printable(file)} cannot be read: ${printable(messageOf(cause))}`, {
			cause,
			hint: "--published names the file of the definition, as the library has it.",
		});
	}
}

function summary({ notes, script, target }: InitResult, { diff, runScripts }: Options): string {
	const lines = [...notes];
	if (script !== undefined && runScripts !== true) {
		lines.push(`${script.file} was not run; --run-scripts compares with what it prints.`);
	}
	if (script?.error !== undefined) lines.push(`${script.file} failed: ${script.error}`);
	if (script?.comparison !== undefined) {
		const { equal, differences } = script.comparison;
		lines.push(
			equal
				? `${script.file} prints the same bytes.`
				: `${script.file} prints something else, in ${counted(differences.length, "place")}:`,
		);
		for (const { entry, what } of differences.slice(0, 20)) lines.push(`  ${entry}: ${what.join("; ")}`);
	}
	const text = lines.map((line) => `${printable(line, 600)}\n`).join("");
	return diff === true ? `${text}${printableLines(`${target?.diff ?? ""}${script?.diff ?? ""}`)}` : text;
}
