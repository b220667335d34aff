import { readFile } from "node:fs/promises";
import { BrewlineError } from "../errors.ts";
import { parseJsonObject } from "../json/index.ts";
import {
	blobFile,
	isAttestation,
	isImageType,
	isIndexType,
	maxManifestSize,
	parseReference,
	platformString,
	readLayout,
	samePlatform,
	withDigest,
	repositoryOf,
	type Descriptor,
	type LayoutOptions,
	type Platform,
	type Reference,
} from "../oci/index.ts";
import type { RegistryClient } from "../registry/types.ts";
import { readBelow } from "./content.ts";
import type { ValidLayout } from "./push.ts";

type ReadContent = (descriptor: Descriptor) => Promise<Uint8Array>;

/** The platforms of the images in a manifest or index; attestations are none. */
async function platformsOf(mediaType: string, bytes: Uint8Array, read: ReadContent): Promise<readonly Platform[]> {
	const { manifests, config } = readBelow(mediaType, bytes, "a manifest", "layout");
	if (config !== undefined) {
		return platformIn(
			parseJsonObject(await read(config), { what: "an image's config", maxBytes: maxManifestSize, code: "layout" }),
		);
	}
	const platforms: Platform[] = [];
	for (const child of manifests) {
		if (isAttestation(child)) {
			continue;
		}
		const own = platformIn(child.platform ?? {});
		platforms.push(...(own.length > 0 ? own : await platformsOf(child.mediaType, await read(child), read)));
	}
	return platforms;
}

function platformIn(value: object): readonly Platform[] {
	const { os, architecture, variant } = value as Partial<Record<keyof Platform, unknown>>;
	if (typeof os !== "string" || typeof architecture !== "string" || os === "" || architecture === "") {
		return [];
	}
	return [{ os, architecture, ...(typeof variant === "string" ? { variant } : {}) }];
}

/** Validates a layout, which must hold an image of the platform, and of no other. */
export async function checkLayout(folder: string, platform: Platform, options: LayoutOptions): Promise<ValidLayout> {
	const layout = await readLayout(folder, options);
	const { root } = layout;
	const read: ReadContent = ({ digest, size }) => {
		if (size > maxManifestSize) {
			throw new BrewlineError("layout", `the config ${digest} is larger than 4 MiB`);
		}
		return readFile(blobFile(folder, digest));
	};
	const platforms = await platformsOf(root.mediaType, await read(root), read);
	if (platforms.length === 0 || !platforms.every((found) => samePlatform(found, platform))) {
		const found = platforms.map(platformString).join(", ") || "no platform";
		throw new BrewlineError("layout", `what was built is for ${found}, not for ${platformString(platform)}`, {
			hint: "a FROM with a --platform of its own in the last stage?",
		});
	}
	return layout;
}

/** The digest of what the staging reference holds, if that has an image of the platform. */
export async function stagedDigest(
	client: RegistryClient,
	staging: string,
	platform: Platform,
): Promise<string | undefined> {
	const reference = parseReference(staging);
	const found = await client.getManifest(reference);
	if (found === undefined) {
		return undefined;
	}
	const read: ReadContent = async ({ mediaType, digest, size }) => {
		const content =
			isIndexType(mediaType) || isImageType(mediaType)
				? (await client.getManifest(withDigest(repositoryOf(reference), digest)))?.bytes
				: await readBlob(client, reference, { digest, size });
		if (content === undefined) {
			throw new BrewlineError("registry", `${staging} is not whole: ${digest} is missing`);
		}
		return content;
	};
	const platforms = await platformsOf(found.mediaType, found.bytes, read);
	return platforms.some((there) => samePlatform(there, platform)) ? found.digest : undefined;
}

async function readBlob(
	client: RegistryClient,
	reference: Reference,
	descriptor: Pick<Descriptor, "digest" | "size">,
): Promise<Uint8Array | undefined> {
	if (descriptor.size > maxManifestSize) {
		throw new BrewlineError("registry", `the config ${descriptor.digest} is larger than 4 MiB`);
	}
	const stream = await client.getBlob(reference, descriptor);
	return stream === undefined ? undefined : Buffer.concat((await stream.toArray()) as Buffer[]);
}
