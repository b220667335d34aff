import { Readable } from "node:stream";
import { limit, type Limit } from "../builds/index.ts";
import { BrewlineError, messageOf } from "../errors.ts";
import { canonicalReference, isIndexType, printReference, repositoryOf, type Reference } from "../oci/index.ts";
import type { RegistryClient } from "../registry/types.ts";
import { childrenOf } from "./children.ts";
import { prepare, type Prepared } from "./object.ts";
import { addressed, byDigest, transfer, type ManifestContent, type Transfer } from "./transfer.ts";
import type { DeployObject } from "./types.ts";

export interface PushOptions {
	readonly signal: AbortSignal;
	/** Report what would change, change nothing. */
	readonly dryRun?: boolean;
	/** References at a time; default 16. */
	readonly concurrency?: number;
	/** A limit that is shared with others; default: one of `concurrency`. */
	readonly limited?: Limit;
	/** By reference, as the objects have it: what it held when this was decided. One that holds anything else by now fails. */
	readonly expected?: ReadonlyMap<string, string | null>;
	/** Asked before a reference, as the objects have it, that holds something else is moved: why it is not. Default: it is. */
	readonly mayNot?: (ref: string) => Promise<string | undefined>;
	/**
	 * Whether the artifacts that have a manifest below what is pushed as their `subject` come along, each behind it: a question
	 * for each manifest that is brought. Default: no.
	 */
	readonly referrers?: boolean;
	/** Manifests that this run has seen in the registry, by their digests: they are not asked for again. */
	readonly present?: readonly Reference[];
}

/** So many manifests are brought before an index is read to spare some of them. */
const worthReading = 2;

export interface PushOutcome {
	/** As the object has it. */
	readonly ref: string;
	/** Null where a copy's source could not be read. */
	readonly digest: string | null;
	/** `pushed`, in a dry run: would be. */
	readonly state: "pushed" | "present" | "failed" | "held";
	/** Whether the reference held something else, or nothing, before; only of what is pushed. */
	readonly before?: "other" | "nothing";
	/** Only of what is held: why. */
	readonly note?: string;
	/** Only of what failed. */
	readonly error?: BrewlineError;
}

export interface PushResult {
	/** In the order of objects and refs. */
	readonly outcomes: readonly PushOutcome[];
	/** What changed, or would, as objects of one ref each, which are valid input. */
	readonly changes: readonly DeployObject[];
}

/**
 * Brings manifests and blobs to their references (spec/publish.md, Push algorithm): what is there already is left
 * alone, children come before parents, also between objects, and the first of several references with one digest in
 * a repository comes before the others. A reference that fails keeps none but its own object's others from being
 * pushed. Throws `handover`, before anything is asked, where an object does not agree with itself.
 */
export async function push(
	objects: readonly DeployObject[],
	client: RegistryClient,
	options: PushOptions,
): Promise<PushResult> {
	const prepared = objects.map(prepare);
	const limited = options.limited ?? limit(options.concurrency ?? 16, options.signal, { keepGoing: true });
	const transfers = transfer(client, options);
	for (const { digest = "", ...repository } of options.present ?? []) {
		transfers.know(repository, digest);
	}
	const ofDigest = Map.groupBy(prepared, ({ digest }) => digest ?? "");
	const done = new Map<Prepared, Promise<PushOutcome[]>>();
	const firsts = new Map<string, Promise<PushOutcome>>();
	/** Failures that are one reference's own. */
	const overtaken = new WeakSet<BrewlineError>();

	/** Brings one reference about, unless this is a dry run; what it held before. */
	const bring = async (item: Prepared, number: number, content: () => Promise<Resolved>) => {
		const target = item.targets[number]!;
		if (item.type === "blob") {
			if (await client.hasBlob(target, item.digest!)) {
				return { digest: item.digest!, before: "same" as const, why: undefined };
			}
			if (options.dryRun !== true) {
				await pushBlob(client, transfers, target, item);
			}
			return { digest: item.digest!, before: "nothing" as const, why: undefined };
		}
		const resolved = await content();
		const found = await client.headManifest(addressed(target, resolved.digest));
		const before = compare(found, resolved);
		const expected = options.expected?.get(item.object.refs[number]!);
		if (before !== "same" && expected !== undefined && expected !== (found?.digest ?? null)) {
			const error = new BrewlineError(
				"registry",
				`it held ${expected ?? "nothing"} when this was decided, and now ${found?.digest ?? "nothing"}: somebody else publishes it, too`,
				{ hint: "let one run at a time publish; the next one looks again" },
			);
			overtaken.add(error);
			throw error;
		}
		const why = before === "other" ? await options.mayNot?.(item.object.refs[number]!) : undefined;
		if (why !== undefined) {
			return { digest: resolved.digest, before, why };
		}
		if (before !== "same" && options.dryRun !== true) {
			await learnFrom(found, item, target);
			await transfers.putManifest(target, await resolved.manifest(), item.find);
		}
		return { digest: resolved.digest, before, why: undefined };
	};

	/** What the index that is replaced has is there; reading it pays where there is more than a little to bring. */
	const learnFrom = async (found: Found, { children }: Prepared, target: Reference): Promise<void> => {
		const unknown = children.filter((digest) => !transfers.isKnown(target, digest));
		if (found === undefined || !isIndexType(found.mediaType) || unknown.length <= worthReading) {
			return;
		}
		const index = await client.getManifest(byDigest(target, found.digest));
		for (const { digest } of index === undefined ? [] : childrenOf(index.bytes, index.digest).manifests) {
			transfers.know(target, digest);
		}
	};

	const pushOne = async (item: Prepared, number: number, content: () => Promise<Resolved>): Promise<PushOutcome> => {
		const ref = item.object.refs[number]!;
		try {
			const { digest, before, why } = await limited(() => bring(item, number, content));
			if (why !== undefined) return { ref, digest, state: "held", note: why };
			return before === "same" ? { ref, digest, state: "present" } : { ref, digest, state: "pushed", before };
		} catch (error) {
			return { ref, digest: item.digest ?? null, state: "failed", error: asError(error) };
		}
	};

	const pushObject = async (item: Prepared, children: readonly Prepared[]): Promise<PushOutcome[]> => {
		await Promise.all(children.map((child) => run(child)));
		const content = memo(() => resolve(client, item));
		return Promise.all(
			item.targets.map(async (target, number) => {
				const key = `${canonicalReference(repositoryOf(target))}@${item.digest ?? `object ${prepared.indexOf(item)}`}`;
				const first = firsts.get(key);
				if (first === undefined) {
					const started = pushOne(item, number, content);
					firsts.set(key, started);
					return started;
				}
				const outcome = await first;
				// What failed for one reference fails for the others: they are not asked for one by one.
				const isOwn = outcome.error !== undefined && overtaken.has(outcome.error);
				if (outcome.state === "failed" && !isOwn && item.object.refs.includes(outcome.ref)) {
					return { ...outcome, ref: item.object.refs[number]! };
				}
				return pushOne(item, number, content);
			}),
		);
	};

	const run = (item: Prepared): Promise<PushOutcome[]> => {
		const before = done.get(item);
		if (before !== undefined) {
			return before;
		}
		// No circle is possible: an object's children are named by digest.
		const started = pushObject(
			item,
			item.children.flatMap((digest) => ofDigest.get(digest) ?? []),
		);
		done.set(item, started);
		return started;
	};

	const outcomes = await Promise.all(prepared.map(run));
	return {
		outcomes: outcomes.flat(),
		changes: outcomes.flatMap((ofObject, number) =>
			ofObject.filter(({ state }) => state === "pushed").map(({ ref }) => ({ ...objects[number]!, refs: [ref] })),
		),
	};
}

interface Resolved {
	readonly digest: string;
	readonly size: number;
	readonly manifest: () => Promise<ManifestContent>;
}

/** What a manifest is: its own data, or what stands at its source now, the same for all of its refs. */
async function resolve(client: RegistryClient, { content, digest }: Prepared): Promise<Resolved> {
	if ("bytes" in content) {
		const manifest = { digest: digest!, mediaType: content.mediaType, bytes: content.bytes };
		return { digest: digest!, size: content.bytes.length, manifest: () => Promise.resolve(manifest) };
	}
	const { copyFrom } = content;
	const source = await client.headManifest(copyFrom);
	if (source === undefined) {
		throw notThere(copyFrom);
	}
	const manifest = memo(async () => {
		const found = await client.getManifest(byDigest(copyFrom, source.digest));
		if (found === undefined) {
			throw notThere(copyFrom);
		}
		return { digest: source.digest, mediaType: found.mediaType, bytes: found.bytes };
	});
	return { digest: source.digest, size: source.size, manifest };
}

type Before = "same" | "other" | "nothing";

type Found = Awaited<ReturnType<RegistryClient["headManifest"]>>;

function compare(found: Found, { digest, size }: Resolved): Before {
	if (found === undefined) {
		return "nothing";
	}
	return found.digest === digest && found.size === size ? "same" : "other";
}

async function pushBlob(
	client: RegistryClient,
	transfers: Transfer,
	target: Reference,
	{ content, digest }: Prepared,
): Promise<void> {
	if ("bytes" in content) {
		const { bytes } = content;
		const blob = { digest: digest!, size: bytes.length };
		await client.putBlob(target, blob, () => Readable.from([bytes], { objectMode: false }));
	} else {
		const { copyFrom } = content;
		const size = await client.blobSize(copyFrom, digest!);
		if (size === undefined) {
			throw notThere(copyFrom);
		}
		await transfers.ensureBlob(target, { digest: digest!, size }, copyFrom);
	}
}

function notThere(reference: Reference): BrewlineError {
	return new BrewlineError("reference", `${printReference(reference)}, which is to be copied, is not there`);
}

export function asError(error: unknown): BrewlineError {
	return error instanceof BrewlineError ? error : new BrewlineError("internal", messageOf(error), { cause: error });
}

function memo<T>(make: () => Promise<T>): () => Promise<T> {
	let made: Promise<T> | undefined;
	return () => (made ??= make());
}
