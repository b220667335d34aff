import { createHash } from "node:crypto";
import { realpath } from "node:fs/promises";
import { BrewlineError, messageOf } from "../errors.ts";
import { printable } from "../io/printable.ts";
import { parseJsonObject, type JsonObject } from "../json/index.ts";
import { tryParseDigest } from "./digest.ts";
import { blobFile, blobName, checkBlob, readInLayout } from "./layoutFiles.ts";
import { referenceDigest } from "./normal.ts";
import { layoutRules, type LayoutRules } from "./rules.ts";
import type { Descriptor, Index } from "./types.ts";
import {
	isIndexType,
	maxManifestSize,
	refersToManifest,
	validateAttestation,
	validateImage,
	validateIndex,
	validateLayoutFile,
} from "./validate.ts";

export interface LayoutOptions {
	readonly attestations: keyof typeof layoutRules;
	readonly signal?: AbortSignal;
}

/** Something to be pushed. */
export interface LayoutItem {
	readonly kind: "manifest" | "blob";
	readonly mediaType: string;
	readonly digest: string;
	readonly size: number;
	/** Where it lies on this machine. */
	readonly file: string;
}

export interface Layout {
	/** `index.json`. */
	readonly index: Index;
	/** Everything below it, each once, children before what refers to them. */
	readonly items: readonly LayoutItem[];
}

/** More descriptors than any image has; a hostile layout of small files could otherwise keep us for hours. */
const maxDescriptors = 20_000;
const maxNesting = 8;

interface Walk {
	readonly root: string;
	readonly rules: LayoutRules;
	readonly signal: AbortSignal | undefined;
	readonly items: Map<string, LayoutItem>;
	/** Blobs whose content is known to be right, with their size. */
	readonly sizes: Map<string, number>;
	/** Manifests that were validated in the same role. */
	readonly seen: Set<string>;
	count: number;
}

/**
 * Validates an OCI layout on disk from `index.json` down (spec/build.md, Validation of a layout): every blob that is
 * named exists, with the size and digest stated, and every manifest is one that may be published. What is not named is
 * not looked at. Throws `layout`, or `digest` where content is not what its digest or size says.
 */
export async function validateLayout(folder: string, options: LayoutOptions): Promise<Layout> {
	const root = await realpath(folder).catch((cause: unknown) => {
		throw new BrewlineError("layout", `the layout cannot be read: ${printable(messageOf(cause))}`, { cause });
	});
	const rules = layoutRules[options.attestations];
	const walk: Walk = {
		root,
		rules,
		signal: options.signal,
		items: new Map(),
		sizes: new Map(),
		seen: new Set(),
		count: 0,
	};
	validateLayoutFile(await readJson(walk, "oci-layout"));
	const json = await readJson(walk, "index.json");
	const index = validateIndex(json, { platformsOptional: true, mediaTypeOptional: rules.goDefaults }, "index.json:");
	await visitManifests(walk, index, 0);
	return { index, items: [...walk.items.values()] };
}

/** As `validateLayout`, of a layout that is to be pushed: with the one manifest that `index.json` names. */
export async function readLayout(
	folder: string,
	options: LayoutOptions,
): Promise<Layout & { readonly root: Descriptor }> {
	const layout = await validateLayout(folder, options);
	const [root, ...others] = layout.index.manifests;
	if (root === undefined || others.length > 0) {
		const count = layout.index.manifests.length;
		throw new BrewlineError("layout", `index.json names ${count} manifests; a layout to be pushed names exactly one`);
	}
	return { ...layout, root };
}

async function readJson(walk: Walk, name: string): Promise<JsonObject> {
	const bytes = await readInLayout(walk.root, name, maxManifestSize);
	return parseJsonObject(bytes, { what: name, maxBytes: maxManifestSize, code: "layout" });
}

async function visitManifests(walk: Walk, index: Index, depth: number): Promise<void> {
	const byDigest = new Map(index.manifests.map((descriptor) => [descriptor.digest, descriptor] as const));
	for (const descriptor of index.manifests) {
		const subject = refersToManifest(descriptor)
			? // A valid index names the subject of each.
				byDigest.get(descriptor.annotations![referenceDigest]!)
			: undefined;
		await visitManifest(walk, descriptor, subject, depth + 1);
	}
}

async function visitManifest(
	walk: Walk,
	descriptor: Descriptor,
	subject: Descriptor | undefined,
	depth: number,
): Promise<void> {
	if (depth > maxNesting) {
		throw new BrewlineError("layout", `indexes are nested more than ${maxNesting} levels deep`);
	}
	const { mediaType, digest, artifactType } = descriptor;
	await checkContent(walk, descriptor);
	const role = JSON.stringify([digest, mediaType, artifactType, subject?.digest, subject?.size, subject?.mediaType]);
	if (walk.seen.has(role)) {
		return;
	}
	walk.seen.add(role);
	const name = blobName(digest);
	const json = await readJson(walk, name);
	for (const key of ["mediaType", "artifactType"] as const) {
		const lenient = key === "artifactType" && subject !== undefined && walk.rules.artifacts;
		const oneIsAbsent = json[key] === undefined || descriptor[key] === undefined;
		if (json[key] !== descriptor[key] && !(lenient && oneIsAbsent)) {
			throw new BrewlineError("layout", `${key} of ${name} is not the one in its descriptor`);
		}
	}
	if (isIndexType(mediaType)) {
		await visitManifests(walk, validateIndex(json, {}, `${name}:`), depth);
	} else {
		const manifest =
			subject === undefined
				? validateImage(json, walk.rules, `${name}:`)
				: validateAttestation(json, walk.rules, { descriptor, subject }, `${name}:`);
		// Go writes null for no layers; the rules say whether that is let through.
		const layers: readonly Descriptor[] | null = manifest.layers;
		for (const blob of [manifest.config, ...(layers ?? [])]) {
			await checkContent(walk, blob);
			add(walk, "blob", blob);
		}
	}
	add(walk, "manifest", descriptor);
}

async function checkContent(walk: Walk, descriptor: Descriptor): Promise<void> {
	const { digest, size, data } = descriptor;
	walk.count++;
	if (walk.count > maxDescriptors) {
		throw new BrewlineError("layout", `the layout has more than ${maxDescriptors} descriptors`);
	}
	const parsed = tryParseDigest(digest);
	if (parsed === undefined) {
		throw new BrewlineError("layout", `${printable(digest, 160)} cannot be checked: only sha256 and sha512 can`);
	}
	const known = walk.sizes.get(digest);
	if (known === undefined) {
		await checkBlob(walk.root, { digest, size }, walk.signal);
		walk.sizes.set(digest, size);
	} else if (known !== size) {
		throw new BrewlineError("digest", `${blobName(digest)} has ${known} bytes, but a descriptor says ${size}`);
	}
	if (data !== undefined) {
		const content = createHash(parsed.algorithm).update(Buffer.from(data, "base64")).digest("hex");
		if (content !== parsed.encoded) {
			throw new BrewlineError("digest", `the data in the descriptor of ${digest} is other content`);
		}
	}
}

function add(walk: Walk, kind: LayoutItem["kind"], descriptor: Descriptor): void {
	const { mediaType, digest, size } = descriptor;
	const key = `${kind} ${digest}`;
	if (!walk.items.has(key)) {
		walk.items.set(key, { kind, mediaType, digest, size, file: blobFile(walk.root, digest) });
	}
}
