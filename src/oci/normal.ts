import { BrewlineError } from "../errors.ts";
import { compareCodePoints, orderedObject, sortedByKey } from "../json/index.ts";
import { naturalDescending } from "./natural.ts";
import type { Descriptor, Platform } from "./types.ts";

/** What an attestation says about its subject, in a descriptor's annotations (BuildKit's names). */
export const referenceType = "vnd.docker.reference.type";
export const referenceDigest = "vnd.docker.reference.digest";
export const attestationType = "attestation-manifest";

type Members = Readonly<Record<string, unknown>>;

/** Known keys in their order, all others by code point between `first` and `last`. */
function inOrder(object: Members, first: readonly string[], last: readonly string[]): [string, unknown][] {
	const known = new Set([...first, ...last]);
	const others = Object.keys(object)
		.filter((key) => !known.has(key))
		.sort(compareCodePoints);
	return [...first, ...others, ...last]
		.filter((key) => Object.hasOwn(object, key))
		.map((key) => [key, object[key]] as [string, unknown]);
}

function asObject(value: unknown, what: string): Members {
	if (typeof value !== "object" || value === null || Array.isArray(value)) {
		throw new BrewlineError("layout", `${what} must be an object`);
	}
	return value as Members;
}

function asList(value: unknown, what: string): readonly unknown[] {
	if (!Array.isArray(value)) {
		throw new BrewlineError("layout", `${what} must be a list`);
	}
	return value as readonly unknown[];
}

const platformKeys = ["os", "architecture", "variant", "os.version"];

/**
 * The normal form of a platform: arm and arm64 get their default variant, null and false go, keys in order
 * (spec/publish.md, Ordering and normal form). Names are not changed: that is `normalizeOutsidePlatform`.
 */
export function normalizePlatform<T extends object = Platform>(platform: T): T {
	const input = asObject(platform, "a platform");
	const variant = input["variant"] ?? "";
	const missing = variant === "" || variant === false;
	const fallback = input["architecture"] === "arm" ? "v7" : input["architecture"] === "arm64" ? "v8" : undefined;
	const filled = missing && fallback !== undefined ? { ...input, variant: fallback } : input;
	const entries = inOrder(filled, platformKeys, []).filter(([, value]) => value !== null && value !== false);
	return orderedObject(entries) as T;
}

const descriptorKeys = ["mediaType", "artifactType", "digest", "size", "platform", "annotations"];

/** The normal form of a descriptor, with its platform and annotations. Throws `layout` where these are no objects. */
export function normalizeDescriptor<T extends object = Descriptor>(descriptor: T): T {
	const entries = inOrder(asObject(descriptor, "a descriptor"), descriptorKeys, ["urls", "data"]);
	for (const entry of entries) {
		if (entry[0] === "platform" && entry[1] !== null) {
			entry[1] = normalizePlatform(asObject(entry[1], "platform"));
		} else if (entry[0] === "annotations") {
			entry[1] = sortedByKey(asObject(entry[1], "annotations"));
		}
	}
	return orderedObject(entries) as T;
}

const manifestKeys = ["schemaVersion", "mediaType", "artifactType", "manifests", "config", "layers"];

/**
 * The normal form of an index or image manifest: keys in order, descriptors normalised, an index's manifests sorted;
 * layers keep their order, `subject` is left as it is. Throws `layout`.
 */
export function normalizeManifest<T extends object>(manifest: T): T {
	const entries = inOrder(asObject(manifest, "a manifest"), manifestKeys, ["subject", "annotations"]);
	for (const entry of entries) {
		const [key, value] = entry;
		if (key === "manifests") {
			entry[1] = sortManifests(asList(value, key).map((item) => normalizeDescriptor(asObject(item, key))));
		} else if (key === "config") {
			entry[1] = normalizeDescriptor(asObject(value, key));
		} else if (key === "layers") {
			entry[1] = asList(value, key).map((item) => normalizeDescriptor(asObject(item, key)));
		} else if (key === "annotations") {
			entry[1] = sortedByKey(asObject(value, key));
		}
	}
	return orderedObject(entries) as T;
}

/** As much of a descriptor as sorting looks at; anything may be missing. */
export interface Sortable {
	readonly digest?: string;
	readonly platform?: Partial<Platform> | null;
	readonly annotations?: Readonly<Record<string, string>>;
}

const firstArchitectures: readonly string[] = ["amd64", "arm64"];

function comparePlatforms(a: Sortable, b: Sortable): number {
	const x = a.platform;
	const y = b.platform;
	return (
		compareNames(x?.os ?? "", y?.os ?? "", ["linux"]) ||
		compareNames(x?.architecture ?? "", y?.architecture ?? "", firstArchitectures) ||
		naturalDescending(x?.variant ?? "", y?.variant ?? "") ||
		naturalDescending(x?.["os.version"] ?? "", y?.["os.version"] ?? "")
	);
}

function compareNames(a: string, b: string, first: readonly string[]): number {
	return rank(a, first) - rank(b, first) || compareCodePoints(a, b);
}

function rank(name: string, first: readonly string[]): number {
	const index = first.indexOf(name);
	return index === -1 ? first.length : index;
}

/**
 * By platform, ties in their order; then every manifest that refers to another (`vnd.docker.reference.digest`) behind
 * that one. Throws `layout` where the subject is not in the list.
 */
export function sortManifests<T extends Sortable>(manifests: readonly T[]): T[] {
	const byPlatform = manifests.toSorted(comparePlatforms);
	const places = new Map<string, number>();
	for (const [place, { digest }] of byPlatform.entries()) {
		if (digest !== undefined && !places.has(digest)) {
			places.set(digest, place);
		}
	}
	return byPlatform
		.map((manifest, own) => {
			const subject = manifest.annotations?.[referenceDigest];
			if (subject === undefined) {
				return { manifest, place: places.get(manifest.digest ?? "") ?? own, behind: 0 };
			}
			const place = places.get(subject);
			if (place === undefined) {
				throw new BrewlineError("layout", "an attestation's subject is not in the same index");
			}
			return { manifest, place, behind: 1 };
		})
		.sort((a, b) => a.place - b.place || a.behind - b.behind)
		.map(({ manifest }) => manifest);
}

/** Whether a descriptor in an index is an attestation of another one in it. */
export function isAttestation(descriptor: Pick<Descriptor, "annotations">): boolean {
	return descriptor.annotations?.[referenceType] === attestationType;
}

/** The digest of the manifest that an attestation is about; undefined for what is none. */
export function subjectOf(descriptor: Pick<Descriptor, "annotations">): string | undefined {
	return isAttestation(descriptor) ? descriptor.annotations?.[referenceDigest] : undefined;
}

/** A BuildKit layout's index lists one descriptor for each tag: all but the first go (spec/build.md, buildkit). */
export function oneDescriptor<T extends { readonly manifests: readonly Descriptor[] }>(index: T): T {
	const manifests = asList(index.manifests, "manifests") as readonly Descriptor[];
	const first = manifests[0];
	const distinct = new Set(manifests.map(({ digest, size, mediaType }) => JSON.stringify([digest, size, mediaType])));
	if (first === undefined || distinct.size > 1) {
		throw new BrewlineError("layout", `index.json lists ${distinct.size} different manifests instead of exactly one`);
	}
	return { ...index, manifests: [first] };
}
