import { posix } from "node:path";
import { BrewlineError } from "../errors.ts";
import { showBytes, type EntryKind, type Objects } from "./objects.ts";

/** What a path leads to, links followed (spec/sources.md, Looking up a path). */
export interface Found {
	/** Byte string, from the root of the repository; `.` for the root itself. */
	readonly path: string;
	readonly kind: Exclude<EntryKind, "symlink">;
	readonly id: string;
}

/** The longest target that is read: no file system has a longer one. */
export const maxTarget = 64 * 1024;

/** `path.posix.normalize` keeps a closing slash, and cleaning does not. */
function clean(path: string): string {
	const normal = posix.normalize(path);
	return normal.length > 1 && normal.endsWith("/") ? normal.slice(0, -1) : normal;
}

function leaves(path: string): boolean {
	return path === ".." || path.startsWith("../") || path.startsWith("/");
}

/** Text of a definition as a byte string. */
function toBytes(text: string): string {
	return Buffer.from(text, "utf8").toString("latin1");
}

/** `Directory`: cleaned as text, and followed if it is a symlink; a submodule is an empty directory. */
export async function findDirectory(objects: Objects, tree: string, directory: string): Promise<Found> {
	const path = clean(toBytes(directory));
	if (leaves(path)) throw new BrewlineError("git", "Directory leads out of the repository");
	const found = await follow(objects, tree, path);
	if (found.kind !== "directory" && found.kind !== "submodule")
		throw new BrewlineError("git", `${showBytes(found.path)} is a file, not a directory`);
	return found;
}

/** `File`: joined to where `Directory` leads to and cleaned as text, so it may lead above it; followed likewise. */
export async function findFile(objects: Objects, tree: string, directory: string, file: string): Promise<Found> {
	const base = await findDirectory(objects, tree, directory);
	const path = clean(`${base.path}/${toBytes(file)}`);
	if (leaves(path)) throw new BrewlineError("git", "File leads out of the repository");
	const found = await follow(objects, tree, path);
	if (found.kind !== "file" && found.kind !== "executable")
		throw new BrewlineError("git", `${showBytes(found.path)} is a ${found.kind}, not a file`);
	return found;
}

/** Follows link after link; there is no limit to their number, only to going in circles. */
async function follow(objects: Objects, tree: string, start: string): Promise<Found> {
	const seen = new Set<string>();
	let path = start;
	for (;;) {
		if (seen.has(path)) throw new BrewlineError("git", `${showBytes(start)} is a symlink that leads back to itself`);
		seen.add(path);
		const found = await find(objects, tree, path);
		if (found.kind !== "symlink") return { ...found, kind: found.kind };
		const target = (await objects.blob(found.id, maxTarget)).toString("latin1");
		const link = `the symlink ${showBytes(path)}`;
		if (target === "") throw new BrewlineError("git", `${link} has no target`);
		if (target.startsWith("/")) throw new BrewlineError("git", `${link} has an absolute target`);
		path = clean(`${posix.dirname(path)}/${target}`);
		if (leaves(path)) throw new BrewlineError("git", `${link} leads out of the repository`);
	}
}

/** One path, no link followed: a component in the middle must be a directory itself. */
async function find(
	objects: Objects,
	tree: string,
	path: string,
): Promise<{ readonly path: string; readonly kind: EntryKind; readonly id: string }> {
	let at: { kind: EntryKind; id: string } = { kind: "directory", id: tree };
	if (path === ".") return { path, ...at };
	let walked = "";
	for (const name of path.split("/")) {
		if (at.kind !== "directory") {
			const what = at.kind === "symlink" ? "a symlink in the middle of a path is not followed" : `it is a ${at.kind}`;
			throw new BrewlineError("git", `${showBytes(path)} leads through ${showBytes(walked)}: ${what}`);
		}
		const entry: { kind: EntryKind; id: string } | undefined = search(await objects.tree(at.id), name);
		walked = walked === "" ? name : `${walked}/${name}`;
		if (entry === undefined) throw new BrewlineError("git", `there is no ${showBytes(walked)}`);
		at = entry;
	}
	return { path, kind: at.kind, id: at.id };
}

function search<T extends { readonly name: string }>(sorted: readonly T[], name: string): T | undefined {
	let low = 0;
	let high = sorted.length;
	while (low < high) {
		const middle = (low + high) >>> 1;
		if (sorted[middle]!.name < name) low = middle + 1;
		else high = middle;
	}
	const entry = sorted[low];
	return entry?.name === name ? entry : undefined;
}
