import type { BuildsOutput } from "../builds/index.ts";
import type { Program } from "../config/index.ts";
import {
	platformString,
	printReference,
	sortManifests,
	tryParseReference,
	type Platform,
	underNamespace,
} from "../oci/index.ts";
import { type Leg, pairOf, type Plan } from "../plan/index.ts";
import {
	type Part,
	partsOfTags,
	type PublishDecisions,
	type PublishedTag,
	type PublishOptions,
	shrinkOf,
	undecided,
	untestedOf,
	waitingRule,
} from "../publish/index.ts";
import type { Sources } from "../sources/index.ts";

/** What a run makes of a source on an architecture, as far as can be told before; undefined: nothing. */
type Fate = "present" | "to-build" | undefined;

/** What a tag is to hold for one architecture, and what becomes of each source of it. */
interface Expected {
	readonly part: Part;
	readonly platform: Platform;
	readonly fates: readonly Fate[];
}

interface PredictOptions {
	readonly decisions?: PublishDecisions | undefined;
	/** As publishing has them. */
	readonly tests?: PublishOptions["tests"];
}

/**
 * The tags of a dry run as a real one would leave them if every build succeeds: layer by layer, so what waits for a build
 * that is planned counts as built too. The digest of what is not built yet is not known. A tag that is held because of the
 * program's policies is asked for again: what it waits for may be among what is built.
 */
export function predictTags(
	tags: readonly PublishedTag[],
	sources: Sources,
	planned: Pick<BuildsOutput, "builds"> & {
		readonly legs: readonly Leg[];
		readonly plan: Pick<Plan, "overdue" | "waiting">;
	},
	program: Pick<Program, "registries" | "architectures" | "policies" | "timeLimit">,
	{ decisions = undecided, tests }: PredictOptions = {},
): PublishedTag[] {
	const fates = fatesOf(planned);
	const mustWait = waitingRule(program, new Set(planned.plan.overdue.map(({ source, arch }) => pairOf(source, arch))));
	const expected = new Map<string, { readonly name: string; readonly parts: readonly Expected[] }>();
	for (const [name, parts] of partsOfTags(sources, planned.builds)) {
		const reference = publishedName(name, program);
		if (reference === undefined) continue;
		const ofTag = parts.map((part): Expected => {
			const { arch, contributions } = part;
			const ofPart = contributions.map(({ source, build }): Fate => {
				const fate = fates.get(pairOf(source.sourceId, arch));
				if (fate === undefined) return undefined;
				// What is built now is tested later, whatever is known of it.
				const manifests = build?.build.resolved?.manifests ?? [{ mediaType: "", digest: "", size: 0 }];
				const known = fate === "present" ? tests : undefined;
				const options = { program, ...(known === undefined ? {} : { tests: known }) };
				return untestedOf(source.arches[arch]!.tags, arch, manifests, options) === undefined ? fate : undefined;
			});
			return { part, platform: contributions[0]!.source.arches[arch]!.platform, fates: ofPart };
		});
		// What is left out until it is built is waited for by nobody.
		const leftOut = shrinkOf(name, decisions)?.platforms ?? [];
		const counted = ofTag.filter(
			({ platform, fates: ofPart }) => !ofPart.includes(undefined) || !leftOut.includes(platformString(platform)),
		);
		expected.set(reference, { name, parts: counted });
	}
	return tags.map((tag) => {
		// Builds change nothing of what people decided.
		if (tag.decision !== undefined && tag.decision !== "shrink") return tag;
		const { name, parts } = expected.get(tag.reference) ?? { name: tag.reference, parts: [] };
		return predicted(tag, parts, (part) => mustWait(name, part));
	});
}

function publishedName(name: string, { registries }: Pick<Program, "registries">): string | undefined {
	const reference = tryParseReference(underNamespace(registries.namespace, name));
	return reference && printReference(reference);
}

/** By source and architecture. */
function fatesOf({ builds, legs, plan }: Parameters<typeof predictTags>[2]): ReadonlyMap<string, Fate> {
	const inLegs = new Set(legs.flatMap((leg) => leg.builds.map(({ buildId }) => buildId)));
	const fates = new Map<string, Fate>();
	for (const { buildId, build } of Object.values(builds)) {
		const fate = build.resolved !== null ? "present" : inLegs.has(buildId) ? "to-build" : undefined;
		fates.set(pairOf(build.sourceId, build.arch), fate);
	}
	// What has no room is in a leg of no run before the next one.
	const later = plan.waiting.filter(({ why, wave }) => why === "parent" && wave !== null);
	for (const { source, arch } of later) fates.set(pairOf(source, arch), "to-build");
	return fates;
}

function predicted(
	tag: PublishedTag,
	parts: readonly Expected[],
	mustWait: (part: Part) => string | undefined,
): PublishedTag {
	const complete = parts.filter(({ fates }) => !fates.includes(undefined));
	const builds = complete.filter(({ fates }) => fates.includes("to-build")).map(({ part }) => part.arch);
	if (builds.length === 0 || tag.change === "failed") return tag;
	const isHeld = (note: string): boolean => note.startsWith("held: ");
	const notes = tag.notes.filter((note) => !isHeld(note) && !builds.some((arch) => note.startsWith(`${arch}: `)));
	const waitsWhile = (lacks: (fate: Fate) => boolean): readonly string[] =>
		parts.flatMap(({ part, fates }) => {
			const contributions = part.contributions.filter((_, number) => lacks(fates[number]));
			return contributions.length === 0 ? [] : (mustWait({ ...part, contributions }) ?? []);
		});
	const waits = waitsWhile((fate) => fate === undefined);
	if (waits.length > 0) return { ...tag, notes: [...notes, ...waits.map((why) => `held: ${why}`)] };
	const otherwise = waitsWhile((fate) => fate !== "present").length > 0 ? [] : tag.notes.filter(isHeld);
	if (otherwise.length > 0 && complete.length < parts.length) return { ...tag, notes: [...notes, ...otherwise] };

	const manifests = parts.filter((expected) => complete.includes(expected) || stays(expected, tag));
	const isThere = tag.change === "updated" || tag.change === "unchanged" || tag.digest !== null;
	return {
		reference: tag.reference,
		digest: null,
		platforms: [...new Set(sortManifests(manifests).map(({ platform }) => platformString(platform)))],
		change: tag.change !== "created" && isThere ? "updated" : "created",
		notes,
		...(tag.removed === undefined ? {} : { removed: tag.removed }),
		...(tag.unserved === undefined ? {} : { unserved: tag.unserved }),
	};
}

/** Whether a tag keeps what it had for an architecture of which not all is built. */
function stays({ part: { arch }, platform }: Expected, { notes, unserved, platforms }: PublishedTag): boolean {
	const had = platformString(platform);
	return unserved?.includes(arch) === true
		? platforms.some((text) => text === had || text.startsWith(`${had} `))
		: notes.some((note) => note.startsWith(`${arch}: kept as it was`));
}
