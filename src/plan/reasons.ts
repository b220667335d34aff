import { buildIdOf, type Build, type QueueRecord } from "../builds/index.ts";
import { printable } from "../io/printable.ts";
import { orderedEntries } from "../json/index.ts";
import type { SourceEntry } from "../sources/types.ts";
import { archOf, entryOf } from "./annotations.ts";
import type { Predecessor } from "./predecessor.ts";

/** Who had a build made again, and why. */
export interface Forced {
	readonly text: string;
	readonly by: string;
	/** ISO 8601, UTC. */
	readonly when: string;
}

/** The paths of the files that differ between two places of the same content's history; undefined: it cannot be told. */
export type ChangedFiles = (before: SourceEntry, now: SourceEntry) => Promise<readonly string[] | undefined>;

export interface ReasonOptions {
	/** What was built before this plan; undefined: nothing is remembered. */
	readonly previous?: readonly Predecessor[];
	/** By the id that is replaced. */
	readonly forced: Readonly<Record<string, Forced>>;
	readonly changedFiles?: ChangedFiles;
}

/** How many files a reason names. */
const namedFiles = 5;

/**
 * Says in one line why a build has to be made: what changed since the build that had its tag before. `record`: what is
 * remembered of its own tries.
 */
export function reasonsOf({
	previous,
	forced,
	changedFiles,
}: ReasonOptions): (build: Build, record: QueueRecord | undefined) => Promise<string> {
	let byTag: ReadonlyMap<string, Predecessor> | undefined;
	const files = new Map<string, Promise<readonly string[] | undefined>>();

	const filesOf = (before: SourceEntry, now: SourceEntry): Promise<readonly string[] | undefined> => {
		const key = JSON.stringify([before, now].map((entry) => [entry.GitRepo, entry.GitCommit, entry.Directory]));
		const known = files.get(key) ?? changedFiles?.(before, now) ?? Promise.resolve(undefined);
		files.set(key, known);
		return known;
	};

	const contentOf = async (before: Predecessor, now: Build): Promise<string> => {
		const [old, entry] = [before.entry, entryOf(now)];
		if (before.checksum === now.source.reproducibleGitChecksum) {
			const changes = (["File", "Builder"] as const).filter((key) => old[key] !== entry[key]);
			return `built in another way: ${changes.map((key) => `${key} ${shown(old[key])} → ${shown(entry[key])}`).join(", ")}`;
		}
		const from = `${old.GitCommit.slice(0, 12)} → ${entry.GitCommit.slice(0, 12)}`;
		const paths = await filesOf(old, entry);
		if (paths === undefined || paths.length === 0) return `new content: ${from}`;
		const more = paths.length > namedFiles ? ` and ${paths.length - namedFiles} more` : "";
		const names = paths.slice(0, namedFiles).map((file) => printable(file, 100));
		return `new content: ${names.join(", ")}${more} (${from})`;
	};

	return async (build, record) => {
		const tries = record === undefined || record.count === 0 ? "" : `; ${triesOf(record)}`;
		const decided = build.build.force === undefined ? undefined : decisionOf(build, forced);
		if (decided !== undefined) return line(`forced by ${decided.by}, ${decided.when}: ${decided.text}${tries}`);
		// What it replaced is not known any more once it was planned.
		if (record?.reason !== undefined) return line(`${record.reason}${tries}`);
		if (previous === undefined) return line(unremembered(build, tries));
		byTag ??= byTagOf(previous);
		const before = archOf(build)
			.tags.map((tag) => byTag!.get(`${build.build.arch} ${tag}`))
			.find((found) => found !== undefined);
		if (before === undefined) return line(`never built for ${build.build.arch}${tries}`);
		if (before.buildId === build.buildId) {
			return line(`built before, and not in the staging repository any more${tries}`);
		}
		const entry = entryOf(build);
		const changed =
			before.checksum !== build.source.reproducibleGitChecksum ||
			before.entry.File !== entry.File ||
			before.entry.Builder !== entry.Builder;
		const changes = [...(changed ? [await contentOf(before, build)] : []), ...movedParents(before, build)];
		if (changes.length === 0) changes.push("the forced build that stood here is not in force any more");
		return line(`${changes.join("; ")}${tries}`);
	};
}

/** `tried 2 times without success, last 2026-01-01T00:00:00Z (URL)`. */
export function triesOf({ count, lastTime, url }: QueueRecord): string {
	const times = count === 1 ? "once" : `${count} times`;
	const last = typeof lastTime === "number" ? `, last ${timeOf(lastTime)}` : "";
	return `tried ${times} without success${last}${url === undefined ? "" : ` (${printable(url, 500)})`}`;
}

/** Unix seconds as ISO 8601, UTC. */
export function timeOf(seconds: number): string {
	return `${new Date(seconds * 1000).toISOString().slice(0, 19)}Z`;
}

function unremembered(build: Build, tries: string): string {
	const parents = Object.keys(build.build.parents);
	if (parents.length === 0) return `this content was never built${tries}`;
	return `this content was never built on what ${parents.join(", ")} ${parents.length === 1 ? "is" : "are"} now${tries}`;
}

function movedParents(before: Predecessor, now: Build): string[] {
	const short = (digest: string): string => digest.slice(0, "sha256:".length + 12);
	return orderedEntries(now.build.parents).flatMap(([from, digest]) => {
		const old = before.parents[from];
		if (old === digest) return [];
		return [
			old === undefined
				? `is built on ${printable(from, 200)} now`
				: `${printable(from, 200)} moved: ${short(old)} → ${short(digest)}`,
		];
	});
}

/** The decision that gave a build its text: the last one of those that replaced one another; undefined: it is not forced. */
export function decisionOf({ buildId, build }: Build, forced: ReasonOptions["forced"]): Forced | undefined {
	const { sourceId, arch, parents } = build;
	let id = buildIdOf({ sourceId, arch, parents });
	let decision: Forced | undefined;
	for (let left = Object.keys(forced).length; left > 0 && id !== buildId; left--) {
		decision = Object.hasOwn(forced, id) ? forced[id] : undefined;
		if (decision === undefined) return undefined;
		id = buildIdOf({ sourceId, arch, parents, force: decision.text });
	}
	return id === buildId ? decision : undefined;
}

function byTagOf(previous: readonly Predecessor[]): ReadonlyMap<string, Predecessor> {
	return new Map(previous.flatMap((one) => one.tags.map((tag) => [`${one.arch} ${tag}`, one] as const)));
}

function shown(text: string): string {
	return text === "" ? "none" : printable(text, 100);
}

/** Fit for the grammar of hand-over files. */
function line(text: string): string {
	return text.replaceAll(/\p{Cc}/gu, " ").slice(0, 4000);
}
