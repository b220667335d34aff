import { lstatSync } from "node:fs";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { BrewlineError } from "../errors.ts";
import { printable } from "./printable.ts";

/**
 * Writes a file whole or not at all, also where this process is killed. The folder is made where it is missing.
 * @throws BrewlineError `usage` where no file can be at that place, `failed` where it cannot be written for another reason
 */
export async function writeWhole(file: string, text: string | Uint8Array): Promise<void> {
	const part = `${file}.${process.pid}.part`;
	try {
		await mkdir(path.dirname(file), { recursive: true });
		// A link under that name is not written through: it is guessed easily.
		await rm(part, { force: true });
		await writeFile(part, text, { flag: "wx" });
		await rename(part, file);
	} catch (error) {
		await rm(part, { force: true }).catch(() => {});
		throw cannotWrite(file, error);
	}
}

/** What is wrong with the place, for which another has to be named. */
const misplaced: ReadonlyMap<unknown, string> = new Map([
	["EISDIR", "it is a folder"],
	["ENOTDIR", "something on the way to it is no folder"],
	["EEXIST", "something on the way to it is no folder"],
	["ENAMETOOLONG", "the name is too long"],
	["ELOOP", "the links on the way to it lead round"],
]);

function cannotWrite(file: string, cause: unknown): unknown {
	if (!(cause instanceof Error && "code" in cause)) return cause;
	const why = misplaced.get(cause.code);
	if (why === undefined) {
		return new BrewlineError("failed", `${printable(file)} cannot be written: ${printable(cause.message)}`, { cause });
	}
	return new BrewlineError("usage", `${printable(file)} cannot be written: ${why}`, {
		cause,
		hint: "Name another place, or move away what is in the way.",
	});
}

/** Refuses a path below a folder that others fill, where a link on the way to it leads to somewhere else. */
export function refuseLinks(folder: string, file: string): void {
	const below = path.relative(folder, path.resolve(file));
	if (path.isAbsolute(below) || below.split(path.sep)[0] === "..") return;
	let at = path.resolve(folder);
	for (const part of below.split(path.sep).filter((name) => name !== "")) {
		at = path.join(at, part);
		if (lstatSync(at, { throwIfNoEntry: false })?.isSymbolicLink() !== true) continue;
		throw new BrewlineError("failed", `nothing is written to ${printable(file)}: ${printable(at)} is a link`, {
			hint: "Delete the link, or name another folder.",
		});
	}
}
