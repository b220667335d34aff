import { limit } from "../builds/index.ts";
import { BrewlineError } from "../errors.ts";
import { counted, printable } from "../io/printable.ts";
import type { Io } from "../io/types.ts";
import {
	canonicalReference,
	parseReference,
	printReference,
	repositoryOf,
	type Platform,
	type Reference,
} from "../oci/index.ts";
import { asReferrer } from "../registry/referrers.ts";
import type { RegistryClient } from "../registry/types.ts";
import { childrenOf, type Child } from "./children.ts";
import { openCopySource, type Artifact, type CopySource } from "./copySource.ts";
import { asError } from "./push.ts";
import {
	addressed,
	byDigest,
	putContent,
	transfer,
	worthAsking,
	type BlobOutcome,
	type ManifestContent,
} from "./transfer.ts";

export interface CopyOptions {
	readonly client: RegistryClient;
	/**
	 * Of an index only the images for these, with their attestations, as a new index in normal form. Default: all there is,
	 * byte for byte.
	 */
	readonly platforms?: readonly Platform[];
	/** False: without the artifacts that name what is copied as their `subject` and stand in no index. Default: true. */
	readonly referrers?: boolean;
	/** Say what would be copied, and change nothing. */
	readonly dryRun?: boolean;
	/** Blobs under way at a time; as many more may be sent and not stored yet. Default: 3. */
	readonly blobs?: number;
}

export interface CopyAmount {
	readonly manifests: number;
	readonly blobs: number;
	/** Of both. */
	readonly bytes: number;
}

/** What became of one target; in a dry run: what would. */
export interface CopiedTarget {
	readonly reference: string;
	/** `present`: nothing had to be done. */
	readonly state: "copied" | "present" | "failed";
	/** Sent: from another registry, or manifests. */
	readonly copied: CopyAmount;
	/** Taken over from another repository of the same registry. */
	readonly mounted: CopyAmount;
	/** Found there. What a manifest that was found points at is not looked at, and not counted. */
	readonly present: CopyAmount;
	/** Only of what failed. */
	readonly error?: BrewlineError;
}

export interface CopyResult {
	readonly source: string;
	/** Of what stands at the targets. */
	readonly digest: string;
	/** In the order in which they were given. */
	readonly targets: readonly CopiedTarget[];
}

/** Questions about manifests at a time. */
const questionsAtOnce = 8;
const blobsAtOnce = 3;
const maxDepth = 8;

/**
 * Copies what a tag or digest is to other repositories and registries, byte for byte: an index with all of its images and
 * attestations, and the artifacts that have any of them as their subject. Children come before parents, subjects before
 * artifacts, and the tag last, so that one that is ended leaves no tag that points at something incomplete. Layers are
 * mounted on the same host, and streamed between hosts. Targets come one after another; one that fails keeps no other from
 * being copied. Throws `reference` where the source is not there, or has none of the platforms.
 * @param targets Each with a tag, or by its digest where it has none.
 */
export async function copyImage(
	source: string,
	targets: readonly string[],
	io: Pick<Io, "signal" | "log" | "clock">,
	options: CopyOptions,
): Promise<CopyResult> {
	const parsed = targets.map((target) => parseReference(target));
	const from = await openCopySource(parseReference(source), io, { ...options, questionsAtOnce });
	for (const target of parsed) {
		if (target.digest !== undefined && target.digest !== from.root.digest) {
			throw new BrewlineError(
				"reference",
				`${printReference(target)} names another digest than what is copied, ${from.root.digest}`,
			);
		}
	}
	const copyTo = copier(from, io, options);
	const copied: CopiedTarget[] = [];
	for (const [number, { digest: _, ...target }] of parsed.entries())
		copied.push(await copyTo(target, targets[number]!));
	return { source: printReference(from.reference), digest: from.root.digest, targets: copied };
}

/** Copies to one target after another; what is known of one of them is not asked again for the next. */
function copier(
	source: CopySource,
	io: Pick<Io, "signal" | "log" | "clock">,
	{ client, referrers = true, dryRun = false, blobs: atOnce = blobsAtOnce }: CopyOptions,
): (target: Reference, name: string) => Promise<CopiedTarget> {
	const transfers = transfer(client);
	const { root } = source;
	const origin = canonicalReference(source.repository);
	/** Blobs and manifests that are known to be in a repository. */
	const known = new Set<string>();
	/** Artifacts that were brought to a repository, and are listed there. */
	const listed = new Set<string>();
	/** By host and digest: a repository that has the blob. */
	const holders = new Map<string, Reference>();

	return async (target, name) => {
		const repository = repositoryOf(target);
		const place = canonicalReference(repository);
		const questions = limit(questionsAtOnce, io.signal);
		const transfersAtOnce = limit(atOnce, io.signal);
		// While the registry stores what it has been sent, which takes many as long as the sending, others are under way.
		const unstored = limit(2 * atOnce, io.signal);
		const progress = progressOf(name, io);
		const amounts = { copied: amount(), mounted: amount(), present: amount() };
		const keyOf = (digest: string): string => `${place}@${digest}`;
		/** Manifests that were put in this call. */
		const brought = new Set<string>();

		const put = async (at: Reference, content: ManifestContent): Promise<void> => {
			if (!dryRun) await putContent(client, at, content);
			known.add(keyOf(content.digest));
			if (asReferrer(content) !== undefined) listed.add(keyOf(content.digest));
			if (brought.has(content.digest)) return;
			brought.add(content.digest);
			amounts.copied.manifests++;
			amounts.copied.bytes += content.bytes.length;
		};

		const foresee = async (blob: Child, holder: Reference): Promise<BlobOutcome> => {
			if (holder.host === repository.host) return "mounted";
			return blob.size > worthAsking && (await client.hasBlob(repository, blob.digest)) ? "present" : "copied";
		};

		const bringBlob = async (blob: Child, onRead: () => void): Promise<void> => {
			const key = `${repository.host} ${blob.digest}`;
			const holder = holders.get(key) ?? source.repository;
			const outcome = dryRun
				? await foresee(blob, holder)
				: await transfers.ensureBlob(repository, blob, holder, onRead);
			known.add(keyOf(blob.digest));
			if (outcome !== "nowhere") {
				holders.set(key, repository);
				amounts[outcome].blobs++;
				amounts[outcome].bytes += blob.size;
			}
		};

		/** The manifests of those at or below one that are not there, with their content. */
		const collect = async (child: Child, missing: Map<string, ManifestContent>, depth = 0): Promise<void> => {
			if (place === origin && child.digest !== root.digest) known.add(keyOf(child.digest));
			if (known.has(keyOf(child.digest)) || missing.has(child.digest)) return;
			if (depth > maxDepth) {
				throw new BrewlineError("registry", `${printReference(source.reference)} nests indexes too deeply`);
			}
			const found = await questions(() => client.headManifest(byDigest(repository, child.digest)));
			if (found?.size === child.size) {
				known.add(keyOf(child.digest));
				amounts.present.manifests++;
				amounts.present.bytes += child.size;
				return;
			}
			const content = await questions(() => source.read(child));
			missing.set(child.digest, content);
			const { manifests } = childrenOf(content.bytes, content.digest);
			await allOf(manifests.map((next) => collect(next, missing, depth + 1)));
		};

		/** Has all below a manifest in the repository, and those that are missing put by their digest, it itself last. */
		const bring = async (top: Child, putTop: boolean): Promise<void> => {
			const missing = new Map<string, ManifestContent>();
			await collect(top, missing);
			const ordered = childrenFirst(missing);
			const needed = new Map(
				ordered.flatMap(({ bytes, digest }) =>
					childrenOf(bytes, digest).blobs.map((blob): [string, Child] => [blob.digest, blob]),
				),
			);
			const blobs = [...needed.values()].filter(({ digest }) => place !== origin && !known.has(keyOf(digest)));
			progress.expect(blobs);
			await allOf(
				blobs.map((blob) =>
					unstored(() =>
						transfersAtOnce(async (leave) => {
							await bringBlob(blob, leave);
							progress.done(blob);
						}),
					),
				),
			);
			const putting = new Map<string, Promise<void>>();
			for (const content of ordered) {
				if (!putTop && content.digest === top.digest) continue;
				const first = needsFirst(content).flatMap((digest) => putting.get(digest) ?? []);
				const at = byDigest(repository, content.digest);
				putting.set(
					content.digest,
					allOf(first).then(() => questions(() => put(at, content))),
				);
			}
			await allOf([...putting.values()]);
		};

		const bringArtifacts = async (artifacts: readonly Artifact[]): Promise<void> => {
			const asked = new Set<string>();
			for (const { subject, artifact, below } of artifacts) {
				const key = keyOf(artifact.digest);
				if (!listed.has(key) && !brought.has(subject) && !asked.has(subject)) {
					asked.add(subject);
					const found = new Set((await client.listReferrers({ ...repository, digest: subject })).map(digestOf));
					for (const there of artifacts.filter((one) => one.subject === subject && found.has(one.artifact.digest))) {
						listed.add(keyOf(there.artifact.digest));
						if (there.below) continue;
						amounts.present.manifests++;
						amounts.present.bytes += there.artifact.size;
					}
				}
				if (listed.has(key)) continue;
				if (!below) await bring(artifact, false);
				// One that is there and not listed is put again: that has it listed.
				await put(byDigest(repository, artifact.digest), await source.read(artifact));
			}
		};

		try {
			progress.start();
			const before = await client.headManifest(addressed(target, root.digest));
			const same = before?.digest === root.digest && before.size === root.size;
			// Artifacts are already where the source is.
			const artifacts = referrers && place !== origin ? await source.artifacts() : [];
			if (same) {
				known.add(keyOf(root.digest));
				amounts.present.manifests++;
				amounts.present.bytes += root.size;
			} else {
				const early = target.tag === undefined || artifacts.some(({ subject }) => subject === root.digest);
				await bring(root, early);
			}
			await bringArtifacts(artifacts);
			if (!same && target.tag !== undefined) await put(target, await source.read(root));
			const state = same && brought.size === 0 ? "present" : "copied";
			progress.end(state, `${amountsText(amounts)}${dryRun ? " (dry run)" : ""}`);
			return { reference: printReference(target), state, ...amounts };
		} catch (cause) {
			const error = asError(cause);
			progress.end(error.code === "cancelled" ? "cancelled" : "failed", printable(error.message, 500));
			return { reference: printReference(target), state: "failed", ...amounts, error };
		}
	};
}

/** Children before parents, subjects before what names them; else in the order in which they were found. */
function childrenFirst(contents: ReadonlyMap<string, ManifestContent>): readonly ManifestContent[] {
	const ordered = new Map<string, ManifestContent>();
	const visited = new Set<string>();
	const visit = (digest: string): void => {
		const content = contents.get(digest);
		if (content === undefined || visited.has(digest)) return;
		visited.add(digest);
		needsFirst(content).forEach(visit);
		ordered.set(digest, content);
	};
	for (const digest of contents.keys()) visit(digest);
	return [...ordered.values()];
}

/** The manifests that come before one: its children and its subject. */
function needsFirst(content: ManifestContent): readonly string[] {
	const subject = asReferrer(content)?.subject;
	return [
		...childrenOf(content.bytes, content.digest).manifests.map(digestOf),
		...(subject === undefined ? [] : [subject]),
	];
}

/** Waits for all, also where one fails: nothing goes on behind the back of who was told so. */
async function allOf(work: readonly Promise<void>[]): Promise<void> {
	for (const result of await Promise.allSettled(work)) {
		if (result.status === "rejected") throw result.reason;
	}
}

function digestOf({ digest }: { readonly digest: string }): string {
	return digest;
}

function amount(): { manifests: number; blobs: number; bytes: number } {
	return { manifests: 0, blobs: 0, bytes: 0 };
}

/** `3 manifests and 8 layers copied (1.0 GB), 2 layers mounted`. */
export function amountsText(amounts: Pick<CopiedTarget, "copied" | "mounted" | "present">): string {
	const parts = (["copied", "mounted", "present"] as const).flatMap((how) => {
		const { manifests, blobs, bytes } = amounts[how];
		const counts = [
			...(manifests > 0 ? [counted(manifests, "manifest")] : []),
			...(blobs > 0 ? [counted(blobs, "blob")] : []),
		];
		return counts.length === 0 ? [] : [`${counts.join(" and ")} ${how} (${bytesText(bytes)})`];
	});
	return parts.length === 0 ? "nothing" : parts.join(", ");
}

function bytesText(bytes: number): string {
	if (bytes < 1000) return `${bytes} B`;
	const power = Math.min(3, Math.floor(Math.log10(bytes) / 3));
	return `${(bytes / 1000 ** power).toFixed(1)} ${["B", "kB", "MB", "GB"][power]}`;
}

/** Milliseconds between two lines about one target. */
const sayEvery = 1000;

function progressOf(task: string, io: Pick<Io, "log" | "clock">) {
	let blobs = 0;
	let bytes = 0;
	let done = { blobs: 0, bytes: 0 };
	let said = io.clock.now();
	const say = (state: "running" | "copied" | "present" | "failed" | "cancelled", detail: string): void => {
		io.log({ type: "progress", task, state, detail });
	};
	return {
		start: () => say("running", "asking what is there"),
		expect: (more: readonly Child[]) => {
			blobs += more.length;
			bytes += more.reduce((sum, { size }) => sum + size, 0);
			if (more.length > 0) say("running", `${counted(blobs, "blob")}, ${bytesText(bytes)}`);
		},
		done: ({ size }: Child) => {
			done = { blobs: done.blobs + 1, bytes: done.bytes + size };
			if (io.clock.now() - said < sayEvery) return;
			said = io.clock.now();
			say("running", `${done.blobs} of ${counted(blobs, "blob")}, ${bytesText(done.bytes)} of ${bytesText(bytes)}`);
		},
		end: say,
	};
}
