import { orderedEntries } from "../json/index.ts";
import {
	isAttestation,
	platformString,
	referenceDigest,
	samePlatform,
	type Descriptor,
	type Platform,
} from "../oci/index.ts";
import type { Build, Builds } from "../builds/types.ts";
import type { Source, Sources } from "../sources/types.ts";

/** One source that a tag is defined to hold on an architecture. */
export interface Contribution {
	readonly source: Source;
	/** Undefined where it has no build yet, because a parent is not there. */
	readonly build: Build | undefined;
	/** Only of what is staged and may not be published: it has no test result, or one that is not passed. */
	readonly test?: "missing" | "not-passed";
}

/** What a tag is defined to hold for one architecture. */
export interface Part {
	readonly arch: string;
	/** The architecture's own tag; undefined where it has no namespace. */
	readonly archTag: string | undefined;
	/** More than one where the architecture has several releases, as Windows has. */
	readonly contributions: readonly Contribution[];
}

/** The image of a full tag (`NAME:TAG`). */
export function imageOf(tag: string): string {
	return tag.slice(0, tag.lastIndexOf(":"));
}

/** Every tag that the sources define, with its architectures, in the order of the sources. */
export function partsOfTags(sources: Sources, builds: Builds): ReadonlyMap<string, readonly Part[]> {
	const known = new Map(
		orderedEntries(builds).map(([, build]) => [`${build.build.arch} ${build.build.sourceId}`, build] as const),
	);
	const tags = new Map<string, Map<string, Part & { readonly contributions: Contribution[] }>>();
	for (const [sourceId, source] of orderedEntries(sources)) {
		for (const [arch, { tags: names, archTags }] of orderedEntries(source.arches)) {
			const contribution = { source, build: known.get(`${arch} ${sourceId}`) };
			for (const [number, name] of names.entries()) {
				const parts = entry(tags, name, () => new Map());
				const part = entry(parts, arch, () => ({ arch, archTag: archTags[number], contributions: [] }));
				// A tag and a shared tag of one source can be the same.
				if (part.contributions.at(-1)?.source !== source) {
					part.contributions.push(contribution);
				}
			}
		}
	}
	return new Map([...tags].map(([tag, parts]) => [tag, [...parts.values()]]));
}

function entry<K, V>(map: Map<K, V>, key: K, make: () => V): V {
	let value = map.get(key);
	if (value === undefined) {
		value = make();
		map.set(key, value);
	}
	return value;
}

/**
 * The platforms for which there are more images among these manifests than among the others: a tag may have several
 * sources for one. Of Windows' `os.version` the release counts (`10.0.20348`), not the revision, which differs from
 * build to build.
 */
export function lostPlatforms(now: readonly Descriptor[], next: readonly Descriptor[]): readonly string[] {
	const kept = imagePlatforms(next);
	const lost = imagePlatforms(now).filter((platform) => {
		const at = kept.indexOf(platform);
		if (at >= 0) {
			kept.splice(at, 1);
		}
		return at < 0;
	});
	return [...new Set(lost)];
}

/** The platforms of the images among these manifests, each once: `linux/arm/v7`, `windows/amd64 10.0.20348`. */
export function platformsOf(manifests: readonly Descriptor[]): readonly string[] {
	return [...new Set(imagePlatforms(manifests))];
}

/** The platform of each image, attestations left out. */
function imagePlatforms(manifests: readonly Descriptor[]): string[] {
	return manifests
		.filter((manifest) => !isAttestation(manifest))
		.map(({ platform }) => (platform === undefined ? "unknown" : shown(platform)));
}

function shown(platform: Platform): string {
	const release = /^\d+\.\d+\.\d+/.exec(platform["os.version"] ?? "")?.[0];
	return `${platformString(platform)}${release === undefined ? "" : ` ${release}`}`;
}

/**
 * The first among these manifests that is not for this platform. What calls itself an attestation must not be what anybody
 * could pull: clients choose by platform alone, and an image of another architecture, or one that passed no test, would be hidden
 * in it. Nor is an image about another one, by which it would be sorted.
 */
export function foreignTo(platform: Platform, manifests: readonly Descriptor[]): Descriptor | undefined {
	return manifests.find((manifest) => {
		const own = manifest.platform;
		if (isAttestation(manifest)) return own !== undefined && !(own.os === "unknown" && own.architecture === "unknown");
		const isAbout = Object.hasOwn(manifest.annotations ?? {}, referenceDigest);
		return isAbout || own === undefined || !samePlatform(own, platform);
	});
}
