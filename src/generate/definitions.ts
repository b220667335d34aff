import { existsSync } from "node:fs";
import path from "node:path";
import { definitionLimit, imageName, readDefinitionFile } from "../definition/library.ts";
import { decodeText } from "../definition/index.ts";
import { BrewlineError, messageOf } from "../errors.ts";
import type { Io } from "../io/index.ts";
import { printable } from "../io/printable.ts";

/** The text of an image's definition; undefined: there is none. */
export type Definitions = (image: string) => Promise<string | undefined>;

/** Definitions in a folder: a clone of the library, or what earlier runs wrote. */
export function definitionsInFolder(folder: string): Definitions {
	return async (image) => {
		const bytes = readDefinitionFile(path.join(folder, checkName(image)));
		if (bytes === null) requireLibrary(folder, image);
		return await Promise.resolve(bytes === null ? undefined : decodeText(bytes));
	};
}

/** A folder that is mistyped, or is the one above, must not look like a library that lacks an image. */
function requireLibrary(folder: string, image: string): void {
	if (!existsSync(folder)) {
		throw new BrewlineError("reference", `there is no library folder ${printable(folder)}`, {
			hint: "Name the folder that holds the definitions.",
		});
	}
	const below = path.join(folder, "library");
	if (existsSync(path.join(below, image))) {
		throw new BrewlineError("reference", `${printable(folder)} does not hold the definitions itself`, {
			hint: `Name ${printable(below)}.`,
		});
	}
}

const timeLimit = 30_000;
const maxRedirects = 5;

/**
 * Definitions at an address, to which the image's name is added: `https://…/library/`. An answer of 404 or 410 is
 * that there is none; any other but 200 is an error of the other side, as where a clone cannot be had.
 */
export function definitionsAt(io: Io, address: string): Definitions {
	const base = new URL(address.endsWith("/") ? address : `${address}/`);
	return async (image) => await fetchText(io, new URL(checkName(image), base));
}

/** What the first of several has. */
export function firstOf(...sources: readonly Definitions[]): Definitions {
	return async (image) => {
		for (const source of sources) {
			const text = await source(image);
			if (text !== undefined) return text;
		}
		return undefined;
	};
}

function checkName(image: string): string {
	if (imageName.test(image)) return image;
	throw new BrewlineError("reference", `"${printable(image, 150)}" cannot be the name of an image`);
}

async function fetchText(io: Io, url: URL): Promise<string | undefined> {
	const ending = new AbortController();
	const late = new BrewlineError("git", `${printable(url.href)} did not answer within ${timeLimit / 1000} s`);
	const done = new AbortController();
	const timer = io.clock.sleep(timeLimit, done.signal).then(
		() => ending.abort(late),
		() => {},
	);
	try {
		return await follow(io, url, AbortSignal.any([io.signal, ending.signal]));
	} catch (error) {
		if (ending.signal.aborted) throw late;
		if (error instanceof BrewlineError) throw error;
		io.signal.throwIfAborted();
		throw new BrewlineError("git", `${printable(url.href)} cannot be read: ${printable(messageOf(error))}`, {
			cause: error,
			hint: "Name a folder instead, if the network is not to be had: --library FOLDER, for check --published FOLDER.",
		});
	} finally {
		done.abort();
		await timer;
	}
}

async function follow(io: Io, from: URL, signal: AbortSignal): Promise<string | undefined> {
	let url = from;
	for (let redirects = 0; ; redirects++) {
		const answer = await io.http({ method: "GET", url, signal, headers: { "accept-encoding": "identity" } });
		const { location } = answer.headers;
		if (answer.status >= 300 && answer.status < 400 && location !== undefined) {
			answer.body.destroy();
			const next = URL.canParse(location, url.href) ? new URL(location, url) : undefined;
			const isSafe = next?.protocol === "https:" || (next?.protocol === "http:" && url.protocol === "http:");
			if (next === undefined || !isSafe || redirects >= maxRedirects) {
				throw new BrewlineError(
					"git",
					`${printable(from.href)} leads to ${printable(location)}, which is not followed`,
				);
			}
			url = next;
			continue;
		}
		if (answer.status !== 200) {
			answer.body.destroy();
			if (answer.status === 404 || answer.status === 410) return undefined;
			throw new BrewlineError("git", `${printable(url.href)} answered ${answer.status}`);
		}
		const chunks: Buffer[] = [];
		let size = 0;
		for await (const chunk of answer.body as AsyncIterable<Buffer>) {
			size += chunk.length;
			if (size > definitionLimit) {
				throw new BrewlineError("definition", `${printable(url.href)} is larger than ${definitionLimit} bytes`);
			}
			chunks.push(chunk);
		}
		return decodeText(Buffer.concat(chunks));
	}
}
