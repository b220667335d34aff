import { restrictedTo } from "../builds/index.ts";
import { BrewlineError } from "../errors.ts";
import { tabJson } from "../json/index.ts";
import {
	isIndexType,
	parseReference,
	platformString,
	printReference,
	sha256Of,
	sortManifests,
	type Descriptor,
	type Index,
	underNamespace,
} from "../oci/index.ts";
import type { ArchTags } from "./archTags.ts";
import { decidedText, shrinkOf, undecided } from "./decisions.ts";
import { indexObject, joinedIndex } from "./deployObjects.ts";
import { foreignTo, lostPlatforms, platformsOf, type Part } from "./parts.ts";
import { isUnserved } from "./policy.ts";
import { asError } from "./push.ts";
import { errorOf, notStaged, readyOf, whyLacking, type ReadArch, type StagedBuilds } from "./staged.ts";
import type { IndexObject, PublishOptions, PublishedTag } from "./types.ts";
import { goesBack } from "./version.ts";

/** What a tag is to hold, and, where that differs from what it holds, the index to push. */
export interface Joined {
	/** As it is pushed. */
	readonly ref: string;
	readonly tag: PublishedTag;
	readonly object?: Pick<IndexObject, "lookup"> & Partial<Pick<IndexObject, "data">>;
	/** What it held when that was decided; null: nothing. */
	readonly seen?: string | null;
	/** Digests of manifests that stand under it now. */
	readonly there?: readonly string[];
}

export interface JoinContext {
	readonly staged: StagedBuilds;
	readonly archTags: ArchTags;
	readonly read: ReadArch;
	readonly lookup: (reference: string) => Promise<Index | undefined>;
	readonly head: PublishOptions["client"]["headManifest"];
	readonly options: PublishOptions;
}

/** What one architecture brings to a tag. */
interface Share {
	readonly part: Part;
	readonly manifests: readonly Descriptor[];
	/** Why this is not what is defined now; undefined: it is. */
	readonly lacks?: string;
	/** It was decided that the tag goes without it. */
	readonly left?: true;
}

/**
 * One tag out of its architectures: what each architecture's own tag holds; where there is none, what the tag itself
 * had for it before (spec/publish.md, Joining). Reads only.
 */
export async function joinTag(name: string, parts: readonly Part[], context: JoinContext): Promise<Joined> {
	const { namespace } = context.options.program.registries;
	const ref = underNamespace(namespace, name);
	let reference = ref;
	try {
		reference = printReference(parseReference(ref));
		return await join(name, ref, reference, parts, context);
	} catch (cause) {
		const error = asError(cause);
		return { ref, tag: { reference, digest: null, platforms: [], change: "failed", notes: [error.message], error } };
	}
}

async function join(
	name: string,
	ref: string,
	reference: string,
	parts: readonly Part[],
	context: JoinContext,
	again = false,
): Promise<Joined> {
	let published: Promise<Index | undefined> | undefined;
	const readPublished = () => (published ??= context.lookup(ref));
	const { program, mustWait, decisions = undecided, allowOlder = false } = context.options;
	const shrink = shrinkOf(name, decisions);
	const shares = (await Promise.all(parts.map((part) => shareOf(part, readPublished, context)))).map((share) =>
		withoutLeft(share, shrink, context),
	);
	const left = shares.filter((share) => share.left);
	const lacking = shares.filter(({ lacks, left: isLeft }) => lacks !== undefined && !isLeft);
	const missing = new Map(lacking.map((share) => [share, notStaged(share.part, context.staged)]));
	const notServed = lacking.filter((share) => isUnserved(program, missing.get(share)!));
	const notes = [...left, ...lacking.filter((share) => !notServed.includes(share))].map(
		({ part, lacks }) => `${part.arch}: ${lacks}`,
	);
	const marks = {
		...(notServed.length === 0 ? {} : { unserved: notServed.map(({ part }) => part.arch) }),
		...(left.length > 0 && notServed.length + left.length === shares.filter(({ lacks }) => lacks !== undefined).length
			? { decision: "shrink" as const }
			: {}),
	};
	const found = await context.head(parseReference(ref));
	// Read as empty, the tag would lose what it has. Somebody may have made it in between, so it is read once more.
	if (found !== undefined && published !== undefined && (await published) === undefined) {
		if (!again) return join(name, ref, reference, parts, context, true);
		throw new BrewlineError("registry", `${reference} is there when it is asked for, and not when it is read`);
	}
	const manifests = shares.flatMap((share) => checked(share, reference, context.options));

	const held = async (...why: readonly string[]): Promise<Joined> => {
		const platforms = found === undefined ? [] : platformsOf((await readPublished())?.manifests ?? []);
		const digest = found?.digest ?? null;
		// Whatever was decided, it is not why the tag is held.
		const { decision: _, ...others } = marks;
		return { ref, tag: { reference, digest, platforms, change: "held", notes: [...notes, ...why], ...others } };
	};
	const waits = lacking.flatMap((share) => mustWait?.(name, missing.get(share)!) ?? []);
	if (waits.length > 0 || manifests.length === 0) {
		return held(...waits.map((why) => `held: ${why}`));
	}

	const object = indexObject(manifests);
	const bytes = Buffer.from(tabJson(object.data));
	const digest = sha256Of(bytes);
	const result = { reference, digest, platforms: platformsOf(object.data.manifests), notes, ...marks };
	if (found === undefined) {
		return { ref, tag: { ...result, change: "created" }, object, seen: null };
	}
	if (found.digest === digest && found.size === bytes.length) {
		return { ref, tag: { ...result, change: "unchanged" }, there: digestsOf(object.data) };
	}
	const before = await readPublished();
	if (isIndexType(found.mediaType) && before !== undefined && holdsTheSame(before, object.data)) {
		return { ref, tag: { ...result, digest: found.digest, change: "unchanged" }, there: digestsOf(before) };
	}
	const lost = shares.flatMap(({ part, manifests: own, lacks, left: isLeft }) =>
		lacks === undefined || isLeft ? [] : lostPlatforms(ofArch(before, part.arch, context), own),
	);
	if (lost.length > 0) {
		return held(`held: it would lose ${lost.join(", ")}`);
	}
	const back = allowOlder ? undefined : goesBack(before?.manifests ?? [], object.data.manifests);
	if (back !== undefined) {
		return held(`held: it would go back ${back}; --allow-older lets it`);
	}
	const removed = platformsOf(before?.manifests ?? []).filter((platform) => !result.platforms.includes(platform));
	const tag = { ...result, change: "updated" as const, ...(removed.length === 0 ? {} : { removed }) };
	return { ref, tag, object, seen: found.digest, there: digestsOf(before) };
}

async function shareOf(
	part: Part,
	readPublished: () => Promise<Index | undefined>,
	context: JoinContext,
): Promise<Share> {
	const { archTag, arch } = part;
	const lacking = whyLacking(part, context.staged);
	const publishedPart = async () => ofArch(await readPublished(), arch, context);
	if (archTag === undefined) {
		const error = errorOf(part, context.staged);
		if (error !== undefined) {
			throw error;
		}
		const ready = readyOf(part, context.staged);
		if (lacking === undefined) {
			return { part, manifests: ready };
		}
		const before = await publishedPart();
		const complete = ready.length > 0 && lostPlatforms(before, ready).length === 0;
		return complete ? { part, manifests: ready, lacks: lacking } : kept(part, before, lacking);
	}
	const holds = context.archTags.holds.get(archTag);
	if (holds !== undefined) {
		return { part, manifests: holds, ...(lacking === undefined ? {} : { lacks: lacking }) };
	}
	const before = await context.read(archTag, arch);
	const why = context.archTags.why.get(archTag) ?? "not built yet";
	return kept(part, before.length > 0 ? before : await publishedPart(), why);
}

/** What is not there as it is defined is left out where that was decided for its platform. */
function withoutLeft(share: Share, shrink: ReturnType<typeof shrinkOf>, { staged, options }: JoinContext): Share {
	const { part, lacks } = share;
	const { arch } = part;
	const { program } = options;
	if (shrink === undefined || lacks === undefined || !Object.hasOwn(program.architectures, arch)) return share;
	// What is built, and could only not be read or moved, is not what was decided about.
	if (notStaged(part, staged).contributions.length === 0 || errorOf(part, staged) !== undefined) return share;
	if (!shrink.platforms.includes(platformString(program.architectures[arch]!.platform))) return share;
	return { part, manifests: [], lacks: `left out, as decided ${decidedText(shrink)}`, left: true };
}

function kept(part: Part, manifests: readonly Descriptor[], why: string): Share {
	return { part, manifests, lacks: `${manifests.length > 0 ? "kept as it was" : "missing"}: ${why}` };
}

function ofArch(index: Index | undefined, arch: string, { options }: JoinContext): readonly Descriptor[] {
	return (index && restrictedTo(index, arch, options.program.annotations.architecture))?.manifests ?? [];
}

/** The last look before an index is made: nothing in it is for another platform than its architecture's. */
function checked({ part, manifests }: Share, reference: string, options: PublishOptions): readonly Descriptor[] {
	const architecture = Object.hasOwn(options.program.architectures, part.arch)
		? options.program.architectures[part.arch]
		: undefined;
	const foreign =
		manifests.length === 0 || architecture === undefined ? undefined : foreignTo(architecture.platform, manifests);
	if (foreign !== undefined || (architecture === undefined && manifests.length > 0)) {
		throw new BrewlineError(
			"registry",
			`${reference}: ${foreign?.digest ?? manifests[0]!.digest} is not an image for ${part.arch}`,
		);
	}
	return manifests;
}

function digestsOf(index: Index | undefined): readonly string[] {
	return (index?.manifests ?? []).map(({ digest }) => digest);
}

/** Whether two indexes hold the same manifests in normal form, whatever their bytes. */
function holdsTheSame(published: Index, wanted: Index): boolean {
	const manifests = joinedIndex(sortManifests(published.manifests)).manifests;
	return tabJson(manifests) === tabJson(wanted.manifests);
}
