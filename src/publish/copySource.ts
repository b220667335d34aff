import { limit } from "../builds/index.ts";
import { BrewlineError } from "../errors.ts";
import type { Io } from "../io/types.ts";
import { parseJsonObject, tabJson, type JsonObject } from "../json/index.ts";
import {
	isIndexType,
	maxManifestSize,
	normalizeManifest,
	platformString,
	printReference,
	repositoryOf,
	samePlatform,
	sha256Of,
	subjectOf,
	withDigest,
	withoutTag,
	type Descriptor,
	type Platform,
	type Reference,
} from "../oci/index.ts";
import { asReferrer } from "../registry/referrers.ts";
import { readDescriptor } from "../registry/synthesize.ts";
import type { RegistryClient } from "../registry/types.ts";
import { childrenOf, type Child } from "./children.ts";
import { byDigest, maxArtifacts, maxGenerations, type ManifestContent } from "./transfer.ts";

/** What is copied, read as far as it is needed, and no part twice. */
export interface CopySource {
	/** As it was given, with the digest that it has. */
	readonly reference: Reference;
	readonly repository: Reference;
	/** What the targets are to have. */
	readonly root: Child;
	/** A manifest that is copied. Throws `reference` where it is not there. */
	readonly read: (child: Child) => Promise<ManifestContent>;
	/** The artifacts that have a subject among what is copied, each behind its subject. */
	readonly artifacts: () => Promise<readonly Artifact[]>;
}

export interface Artifact {
	readonly subject: string;
	readonly artifact: Child;
	/** It is copied anyway, as a child of what is copied. */
	readonly below: boolean;
}

export interface CopySourceOptions {
	readonly client: RegistryClient;
	readonly platforms?: readonly Platform[];
	/** Questions at a time. */
	readonly questionsAtOnce: number;
}

/** Bytes: manifests are kept in memory for all targets; of real images they have some hundred thousand. */
const maxHeld = 16 * 1024 * 1024;

/** Finds out what a reference holds. Throws `reference` where it is not there, or has none of the platforms. */
export async function openCopySource(
	reference: Reference,
	io: Pick<Io, "signal" | "log">,
	{ client, platforms, questionsAtOnce }: CopySourceOptions,
): Promise<CopySource> {
	const repository = repositoryOf(reference);
	const questions = limit(questionsAtOnce, io.signal);
	const contents = new Map<string, Promise<ManifestContent | undefined>>();
	let held = 0;

	const get = async (child: Pick<Child, "digest"> & Partial<Child>): Promise<ManifestContent | undefined> => {
		const found = await client.getManifest(byDigest(repository, child.digest));
		if (found === undefined) return undefined;
		if (child.size !== undefined && found.bytes.length !== child.size) {
			throw new BrewlineError(
				"digest",
				`${printReference(byDigest(repository, child.digest))} has ${found.bytes.length} bytes, not ${child.size}`,
			);
		}
		held += found.bytes.length;
		if (held > maxHeld) {
			throw new BrewlineError("registry", `${printReference(reference)} has more than ${maxHeld} bytes of manifests`);
		}
		return { digest: child.digest, mediaType: child.mediaType ?? found.mediaType, bytes: found.bytes };
	};
	const find = (child: Pick<Child, "digest"> & Partial<Child>): Promise<ManifestContent | undefined> => {
		const before = contents.get(child.digest);
		if (before !== undefined) return before;
		const made = get(child);
		contents.set(child.digest, made);
		return made;
	};
	const read = async (child: Pick<Child, "digest"> & Partial<Child>): Promise<ManifestContent> => {
		const found = await find(child);
		if (found === undefined) throw notThere(byDigest(repository, child.digest));
		return found;
	};

	const found = await client.headManifest(reference);
	if (found === undefined) throw notThere(reference);
	let root: Child = found;
	let chosen: ManifestContent | undefined;
	if (platforms !== undefined) {
		chosen = await only(platforms, await read(found), reference, client);
		if (chosen !== undefined) {
			contents.set(chosen.digest, Promise.resolve(chosen));
			root = { mediaType: chosen.mediaType, digest: chosen.digest, size: chosen.bytes.length };
		}
	}

	/** This manifest and all below it; images are not read for that. */
	const below = async (child: Child): Promise<readonly Child[]> => {
		const all = new Map([[child.digest, child]]);
		// A map goes on with what is added while it is read.
		for (const next of all.values()) {
			if (!isIndexType(next.mediaType)) continue;
			for (const one of childrenOf((await read(next)).bytes, next.digest).manifests) all.set(one.digest, one);
		}
		return [...all.values()];
	};

	const findArtifacts = async (): Promise<readonly Artifact[]> => {
		const artifacts: Artifact[] = [];
		const tree = await below(root);
		const inTree = new Set(tree.map(({ digest }) => digest));
		const seen = new Set<string>();
		// A new index is nobody's subject yet.
		let subjects = tree.filter(({ digest }) => digest !== chosen?.digest);
		for (let generation = 0; subjects.length > 0; generation++) {
			const lists = await Promise.all(
				subjects.map(({ digest }) => questions(() => client.listReferrers({ ...repository, digest }))),
			);
			const next: Child[] = [];
			for (const [number, list] of lists.entries()) {
				const subject = subjects[number]!.digest;
				for (const { mediaType, digest, size } of list) {
					if (seen.has(digest)) continue;
					seen.add(digest);
					const artifact = { mediaType, digest, size };
					if (inTree.has(digest)) {
						artifacts.push({ subject, artifact, below: true });
						continue;
					}
					const content = await find(artifact);
					if (content === undefined || asReferrer(content)?.subject !== subject) {
						const text = `${digest} is listed as a referrer of ${subject}, and is none: it is left out`;
						io.log({ type: "message", level: "notice", text });
						continue;
					}
					artifacts.push({ subject, artifact, below: false });
					next.push(...(await below(artifact)));
				}
			}
			if (artifacts.length > maxArtifacts || (next.length > 0 && generation === maxGenerations)) {
				throw new BrewlineError("registry", `${printReference(reference)} has too many artifacts, or too deep ones`);
			}
			subjects = next;
		}
		return artifacts;
	};
	let artifacts: Promise<readonly Artifact[]> | undefined;

	return {
		reference: withDigest(reference, found.digest),
		repository,
		root,
		read,
		artifacts: () => (artifacts ??= findArtifacts()),
	};
}

/** The index of what is for these platforms; undefined: it is an image, and is for one of them. */
async function only(
	platforms: readonly Platform[],
	content: ManifestContent,
	reference: Reference,
	client: RegistryClient,
): Promise<ManifestContent | undefined> {
	const what = printReference(reference);
	const none = (missing: readonly Platform[]) =>
		new BrewlineError("reference", `${what} has nothing for ${missing.map(platformString).join(", ")}`);
	const body = parseJsonObject(content.bytes, { what, maxBytes: maxManifestSize, code: "registry" });
	if (!isIndexType(content.mediaType)) {
		const platform = await platformOfImage(body, what, withoutTag(withDigest(reference, content.digest)), client);
		if (!platforms.some((wanted) => platform !== undefined && samePlatform(platform, wanted))) throw none(platforms);
		return undefined;
	}
	childrenOf(content.bytes, content.digest);
	const listed = ((body["manifests"] ?? []) as readonly JsonObject[]).map((object, at) => ({
		object,
		descriptor: readDescriptor(object, `${what}: manifests[${at}]`),
	}));
	const isFor = ({ platform }: Descriptor, wanted: Platform): boolean =>
		platform !== undefined && samePlatform(platform, wanted);
	const missing = platforms.filter((wanted) => !listed.some(({ descriptor }) => isFor(descriptor, wanted)));
	if (missing.length > 0) throw none(missing);
	const images = listed.filter(({ descriptor }) => platforms.some((wanted) => isFor(descriptor, wanted)));
	const digests = new Set(images.map(({ descriptor }) => descriptor.digest));
	const kept = listed.filter((item) => images.includes(item) || digests.has(subjectOf(item.descriptor) ?? ""));
	const { subject: _, ...rest } = body;
	const index = {
		...rest,
		schemaVersion: 2,
		mediaType: content.mediaType,
		manifests: kept.map(({ object }) => object),
	};
	const bytes = Buffer.from(tabJson(normalizeManifest(index)));
	return { digest: sha256Of(bytes), mediaType: content.mediaType, bytes };
}

/** What an image's config says; undefined where it says nothing. */
async function platformOfImage(
	manifest: JsonObject,
	what: string,
	place: Reference,
	client: RegistryClient,
): Promise<Platform | undefined> {
	const config = readDescriptor(manifest["config"], `${what}: config`);
	if (config.size > maxManifestSize) throw new BrewlineError("registry", `the config of ${what} is too large`);
	const blob = await client.getBlob(place, config);
	if (blob === undefined) throw notThere(place);
	const bytes = Buffer.concat(await blob.toArray());
	const body = parseJsonObject(bytes, { what: `the config of ${what}`, maxBytes: maxManifestSize, code: "registry" });
	// A descriptor's platform has the same keys.
	return readDescriptor({ mediaType: "", digest: place.digest!, size: 0, platform: body }, what).platform;
}

function notThere(reference: Reference): BrewlineError {
	return new BrewlineError("reference", `${printReference(reference)}, which is to be copied, is not there`, {
		hint: "check the reference, and whether the credentials may read it: many registries hide what is not for everyone",
	});
}
