import { createHash } from "node:crypto";
import type { PublishedTag as Published } from "../state/types.ts";
import type { Part } from "./parts.ts";

/** By full tag (`NAME:TAG`): what earlier runs published. */
export type Ledger = Readonly<Record<string, Published>>;

/**
 * The SHA-256 of what a tag (`ref`: as it is pushed) is made from: its builds by architecture, with what is known to be staged
 * of them, and the annotation that says which is whose. Undefined where something that is defined is not staged: then the tag has
 * to be looked at.
 */
export function fingerprint(
	ref: string,
	parts: readonly Part[],
	annotations: { readonly architecture: string },
): string | undefined {
	const hash = createHash("sha256");
	hash.update(`${ref}\n${annotations.architecture}\n`);
	for (const { arch, archTag, contributions } of parts) {
		hash.update(`${arch} ${archTag ?? ""}\n`);
		for (const { build } of contributions) {
			if (build === undefined || build.build.resolved === null) return undefined;
			const digests = build.build.resolved.manifests.map(({ digest }) => digest);
			hash.update(`${build.buildId} ${digests.join(" ")}\n`);
		}
	}
	return hash.digest("hex");
}

/**
 * The sample of one hour is one of so many: with as many that changed lately, and their tokens, 1 % of requests. A prime, so that
 * runs every so many hours come to all of them.
 */
const slots = 401;
const hour = 3_600_000;
const recently = 24 * hour;

/**
 * Those of the tags that a run has nothing to do for, but asks the registry about all the same: some that changed within a
 * day, and a sample that is another one each hour, so that all of them come round. `now`: Unix milliseconds.
 */
export function sampleOf(tags: readonly string[], ledger: Ledger, now: number): ReadonlySet<string> {
	const fresh = tags
		.filter((tag) => now - Date.parse(ledger[tag]!.when) < recently)
		.toSorted((a, b) => Date.parse(ledger[b]!.when) - Date.parse(ledger[a]!.when))
		.slice(0, Math.floor(tags.length / slots));
	// Evenly spread, and the same place as long as the tags are the same.
	const turn = tags
		.map((tag) => [createHash("sha256").update(tag).digest("hex"), tag] as const)
		.toSorted(([a], [b]) => (a < b ? -1 : 1))
		.filter((_, place) => place % slots === Math.floor(now / hour) % slots);
	return new Set([...fresh, ...turn.map(([, tag]) => tag)]);
}
