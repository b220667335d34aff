import * as z from "zod/mini";
import type { Builds, LookupCache, QueueRecord } from "../builds/index.ts";
import { orderedEntries, orderedObject } from "../json/index.ts";
import type { Sources } from "../sources/index.ts";
import { digest as digestText, instant, line, platformString, sha256Hex } from "../plan/grammar.ts";
import { pairOf, predecessorOf, type Predecessor } from "../plan/index.ts";
import { allRecords, imageOf, ownerOf, recordsByImage } from "./order.ts";
import type { Held, PassedTest, PublishedTag, State } from "./types.ts";

/** A try of a build that did not succeed. */
export interface FailedTry {
	readonly buildId: string;
	/** Unix seconds. */
	readonly start: number;
	readonly end: number;
	/** The address of its log. */
	readonly url: string | null;
	/** Its first tag. */
	readonly identifier: string;
	/** Why it was to be built. */
	readonly reason: string;
}

/** What one run found out and did. */
export interface Happened {
	readonly sources: Sources;
	readonly builds: Builds;
	readonly cache: LookupCache;
	readonly tries: readonly FailedTry[];
	/** Ids of builds that were made since `builds` was computed. */
	readonly built: ReadonlySet<string>;
	/** What tags hold now, by full tag (`NAME:TAG`); without what was not looked at. */
	readonly tags: Readonly<Record<string, Omit<PublishedTag, "when" | "before">>>;
	/**
	 * What defined tags are made from now (`fingerprint` of publish), by full tag. Of one that was made from something else, and is
	 * not among `tags`, it is not known any more what it was made from: it may have been moved. Default: nothing.
	 */
	readonly defined?: ReadonlyMap<string, string | undefined>;
	/** What tests of this run said of images. Default: nothing. */
	readonly tests?: readonly Tested[];
	/** ISO 8601, UTC. */
	readonly when: string;
}

/** What a test said of an image of a build. */
export interface Tested {
	readonly buildId: string;
	readonly digest: string;
	readonly passed: boolean;
	/** ISO 8601, UTC. */
	readonly when: string;
	readonly log: string | null;
}

/** In seconds, so long stays what is known of a build that a run does not know: an older or a newer library may have it. */
const keptUnknown = 30 * 24 * 3600;

/**
 * The state after a run. Decisions stay as they are; a try that is known already counts once; of tags that hold what they
 * held the time stays, so that only what changed changes a file. Tries of builds that this run does not know stay for 30 days
 * after the last of them: it may be an old run that was started again, or a laptop beside the workflow.
 */
export function remember(state: State, happened: Happened): State {
	const records = new Map(orderedEntries(allRecords(state.queue)));
	// The clock of deadlines starts when a build was first seen to be missing, also where no machine ever takes it.
	const seen = Math.floor(Date.parse(happened.when) / 1000);
	for (const { buildId, build } of Object.values(happened.builds)) {
		if (build.resolved === null && !happened.built.has(buildId) && !records.has(buildId)) {
			records.set(buildId, { count: 0, firstTime: seen });
		}
	}
	for (const attempt of happened.tries) {
		const before: QueueRecord = records.get(attempt.buildId) ?? { count: 0 };
		if (isKnown(attempt, before)) continue;
		records.set(attempt.buildId, {
			...before,
			count: before.count + 1,
			lastTime: attempt.end,
			firstTime: before.firstTime ?? attempt.start,
			...(attempt.url === null ? {} : { url: attempt.url }),
			identifier: attempt.identifier,
			skip: false,
			reason: before.reason ?? attempt.reason,
		});
	}
	for (const id of happened.built) records.delete(id);
	return {
		sources: happened.sources,
		builds: happened.builds,
		cache: happened.cache,
		replaced: replacedAfter(state, happened),
		queue: withUnknown(recordsByImage(orderedObject([...records]), happened.builds), state, happened.builds, seen),
		published: publishedAfter(state.published, happened),
		tested: testedAfter(state.tested, happened, seen),
		decisions: state.decisions,
	};
}

/** Whether a try is the last one that is known, or an older one. Of two that end in the same second the log tells them apart. */
function isKnown({ end, url }: FailedTry, before: QueueRecord): boolean {
	if (typeof before.lastTime !== "number" || before.lastTime < end) return false;
	return before.lastTime > end || url === null || url === before.url;
}

/** Adds the records of builds that are not among these, as long as they are kept, where they were. `now` in Unix seconds. */
function withUnknown(queue: State["queue"], before: State, builds: Builds, now: number): State["queue"] {
	const images = new Map(orderedEntries(queue));
	for (const [image, records] of orderedEntries(before.queue)) {
		const unknown = orderedEntries(records).filter(([id, { lastTime, firstTime }]) => {
			const last = Math.max(lastTime ?? -Infinity, firstTime ?? -Infinity);
			return !Object.hasOwn(builds, id) && now - last <= keptUnknown;
		});
		if (unknown.length === 0) continue;
		images.set(image, orderedObject([...orderedEntries(images.get(image) ?? {}), ...unknown]));
	}
	return orderedObject([...images]);
}

/** All that was built and is known: what the next builds can be compared with. */
export function predecessors({ builds, replaced }: Pick<State, "builds" | "replaced">): readonly Predecessor[] {
	const built = Object.values(builds).filter(({ build }) => build.resolved !== null);
	// Later ones count: what is there is newer than what it replaced.
	return [...Object.values(replaced).flat(), ...built.map(predecessorOf)];
}

/** What the builds that are not there will replace: it stands in no list of builds any more. */
function replacedAfter(before: State, { sources, builds }: Happened): State["replaced"] {
	const there = new Set(
		Object.values(builds).flatMap(({ build }) => (build.resolved === null ? [] : [pairOf(build.sourceId, build.arch)])),
	);
	const byTag = new Map(
		predecessors(before).flatMap((one) => one.tags.map((tag) => [`${one.arch} ${tag}`, one] as const)),
	);
	const images = new Map<string, Predecessor[]>();
	for (const [sourceId, source] of orderedEntries(sources)) {
		for (const [arch, { tags }] of orderedEntries(source.arches)) {
			if (there.has(pairOf(sourceId, arch))) continue;
			const found = tags.map((tag) => byTag.get(`${arch} ${tag}`)).find((one) => one !== undefined);
			if (found === undefined) continue;
			const image = ownerOf(source);
			const known = images.get(image);
			if (known === undefined) images.set(image, [found]);
			else known.push(found);
		}
	}
	return orderedObject([...images]);
}

const soundTest = z.object({ digest: digestText, when: instant, log: z.nullable(line) });

/**
 * The digests that passed: a test that did not takes the word of an earlier one back. Those that nothing known is built as stay
 * for as long as what is known of other builds does. `now` in Unix seconds.
 */
function testedAfter(before: State["tested"], { builds, tests = [] }: Happened, now: number): State["tested"] {
	const images = new Map(orderedEntries(before).map(([image, known]) => [image, new Map(orderedEntries(known))]));
	for (const { buildId, digest, passed, when, log } of tests) {
		const build = Object.hasOwn(builds, buildId) ? builds[buildId] : undefined;
		if (build === undefined || !soundTest.safeParse({ digest, when, log }).success) continue;
		const image = ownerOf(build.source);
		const ofImage = images.get(image) ?? new Map<string, PassedTest>();
		images.set(image, ofImage);
		if (passed) ofImage.set(digest, { when, ...(log === null ? {} : { log }) });
		else ofImage.delete(digest);
	}
	const there = new Set(
		Object.values(builds).flatMap(({ build }) => (build.resolved?.manifests ?? []).map(({ digest }) => digest)),
	);
	return orderedObject(
		[...images].flatMap(([image, ofImage]) => {
			const kept = [...ofImage].filter(
				([digest, { when }]) => there.has(digest) || now - Date.parse(when) / 1000 <= keptUnknown,
			);
			return kept.length === 0 ? [] : [[image, orderedObject(kept)] as const];
		}),
	);
}

const sound = z.object({ digest: digestText, platforms: z.array(platformString), from: z.optional(sha256Hex) });
/** As far back as a tag can be taken. */
const maxBefore = 5;

function withoutFrom(tag: PublishedTag): PublishedTag {
	const { from: _, ...others } = tag;
	return others;
}

function heldBy({ digest, platforms, when }: PublishedTag): Held {
	return { digest, platforms, when };
}

function publishedAfter(before: State["published"], { tags, defined = new Map(), when }: Happened): State["published"] {
	const isMadeSo = (tag: string, { from }: PublishedTag): boolean =>
		from === undefined || !defined.has(tag) || defined.get(tag) === from;
	const images = new Map(
		orderedEntries(before).map(([image, known]) => [
			image,
			new Map(orderedEntries(known).map(([tag, one]) => [tag, isMadeSo(tag, one) ? one : withoutFrom(one)])),
		]),
	);
	for (const [tag, { digest, platforms, from }] of orderedEntries(tags)) {
		// A report may be anybody's: what is none of a tag's must not keep all the rest from being written.
		if (!sound.safeParse({ digest, platforms, from }).success) continue;
		const image = imageOf(tag);
		const ofImage = images.get(image) ?? new Map<string, PublishedTag>();
		images.set(image, ofImage);
		const known = ofImage.get(tag);
		const same = known?.digest === digest && known.platforms.join() === platforms.join();
		const earlier = same ? known.before : known && [heldBy(known), ...(known.before ?? [])].slice(0, maxBefore);
		ofImage.set(tag, {
			digest,
			platforms,
			when: same ? known.when : when,
			...(from === undefined ? {} : { from }),
			...(earlier === undefined ? {} : { before: earlier }),
		});
	}
	return orderedObject([...images].map(([image, ofImage]) => [image, orderedObject([...ofImage])]));
}
