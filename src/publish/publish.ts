import { limit, restrictedTo, type Builds } from "../builds/index.ts";
import type { Io } from "../io/types.ts";
import type { Sources } from "../sources/types.ts";
import { publishArchTags } from "./archTags.ts";
import { joinTag, type Joined } from "./join.ts";
import { partsOfTags } from "./parts.ts";
import { push, type PushOutcome } from "./push.ts";
import { readStaged } from "./staged.ts";
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
 * `io.signal` is aborted, all that were not reached.
 */
export async function publish(
	input: PublishInput,
	io: Pick<Io, "signal">,
	options: PublishOptions,
): Promise<PublishResult> {
	const limited = limit(options.concurrency ?? 16, io.signal, { keepGoing: true });
	const lookup: typeof options.lookup = (reference) => limited(() => options.lookup(reference));
	const head: typeof options.client.headManifest = (reference) => limited(() => options.client.headManifest(reference));
	const read = async (reference: string, arch: string) => {
		const index = await lookup(reference);
		return (index && restrictedTo(index, arch, options.program.annotations.architecture))?.manifests ?? [];
	};
	const tags = partsOfTags(input.sources, input.builds);
	const staged = await readStaged(input.builds, read, options);
	const archTags = await publishArchTags([...tags.values()].flat(), staged, read, io, options);
	const context = { staged, archTags, read, lookup, head, options };
	const joined = await Promise.all([...tags].map(([tag, parts]) => joinTag(tag, parts, context)));
	const results = options.dryRun === true ? joined.map(({ tag }) => tag) : await pushJoined(joined, io, options);
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
	};
}

/** Pushes the indexes that changed, those that are the same together. */
async function pushJoined(
	joined: readonly Joined[],
	io: Pick<Io, "signal">,
	options: PublishOptions,
): Promise<readonly PublishedTag[]> {
	const objects = new Map<
		string,
		{ type: "manifest"; refs: string[]; lookup: Record<string, string>; data: NonNullable<Joined["object"]>["data"] }
	>();
	for (const { ref, tag, object } of joined) {
		if (object !== undefined) {
			const same = objects.get(tag.digest!);
			if (same === undefined) {
				objects.set(tag.digest!, { type: "manifest", refs: [ref], ...object, lookup: { ...object.lookup } });
			} else {
				same.refs.push(ref);
				Object.assign(same.lookup, object.lookup);
			}
		}
	}
	const { outcomes } = await push([...objects.values()], options.client, { ...options, signal: io.signal });
	const byRef = new Map(outcomes.map((outcome) => [outcome.ref, outcome]));
	return joined.map(({ ref, tag }) => afterPush(tag, byRef.get(ref)));
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
