import { createHash } from "node:crypto";
import * as z from "zod/mini";
import { BrewlineError, messageOf } from "../errors.ts";
import { printable } from "../io/printable.ts";
import { orderedEntries, parseJson, parseJsonObject, tabJson, type JsonObject } from "../json/index.ts";
import {
	isDigest,
	maxManifestSize,
	parseDigest,
	parseReference,
	repositoryOf,
	sha256Of,
	tryParseReference,
	withDigest,
	type Reference,
} from "../oci/index.ts";
import { childrenOf } from "./children.ts";
import type { DeployObject } from "./types.ts";

const reference = z
	.string()
	.check(z.refine((text) => tryParseReference(text) !== undefined, { error: "must be an image reference" }));

/** One deploy object by its shape; what its parts must have to do with each other is `prepare`'s. */
export const deployObjectSchema: z.ZodMiniType<DeployObject> = z.object({
	type: z.enum(["manifest", "blob"]),
	refs: z.array(reference).check(z.minLength(1)),
	lookup: z.optional(
		z.record(
			z.string().check(z.refine((key) => key === "" || isDigest(key), { error: 'must be a digest or ""' })),
			reference,
		),
	),
	data: z.optional(z.nullable(z.union([z.string(), z.record(z.string(), z.unknown())]))),
}) as unknown as z.ZodMiniType<DeployObject>;

const maxFileBytes = 256 * 1024 * 1024;

/**
 * Reads a file of deploy objects: a list, or one object. Throws `handover` where one is not of the shape, or does not
 * agree with itself (spec/publish.md, Deploy objects).
 */
export function readDeployObjects(
	bytes: Uint8Array | string,
	options: { readonly file: string },
): readonly DeployObject[] {
	const file = printable(options.file);
	const value = parseJson(bytes, { what: file, maxBytes: maxFileBytes });
	const list: readonly unknown[] = Array.isArray(value) ? value : [value];
	for (const [number, object] of list.entries()) {
		const result = deployObjectSchema.safeParse(object);
		const issue = result.success ? undefined : result.error.issues[0];
		if (issue !== undefined) {
			const where = [number, ...issue.path].map(String).join(".");
			throw new BrewlineError("handover", printable(`${options.file}: ${where}: ${issue.message}`), { at: { file } });
		}
		prepare(object as DeployObject);
	}
	return list as readonly DeployObject[];
}

/** Deploy objects as a list, with tabs. */
export function writeDeployObjects(objects: readonly DeployObject[]): string {
	return tabJson(objects);
}

export type Content = { readonly bytes: Uint8Array; readonly mediaType: string } | { readonly copyFrom: Reference };

/** A deploy object with all that follows from it. */
export interface Prepared {
	readonly object: DeployObject;
	readonly type: DeployObject["type"];
	/** In the object's order; none has a digest. */
	readonly targets: readonly Reference[];
	/** Known unless it is a copy of a tag. */
	readonly digest: string | undefined;
	readonly content: Content;
	/** The digests of the data's children. */
	readonly children: readonly string[];
	/** The repository of a child, if the lookup says one. */
	readonly find: (digest: string) => Reference | undefined;
}

/**
 * Checks a deploy object's parts against each other and finds out what it pushes or copies. Asks no registry. Throws
 * `handover`, and `reference` for what is none.
 */
export function prepare(object: DeployObject): Prepared {
	const refs = object.refs.map(parseReference);
	const refuse = (why: string) =>
		new BrewlineError("handover", `deploy object for ${printable(object.refs[0] ?? "nothing")}: ${why}`, {
			hint: "spec/publish.md, Deploy objects, says what one must have",
		});
	if (refs.length === 0) {
		throw refuse("it has no refs");
	}
	if (object.type === "blob" && refs.some(({ tag }) => tag !== undefined)) {
		throw refuse("a blob cannot be pushed to a tag");
	}
	const digests = new Set(refs.flatMap(({ digest }) => digest ?? []));
	if (digests.size > 1) {
		throw refuse("its refs have different digests");
	}
	const [refsDigest] = digests;
	const lookup = readLookup(object, refuse);
	const targets = refs.map(({ host, repository, tag }) => ({
		host,
		repository,
		...(tag === undefined ? {} : { tag }),
	}));
	const found = { object, type: object.type, targets };
	if (object.data === undefined || object.data === null) {
		const copyFrom = copySource(lookup, refsDigest, refuse);
		if (object.type === "blob" && copyFrom.digest === undefined) {
			throw refuse("a blob can only be copied by digest");
		}
		if (refsDigest !== undefined && copyFrom.digest !== undefined && copyFrom.digest !== refsDigest) {
			throw refuse(`its refs say ${refsDigest}, what it copies is ${copyFrom.digest}`);
		}
		return {
			...found,
			digest: refsDigest ?? copyFrom.digest,
			content: { copyFrom },
			children: [],
			find: finder(lookup, lookup.get("") ?? copyFrom),
		};
	}
	const bytes = dataBytes(object.data, refuse);
	const actual = digestLike(bytes, refsDigest);
	if (refsDigest !== undefined && refsDigest !== actual) {
		throw refuse(`its refs say ${refsDigest}, its data is ${actual}`);
	}
	const read = object.type === "blob" ? { mediaType: "", children: [] } : readManifest(bytes, actual, refuse);
	return {
		...found,
		digest: actual,
		content: { bytes, mediaType: read.mediaType },
		children: read.children,
		find: finder(lookup, lookup.get("")),
	};
}

/** The digest of bytes, by the algorithm of another one. */
function digestLike(bytes: Uint8Array, other: string | undefined): string {
	if (other === undefined) {
		return sha256Of(bytes);
	}
	const { algorithm } = parseDigest(other);
	return `${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`;
}

type Refuse = (why: string) => BrewlineError;
type LookupTable = ReadonlyMap<string, Reference>;

function readLookup(object: DeployObject, refuse: Refuse): LookupTable {
	return new Map(
		orderedEntries(object.lookup ?? {}).map(([key, text]) => {
			if (key !== "" && !isDigest(key)) {
				throw refuse(`the lookup key ${printable(key, 160)} is no digest`);
			}
			const reference = parseReference(text);
			if (key !== "" && reference.digest !== undefined && reference.digest !== key) {
				throw refuse(`what the lookup has for ${key} has another digest`);
			}
			return [key, key === "" ? reference : withDigest(reference, key)];
		}),
	);
}

function copySource(lookup: LookupTable, refsDigest: string | undefined, refuse: Refuse): Reference {
	const listed = refsDigest === undefined ? undefined : lookup.get(refsDigest);
	if (listed !== undefined) {
		return listed;
	}
	const fallback = lookup.get("");
	const [only] = lookup.size === 1 ? lookup.values() : [];
	if (only !== undefined && (only !== fallback || only.tag !== undefined || only.digest !== undefined)) {
		return only;
	}
	if (fallback !== undefined && refsDigest !== undefined) {
		return withDigest(fallback, refsDigest);
	}
	throw refuse("it has no data, and its lookup does not say what to copy");
}

function finder(lookup: LookupTable, fallback: Reference | undefined): Prepared["find"] {
	return (digest) => {
		const found = lookup.get(digest) ?? fallback;
		return found === undefined ? undefined : repositoryOf(found);
	};
}

/** Raw bytes from base64, or JSON with tabs and a final newline, which a value of one line does not get. */
function dataBytes(data: JsonObject | string, refuse: Refuse): Uint8Array {
	if (typeof data === "string") {
		const bytes = Buffer.from(data, "base64");
		if (bytes.toString("base64") !== data) {
			throw refuse("its data is not base64");
		}
		return bytes;
	}
	const text = tabJson(data);
	return Buffer.from(text.indexOf("\n") === text.length - 1 ? text.slice(0, -1) : text);
}

function readManifest(
	bytes: Uint8Array,
	digest: string,
	refuse: Refuse,
): { readonly mediaType: string; readonly children: readonly string[] } {
	try {
		const { mediaType } = parseJsonObject(bytes, { what: "its data", maxBytes: maxManifestSize });
		if (typeof mediaType !== "string" || !/^[\w.+-]+\/[\w.+-]+$/.test(mediaType)) {
			throw new BrewlineError("handover", "a manifest that is pushed must state its mediaType");
		}
		const { manifests, blobs } = childrenOf(bytes, digest);
		return { mediaType, children: [...manifests, ...blobs].map((child) => child.digest) };
	} catch (error) {
		throw refuse(messageOf(error));
	}
}
