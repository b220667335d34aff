import type { Limit } from "../builds/index.ts";
import type { Io } from "../io/types.ts";
import { parseReference, repositoryOf, withDigest } from "../oci/index.ts";
import { readBack } from "../registry/readBack.ts";
import type { Joined } from "./join.ts";
import { asError, push, type PushOutcome } from "./push.ts";
import type { DeployObject, PublishOptions, PublishedTag } from "./types.ts";

/** What tags were to hold, and what became of that. */
export type Moved = Joined & { readonly result: PublishedTag };

/** Brings tags to what they are to hold; a dry run only says so. `limited`: for what is put. */
export async function move(
	joined: readonly Joined[],
	io: Pick<Io, "signal" | "clock" | "log">,
	options: PublishOptions,
	limited: Limit,
): Promise<readonly Moved[]> {
	const results =
		options.dryRun === true ? joined.map(({ tag }) => tag) : await pushJoined(joined, io, options, limited);
	return joined.map((one, number) => ({ ...one, result: results[number]! }));
}

/** Pushes the indexes that changed, those that are the same together. */
async function pushJoined(
	joined: readonly Joined[],
	io: Pick<Io, "signal" | "clock" | "log">,
	options: PublishOptions,
	limited: Limit,
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
	const pushing = { ...options, expected, present, signal: io.signal, limited };
	const { outcomes } = await push([...objects.values()], options.client, pushing);
	const byRef = new Map(outcomes.map((outcome) => [outcome.ref, outcome]));
	return Promise.all(
		joined.map(async ({ ref, tag }) => {
			const outcome = byRef.get(ref);
			const after = afterPush(tag, outcome);
			if (outcome?.state !== "pushed") return after;
			try {
				await limited(() => readBack(options.client, io, parseReference(ref), after.digest!));
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
