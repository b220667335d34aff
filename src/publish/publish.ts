import { limit, restrictedTo, type Builds } from "../builds/index.ts";
import type { Io } from "../io/types.ts";
import { counter } from "./progress.ts";
import type { Sources } from "../sources/types.ts";
import { publishArchTags, type ArchTags } from "./archTags.ts";
import { joinTag, type Joined } from "./join.ts";
import { fingerprint } from "./ledger.ts";
import { move, type Moved } from "./move.ts";
import { imageOf, partsOfTags, type Part } from "./parts.ts";
import { settle } from "./settle.ts";
import { readStaged, type StagedBuilds } from "./staged.ts";
import { testsOf } from "./tested.ts";
import type { Change, DeployObject, PublishOptions, PublishResult, PublishedTag } from "./types.ts";

export interface PublishInput {
	/** What is defined: a tag keeps every architecture that stands here. */
	readonly sources: Sources;
	readonly builds: Builds;
}

/**
 * Brings what is staged to the architectures' own tags, then joins these into one index for each tag
 * (spec/publish.md), image by image: one that is killed leaves the others as they were, or whole. Staging references are read again: of the builds nothing is believed but their ids. A tag that
 * cannot be read or written is `failed` in the result, and keeps no other from being published; so are, once
 * `io.signal` is aborted, all that were not reached. What was decided goes before everything: a tag that is stopped, held or
 * taken back is not made from what is staged, and neither are its architectures' own.
 */
export async function publish(
	input: PublishInput,
	io: Pick<Io, "signal" | "clock" | "log">,
	given: PublishOptions,
): Promise<PublishResult> {
	const options = { referrers: true, ...given };
	const limited = limit(options.concurrency ?? 16, io.signal, { keepGoing: true });
	const lookup: typeof options.lookup = (reference) => limited(() => options.lookup(reference));
	const head: typeof options.client.headManifest = (reference) => limited(() => options.client.headManifest(reference));
	const read = async (reference: string, arch: string) => {
		const index = await lookup(reference);
		return (index && restrictedTo(index, arch, options.program.annotations.architecture))?.manifests ?? [];
	};
	const all = partsOfTags(input.sources, input.builds);
	const puts = limit(options.concurrency ?? 16, io.signal, { keepGoing: true });
	const settling = { lookup, head, options, now: io.clock.now() };
	const settled = await settle(all, settling);
	const tags = [...all].filter(([tag]) => !settled.has(tag));
	const done = counter(io, tags.length, "tags done");

	/** What people decided about tags since this run asked for it. */
	const decidedSince = async (some: readonly TagParts[]): Promise<ReadonlyMap<string, Joined>> => {
		const decisions = await options.decided?.();
		if (decisions === undefined || decisions === options.decisions) return new Map();
		return settle(new Map(some), { ...settling, options: { ...options, decisions, audit: true } });
	};

	const publishImage = async (ofImage: readonly TagParts[]): Promise<PublishedImage> => {
		const before = await decidedSince(ofImage);
		const going = ofImage.filter(([tag]) => !before.has(tag));
		const parts = going.flatMap(([, ofTag]) => ofTag);
		const staged = await readStaged(buildsOf(parts), read, options);
		const archTags = await publishArchTags(parts, staged, read, io, { ...options, limited: puts });
		const context = { staged, archTags, read, lookup, head, options };
		const joining = going.map(async ([tag, ofTag]) => [tag, await joinTag(tag, ofTag, context)] as const);
		const joined = new Map([...before, ...(await Promise.all(joining))]);
		for (const [tag, decided] of await decidedSince(going)) joined.set(tag, decided);
		const moved = await move([...joined.values()], io, options, puts);
		for (const _ of moved) done();
		return { archTags, staged, moved: new Map([...joined.keys()].map((tag, number) => [tag, moved[number]!])) };
	};

	const atOnce = limit(imagesAtOnce, new AbortController().signal, { keepGoing: true });
	const byImage = [...Map.groupBy(tags, ([tag]) => imageOf(tag)).values()];
	const ofSettled = await move([...settled.values()], io, options, puts);
	const outcomes = await Promise.allSettled(byImage.map((ofImage) => atOnce(() => publishImage(ofImage))));
	const images = outcomes.map((outcome) => {
		if (outcome.status === "rejected") throw outcome.reason;
		return outcome.value;
	});
	const moved = new Map([
		...[...settled.keys()].map((tag, number): [string, Moved] => [tag, ofSettled[number]!]),
		...images.flatMap((image) => [...image.moved]),
	]);
	const unmoved = new Set(images.flatMap(({ archTags }) => [...archTags.why.keys()]));
	const results = [...all].map(([tag, ofTag]) => {
		const { ref, result } = moved.get(tag)!;
		return withFingerprint(result, ref, ofTag, unmoved, options.program.annotations);
	});
	const changes = [...all.keys()].flatMap((tag, number): DeployObject[] => {
		const { ref, object } = moved.get(tag)!;
		const { change } = results[number]!;
		return object === undefined || change === "failed" || change === "unchanged"
			? []
			: [{ type: "manifest", refs: [ref], ...object }];
	});
	return {
		archTags: images.flatMap(({ archTags }) => archTags.results),
		tags: results,
		counts: counted(results),
		changes: [...images.flatMap(({ archTags }) => archTags.changes), ...changes],
		tests: images.flatMap(({ staged }) =>
			[...staged].flatMap(([{ buildId }, found]) =>
				"manifests" in found ? testsOf(buildId, found.manifests, options.tests) : [],
			),
		),
	};
}

type TagParts = readonly [tag: string, parts: readonly Part[]];

interface PublishedImage {
	readonly archTags: ArchTags;
	readonly staged: StagedBuilds;
	/** By tag. */
	readonly moved: ReadonlyMap<string, Moved>;
}

/** Images at a time: so few can be half done where a run is killed. */
const imagesAtOnce = 8;

/** The builds that these parts are made from. */
function buildsOf(parts: readonly Part[]): Builds {
	return Object.fromEntries(
		parts.flatMap(({ contributions }) => contributions.flatMap(({ build }) => (build ? [[build.buildId, build]] : []))),
	);
}

/** With what the tag is made from, where it holds all of that. */
function withFingerprint(
	tag: PublishedTag,
	ref: string,
	parts: readonly Part[],
	unmoved: ReadonlySet<string>,
	annotations: PublishOptions["program"]["annotations"],
): PublishedTag {
	if (tag.notes.length > 0 || tag.decision !== undefined || tag.unserved !== undefined) return tag;
	if (tag.change === "held" || tag.change === "failed") return tag;
	if (parts.some(({ archTag }) => archTag !== undefined && unmoved.has(archTag))) return tag;
	const from = fingerprint(ref, parts, annotations);
	return from === undefined ? tag : { ...tag, from };
}

function counted(tags: readonly PublishedTag[]): Readonly<Record<Change, number>> {
	const counts = { created: 0, updated: 0, unchanged: 0, held: 0, failed: 0 };
	for (const { change } of tags) {
		counts[change]++;
	}
	return counts;
}
