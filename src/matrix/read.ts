import {
	constants,
	closeSync,
	fstatSync,
	lstatSync,
	openSync,
	readFileSync,
	readlinkSync,
	realpathSync,
	statSync,
} from "node:fs";
import path from "node:path";
import posix from "node:path/posix";
import { decodeText } from "../definition/index.ts";
import { BrewlineError } from "../errors.ts";
import { checkCount, checkTotal, gitIn, readSnapshot, type SnapshotLimits } from "../git/index.ts";
import type { Io } from "../io/index.ts";
import { printable } from "../io/printable.ts";
import { compareCodePoints } from "../json/index.ts";
import { largestFile, type RepositoryFile, type RepositoryFiles } from "./files.ts";

/** Much more than any image repository has. */
const limits: SnapshotLimits = { maxFile: largestFile, maxTotal: 64 * 1024 * 1024, maxFiles: 50_000 };

/** The files of a commit, of any repository on this machine: its folder, or the one of a bare repository. */
export async function readCommit(io: Io, gitDirectory: string, commit: string): Promise<RepositoryFiles> {
	const snapshot = await readSnapshot(io, gitDirectory, commit, limits);
	const files = new Map<string, RepositoryFile>();
	for (const [name, { kind, content }] of snapshot) {
		files.set(Buffer.from(name, "latin1").toString("utf8"), {
			mode: kind === "symlink" ? "link" : kind,
			text: content === null ? null : decodeText(content),
		});
	}
	return { files, source: `the commit ${commit}` };
}

/**
 * The files of a work tree as they are now: what git tracks, and what is new and not ignored. Nothing is read through a
 * link, neither as a file nor as a folder.
 */
export async function readWorkTree(io: Io, folder: string): Promise<RepositoryFiles> {
	if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true) {
		throw new BrewlineError("usage", `${printable(folder)} is no folder`, {
			hint: "Name the work tree of the image's repository.",
		});
	}
	const root = realpathSync(folder);
	const listed = await gitIn(io, { folder: root }, [
		"ls-files",
		"-z",
		"-t",
		"--stage",
		"--cached",
		"--others",
		"--exclude-standard",
	]);
	// Each name comes with a letter in front, and what git has for it: `H MODE ID STAGE\tNAME`; or `? NAME` where it has nothing.
	const lines = decodeText(listed).split("\0").filter(Boolean);
	const tracked = new Set<string>();
	const untracked = new Set<string>();
	const repositories = new Set<string>();
	for (const line of lines) {
		const name = line.startsWith("? ") ? line.slice(2) : line.slice(line.indexOf("\t") + 1);
		// The folder of a repository that git does not have, and a submodule.
		if (name.endsWith("/")) repositories.add(name.slice(0, -1));
		else if (/^[^?] 160000 /.test(line)) repositories.add(name);
		else (line.startsWith("? ") ? untracked : tracked).add(name);
	}
	const names = [...tracked, ...untracked].sort(compareCodePoints);
	checkCount(names.length, limits);
	const files = new Map<string, RepositoryFile>();
	const folders = new Map<string, boolean>([["", true]]);
	const isFolder = (name: string): boolean => {
		let known = folders.get(name);
		if (known === undefined) {
			const parent = posix.dirname(name);
			known =
				isFolder(parent === "." ? "" : parent) &&
				(lstatSync(path.join(root, name), { throwIfNoEntry: false })?.isDirectory() ?? false);
			folders.set(name, known);
		}
		return known;
	};
	let total = 0;
	for (const name of names) {
		const parent = posix.dirname(name);
		// A file that git knows may be gone, or lie behind a link by now.
		if (!isFolder(parent === "." ? "" : parent)) continue;
		const file = readOne(path.join(root, name));
		if (file === undefined) continue;
		total += file.text?.length ?? 0;
		checkTotal(total, limits);
		files.set(name, file);
	}
	return { files, source: folder, untracked, repositories };
}

function readOne(file: string): RepositoryFile | undefined {
	const stats = lstatSync(file, { throwIfNoEntry: false });
	if (stats?.isSymbolicLink() === true) return { mode: "link", text: readlinkSync(file) };
	if (stats?.isFile() !== true) return undefined;
	const mode = (stats.mode & 0o100) === 0 ? "file" : "executable";
	if (stats.size > limits.maxFile) return { mode, text: null };
	let handle: number;
	try {
		handle = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW);
	} catch (cause) {
		throw new BrewlineError("git", `a file of the repository cannot be read`, { cause, at: { file } });
	}
	try {
		if (fstatSync(handle).size > limits.maxFile) return { mode, text: null };
		return { mode, text: decodeText(readFileSync(handle)) };
	} finally {
		closeSync(handle);
	}
}
