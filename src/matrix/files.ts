/** Bytes of the largest file that is read. What is larger is no text that anything is made from. */
export const largestFile = 1024 * 1024;

/** A file of a repository, as far as the engine reads it. */
export interface RepositoryFile {
	readonly mode: "file" | "executable" | "link";
	/**
	 * Its content, or a link's target, which is never followed; bytes that are not UTF-8 are kept as `decodeText` does.
	 * Null: it is too large to be read.
	 */
	readonly text: string | null;
}

/** What may be read of an image repository: a snapshot in plain data, so that it can be handed to a worker. */
export interface RepositoryFiles {
	/** By path, in the order of their bytes. */
	readonly files: ReadonlyMap<string, RepositoryFile>;
	/** Where they are from, for messages: a folder, or a repository with a commit. */
	readonly source: string;
	/** Those that git does not have yet; of a commit, none. */
	readonly untracked?: ReadonlySet<string>;
	/** Folders that are repositories of their own, such as submodules: what is in them is not of this one. Of a commit, none. */
	readonly repositories?: ReadonlySet<string>;
}

/** The text of a regular file; undefined where there is none, or only a link, or one that is too large. */
export function textOfFile(files: RepositoryFiles, path: string): string | undefined {
	const file = files.files.get(path);
	return file === undefined || file.mode === "link" || file.text === null ? undefined : file.text;
}
