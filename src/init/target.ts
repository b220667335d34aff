import path from "node:path";
import { decodeText } from "../definition/index.ts";
import { BrewlineError } from "../errors.ts";
import type { Definitions } from "../generate/index.ts";
import { firstOf } from "../generate/index.ts";
import { gitIn } from "../git/index.ts";
import { printable, type Io } from "../io/index.ts";
import { readCommit, type RepositoryFiles } from "../matrix/index.ts";
import { pastDefinitions } from "./history.ts";
import type { InitInput } from "./init.ts";
import { mainLineOf, missingCommit, namedCommits, oldestMoment, type MainLine } from "./moment.ts";

/** What a script printed, or why it printed nothing. */
export interface Printed {
	readonly text?: string;
	readonly error?: string;
}

/** The definition that is to come out. */
export interface Target {
	readonly text: string;
	/** Where it is from, in words. */
	readonly source: string;
	/** The file that has it, where it is one that a library may have a history of. */
	readonly file?: string;
}

/** A definition, and all that it was made of. */
export interface Moment {
	readonly target: Target;
	readonly files: RepositoryFiles;
	/** The commit that they are of; undefined: they are those of the work tree. */
	readonly at?: { readonly gitDirectory: string; readonly commit: string };
	/** Definitions of parents, the likeliest first. */
	readonly definitions: readonly Definitions[];
	/** What a reader has to know of the choice. */
	readonly notes: readonly string[];
}

export async function targetOf(
	{ published, definitions, library, image: named }: InitInput,
	image: string,
	script: string | undefined,
	printed: Printed | undefined,
): Promise<Target> {
	if (published !== undefined) {
		return { text: published.text, source: published.file, file: path.resolve(published.file) };
	}
	if (printed?.text !== undefined) return { text: printed.text, source: script! };
	const text = await definitions(image);
	if (text !== undefined) {
		const source = `the library's ${image}`;
		return { text, source, ...(library === undefined ? {} : { file: path.join(library, image) }) };
	}
	const otherwise = named === undefined ? "If the image has another name, say it with --image. " : "";
	const printing = script === undefined ? "" : ", or let the repository's script print it with --run-scripts";
	throw new BrewlineError("definition", `there is no definition of ${printable(image)} to come near to`, {
		hint:
			printed?.error === undefined
				? `${otherwise}Name a definition with --published${printing}.`
				: `${otherwise}Name a definition with --published; the script failed: ${printed.error}`,
	});
}

/**
 * Finds the moment of a published definition: the commit of the repository that it was made at, and the library as it was then.
 * Where the repository is older than the definition, that is the newest one before of which it has all commits.
 */
export async function momentOf(
	{ folder, definitions }: InitInput,
	target: Target,
	files: RepositoryFiles,
	io: Io,
	open: AsyncDisposableStack,
): Promise<Moment> {
	const line = await mainLineOf(io, { folder });
	const now = { target, files, definitions: [definitions], notes: [] };
	// What names no commit is of no moment but now.
	const own = namedCommits(target.text).length === 0 ? line.commits.length - 1 : oldestMoment(line, target.text);
	if (own === undefined) await refuseShallow(io, folder, target);
	if (target.file !== undefined) {
		for await (const past of pastDefinitions(io, path.dirname(target.file), path.basename(target.file), open)) {
			// It was edited since, or another branch has it: then nothing is known of the library of its time.
			if (own !== undefined && past.text !== target.text) break;
			// Before commits were named like this, definitions had another format.
			if (own === undefined && namedCommits(past.text).length === 0) break;
			const place = own ?? oldestMoment(line, past.text);
			if (place === undefined) continue;
			const state = await stateAt(io, folder, line, place);
			const notes = own === undefined ? [olderNote(line, target, past)] : [];
			return {
				...now,
				...state,
				target: { ...target, text: past.text, ...(own === undefined ? { source: nameOf(target, past) } : {}) },
				definitions: past.definitions.map((then) => firstOf(then, definitions)),
				notes,
			};
		}
	}
	if (own !== undefined) return { ...now, ...(await stateAt(io, folder, line, own)) };
	return { ...now, notes: [...missingNote(line, target)] };
}

/** In a clone without its history nothing old can be found, and its last commits look like the first ones. */
async function refuseShallow(io: Io, folder: string, { source }: Target): Promise<void> {
	const told = await gitIn(io, { folder }, ["rev-parse", "--is-shallow-repository"]);
	if (decodeText(told).trim() !== "true") return;
	throw new BrewlineError("git", `this clone has no history, and so not the commits that ${printable(source)} names`, {
		hint: "Fetch all of it: git fetch --unshallow, or fetch-depth: 0 for actions/checkout.",
	});
}

async function stateAt(
	io: Io,
	folder: string,
	{ commits }: MainLine,
	place: number,
): Promise<Partial<Pick<Moment, "files" | "at">>> {
	// Nothing was committed since: then it is what lies here.
	if (place === commits.length - 1) return {};
	const gitDirectory = decodeText(await gitIn(io, { folder }, ["rev-parse", "--absolute-git-dir"])).trim();
	const at = { gitDirectory, commit: commits[place]!.id };
	return { at, files: await readCommit(io, gitDirectory, at.commit) };
}

interface Dated {
	readonly date: string;
	readonly commit: string;
}

function nameOf({ source }: Target, { date, commit }: Dated): string {
	return `${source} of ${date} (${commit.slice(0, 12)})`;
}

function olderNote(line: MainLine, target: Target, past: Dated): string {
	const missing = missingCommit(line, target.text)!.slice(0, 12);
	return (
		`The branch that is checked out does not have ${missing}, which ${target.source} names: this is inferred from the newest ` +
		`definition of which it has all commits, that of ${past.date} (${past.commit.slice(0, 12)}). Pull, and run init again.`
	);
}

function missingNote(line: MainLine, target: Target): readonly string[] {
	const missing = missingCommit(line, target.text)!.slice(0, 12);
	const fetched = /^GitFetch: *(refs\/\S+)/m.exec(target.text)?.[1];
	return [
		`The branch that is checked out does not have ${missing}, which ${target.source} names: what follows compares two moments.`,
		`Pull, or check out the branch that has it${fetched === undefined ? "" : ` (git fetch origin ${fetched})`}; or name a clone of the library with its history: --library FOLDER.`,
	];
}
