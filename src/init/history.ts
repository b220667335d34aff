import { definitionLimit, imageName } from "../definition/library.ts";
import { decodeText } from "../definition/index.ts";
import { BrewlineError } from "../errors.ts";
import type { Definitions } from "../generate/index.ts";
import { gitIn } from "../git/index.ts";
import { findFile } from "../git/lookup.ts";
import { openObjects } from "../git/objects.ts";
import { openReader } from "../git/reader.ts";
import type { Io } from "../io/index.ts";

/** A definition as a commit of the library has it. */
export interface PastDefinition {
	readonly text: string;
	readonly commit: string;
	/** `YYYY-MM-DD`. */
	readonly date: string;
	/** Definitions of that time: those that it was made on, and where it came with others, these. */
	readonly definitions: readonly Definitions[];
}

/** How far back a definition is looked for. */
const maxChanges = 500;

/**
 * What a file of the library was with each change, the newest first; nothing where the folder is of no git repository, or git does
 * not know the file. The definitions can be asked until `open` is disposed of.
 */
export async function* pastDefinitions(
	io: Io,
	folder: string,
	name: string,
	open: AsyncDisposableStack,
): AsyncGenerator<PastDefinition> {
	const where = await gitIn(io, { folder }, ["rev-parse", "--absolute-git-dir", "--show-prefix"]).catch(ofNone);
	const [directory = "", prefix = ""] = decodeText(where).split("\n");
	if (directory === "") return;
	const told = await gitIn(io, { folder }, [
		"--literal-pathspecs",
		"log",
		`-${maxChanges}`,
		"--no-renames",
		"--diff-filter=AM",
		"--format=%H %cs %P",
		"--",
		name,
	]).catch(ofNone);
	const reader = openReader(io, directory);
	open.defer(() => reader.close());
	const objects = openObjects(directory, () => reader);
	const textAt = async (commit: string, file: string): Promise<string | undefined> => {
		try {
			const { tree } = await objects.commit(commit);
			const { id } = await findFile(objects, tree, ".", prefix + file);
			return decodeText(await objects.blob(id, definitionLimit));
		} catch (error) {
			// It is not there, or the clone has no files of then.
			io.signal.throwIfAborted();
			if (error instanceof BrewlineError) return undefined;
			throw error;
		}
	};
	const definitionsAt =
		(commit: string): Definitions =>
		async (image) =>
			imageName.test(image) ? await textAt(commit, image) : undefined;
	for (const line of decodeText(told).split("\n").filter(Boolean)) {
		const [commit = "", date = "", parent] = line.split(" ");
		const text = await textAt(commit, name);
		if (text === undefined) continue;
		const bases = parent === undefined || parent === "" ? [commit] : [parent, commit];
		yield { text, commit, date, definitions: bases.map(definitionsAt) };
	}
}

/** Where git has no answer, the library is no repository, or one without commits. */
function ofNone(error: unknown): Buffer {
	if (error instanceof BrewlineError && error.code === "cancelled") throw error;
	return Buffer.alloc(0);
}
