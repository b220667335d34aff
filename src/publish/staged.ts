import { stagingReference, type Build, type Builds } from "../builds/index.ts";
import { BrewlineError } from "../errors.ts";
import { printable } from "../io/printable.ts";
import type { Descriptor } from "../oci/index.ts";
import { foreignTo, type Part } from "./parts.ts";
import { untestedOf, type Untested } from "./tested.ts";
import { asError } from "./push.ts";
import type { PublishOptions } from "./types.ts";

/** The manifests that a reference holds for an architecture now; none where it does not. */
export type ReadArch = (reference: string, arch: string) => Promise<readonly Descriptor[]>;

/** What is staged for one build: nothing yet, or what went wrong. */
export type Staged =
	| { readonly manifests: readonly Descriptor[]; readonly untested?: Untested }
	| { readonly error: BrewlineError };

/** By build, for those that stand in the sources. */
export type StagedBuilds = ReadonlyMap<Build, Staged>;

/** Reads every build's staging reference again. */
export async function readStaged(builds: Builds, read: ReadArch, options: PublishOptions): Promise<StagedBuilds> {
	const { architectures, registries } = options.program;
	const stagedOf = async ({ buildId, build: { arch, img }, source }: Build): Promise<Staged> => {
		try {
			// A damaged or forged file must not have another repository's content published.
			if (img !== stagingReference(registries.staging, buildId, arch)) {
				throw new BrewlineError("handover", `${printable(img, 200)} is not the staging reference of its build`);
			}
			if (!Object.hasOwn(architectures, arch)) {
				throw new BrewlineError("handover", `${printable(arch, 40)} is none of the program's architectures`);
			}
			const manifests = await read(img, arch);
			const foreign = foreignTo(architectures[arch]!.platform, manifests);
			if (foreign !== undefined) {
				throw new BrewlineError("registry", `${foreign.digest} in ${img} is not for ${arch}`);
			}
			const untested = untestedOf(source.arches[arch]?.tags ?? [], arch, manifests, options);
			return { manifests, ...(untested === undefined ? {} : { untested }) };
		} catch (error) {
			return { error: asError(error) };
		}
	};
	const list = Object.values(builds);
	const found = await Promise.all(list.map(stagedOf));
	return new Map(list.map((build, number) => [build, found[number]!]));
}

/** What is staged of this part and may be published, in the order of the sources. */
export function readyOf({ contributions }: Part, staged: StagedBuilds): readonly Descriptor[] {
	return contributions.flatMap(({ build }) => {
		const found = build === undefined ? undefined : staged.get(build);
		return found !== undefined && "manifests" in found && found.untested === undefined ? found.manifests : [];
	});
}

/** Why not all of a part is staged and may be published; undefined: it is. */
export function whyLacking({ contributions }: Part, staged: StagedBuilds): string | undefined {
	const reasons = contributions.flatMap(({ build }) => whyNotStaged(build, staged) ?? []);
	return reasons.length === 0 ? undefined : [...new Set(reasons)].join("; ");
}

function whyNotStaged(build: Build | undefined, staged: StagedBuilds): string | undefined {
	if (build === undefined) return "waits for an image that it is built from";
	const found = staged.get(build)!;
	if ("error" in found) return found.error.message;
	return found.manifests.length === 0 ? "not built yet" : found.untested?.why;
}

/** The part with those of its contributions alone that are not staged, or have not passed their test. */
export function notStaged(part: Part, staged: StagedBuilds): Part {
	return {
		...part,
		contributions: part.contributions.flatMap((one) => {
			if (whyNotStaged(one.build, staged) === undefined) return [];
			const found = one.build && staged.get(one.build);
			const untested = found !== undefined && "manifests" in found ? found.untested : undefined;
			return [untested === undefined ? one : { ...one, test: untested.test }];
		}),
	};
}

/** The first error with which a staged image of this part could not be read: then it is not known to be missing. */
export function errorOf({ contributions }: Part, staged: StagedBuilds): BrewlineError | undefined {
	for (const { build } of contributions) {
		const found = build === undefined ? undefined : staged.get(build);
		if (found !== undefined && "error" in found) {
			return found.error;
		}
	}
	return undefined;
}
