import {
	closeSync,
	lstatSync,
	mkdirSync,
	openSync,
	realpathSync,
	renameSync,
	rmdirSync,
	rmSync,
	type Stats,
	unlinkSync,
	writeSync,
} from "node:fs";
import path from "node:path";
import { encodeText } from "../definition/text.ts";
import { BrewlineError } from "../errors.ts";
import { printable } from "../io/printable.ts";
import { type Change, parentsOf, unfinished } from "./changes.ts";
import type { RenderedFile } from "./rendering.ts";

/**
 * Makes the files of a folder as they should be. Each is written whole or not at all, and what is to go goes last, so that a
 * run that is ended in between leaves nothing that the next one does not complete. Nothing is written or deleted through a
 * link, whatever became of the folder since it was read.
 */
export async function writeChanges(folder: string, changes: readonly Change[], signal?: AbortSignal): Promise<void> {
	const root = realpathSync(folder);
	const deleted = changes.flatMap(({ kind, path }) => (kind === "deleted" ? [path] : []));
	const written = changes.flatMap(({ after }) => (after === undefined ? [] : [after]));
	const paths = new Set(written.map((file) => file.path));
	const parents = new Set([...paths].flatMap(parentsOf));
	// A file where a folder must be, or files in a folder where a file must be, are in the way.
	const isInTheWay = (name: string): boolean =>
		parents.has(name) || parentsOf(name).some((parent) => paths.has(parent));
	deleteAll(root, deleted.filter(isInTheWay));
	// One call after the other is several times as fast as promises for some hundred small files.
	for (const [index, file] of written.entries()) {
		if (index % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
		signal?.throwIfAborted();
		writeOne(root, file);
	}
	deleteAll(
		root,
		deleted.filter((name) => !isInTheWay(name)),
	);
}

function writeOne(root: string, { path: name, text, executable }: RenderedFile): void {
	for (const parent of parentsOf(name)) {
		const stats = statsOf(path.join(root, parent));
		if (stats === undefined) mkdirSync(path.join(root, parent));
		else if (!stats.isDirectory()) throw cannotWrite(name, `${printable(parent)} is no folder`);
	}
	const target = path.join(root, name);
	if (statsOf(target)?.isDirectory() === true) throw cannotWrite(name, "it is a folder");
	const part = `${target}${unfinished}`;
	rmSync(part, { force: true });
	// "x": it is never something that was there before.
	const handle = openSync(part, "wx", executable ? 0o777 : 0o666);
	try {
		const bytes = encodeText(text);
		for (let at = 0; at < bytes.length;) at += writeSync(handle, bytes, at);
	} finally {
		closeSync(handle);
	}
	renameSync(part, target);
}

function deleteAll(root: string, names: readonly string[]): void {
	const folders = new Set<string>();
	for (const name of names) {
		const parents = parentsOf(name);
		const isReached = parents.every((parent) => statsOf(path.join(root, parent))?.isDirectory() === true);
		if (!isReached) continue;
		const stats = statsOf(path.join(root, name));
		// A folder that git knows as one file is a submodule.
		if (stats === undefined || stats.isDirectory()) continue;
		unlinkSync(path.join(root, name));
		for (const parent of parents) folders.add(parent);
	}
	for (const folder of [...folders].sort((a, b) => b.length - a.length)) removeEmpty(path.join(root, folder));
}

function removeEmpty(folder: string): void {
	try {
		rmdirSync(folder);
	} catch (error) {
		if (!["ENOTEMPTY", "EEXIST", "ENOENT"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
	}
}

/** Of the thing itself, where it is a link. */
function statsOf(file: string): Stats | undefined {
	try {
		return lstatSync(file, { throwIfNoEntry: false });
	} catch (error) {
		// Something above it is no folder.
		if ((error as NodeJS.ErrnoException).code === "ENOTDIR") return undefined;
		throw error;
	}
}

function cannotWrite(name: string, why: string): BrewlineError {
	return new BrewlineError("template", `${printable(name)} cannot be written: ${why}`, {
		hint: "Delete it, and run this once more.",
	});
}
