import posix from "node:path/posix";
import { BrewlineError } from "../errors.ts";
import { printable } from "../io/printable.ts";
import { compareCodePoints } from "../json/index.ts";
import type { RepositoryFile, RepositoryFiles } from "../matrix/index.ts";
import type { RenderedFile, Rendering } from "./rendering.ts";

/** One file that is not as it would be rendered. */
export interface Change {
	readonly path: string;
	/** `mode`: only whether it may be executed. */
	readonly kind: "created" | "updated" | "mode" | "deleted";
	/** What is there. */
	readonly before?: RepositoryFile;
	/** What should be. */
	readonly after?: RenderedFile;
}

/** What a file is called while it is written; one that is left over was being written when a run was ended. */
export const unfinished = ".brewline-unfinished";

/** What differs between the files of a repository and what was rendered, in the order of the paths. */
export function changesTo(
	{ files, repositories }: RepositoryFiles,
	renderings: readonly Rendering[],
): readonly Change[] {
	const wanted = new Map<string, RenderedFile>();
	for (const file of renderings.flatMap((rendering) => rendering.files)) {
		if (wanted.has(file.path)) {
			throw new BrewlineError("config", `${printable(file.path)} is rendered for two images of the configuration`);
		}
		wanted.set(file.path, file);
	}
	const leftOver = [...files.keys()].filter((path) => path.endsWith(unfinished));
	const deleted = new Set([...renderings.flatMap((rendering) => rendering.deleted), ...leftOver]);
	const changes: Change[] = [];
	for (const [path, after] of wanted) {
		deleted.delete(path);
		const before = files.get(path);
		const kind = kindOf(before, after);
		if (kind !== undefined) changes.push({ path, kind, after, ...(before === undefined ? {} : { before }) });
	}
	const known = alike(wanted.keys());
	for (const path of wanted.keys()) {
		const repository = [...parentsOf(path), path].find((each) => repositories?.has(each));
		if (repository !== undefined) {
			throw new BrewlineError(
				"template",
				`${printable(path)} cannot be written: ${printable(repository)} is a repository of its own`,
				{ hint: "What is in a submodule is rendered in its own repository, and committed there." },
			);
		}
		for (const parent of parentsOf(path)) {
			if ((files.has(parent) && !deleted.has(parent)) || known.has(foldedPath(parent))) {
				throw new BrewlineError("template", `${printable(path)} cannot be written: ${printable(parent)} is no folder`, {
					hint: "Nothing is written through a link. Delete it, or let templates.clean do so.",
				});
			}
		}
	}
	for (const path of deleted) changes.push({ path, kind: "deleted", before: files.get(path)! });
	return changes.sort((a, b) => compareCodePoints(a.path, b.path));
}

/** Paths by what they are where a file system makes no difference between some of them, as those of macOS and Windows do. */
function alike(paths: Iterable<string>): ReadonlyMap<string, string> {
	const known = new Map<string, string>();
	for (const path of paths) {
		const folded = foldedPath(path);
		const other = known.get(folded);
		if (other !== undefined) {
			throw new BrewlineError(
				"config",
				`${printable(other)} and ${printable(path)} differ in case or Unicode normalization alone: on macOS and Windows one would overwrite the other`,
				{ hint: "Give one of them another name or folder." },
			);
		}
		known.set(folded, path);
	}
	return known;
}

function foldedPath(path: string): string {
	return path.normalize("NFD").toLowerCase();
}

function kindOf(before: RepositoryFile | undefined, after: RenderedFile): Change["kind"] | undefined {
	if (before === undefined) return "created";
	if (before.mode === "link" || before.text !== after.text) return "updated";
	return (before.mode === "executable") === after.executable ? undefined : "mode";
}

export function parentsOf(path: string): readonly string[] {
	const parents: string[] = [];
	for (let parent = posix.dirname(path); parent !== "."; parent = posix.dirname(parent)) parents.unshift(parent);
	return parents;
}
