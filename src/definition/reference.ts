import path from "node:path";
import type { Readable } from "node:stream";
import { BrewlineError, messageOf } from "../errors.ts";
import type { Send } from "../io/types.ts";
import {
	type ArchitectureOptions,
	definitionLimit,
	imageName,
	loadLibrary,
	readDefinitionFile,
	type Selection,
	tooLarge,
} from "./library.ts";
import { entriesWithTag } from "./merge.ts";
import { parseDefinition } from "./parse.ts";
import { quote } from "./problems.ts";
import { nearest } from "./text.ts";
import type { Definition } from "./types.ts";

export interface ReferenceOptions extends ArchitectureOptions {
	readonly libraryDirectory: string;
	/** Where relative paths start; default: the working directory. */
	readonly directory?: string;
	/** For references that are URLs: `Io.http`. Without it these are refused. */
	readonly http?: Send;
	readonly signal?: AbortSignal;
}

/** A reference's parts: `place` is the name, path or URL without the tag. */
export interface ReferenceParts {
	readonly place: string;
	readonly name: string;
	readonly tag: string | null;
}

/** Splits `NAME`, `NAME:TAG`, a path or an URL, these too with `:TAG` (spec/manifest.md, References). */
export function splitReference(text: string): ReferenceParts {
	const last = path.posix.basename(text);
	const colon = last.indexOf(":");
	if (colon < 1) return { place: text, name: last, tag: null };
	const tag = last.slice(colon + 1);
	const suffix = `:${tag}`;
	return {
		place: text.endsWith(suffix) ? text.slice(0, -suffix.length) : text,
		name: last.slice(0, colon),
		tag: tag === "" ? null : tag,
	};
}

/**
 * Reads the definition of a reference, and finds the entries that it means.
 * @throws BrewlineError `reference` where there is no such definition or tag, `definition` where it is not valid
 */
export async function resolveReference(text: string, options: ReferenceOptions): Promise<Selection> {
	const { place, name, tag } = splitReference(text);
	const definition = /^https?:\/\//i.test(place)
		? await readUrl(place, options)
		: await readNamed(text, place, options);
	const entries = tag === null ? definition.entries : entriesWithTag(definition.entries, tag);
	if (tag !== null && entries.length === 0) {
		const near = nearest(
			tag,
			definition.entries.flatMap(({ Tags, SharedTags }) => [...Tags, ...SharedTags]),
		);
		throw new BrewlineError("reference", `${quote(name)} has no tag ${quote(tag)}`, {
			...(near === undefined ? {} : { hint: `Did you mean ${name}:${near}?` }),
			at: { file: definition.file },
		});
	}
	return { reference: text, name, tag, definition, entries };
}

/**
 * The selections of several references, one after another; with `all`, those of the whole library before them.
 * @throws BrewlineError `usage` where there is nothing to select
 */
export async function resolveReferences(
	texts: readonly string[],
	options: ReferenceOptions & { readonly all?: boolean },
): Promise<readonly Selection[]> {
	if (texts.length === 0 && !options.all) {
		throw new BrewlineError("usage", "no reference is given", {
			hint: "Name images of the library, as NAME or NAME:TAG, or take all of them.",
		});
	}
	const selections: Selection[] = options.all ? [...(await loadLibrary(options.libraryDirectory, options))] : [];
	const read = new Map<string, Selection>();
	for (const text of texts) {
		const selection = read.get(text) ?? (await resolveReference(text, options));
		read.set(text, selection);
		selections.push(selection);
	}
	return selections;
}

async function readNamed(text: string, place: string, options: ReferenceOptions): Promise<Definition> {
	const { libraryDirectory, directory = "." } = options;
	const files = [
		...(place.includes("/") ? [path.resolve(directory, place)] : []),
		...(path.isAbsolute(place) ? [] : [inFolder(libraryDirectory, place)]),
	];
	for (const file of place === "" || place.includes("\0") ? [] : files) {
		const bytes = readDefinitionFile(file);
		if (bytes !== null) return parseDefinition(bytes, { ...options, file });
	}
	throw new BrewlineError("reference", `there is no definition ${quote(text)}`, {
		hint: place.includes("/")
			? "Check the path; a relative one is looked up here, then in the library folder."
			: `A name is looked up in the library folder ${quote(libraryDirectory)}; write ./${place} for a file here.`,
	});
}

/** As `path.join`, which takes longer than to read the file where it has nothing to change. */
function inFolder(directory: string, place: string): string {
	const isClean =
		imageName.test(place) && path.isAbsolute(directory) && path.sep === "/" && !/\/\.{0,2}(?:\/|$)/.test(directory);
	return isClean ? `${directory}/${place}` : path.join(directory, place);
}

const redirects = 10;

async function readUrl(address: string, options: ReferenceOptions): Promise<Definition> {
	const { http, signal } = options;
	if (http === undefined) {
		throw new BrewlineError("reference", `definitions are not read from URLs here: ${quote(address)}`);
	}
	let url = parseUrl(address, address);
	for (let step = 0; step <= redirects; step += 1) {
		const { status, headers, body } = await http({
			method: "GET",
			url,
			...(signal === undefined ? {} : { signal }),
		}).catch((error: unknown) => {
			signal?.throwIfAborted();
			throw unreadable(address, error);
		});
		const location = [301, 302, 303, 307, 308].includes(status) ? headers["location"] : undefined;
		if (location !== undefined) {
			body.destroy();
			url = parseUrl(location, address, url);
			continue;
		}
		const bytes = await readBody(body, address);
		try {
			return parseDefinition(bytes, { ...options, file: address });
		} catch (error) {
			if (status < 400 || !(error instanceof BrewlineError)) throw error;
			throw new BrewlineError("definition", `the server answered ${status} for ${quote(address)}, with no definition`, {
				hint: "Check the address.",
				at: { file: address },
				cause: error,
				errors: error.errors,
			});
		}
	}
	throw new BrewlineError("reference", `${quote(address)} is redirected more than ${redirects} times`);
}

function parseUrl(text: string, address: string, base?: URL): URL {
	const url = base === undefined ? URL.parse(text) : URL.parse(text, base.href);
	if (url !== null && (url.protocol === "http:" || url.protocol === "https:")) return url;
	throw new BrewlineError(
		"reference",
		base === undefined ? `${quote(address)} is no valid URL` : `${quote(address)} is redirected to ${quote(text)}`,
		{ hint: "Definitions are read from http and https URLs." },
	);
}

async function readBody(body: Readable, address: string): Promise<Uint8Array> {
	const chunks: Buffer[] = [];
	let length = 0;
	try {
		for await (const chunk of body as AsyncIterable<Buffer>) {
			chunks.push(chunk);
			length += chunk.length;
			// Leaving the loop destroys the stream.
			if (length > definitionLimit) throw tooLarge(address);
		}
	} catch (error) {
		throw error instanceof BrewlineError ? error : unreadable(address, error);
	}
	return Buffer.concat(chunks);
}

function unreadable(address: string, error: unknown): BrewlineError {
	return new BrewlineError("reference", `${quote(address)} cannot be read: ${messageOf(error)}`, {
		hint: "Check the address and the connection.",
		cause: error,
	});
}
