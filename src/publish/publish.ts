import { limit, restrictedTo, type Builds } from "../builds/index.ts";
import type { Io } from "../io/types.ts";
import { parseReference, repositoryOf, withDigest } from "../oci/index.ts";
import { counter } from "./progress.ts";
import { readBack } from "../registry/readBack.ts";
import type { Sources } from "../sources/types.ts";
import { publishArchTags } from "./archTags.ts";
import { joinTag, type Joined } from "./join.ts";
import { fingerprint } from "./ledger.ts";
import { partsOfTags, type Part } from "./parts.ts";
import { asError, push, type PushOutcome } from "./push.ts";
import { settle } from "./settle.ts";
import { readStaged } from "./staged.ts";
import { testsOf } from "./tested.ts";
import type { Change, DeployObject, PublishOptions, PublishResult, PublishedTag } from "./types.ts";

export interface PublishInput {
	/** What is defined: a tag keeps every architecture that stands here. */
	readonly sources: Sources;
	readonly builds: Builds;
}

/**
 * Brings what is staged to the architectures' own tags, then joins these into one index for each tag
 * (spec/publish.md). Staging references are read again: of the builds nothing is believed but their ids. A tag that
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
	const settled = await settle(all, { lookup, head, options, now: io.clock.now() });
	const tags = new Map([...all].filter(([tag]) => !settled.has(tag)));
	const parts = [...tags.values()].flat();
	const staged = await readStaged(buildsOf(parts), read, options);
	const archTags = await publishArchTags(parts, staged, read, io, options);
	const context = { staged, archTags, read, lookup, head, options };
	const looked = counter(io, tags.size, "tags looked at");
	const joined = await Promise.all(
		[...all].map(async ([tag, ofTag]) => settled.get(tag) ?? (await looked(joinTag(tag, ofTag, context)))),
	);
	const pushed = options.dryRun === true ? joined.map(({ tag }) => tag) : await pushJoined(joined, io, options);
	const unmoved = new Set(archTags.why.keys());
	const results = [...all].map(([, ofTag], number) => {
		const { ref } = joined[number]!;
		return withFingerprint(pushed[number]!, ref, ofTag, unmoved, options.program.annotations);
	});
	const changes = joined.flatMap(({ ref, object }, number): DeployObject[] =>
		object === undefined || results[number]!.change === "failed" || results[number]!.change === "unchanged"
			? []
			: [{ type: "manifest", refs: [ref], ...object }],
	);
	return {
		archTags: archTags.results,
		tags: results,
		counts: counted(results),
		changes: [...archTags.changes, ...changes],
		tests: [...staged].flatMap(([{ buildId }, found]) =>
			"manifests" in found ? testsOf(buildId, found.manifests, options.tests) : [],
		),
	};
}

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

/** Pushes the indexes that changed, those that are the same together. */
async function pushJoined(
	joined: readonly Joined[],
	io: Pick<Io, "signal" | "clock" | "log">,
	options: PublishOptions,
): Promise<readonly PublishedTag[]> {
	const objects = new Map<string, DeployObject & { refs: string[]; lookup: Record<string, string> }>();
	for (const { ref, tag, object } of joined) {
		if (object !== undefined) {
			// A copy has one source.
			const key = object.data === undefined ? ref : tag.digest!;
			const same = objects.get(key);
			if (same === undefined) {
				objects.set(key, { type: "manifest", ...object, refs: [ref], lookup: { ...object.lookup } });
			} else {
				same.refs.push(ref);
				Object.assign(same.lookup, object.lookup);
			}
		}
	}
	const expected = new Map(joined.flatMap(({ ref, seen }) => (seen === undefined ? [] : [[ref, seen] as const])));
	const present = joined.flatMap(({ ref, there = [] }) =>
		there.map((digest) => withDigest(repositoryOf(parseReference(ref)), digest)),
	);
	const pushing = { ...options, expected, present, signal: io.signal };
	const { outcomes } = await push([...objects.values()], options.client, pushing);
	const byRef = new Map(outcomes.map((outcome) => [outcome.ref, outcome]));
	const limited = limit(options.concurrency ?? 16, io.signal, { keepGoing: true });
	const put = counter(io, byRef.size, "tags put");
	return Promise.all(
		joined.map(async ({ ref, tag }) => {
			const outcome = byRef.get(ref);
			const after = afterPush(tag, outcome);
			if (outcome?.state !== "pushed") return after;
			try {
				await put(limited(() => readBack(options.client, io, parseReference(ref), after.digest!)));
				return after;
			} catch (error) {
				// It was put: what cannot be read now is looked at by the next run.
				const { decision: _, ...tag } = after;
				return { ...tag, notes: [...after.notes, `could not be read back: ${asError(error).message}`] };
			}
		}),
	);
}

function afterPush(tag: PublishedTag, outcome: PushOutcome | undefined): PublishedTag {
	if (outcome === undefined || outcome.state === "pushed") {
		return tag;
	}
	if (outcome.error !== undefined) {
		return {
			...tag,
			digest: null,
			platforms: [],
			change: "failed",
			notes: [...tag.notes, outcome.error.message],
			error: outcome.error,
		};
	}
	// Another run put the same there in between.
	return { ...tag, change: "unchanged" };
}

function counted(tags: readonly PublishedTag[]): Readonly<Record<Change, number>> {
	const counts = { created: 0, updated: 0, unchanged: 0, held: 0, failed: 0 };
	for (const { change } of tags) {
		counts[change]++;
	}
	return counts;
}
