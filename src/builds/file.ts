import type * as z from "zod/mini";
import { BrewlineError } from "../errors.ts";
import { printable } from "../io/printable.ts";
import { orderedEntries, orderedObject, parseJsonObject, sortedByKey, tabJson } from "../json/index.ts";
import { sha256Of, type Index } from "../oci/index.ts";
import { buildIdOf } from "./identity.ts";
import { buildsSchema, lookupCacheSchema } from "./schema.ts";
import type { Builds, LookupCache } from "./types.ts";

export interface ReadFileOptions {
	/** The file's name, for messages. */
	readonly file: string;
	/** `sha256:…` of the file from where it can be believed: it must be this, and is not checked against the schema. */
	readonly digest?: string;
}

/** Docker's builds.json has 50 MB. */
const maxBytes = 512 * 1024 * 1024;

/** Reads builds.json. Throws `handover`: not JSON, not of its shape, or an id that is not that of its build. */
export function readBuilds(bytes: Uint8Array | string, options: ReadFileOptions): Builds {
	const builds = read(bytes, buildsSchema, options) as Builds;
	if (options.digest === undefined) {
		for (const [id, { build }] of orderedEntries(builds)) {
			if (buildIdOf(build) !== id) {
				throw refused(options.file, `${id}: is not the id of the build that it holds`);
			}
		}
	}
	return builds;
}

/** builds.json: tabs, builds in their own order, a final newline. */
export function writeBuilds(builds: Builds): string {
	return tabJson(builds);
}

/** Reads a cache of lookups. Throws `handover` where it is not JSON or not of its shape. */
export function readLookupCache(bytes: Uint8Array | string, options: ReadFileOptions): LookupCache {
	return read(bytes, lookupCacheSchema, options) as LookupCache;
}

/** The cache, sorted by reference, without what is known not to be there. */
export function writeLookupCache(cache: LookupCache): string {
	const there = orderedEntries(cache.indexes).filter((entry): entry is [string, Index] => entry[1] !== null);
	return tabJson({ indexes: sortedByKey(orderedObject(there)) });
}

function read<T>(bytes: Uint8Array | string, schema: z.ZodMiniType<T>, options: ReadFileOptions): unknown {
	const file = printable(options.file);
	if (options.digest !== undefined && sha256Of(bytes) !== options.digest) {
		throw refused(options.file, "is not the file that was expected: its SHA-256 differs");
	}
	const value = parseJsonObject(bytes, { what: file, maxBytes });
	if (options.digest !== undefined) {
		return value;
	}
	const result = schema.safeParse(value);
	if (!result.success) {
		const issues = result.error.issues.map(({ path, message }) =>
			printable(`${path.length === 0 ? "" : `${path.map(String).join(".")}: `}${message}`, 300),
		);
		const more = issues.length > 5 ? `; and ${issues.length - 5} more` : "";
		throw refused(options.file, `${issues.slice(0, 5).join("; ")}${more}`);
	}
	return value;
}

function refused(file: string, why: string): BrewlineError {
	const name = printable(file);
	return new BrewlineError("handover", `${name}: ${why}`, {
		hint: "compute it again; or take the file from the run that wrote it",
		at: { file: name },
	});
}
