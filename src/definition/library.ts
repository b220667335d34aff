import { lstatSync, readdirSync, readFileSync, realpathSync, statSync } from "node:fs";
import path from "node:path";
import { BrewlineError, messageOf } from "../errors.ts";
import { parseDefinition } from "./parse.ts";
import { quote } from "./problems.ts";
import { compareBytes } from "./text.ts";
import type { Definition, MergedEntry } from "./types.ts";

/** What a program says about architectures; everything else in a definition is the format's own. */
export interface ArchitectureOptions {
	/** The architectures that an entry may name. */
	readonly architectures: Iterable<string>;
	/** The architecture of an entry that names none. */
	readonly defaultArchitecture: string;
}

/** A definition and what a reference selects of it. */
export interface Selection {
	/** As it was given; the image's name where a whole library is read. */
	readonly reference: string;
	/** The image's name, without namespace and tag. */
	readonly name: string;
	readonly tag: string | null;
	readonly definition: Definition;
	/** All entries, or with a tag the one or (for a shared tag) the several that have it. */
	readonly entries: readonly MergedEntry[];
}

/** Bytes; the largest definition that is read or written: the largest of 2026 has 40 KB. */
export const definitionLimit = 1024 * 1024;

/** An image's name, which is a file's: of a definition, and of what is remembered of the image. */
export const imageName = /^[0-9A-Za-z][0-9A-Za-z._-]{0,127}$/;

/**
 * All definitions of a library folder, sorted by byte; folders in it are left out.
 * @throws BrewlineError `definition` with the errors of all files in `errors`
 */
export async function loadLibrary(directory: string, options: ArchitectureOptions): Promise<readonly Selection[]> {
	const selections: Selection[] = [];
	const errors: BrewlineError[] = [];
	for (const name of fileNames(directory)) {
		try {
			const definition = loadFromLibrary(directory, name, options);
			selections.push({ reference: name, name, tag: null, definition, entries: definition.entries });
		} catch (error) {
			if (!(error instanceof BrewlineError)) throw error;
			if (error.errors.length > 0) errors.push(...error.errors);
			else errors.push(error);
		}
	}
	const [first] = errors;
	if (first === undefined) return selections;
	throw new BrewlineError(
		"definition",
		errors.length === 1 ? first.message : `${errors.length} errors in the definitions; the first: ${first.message}`,
		{
			...(first.hint === undefined ? {} : { hint: first.hint }),
			...(first.at === undefined ? {} : { at: first.at }),
			errors,
		},
	);
}

/** The names of the files of a library folder, sorted by byte, whatever they are called. */
export function fileNames(directory: string): readonly string[] {
	try {
		const entries = readdirSync(directory, { withFileTypes: true });
		return entries
			.filter((entry) => !entry.isDirectory())
			.map(({ name }) => name)
			.toSorted(compareBytes);
	} catch (error) {
		throw new BrewlineError("reference", `the library folder ${quote(directory)} cannot be read: ${messageOf(error)}`, {
			hint: "Name the folder that holds the definitions: --library, or program.library in brewline.yaml.",
			cause: error,
		});
	}
}

function loadFromLibrary(directory: string, name: string, options: ArchitectureOptions): Definition {
	return parseDefinition(readFromLibrary(directory, name), { file: path.join(directory, name), ...options });
}

/**
 * A definition of a library folder as it stands there.
 * @throws BrewlineError `definition` where it has no image's name, or is none
 */
export function readFromLibrary(directory: string, name: string): Uint8Array {
	const file = path.join(directory, name);
	if (!imageName.test(name)) {
		throw new BrewlineError("definition", `the file name ${quote(name)} cannot be the name of an image`, {
			hint: "A library folder holds definitions alone: letters, digits, ., _ and -, starting with a letter or digit.",
			at: { file },
		});
	}
	// A pull request could have error messages print any file of the machine that reads it.
	if (isLink(file) && !realPath(file).startsWith(realPath(directory) + path.sep)) {
		throw new BrewlineError("definition", `${quote(name)} is a symbolic link out of the library folder`, {
			hint: "Put the definition itself into the library folder.",
			at: { file },
		});
	}
	const bytes = readDefinitionFile(file);
	if (bytes === null) {
		throw new BrewlineError("definition", `${quote(name)} is a symbolic link to nothing`, { at: { file } });
	}
	return bytes;
}

function isLink(file: string): boolean {
	return lstatSync(file, { throwIfNoEntry: false })?.isSymbolicLink() ?? false;
}

/** Where a path leads to; itself where that is nowhere. */
function realPath(file: string): string {
	try {
		return realpathSync.native(file);
	} catch {
		return file;
	}
}

/** The content of a definition's file; null where there is none. */
export function readDefinitionFile(file: string): Uint8Array | null {
	try {
		// Some kilobytes each, of many files: what is waited for would be the pool of threads.
		const stats = statSync(file);
		if (!stats.isFile()) {
			throw new BrewlineError("reference", `${quote(file)} is no file`, {
				hint: stats.isDirectory() ? "Name a file in this folder." : "Name a regular file.",
				at: { file },
			});
		}
		if (stats.size > definitionLimit) throw tooLarge(file);
		const bytes = readFileSync(file);
		if (bytes.length > definitionLimit) throw tooLarge(file);
		return bytes;
	} catch (error) {
		if (error instanceof BrewlineError) throw error;
		if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
		throw new BrewlineError("reference", `${quote(file)} cannot be read: ${messageOf(error)}`, {
			at: { file },
			cause: error,
		});
	}
}

export function tooLarge(file: string): BrewlineError {
	return new BrewlineError("definition", `${quote(file)} is larger than ${definitionLimit} bytes`, {
		hint: "This is no definition.",
		at: { file },
	});
}
