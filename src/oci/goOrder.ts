import { sortedByKey } from "../json/index.ts";
import type { Annotations, Descriptor, Index, Platform } from "./types.ts";

/**
 * The fields of OCI 1.1 in the order of Go's structs, empty ones and all others left out: how a looked-up index
 * stands in `builds.json` and the cache (spec/builds.md, A resolved index).
 */
export function goIndex(index: Index): Index {
	return {
		schemaVersion: index.schemaVersion,
		mediaType: index.mediaType,
		...text("artifactType", index.artifactType),
		manifests: index.manifests.map(goDescriptor),
		...(index.subject === undefined ? {} : { subject: goDescriptor(index.subject) }),
		...annotations(index.annotations),
	};
}

/** As `goIndex`, for a descriptor. */
export function goDescriptor(descriptor: Descriptor): Descriptor {
	const { urls, platform } = descriptor;
	return {
		mediaType: descriptor.mediaType,
		digest: descriptor.digest,
		size: descriptor.size,
		...(urls === undefined || urls.length === 0 ? {} : { urls }),
		...annotations(descriptor.annotations),
		...text("data", descriptor.data),
		...(platform === undefined ? {} : { platform: goPlatform(platform) }),
		...text("artifactType", descriptor.artifactType),
	};
}

/** As `goIndex`, for a platform; nothing is normalised. */
export function goPlatform(platform: Platform): Platform {
	const features = platform["os.features"];
	return {
		architecture: platform.architecture,
		os: platform.os,
		...text("os.version", platform["os.version"]),
		...(features === undefined || features.length === 0 ? {} : { "os.features": features }),
		...text("variant", platform.variant),
	};
}

function text<K extends string>(key: K, value: string | undefined): { readonly [P in K]?: string } {
	return (value === undefined || value === "" ? {} : { [key]: value }) as { readonly [P in K]?: string };
}

function annotations(value: Annotations | undefined): { readonly annotations?: Annotations } {
	return value === undefined || Object.keys(value).length === 0 ? {} : { annotations: sortedByKey(value) };
}
