import { windowsVersionOf } from "../builds/queue.ts";
import type { Build, Builds, Waiting } from "../builds/types.ts";
import type { Architecture, Program } from "../config/types.ts";
import { BrewlineError } from "../errors.ts";
import { rewriteAddress } from "../git/index.ts";
import type { Io } from "../io/types.ts";
import { printable } from "../io/printable.ts";
import { canonicalReference, parseReference, repositoryOf, sha256Of, type Platform } from "../oci/index.ts";
import { writeSources } from "../sources/index.ts";
import type { Sources } from "../sources/types.ts";
import { annotationsOf, archOf, builderOf, entryOf, parentsOf, titleOf, wantsSbom } from "./annotations.ts";
import type { Plan } from "./file.ts";
import { printLeg, type Leg, type LegBuild } from "./leg.ts";

export interface PlanInput {
	readonly builds: Builds;
	readonly waiting: readonly Waiting[];
	/** To name what waits. */
	readonly sources: Sources;
}

export interface PlanOptions {
	readonly program: Program;
	/** The commit of the library's repository. */
	readonly library?: string;
	/** Whether anything was ever read from a repository (`HOST/NAME`), besides what the builds themselves show. */
	readonly everRead?: (repository: string) => boolean;
}

export interface PlanOutput {
	readonly plan: Plan;
	/** In the order of the plan. */
	readonly legs: readonly Leg[];
}

/**
 * What can be built now, one leg for each build that is not there yet, in the order of the sources; and what waits,
 * with the reason. All that makes a build impossible to plan is reported at once, with the code `definition`.
 */
export async function plan(input: PlanInput, io: Io, options: PlanOptions): Promise<PlanOutput> {
	const { program } = options;
	const seen = new Set<string>();
	for (const build of Object.values(input.builds)) {
		if (build.build.resolved !== null) {
			seen.add(stagingRepository(build.build.img));
		}
	}
	const read = (repository: string) => seen.has(repository) || (options.everRead?.(repository) ?? false);
	const legs: Leg[] = [];
	const digests = new Map<string, string>();
	const waiting = input.waiting.map((item) => ({
		source: item.sourceId,
		arch: item.arch,
		reason: whyWaiting(item, input.sources),
	}));
	const errors: BrewlineError[] = [];
	for (const build of Object.values(input.builds)) {
		if (build.build.resolved !== null) {
			continue;
		}
		const { arch } = build.build;
		const architecture = program.architectures[arch];
		if (architecture === undefined || architecture.runner === null) {
			waiting.push({
				source: build.build.sourceId,
				arch,
				reason: `${titleOf(build)}: nothing builds ${arch} here (it has no runner in the configuration)`,
			});
			continue;
		}
		try {
			const id = freeId(build, digests);
			const leg = legOf(id, build, { ...architecture, runner: architecture.runner }, program, read);
			digests.set(id, sha256Of(printLeg(leg)));
			legs.push(leg);
		} catch (error) {
			if (!(error instanceof BrewlineError)) {
				throw error;
			}
			errors.push(
				new BrewlineError("definition", `${titleOf(build)} for ${arch}: ${error.message}`, {
					cause: error,
					...(error.hint === undefined ? {} : { hint: error.hint }),
				}),
			);
		}
	}
	if (errors.length > 0) {
		const first = errors[0]!;
		throw new BrewlineError(
			"definition",
			errors.length === 1 ? first.message : `${errors.length} builds cannot be planned, first ${first.message}`,
			{ errors, ...(first.hint === undefined ? {} : { hint: first.hint }) },
		);
	}
	io.log({
		type: "message",
		level: "debug",
		text: `planned ${legs.length} builds; ${waiting.length} wait`,
	});
	return {
		plan: {
			format: "brewline-plan",
			version: 1,
			library: options.library ?? null,
			program: program.name,
			sources: sha256Of(writeSources(input.sources)),
			legs: legs.map(({ id, arch, runner }) => ({
				id,
				arch,
				runner: runner.label,
				wave: 0,
				digest: digests.get(id)!,
			})),
			waiting,
		},
		legs,
	};
}

/** A leg's id: first tag, architecture, the first digits of the build id: 8, or as many as it takes to be unique. */
function freeId(build: Build, taken: ReadonlyMap<string, string>): string {
	for (let digits = 8; digits <= 40; digits += 8) {
		const id = legIdOf(titleOf(build), build.build.arch, build.buildId.slice(0, digits));
		if (!taken.has(id)) {
			return id;
		}
	}
	throw new BrewlineError("handover", `build ${build.buildId} is there twice`);
}

/** `[a-z0-9][a-z0-9-]{0,62}`: what does not fit is cut from the tag. */
export function legIdOf(tag: string, arch: string, digits: string): string {
	const end = `-${arch}-${digits}`;
	const start = tag.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-");
	return `${start.slice(0, 63 - end.length)}${end}`.replaceAll(/-{2,}/g, "-").replace(/^-/, "");
}

function legOf(
	id: string,
	build: Build,
	architecture: Architecture & { readonly runner: string },
	program: Program,
	read: (repository: string) => boolean,
): Leg {
	const arch = archOf(build);
	const via = architecture.via === undefined ? undefined : program.architectures[architecture.via];
	return {
		format: "brewline-leg",
		version: 1,
		id,
		program: program.name,
		arch: build.build.arch,
		platform: threePartPlatform(arch.platform),
		platformString: arch.platformString,
		runner: {
			label: architecture.runner,
			builder: architecture.builder ?? null,
			emulate: architecture.emulate ?? false,
			via: via === undefined ? null : threePartPlatform(via.platform),
		},
		timeLimit: program.timeLimit,
		buildkit: program.buildkit,
		registries: { mirrors: program.registries.mirrors, plainHttp: program.registries.plainHttp },
		architectureAnnotation: program.annotations.architecture,
		attestations: program.attestations,
		builds: [legBuildOf(build, program, read)],
	};
}

/** What a leg is told of one build. */
export function legBuildOf(build: Build, program: Program, read: (repository: string) => boolean): LegBuild {
	const entry = entryOf(build);
	const arch = archOf(build);
	const builder = builderOf(build);
	return {
		buildId: build.buildId,
		builder,
		git: {
			repository: entry.GitRepo,
			fetchFrom: rewriteAddress(entry.GitRepo, program.git.rewrite),
			commit: entry.GitCommit,
			ref: entry.GitFetch,
			directory: entry.Directory,
			// An emptied `File` is BuildKit's own default.
			file: entry.File === "" ? "Dockerfile" : entry.File,
			epoch: entry.SOURCE_DATE_EPOCH,
		},
		tags: arch.tags,
		archTags: arch.archTags,
		staging: { reference: build.build.img, read: read(stagingRepository(build.build.img)) },
		parents: parentsOf(build),
		annotations: annotationsOf(build, program),
		sbom: wantsSbom(build, program.sbom) ? program.sbom.generator : null,
		windowsVersion: windowsVersionOf(build),
	};
}

function threePartPlatform(platform: Platform): Leg["platform"] {
	return {
		os: platform.os,
		architecture: platform.architecture,
		...(platform.variant === undefined ? {} : { variant: platform.variant }),
	};
}

/** The repository of a staging reference, canonically: equal for equal repositories. */
function stagingRepository(reference: string): string {
	return canonicalReference(repositoryOf(parseReference(reference)));
}

const waitingFor: Readonly<Record<Waiting["reason"], (arch: string) => string>> = {
	"parent-not-built": () => "which is not built yet",
	"parent-waiting": () => "which waits itself",
	"parent-missing": () => "which no registry has",
	"parent-lacks-architecture": (arch) => `which is not there for ${arch}`,
};

function whyWaiting(item: Waiting, sources: Sources): string {
	const tag = sources[item.sourceId]?.arches[item.arch]?.tags[0] ?? item.sourceId.slice(0, 12);
	return printable(`${tag} waits for ${item.parent}, ${waitingFor[item.reason](item.arch)}`);
}
