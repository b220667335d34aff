import { orderedEntries, orderedObject } from "../json/index.ts";
import type { Build, Builds } from "./types.ts";

/** What is remembered of the tries of one build, by build id. */
export interface QueueRecord {
	/** Tries so far. */
	readonly count: number;
	/** When its last try ended, in Unix seconds; missing or null: it was not tried, or nobody said. */
	readonly lastTime?: number | null;
	readonly firstTime?: number;
	readonly url?: string;
	/** The first tag: for people. */
	readonly identifier?: string;
	readonly skip?: boolean;
	/** Why it was to be built, when it was tried first: afterwards nothing else knows what it replaces. */
	readonly reason?: string;
}

export type QueueRecords = Readonly<Record<string, QueueRecord>>;

export interface QueuedBuild extends Build {
	readonly identifier: string;
	/** Only for Windows. */
	readonly windowsVersion?: WindowsVersion;
}

export interface Queue {
	/** Those that failed less often come first. */
	readonly queue: readonly QueuedBuild[];
	/** Of all builds that need building, whether they wait or not. */
	readonly records: QueueRecords;
	/** How many wait. */
	readonly skipped: number;
}

/** In Unix seconds, when a build may be tried again; undefined: at once. */
export function retryTime({ count, lastTime }: QueueRecord): number | undefined {
	return typeof lastTime === "number" ? lastTime + delay(count) : undefined;
}

const delayHours = [0, 0, 1, 2, 4, 8, 16, 32];

/** What one architecture is to build now; `now` in Unix seconds (spec/builds.md, The queue of an architecture). */
export function queue(builds: Builds, records: QueueRecords, arch: string, now: number): Queue {
	const entries = orderedEntries(builds)
		.filter(([, { build }]) => build.arch === arch && build.resolved === null)
		.map(([buildId, build]) => {
			const identifier = build.source.arches[arch]?.tags[0] ?? buildId;
			const before: QueueRecord = Object.hasOwn(records, buildId) ? records[buildId]! : { count: 0 };
			const skip = now < (retryTime(before) ?? now);
			const count = skip ? before.count : before.count + 1;
			return { buildId, build, identifier, skip, record: { ...before, count, identifier, skip } };
		});
	const due = entries.filter(({ skip }) => !skip).sort((a, b) => a.record.count - b.record.count);
	return {
		queue: due.map(({ build, identifier }) => {
			const windowsVersion = windowsVersionOf(build);
			return { ...build, identifier, ...(windowsVersion === null ? {} : { windowsVersion }) };
		}),
		records: orderedObject(entries.map(({ buildId, record }) => [buildId, record])),
		skipped: entries.length - due.length,
	};
}

/** Seconds. */
function delay(count: number): number {
	return delayHours[Math.min(count, delayHours.length - 1)]! * 3600;
}

export type WindowsVersion = "2025" | "2022" | "2019" | "unknown";

const windowsReleases: ReadonlyMap<string, WindowsVersion> = new Map([
	["26100", "2025"],
	["20348", "2022"],
	["17763", "2019"],
]);

/** The release that a Windows build needs its host to be, by the first parent that says one; null elsewhere. */
export function windowsVersionOf({ build }: Pick<Build, "build">): WindowsVersion | null {
	if (!build.arch.startsWith("windows-")) {
		return null;
	}
	const versions = orderedEntries(build.resolvedParents)
		.flatMap(([, index]) => index.manifests)
		.map(({ platform }) => platform?.["os.version"]);
	const version = versions.find((text) => text !== undefined && text !== "");
	const release = version === undefined ? null : /^10\.0\.(\d+)(?:\.|$)/.exec(version);
	return release === null ? null : (windowsReleases.get(release[1]!) ?? "unknown");
}
