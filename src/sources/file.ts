import * as z from "zod/mini";
import { BrewlineError } from "../errors.ts";
import { printable } from "../io/printable.ts";
import { parseJsonObject, tabJson, type JsonObject, type JsonValue } from "../json/index.ts";
import { isDigest } from "../oci/index.ts";
import { sourceIdOf } from "./id.ts";
import type { Sources } from "./types.ts";

/** Forty times the production of 2024, and well below what one string can hold. */
const maxBytes = 256 * 1024 * 1024;

const line = z.string().check(
	z.maxLength(4096),
	// What `printable` would change: one test of the whole is many times faster than making it printable.
	z.regex(/^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]*$/u, "has characters that cannot be printed"),
);
const sha256 = z.string().check(z.regex(/^[0-9a-f]{64}$/, "is no SHA-256 in lower-case hex"));
const arch = z.string().check(z.regex(/^[a-z0-9][a-z0-9-]{0,39}$/, "is no architecture's name"));
// Looser than a reference: sources of the old program are read too, and it checked nothing.
const image = z.string().check(z.maxLength(4096), z.regex(/^(?:scratch|[!-~]*:[!-~]*)$/, "is no image with a tag"));
const fullTag = z
	.string()
	.check(
		z.maxLength(1024),
		z.regex(
			/^[A-Za-z0-9][A-Za-z0-9._/-]*(?::[0-9]+\/[a-z0-9._/-]+)?:[0-9A-Za-z_][0-9A-Za-z_.-]{0,127}$/,
			"is no NAME:TAG",
		),
	);

/** One place of a source's content. */
export const sourceEntrySchema = z.strictObject({
	GitRepo: line,
	GitFetch: line,
	GitCommit: z.string().check(z.regex(/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/, "is no commit id")),
	Directory: line,
	File: line,
	Builder: line,
	SOURCE_DATE_EPOCH: z.int(),
});

const sourceArch = z.strictObject({
	tags: z.array(fullTag).check(z.minLength(1)),
	archTags: z.array(fullTag),
	froms: z.array(image).check(z.minLength(1)),
	lastStageFrom: image,
	platformString: line,
	platform: z.strictObject({ architecture: line, os: line, variant: z.optional(line) }),
	parents: z.record(
		image,
		z.strictObject({
			sourceId: z.nullable(sha256),
			pin: z.nullable(z.string().check(z.refine(isDigest, "is no digest"))),
		}),
	),
});

const source = z
	.strictObject({
		sourceId: sha256,
		reproducibleGitChecksum: sha256,
		entries: z.array(sourceEntrySchema).check(z.minLength(1)),
		arches: z.record(arch, sourceArch),
	})
	.check(
		z.refine(({ sourceId, reproducibleGitChecksum, entries }) => {
			const [first, ...others] = entries;
			if (first === undefined) return true;
			const { File, Builder } = first;
			const same = others.every((each) => each.File === File && each.Builder === Builder);
			return same && sourceIdOf(reproducibleGitChecksum, File, Builder) === sourceId;
		}, "the id does not follow from checksum, File and Builder"),
		z.refine((value) => Object.keys(value.arches).length > 0, "has no architecture"),
	);

/** `sources.json`, its keys in the order in which they are written. */
export const sourcesSchema = z
	.record(sha256, source)
	.check(
		z.refine(
			(sources) => Object.entries(sources).every(([id, { sourceId }]) => id === sourceId),
			"a key is not its id",
		),
	);

/**
 * Reads `sources.json` (spec/sources.md, Shape), also in the older form, in which a source has one `entry`. Every id
 * is checked against what it was made of. Throws `handover`; `file` is the name in messages.
 */
export function readSources(text: Uint8Array | string, file = "sources.json"): Sources {
	const value = parseJsonObject(text, { what: printable(file), maxBytes });
	const result = sourcesSchema.safeParse(
		Object.fromEntries(Object.entries(value).map(([id, each]) => [id, withEntries(each)])),
		{ error: z.locales.en().localeError },
	);
	if (result.success) return result.data as Sources;
	const issues = result.error.issues.map(({ path, message }) =>
		printable(`${path.map((key) => `${String(key)}: `).join("")}${message}`, 300),
	);
	const more = issues.length > 5 ? `; and ${issues.length - 5} more` : "";
	throw new BrewlineError("handover", `${printable(file)}: ${issues.slice(0, 5).join("; ")}${more}`, {
		at: { file },
		hint: "Make it again from the library, without it as the previous one.",
	});
}

/** The older form's `entry` becomes the only one of `entries`; where both are there, the schema refuses it. */
function withEntries(value: JsonValue): unknown {
	if (typeof value !== "object" || value === null) return value;
	if (!Object.hasOwn(value, "entry") || Object.hasOwn(value, "entries")) return value;
	const { entry: only, ...rest } = value as JsonObject;
	return { ...rest, entries: [only] };
}

/** The canonical text: tabs, keys in the order of the spec, a final newline. */
export function writeSources(sources: Sources): string {
	return tabJson(sources);
}
