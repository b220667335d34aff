import { existsSync } from "node:fs";
import path from "node:path";
import type { GitConfig } from "../../src/git/command.ts";
import { git } from "../../src/git/command.ts";
import { openObjects, type Objects } from "../../src/git/objects.ts";
import { openReader, type ObjectReader } from "../../src/git/reader.ts";
import type { Io } from "../../src/io/index.ts";

/** A local copy of a repository, with a work tree or bare. */
export interface Copy extends AsyncDisposable {
	/** The git directory. */
	readonly directory: string;
	readonly objects: Objects;
	/** Runs git in it, and gives its lines. */
	lines(...args: string[]): Promise<readonly string[]>;
}

/** Where a copy of OWNER/NAME is below a folder: the ways in which people lay such copies out. */
export function findCopy(folder: string, owner: string, names: readonly string[]): string | undefined {
	const places = names.flatMap((name) => [`${owner}+${name}`, `${owner}/${name}`, `${owner}-${name}`, name]);
	for (const place of places.flatMap((name) => [name, `${name}.git`, `${name}/repo`])) {
		const found = path.join(folder, place);
		if (existsSync(path.join(found, "HEAD")) && existsSync(path.join(found, "objects"))) return found;
		// A link of a work tree is a file that git alone understands.
		if (existsSync(path.join(found, ".git", "HEAD"))) return path.join(found, ".git");
	}
	return undefined;
}

export function openCopy(io: Io, directory: string): Copy {
	let reader: ObjectReader | undefined;
	const config: GitConfig = [["core.quotePath", "false"]];
	return {
		directory,
		objects: openObjects(directory, () => (reader ??= openReader(io, directory))),
		lines: async (...args) => {
			const text = (await git(io, args, { directory, config })).toString("utf8");
			return text.split("\n").filter((line) => line !== "");
		},
		[Symbol.asyncDispose]: async () => reader?.close(),
	};
}
