import type { BuildsOutput } from "../builds/index.ts";
import type { Program } from "../config/index.ts";
import { platformString, printReference, sortManifests, tryParseReference, type Platform } from "../oci/index.ts";
import type { Leg } from "../plan/index.ts";
import type { PublishedTag } from "../publish/index.ts";
import type { Sources } from "../sources/index.ts";

/** What a run makes of a source on an architecture, as far as can be told before; undefined: nothing. */
type Fate = "present" | "to-build" | undefined;

/**
 * The tags of a dry run as a real one would leave them if every build succeeds: layer by layer, so what waits for a build
 * that is planned counts as built too. The digest of what is not built yet is not known.
 */
export function predictTags(
	tags: readonly PublishedTag[],
	sources: Sources,
	planned: Pick<BuildsOutput, "builds" | "waiting"> & { readonly legs: readonly Leg[] },
	program: Pick<Program, "registries">,
): PublishedTag[] {
	const fates = fatesOf(sources, planned);
	const parts = new Map<string, Map<string, { readonly platform: Platform; readonly fates: Fate[] }>>();
	for (const { sourceId, arches } of Object.values(sources)) {
		for (const [arch, { tags: names, platform }] of Object.entries(arches)) {
			for (const name of names) {
				const reference = publishedName(name, program);
				if (reference === undefined) continue;
				const ofTag = parts.get(reference) ?? new Map();
				const ofArch = ofTag.get(arch) ?? { platform, fates: [] };
				ofArch.fates.push(fates.get(`${sourceId} ${arch}`));
				parts.set(reference, ofTag.set(arch, ofArch));
			}
		}
	}
	return tags.map((tag) => predicted(tag, [...(parts.get(tag.reference) ?? [])]));
}

function publishedName(name: string, { registries }: Pick<Program, "registries">): string | undefined {
	const reference = tryParseReference(registries.namespace === "" ? name : `${registries.namespace}/${name}`);
	return reference && printReference(reference);
}

/** By source and architecture. */
function fatesOf(
	sources: Sources,
	{ builds, waiting, legs }: Parameters<typeof predictTags>[2],
): ReadonlyMap<string, Fate> {
	const inLegs = new Set(legs.flatMap((leg) => leg.builds.map(({ buildId }) => buildId)));
	const fates = new Map<string, Fate>();
	for (const { buildId, build } of Object.values(builds)) {
		const fate = build.resolved !== null ? "present" : inLegs.has(buildId) ? "to-build" : undefined;
		fates.set(`${build.sourceId} ${build.arch}`, fate);
	}
	const waits = new Map(waiting.map((item) => [`${item.sourceId} ${item.arch}`, item]));
	// Parents stand before their children.
	for (const { sourceId, arches } of Object.values(sources)) {
		for (const arch of Object.keys(arches)) {
			const item = waits.get(`${sourceId} ${arch}`);
			if (item?.reason !== "parent-not-built" && item?.reason !== "parent-waiting") continue;
			const parent = fates.get(`${item.parentSourceId} ${arch}`);
			fates.set(`${sourceId} ${arch}`, parent === undefined ? undefined : "to-build");
		}
	}
	return fates;
}

function predicted(
	tag: PublishedTag,
	parts: readonly (readonly [string, { readonly platform: Platform; readonly fates: readonly Fate[] }])[],
): PublishedTag {
	const complete = parts.filter(([, { fates }]) => !fates.includes(undefined));
	const builds = complete.filter(([, { fates }]) => fates.includes("to-build")).map(([arch]) => arch);
	if (builds.length === 0 || tag.change === "failed") return tag;
	const notes = tag.notes.filter((note) => !builds.some((arch) => note.startsWith(`${arch}: `)));
	const held = notes.some((note) => note.startsWith("held: "));
	if (held && complete.length < parts.length) return { ...tag, notes };
	const there = new Set(complete.map(([arch]) => arch));
	const stays = (arch: string): boolean => tag.notes.some((note) => note.startsWith(`${arch}: kept as it was`));
	const manifests = parts.filter(([arch]) => there.has(arch) || stays(arch)).map(([, { platform }]) => ({ platform }));
	const isThere = tag.change === "updated" || tag.change === "unchanged" || tag.digest !== null;
	return {
		reference: tag.reference,
		digest: null,
		platforms: [...new Set(sortManifests(manifests).map(({ platform }) => platformString(platform)))],
		change: tag.change !== "created" && isThere ? "updated" : "created",
		notes: notes.filter((note) => !note.startsWith("held: ")),
		...(tag.removed === undefined ? {} : { removed: tag.removed }),
		...(tag.unserved === undefined ? {} : { unserved: tag.unserved }),
	};
}
