import { limit, stagingReference } from "../builds/index.ts";
import { BrewlineError } from "../errors.ts";
import { counted } from "../io/index.ts";
import { parseJsonObject } from "../json/index.ts";
import {
	canonicalReference,
	isDigest,
	isIndexType,
	maxManifestSize,
	parseReference,
	printReference,
	repositoryOf,
	type Reference,
	underNamespace,
} from "../oci/index.ts";
import { timeOf } from "../plan/index.ts";
import { answerOf } from "../registry/index.ts";
import { computeBuilds, computeSources, openLookups, readLegs, readPlanFile } from "./steps.ts";
import { repositoryKey, type Workspace } from "./workspace.ts";

export interface PruneOptions {
	/** So many of the newest builds of one thing on one architecture stay, whatever their age. */
	readonly keep: number;
	/** Seconds: only what is older than this goes. */
	readonly older: number;
	/** Delete, instead of saying what would be deleted. Default: no. */
	readonly deletes?: boolean;
	/** Also images that were imported: they say the time of their commit, not when they were staged. Default: no. */
	readonly imported?: boolean;
}

export interface Pruned {
	/** The staging reference. */
	readonly reference: string;
	/** What it is an old build of: git repository and directory; null: it does not say. */
	readonly of: string | null;
	/** ISO 8601, UTC: when it was built, or of what was imported when it was committed; null: it does not say. */
	readonly created: string | null;
	readonly imported: boolean;
	/** `kept`: it was to go, and did not, with the reason. */
	readonly state: "to-delete" | "deleted" | "kept";
	readonly reason: string;
}

export interface PruneResult {
	/** Staged images in all repositories, and those that something still names. */
	readonly staged: number;
	readonly named: number;
	/** What is named by nothing, in the order of the repositories. */
	readonly images: readonly Pruned[];
}

/** An image that nothing names by its id. */
interface Candidate {
	readonly reference: Reference;
	readonly digest: string;
	readonly children: readonly string[];
	readonly of: string | null;
	/** Unix seconds. */
	readonly created: number | null;
	readonly imported: boolean;
}

const importedReason = "it was imported: it says how old its commit is, and not since when it is staged";
const sourceAnnotation = "org.opencontainers.image.source";
const createdAnnotation = "org.opencontainers.image.created";

/**
 * Clears staging of old builds. Never goes what the definitions, a plan in the work folder or the state name, or what a tag
 * holds; and nothing goes where any of these cannot be read to its end. Dry, unless told otherwise.
 */
export async function prune(workspace: Workspace, options: PruneOptions): Promise<PruneResult> {
	const { io, program, memory } = workspace;
	const dry = { ...workspace, dryRun: true };
	const sources = await computeSources(dry);
	if (Object.keys(sources).length === 0) {
		throw new BrewlineError("config", `nothing is defined in ${program.library}, so nothing would be kept`, {
			hint: "start it where the library is; a registry that is given up is cleared by its own means",
		});
	}
	const lookups = openLookups(dry);
	const { builds } = await computeBuilds(dry, sources, lookups);
	const state = await memory.read();
	const plan = await readPlanFile(workspace);
	const legs = plan === undefined ? [] : await readLegs(workspace.work, [], { plan });
	const parents = new Set(legs.flatMap((leg) => leg.builds.flatMap((build) => build.parents.map((one) => one.digest))));
	const named = new Set([
		...Object.keys(builds),
		...Object.keys(state?.builds ?? {}),
		...Object.values(state?.queue ?? {}).flatMap((records) => Object.keys(records)),
		...Object.values(state?.replaced ?? {}).flatMap((list) => list.map(({ buildId }) => buildId)),
		...Object.keys(state?.decisions.forced ?? {}),
		...legs.flatMap((leg) => leg.builds.map(({ buildId }) => buildId)),
	]);
	const limited = limit(16, io.signal);
	const all = await stagedImages(workspace);
	const unnamed = all.filter(({ buildId }) => !named.has(buildId));
	const candidates = await Promise.all(
		unnamed.map(({ reference }) => limited(() => candidateAt(workspace, reference))),
	);
	const there = candidates.filter((candidate) => candidate !== undefined);
	// Reading all tags takes long: only where something is old enough to go.
	const judgeable = options.imported === true ? there : there.filter(({ imported }) => !imported);
	const old = tooOld(judgeable, options, Math.floor(io.clock.now() / 1000));
	const held =
		old.size === 0
			? new Set<string>()
			: await digestsOfTags(workspace, Object.values(sources), (at) => limited(() => lookups.lookup(at)));
	const judged = there.map((candidate): Pruned => {
		const reason = old.get(candidate);
		const kept = (why: string): Pruned => described(candidate, "kept", why);
		if (candidate.created === null) return kept("it does not say how old it is");
		if (candidate.imported && options.imported !== true) return kept(importedReason);
		if (reason === undefined) return kept("it is one of the newest of its kind, or not old enough");
		const digests = [candidate.digest, ...candidate.children];
		if (digests.some((digest) => parents.has(digest)))
			return kept("what the plan in the work folder has is built on it");
		if (digests.some((digest) => held.has(digest))) return kept("a tag holds it");
		return described(candidate, "to-delete", reason);
	});
	const going = new Set(judged.filter((image) => image.state === "to-delete").map(({ reference }) => reference));
	const remove = remover(workspace, going);
	const images: Pruned[] = [];
	for (const [number, image] of judged.entries()) {
		images.push(image.state === "to-delete" && options.deletes === true ? await remove(there[number]!, image) : image);
	}
	io.log({ type: "message", level: "debug", text: `${counted(all.length, "image")} in staging for ${program.name}` });
	return { staged: all.length, named: all.length - unnamed.length, images };
}

interface StagedImage {
	readonly buildId: string;
	readonly reference: Reference;
}

/** Every tag of the staging repositories that is a build's, of all architectures. */
async function stagedImages({ client, program }: Workspace): Promise<readonly StagedImage[]> {
	const template = program.registries.staging;
	const found: StagedImage[] = [];
	const seen = new Set<string>();
	for (const arch of Object.keys(program.architectures)) {
		const sample = parseReference(stagingReference(template, "0".repeat(64), arch));
		const [start, end] = (sample.tag ?? "").split("0".repeat(64));
		if (start === undefined || end === undefined) {
			throw new BrewlineError(
				"config",
				`staging is cleared only where BUILD stands in the tag, unlike in ${template}`,
				{
					hint: "delete old repositories with the registry's own means",
				},
			);
		}
		for await (const tag of client.listTags(repositoryOf(sample))) {
			const buildId = tag.slice(start.length, start.length + 64);
			if (!/^[0-9a-f]{64}$/.test(buildId) || tag !== `${start}${buildId}${end}`) continue;
			const reference = { ...repositoryOf(sample), tag };
			const key = canonicalReference(reference);
			if (!seen.has(key)) found.push({ buildId, reference });
			seen.add(key);
		}
	}
	return found;
}

async function candidateAt({ client }: Workspace, reference: Reference): Promise<Candidate | undefined> {
	const found = await client.getManifest(reference);
	if (found === undefined) return undefined;
	const { manifest, children } = readChildren(found.bytes, reference);
	const annotations = [manifest, ...children].map((item) => (item["annotations"] ?? {}) as Record<string, unknown>);
	const said = (key: string): string | undefined =>
		annotations.map((own) => own[key]).find((value): value is string => typeof value === "string");
	const created = Date.parse(said(createdAnnotation) ?? "");
	const source = said(sourceAnnotation);
	return {
		reference,
		digest: found.digest,
		children: children.flatMap(({ digest }) => (typeof digest === "string" ? [digest] : [])),
		of: source?.replace(commitInSource, "") ?? null,
		created: Number.isNaN(created) ? null : Math.floor(created / 1000),
		// What is built says of which directory of which commit (spec/build.md, annotations).
		imported: source !== undefined && !commitInSource.test(source),
	};
}

const commitInSource = /#[0-9a-f]{40,64}(?=:|$)/;

/** A manifest, and the descriptors of what it lists. */
function readChildren(bytes: Uint8Array, reference: Reference) {
	const what = printReference(reference);
	const manifest = parseJsonObject(bytes, { what, maxBytes: maxManifestSize, code: "registry" });
	const list: readonly unknown[] = Array.isArray(manifest["manifests"]) ? manifest["manifests"] : [];
	const children = list.filter((item): item is Record<string, unknown> => typeof item === "object" && item !== null);
	return { manifest, children };
}

/** What is neither among the newest of its kind nor young, with the reason. */
function tooOld(
	candidates: readonly Candidate[],
	{ keep, older }: PruneOptions,
	now: number,
): ReadonlyMap<Candidate, string> {
	const found = new Map<Candidate, string>();
	const kinds = Map.groupBy(candidates, ({ reference, of }) => `${canonicalReference(repositoryOf(reference))} ${of}`);
	for (const kind of kinds.values()) {
		const newestFirst = kind.toSorted((a, b) => (b.created ?? Infinity) - (a.created ?? Infinity));
		for (const [rank, candidate] of newestFirst.entries()) {
			if (candidate.created !== null && rank >= keep && now - candidate.created > older) {
				found.set(candidate, "it is old, and nothing names it");
			}
		}
	}
	return found;
}

/** Digests that the published tags hold: joined and of the architectures, of now and of the state. */
async function digestsOfTags(
	{ program, memory, everRead }: Workspace,
	sources: readonly {
		readonly arches: Readonly<
			Record<string, { readonly tags: readonly string[]; readonly archTags: readonly string[] }>
		>;
	}[],
	lookup: ReturnType<typeof openLookups>["lookup"],
): Promise<ReadonlySet<string>> {
	const { namespace } = program.registries;
	const ofArches = sources.flatMap(({ arches }) => Object.values(arches));
	const known = Object.values((await memory.read())?.published ?? {}).flatMap((tags) => Object.keys(tags));
	const joined = [...ofArches.flatMap(({ tags }) => tags), ...known].map((tag) => underNamespace(namespace, tag));
	const references = new Set([...joined, ...ofArches.flatMap(({ archTags }) => archTags)]);
	// A registry that hides something must not have it deleted elsewhere.
	for (const reference of references) everRead.add(repositoryKey(parseReference(reference)));
	const indexes = await Promise.all([...references].map((reference) => lookup(reference)));
	return new Set(indexes.flatMap((index) => index?.manifests.map(({ digest }) => digest) ?? []));
}

/**
 * Deletes by tag; where the registry does only digests, by that, unless a tag that stays, whatever it is called, holds the same:
 * itself, or in its index. `going`: the references of what goes.
 */
function remover(
	{ client, io }: Workspace,
	going: ReadonlySet<string>,
): (candidate: Candidate, image: Pruned) => Promise<Pruned> {
	const limited = limit(16, io.signal);
	const known = new Map<string, Promise<ReadonlySet<string>>>();
	const heldIn = async (repository: Reference): Promise<ReadonlySet<string>> => {
		const tags = await Array.fromAsync(client.listTags(repository));
		const staying = tags.map((tag) => ({ ...repository, tag })).filter((at) => !going.has(printReference(at)));
		const held = await Promise.all(staying.map((at) => limited(() => digestsAt(client, at))));
		return new Set(held.flat());
	};
	return async ({ reference, digest }, image) => {
		try {
			await client.deleteManifest(reference);
			return { ...image, state: "deleted" };
		} catch (error) {
			const status = answerOf(error)?.status;
			if (status !== 400 && status !== 405) throw error;
		}
		const repository = repositoryOf(reference);
		const key = canonicalReference(repository);
		const held = known.get(key) ?? heldIn(repository);
		known.set(key, held);
		if ((await held).has(digest)) {
			return {
				...image,
				state: "kept",
				reason: "the registry deletes by digest only, and a tag that stays holds the same",
			};
		}
		await client.deleteManifest({ ...repository, digest });
		return { ...image, state: "deleted" };
	};
}

/** Indexes in indexes: nobody nests them deeper. */
const deepest = 4;

/** The digests of what a reference holds: its own, and all below it. */
async function digestsAt(client: Workspace["client"], reference: Reference, depth = 0): Promise<readonly string[]> {
	if (depth > deepest) {
		throw new BrewlineError(
			"registry",
			`${printReference(reference)}: indexes are nested too deep to know what they hold`,
		);
	}
	const found = await client.getManifest(reference);
	if (found === undefined) return [];
	const digests = [found.digest];
	for (const { digest, mediaType } of readChildren(found.bytes, reference).children) {
		if (typeof digest !== "string" || !isDigest(digest)) continue;
		digests.push(digest);
		if (typeof mediaType === "string" && isIndexType(mediaType)) {
			digests.push(...(await digestsAt(client, { ...repositoryOf(reference), digest }, depth + 1)));
		}
	}
	return digests;
}

function described({ reference, of, created, imported }: Candidate, state: Pruned["state"], reason: string): Pruned {
	return {
		reference: printReference(reference),
		of,
		created: created === null ? null : timeOf(created),
		imported,
		state,
		reason,
	};
}
