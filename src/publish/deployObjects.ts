import type { Build, Builds } from "../builds/types.ts";
import { orderedEntries, orderedObject, type JsonObject } from "../json/index.ts";
import { mediaTypes, normalizeDescriptor, sortManifests, type Descriptor, type Index } from "../oci/index.ts";
import type { IndexObject } from "./types.ts";

/** As much of a build as deploy objects are made of. */
export interface DeployedBuild {
	readonly build: Pick<Build["build"], "arch" | "resolved">;
	readonly source: {
		readonly arches: Readonly<
			Record<string, { readonly tags: readonly string[]; readonly archTags: readonly string[] }>
		>;
	};
}

export interface DeployOptions {
	/** `all`: tags and arch tags; `tags`: without arch tags; otherwise the arch tags of one architecture. */
	readonly tags: "all" | "tags" | { readonly arch: string };
	/** The key of the annotation that carries a manifest's architecture. */
	readonly architectureAnnotation: string;
}

const refNameAnnotation = "org.opencontainers.image.ref.name";

/**
 * What is to be pushed so that every tag holds all of its builds that are there, in the order in which the tags first
 * appear (spec/publish.md, Deploy objects). A build gives only manifests of its own architecture. Throws `layout`
 * where an attestation's subject is missing.
 */
export function deployObjects(builds: Builds | Iterable<DeployedBuild>, options: DeployOptions): IndexObject[] {
	const list: DeployedBuild[] =
		Symbol.iterator in builds ? [...builds] : orderedEntries(builds).map(([, build]) => build);
	const buildsOf = new Map<string, number[]>();
	for (const [number, build] of list.entries()) {
		for (const tag of build.build.resolved === null ? [] : new Set(tagsOf(build, options))) {
			const known = buildsOf.get(tag);
			if (known === undefined) {
				buildsOf.set(tag, [number]);
			} else {
				known.push(number);
			}
		}
	}
	// Tags of the same builds hold the same manifests: an index is made for each set of builds, not for each tag.
	const made = new Map<string, Grouped>();
	const grouped = new Map<string, Grouped>();
	for (const [tag, numbers] of buildsOf) {
		const key = numbers.join();
		let group = made.get(key);
		if (group === undefined) {
			const manifests = numbers.flatMap((number) => ownManifests(list[number]!, options.architectureAnnotation));
			const object = indexObject(manifests);
			const digests = object.data.manifests.map(({ digest }) => digest).join();
			group = grouped.get(digests) ?? { ...object, refs: [] };
			grouped.set(digests, group);
			made.set(key, group);
		}
		group.refs.push(tag);
	}
	return [...grouped.values()].map(({ refs, lookup, data }) => ({ type: "manifest", refs, lookup, data }));
}

interface Grouped extends Pick<IndexObject, "lookup" | "data"> {
	readonly refs: string[];
}

function tagsOf({ build, source }: DeployedBuild, { tags }: DeployOptions): readonly string[] {
	const of = Object.entries(source.arches);
	if (tags === "tags") {
		return of.flatMap(([, arch]) => arch.tags);
	}
	if (tags === "all") {
		return of.flatMap(([, arch]) => [...arch.tags, ...arch.archTags]);
	}
	return build.arch === tags.arch ? of.flatMap(([, arch]) => arch.archTags) : [];
}

function ownManifests({ build }: DeployedBuild, annotation: string): readonly Descriptor[] {
	return (build.resolved?.manifests ?? []).filter(({ annotations }) => annotations?.[annotation] === build.arch);
}

/**
 * The index of these manifests in normal form, and where each is to be found: its `ref.name` without its own digest.
 * Throws `layout` where an attestation's subject is missing.
 */
export function indexObject(manifests: readonly Descriptor[]): Pick<IndexObject, "lookup" | "data"> {
	const sorted = sortManifests(manifests);
	const lookup = sorted.flatMap(({ digest, annotations }): [string, string][] => {
		const name = annotations?.[refNameAnnotation];
		return name === undefined ? [] : [[digest, name.endsWith(`@${digest}`) ? name.slice(0, -digest.length - 1) : name]];
	});
	return { lookup: orderedObject(lookup), data: joinedIndex(sorted) };
}

/** The index of sorted manifests, without their `ref.name`s, of the media type that their first one calls for. */
export function joinedIndex(sorted: readonly Descriptor[]): Index & JsonObject {
	const index: Index = {
		schemaVersion: 2,
		mediaType: sorted[0]?.mediaType === mediaTypes.dockerManifest ? mediaTypes.dockerList : mediaTypes.ociIndex,
		manifests: sorted.map((manifest) => normalizeDescriptor(withoutRefName(manifest))),
	};
	return index as Index & JsonObject;
}

/** Without the annotation that says where the descriptor was found. */
function withoutRefName(descriptor: Descriptor): Descriptor {
	const { annotations, ...rest } = descriptor;
	const kept = orderedEntries(annotations ?? {}).filter(([key]) => key !== refNameAnnotation);
	return annotations === undefined ? descriptor : { ...rest, annotations: orderedObject(kept) };
}
