import { existsSync } from "node:fs";
import path from "node:path";

/** The folder of the repository that a library is in: what patches and annotations are relative to; the library's parent where there is none. */
export function repositoryOf(library: string): string {
	for (let folder = library; ; folder = path.dirname(folder)) {
		if (existsSync(path.join(folder, ".git"))) return folder;
		if (folder === path.dirname(folder)) return path.dirname(library);
	}
}
