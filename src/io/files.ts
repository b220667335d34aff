import { lstatSync } from "node:fs";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { BrewlineError, messageOf } from "../errors.ts";
import { printable } from "./printable.ts";

/**
 * Writes a file whole or not at all, also where this process is killed. The folder is made where it is missing. What the machine has
 * against it, such as a folder of that name, is an error of the code `failed`.
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
		throw unwritten(file, error);
	}
}

function unwritten(file: string, cause: unknown): BrewlineError {
	const folder = (cause as NodeJS.ErrnoException).code === "EISDIR";
	const why = folder ? "it is a folder" : printable(messageOf(cause));
	return new BrewlineError("failed", `${printable(file)} cannot be written: ${why}`, {
		cause,
		hint: folder ? "Name a file, or move the folder away." : "Name another file, or mend what the machine says.",
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
