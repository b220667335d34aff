import { open, readdir } from "node:fs/promises";
import path from "node:path";
import { BrewlineError, messageOf } from "../errors.ts";
import { printable } from "../io/printable.ts";
import { isDigest, tryParseReference } from "../oci/index.ts";
import { throwAll } from "./errors.ts";

const separator = "___";
const maxDepth = 8;
const maxPins = 10_000;
/** A digest has at most 135 characters. */
const maxBytes = 1024;

/**
 * External pins: digests of images from outside, by the FROM that names them, such as `debian:bookworm-slim`
 * (spec/sources.md, External pins). Each is a file `REPOSITORY___TAG` below `directory`, which need not exist; files
 * without `___` in their name (the scripts that stand there) are passed over. Throws `definition` with all that is
 * wrong with any of them.
 */
export async function readExternalPins(directory: string): Promise<ReadonlyMap<string, string>> {
	const errors: BrewlineError[] = [];
	const pins = new Map<string, string>();
	for (const file of (await listFiles(directory, "", 0, errors)).sort()) {
		const at = path.join(directory, ...file.split("/"));
		const wrong = (problem: string, hint?: string): void => {
			const message = `external pin ${printable(file)}: ${problem}`;
			errors.push(
				new BrewlineError("definition", message, { at: { file: at }, ...(hint === undefined ? {} : { hint }) }),
			);
		};
		const image = file.replace(separator, ":");
		const reference = tryParseReference(image);
		if (reference?.tag === undefined || reference.digest !== undefined) {
			wrong("the path is no REPOSITORY___TAG");
			continue;
		}
		if (!file.includes("/")) {
			wrong("its repository must be written in full", `Move it to library/${printable(file)}.`);
			continue;
		}
		const digest = await readDigest(at, wrong);
		if (digest === undefined) continue;
		// What a FROM says: `library/` is left out there, but no host is, not even Docker Hub's.
		pins.set(image.replace(/^library\/(?=[^/]+$)/, ""), digest);
		if (pins.size > maxPins) throw new BrewlineError("definition", `there are more than ${maxPins} external pins`);
	}
	throwAll(errors, "External pins cannot be used");
	return pins;
}

async function listFiles(root: string, below: string, depth: number, errors: BrewlineError[]): Promise<string[]> {
	const refuse = (file: string, problem: string, cause?: unknown): string[] => {
		errors.push(
			new BrewlineError("definition", `external pin ${printable(file)}: ${problem}`, {
				at: { file: path.join(root, file) },
				cause,
			}),
		);
		return [];
	};
	if (depth > maxDepth) return refuse(below, "lies too deep");
	try {
		const lists = (await readdir(path.join(root, below), { withFileTypes: true })).map(async (item) => {
			const file = path.posix.join(below, item.name);
			if (item.isDirectory()) return listFiles(root, file, depth + 1, errors);
			if (!item.name.includes(separator)) return [];
			// A link could show the run any file of the machine, in an error if in nothing else.
			return item.isFile() ? [file] : refuse(file, "is no plain file");
		});
		return (await Promise.all(lists)).flat();
	} catch (cause) {
		if (below === "" && (cause as NodeJS.ErrnoException).code === "ENOENT") return [];
		return refuse(below, messageOf(cause), cause);
	}
}

async function readDigest(file: string, wrong: (problem: string, hint?: string) => void): Promise<string | undefined> {
	const handle = await open(file, "r");
	try {
		const { bytesRead, buffer } = await handle.read({ buffer: Buffer.alloc(maxBytes) });
		const text = buffer.toString("latin1", 0, bytesRead).replace(/\n{1,8}$/, "");
		if (isDigest(text)) return text;
		wrong(`"${printable(text, 80)}" is no digest`, "The file holds one digest, such as sha256: and 64 hex digits.");
		return undefined;
	} finally {
		await handle.close();
	}
}
