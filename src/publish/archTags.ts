import type { BrewlineError } from "../errors.ts";
import type { Io } from "../io/types.ts";
import { mediaTypes, printReference, parseReference, type Descriptor } from "../oci/index.ts";
import { deployObjects, type DeployedBuild } from "./deployObjects.ts";
import { lostPlatforms, platformsOf, type Part } from "./parts.ts";
import { asError, push, type PushOptions, type PushOutcome } from "./push.ts";
import { errorOf, readyOf, whyLacking, type ReadArch, type StagedBuilds } from "./staged.ts";
import type { DeployObject, IndexObject, PublishOptions, PublishedTag } from "./types.ts";
import { goesBack } from "./version.ts";

export interface ArchTags {
	/** By arch tag: what this run knows to stand under it (in a dry run: would). */
	readonly holds: ReadonlyMap<string, readonly Descriptor[]>;
	/** By arch tag: why it is not among `holds`. */
	readonly why: ReadonlyMap<string, string>;
	readonly results: readonly PublishedTag[];
	readonly changes: readonly DeployObject[];
}

/** One of an architecture that has tags of its own. */
type OwnPart = Part & { readonly archTag: string };
type Verdict = { readonly moves: boolean; readonly note?: string; readonly error?: BrewlineError };

/**
 * Brings what is staged to the architectures' own tags. One that would lose a release of its architecture because that
 * is not built yet stays as it is.
 */
export async function publishArchTags(
	parts: readonly Part[],
	staged: StagedBuilds,
	read: ReadArch,
	io: Pick<Io, "signal">,
	options: PublishOptions & Pick<PushOptions, "limited">,
): Promise<ArchTags> {
	const own = parts.filter((part): part is OwnPart => part.archTag !== undefined);
	const verdicts = new Map<string, Verdict>();
	await Promise.all(
		own.map(async (part) => {
			verdicts.set(part.archTag, await verdictOn(part, staged, read));
		}),
	);
	const objects = objectsFor(
		own.filter(({ archTag }) => verdicts.get(archTag)!.moves),
		staged,
		options,
	);
	const byArchTag = new Map(own.map((part) => [part.archTag, part]));
	const mayNot = async (ref: string): Promise<string | undefined> => {
		const part = byArchTag.get(ref)!;
		const back = goesBack(await read(ref, part.arch), readyOf(part, staged));
		return back && `it would go back ${back}; --allow-older lets it`;
	};
	const { outcomes, changes } = await push(objects, options.client, {
		...options,
		signal: io.signal,
		...(options.allowOlder === true ? {} : { mayNot }),
	});
	const byTag = new Map(outcomes.map((outcome) => [outcome.ref, outcome]));

	const holds = new Map<string, readonly Descriptor[]>();
	const why = new Map<string, string>();
	const results = own.map((part): PublishedTag => {
		const { note, error } = verdicts.get(part.archTag)!;
		const result = resultOf(part, byTag.get(part.archTag), readyOf(part, staged), note, error);
		if (result.change === "held" || result.change === "failed") {
			why.set(part.archTag, result.error?.message ?? byTag.get(part.archTag)?.note ?? note ?? "not built yet");
		} else {
			holds.set(part.archTag, readyOf(part, staged));
		}
		return result;
	});
	return { holds, why, results, changes };
}

async function verdictOn(part: OwnPart, staged: StagedBuilds, read: ReadArch): Promise<Verdict> {
	const failed = errorOf(part, staged);
	if (failed !== undefined) {
		return { moves: false, error: failed };
	}
	const ready = readyOf(part, staged);
	const note = whyLacking(part, staged);
	if (note === undefined || ready.length === 0) {
		return { moves: note === undefined, ...(note === undefined ? {} : { note }) };
	}
	try {
		const lost = lostPlatforms(await read(part.archTag, part.arch), ready);
		return lost.length === 0
			? { moves: true, note }
			: { moves: false, note: `${note}; it would lose ${lost.join(", ")}` };
	} catch (error) {
		return { moves: false, error: asError(error) };
	}
}

/** The deploy objects of these tags, architecture by architecture. */
function objectsFor(parts: readonly OwnPart[], staged: StagedBuilds, options: PublishOptions): IndexObject[] {
	return [...Map.groupBy(parts, ({ arch }) => arch)].flatMap(([arch, ofArch]) => {
		const builds = ofArch.map((part): DeployedBuild => ({
			build: {
				arch,
				resolved: { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: readyOf(part, staged) },
			},
			source: { arches: { [arch]: { tags: [], archTags: [part.archTag] } } },
		}));
		return deployObjects(builds, { tags: { arch }, architectureAnnotation: options.program.annotations.architecture });
	});
}

function resultOf(
	part: OwnPart,
	outcome: PushOutcome | undefined,
	ready: readonly Descriptor[],
	note: string | undefined,
	error: BrewlineError | undefined,
): PublishedTag {
	const reference = printReference(parseReference(part.archTag));
	const notes = note === undefined ? [] : [`${part.arch}: ${note}`];
	const failure = error ?? outcome?.error;
	if (failure !== undefined) {
		return {
			reference,
			digest: null,
			platforms: [],
			change: "failed",
			notes: [...notes, failure.message],
			error: failure,
		};
	}
	if (outcome === undefined) {
		return { reference, digest: null, platforms: [], change: "held", notes };
	}
	if (outcome.state === "held") {
		return { reference, digest: null, platforms: [], change: "held", notes: [...notes, `held: ${outcome.note}`] };
	}
	const change = outcome.state === "present" ? "unchanged" : outcome.before === "nothing" ? "created" : "updated";
	return { reference, digest: outcome.digest, platforms: platformsOf(ready), change, notes };
}
