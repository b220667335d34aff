import { builds, type BuildsOutput, type LookupCache } from "../../src/builds/index.ts";
import { defineProgram, type Program } from "../../src/config/index.ts";
import { mediaTypes, sha256Of, type Index } from "../../src/oci/index.ts";
import { plan, titleOf, type ChangedFiles, type Leg, type Plan, type PlanOptions } from "../../src/plan/index.ts";
import { assembleSources, type SourceCandidate, type Sources } from "../../src/sources/index.ts";
import {
	allRecords,
	emptyState,
	joinState,
	predecessors,
	readStateFile,
	remember,
	splitState,
	type FailedTry,
	type State,
} from "../../src/state/index.ts";
import { testIo, type VirtualClock } from "./scripted.ts";

/** One entry of a definition; parents must stand before their children. */
export interface PlannedImage {
	readonly name: string;
	readonly tags: readonly string[];
	readonly arches: readonly string[];
	readonly froms?: readonly string[];
	/** Another one is other content; default: `1`. */
	readonly content?: string;
}

export interface PlanWorld {
	readonly program: Program;
	readonly clock: VirtualClock;
	/** What the registry holds, by reference, as a lookup gives it. */
	readonly registry: Map<string, Index>;
	/** The state, which went through its files; undefined: there is none. */
	state: State | undefined;
	define(images: readonly PlannedImage[]): void;
	/** Puts an image of others into the registry. */
	outside(reference: string, arches: readonly string[], content?: string): void;
	/** One plan; nothing is remembered of it. */
	plan(options?: Partial<PlanOptions>): Promise<Planned>;
	/** Builds legs, in order, where `succeeds` says so, and remembers all. */
	carryOut(planned: Planned, succeeds?: (tag: string, arch: string) => boolean): Promise<void>;
	decide(forced: State["decisions"]["forced"]): void;
}

export interface Planned extends BuildsOutput {
	readonly plan: Plan;
	readonly legs: readonly Leg[];
	readonly sources: Sources;
	readonly wanted: number;
}

/** The planner over a registry that is a map: everything but the network, git and the builds themselves is real. */
export function planWorld(
	options: {
		readonly program?: Parameters<typeof defineProgram>[0];
		readonly changedFiles?: ChangedFiles;
	} = {},
): PlanWorld {
	const program = defineProgram({ name: "golden", registries: { staging: "staging-ARCH:BUILD" }, ...options.program });
	const io = testIo();
	const registry = new Map<string, Index>();
	let images: readonly PlannedImage[] = [];
	const annotation = program.annotations.architecture;

	const indexOf = (reference: string, arches: readonly string[], content: string): Index => ({
		schemaVersion: 2,
		mediaType: mediaTypes.ociIndex,
		manifests: arches.map((arch) => {
			const digest = sha256Of(`${reference} ${arch} ${content}`);
			const at = `${reference.replace(/[:@][^/]*$/, "")}@${digest}`;
			return {
				mediaType: mediaTypes.ociManifest,
				digest,
				size: 5,
				annotations: { [annotation]: arch, "org.opencontainers.image.ref.name": at },
				platform: program.architectures[arch]!.platform,
			};
		}),
	});

	const sourcesNow = (): Sources =>
		assembleSources(
			images.flatMap((image) => {
				const { name, tags, arches, froms = ["scratch"], content = "1" } = image;
				const key = `${name} ${tags[0]} ${content}`;
				const place = {
					GitRepo: `https://git.example.org/${name}.git`,
					GitFetch: "refs/heads/main",
					GitCommit: sha256Of(key).slice("sha256:".length, "sha256:".length + 40),
					Directory: tags[0]!,
					File: "Dockerfile",
					Builder: "",
				};
				const facts = {
					checksum: sha256Of(key).slice("sha256:".length),
					epoch: 1,
					froms,
					lastStageFrom: froms.at(-1) ?? "scratch",
				};
				return arches.map((arch) => {
					const candidate: SourceCandidate = { name, tags, arch, place, at: { file: name, line: 1 } };
					return [candidate, facts] as const;
				});
			}),
			{ architectures: program.architectures, pins: new Map() },
		);

	const textsOf = (state: State | undefined): Record<string, string> =>
		Object.fromEntries(Object.entries(state?.decisions.forced ?? {}).map(([id, { text }]) => [id, text]));

	const buildsNow = (sources: Sources, cache: LookupCache): Promise<BuildsOutput> =>
		builds({ sources, cache, forced: textsOf(world.state) }, io, {
			program,
			lookup: async (reference) => registry.get(reference),
		});

	const keep = (state: State): void => {
		world.state = joinState(new Map([...splitState(state)].map(([path, text]) => [path, readStateFile(path, text)])));
	};

	const world: PlanWorld = {
		program,
		clock: io.clock,
		registry,
		state: undefined,
		define: (next) => {
			images = next;
		},
		outside: (reference, arches, content = "1") => {
			registry.set(reference, indexOf(reference, arches, content));
		},
		plan: async (more = {}) => {
			const sources = sourcesNow();
			// What is looked up by digest lasts; what is staged is asked for anew.
			const lasting = Object.entries(world.state?.cache.indexes ?? {}).filter(([reference]) => reference.includes("@"));
			const output = await buildsNow(sources, { indexes: Object.fromEntries(lasting) });
			const { state } = world;
			const planned = await plan(
				{
					...output,
					sources,
					...(state === undefined
						? {}
						: { queue: allRecords(state.queue), previous: predecessors(state), forced: state.decisions.forced }),
				},
				io,
				{
					program,
					...(options.changedFiles === undefined ? {} : { changedFiles: options.changedFiles }),
					...more,
				},
			);
			return { ...output, ...planned, sources };
		},
		carryOut: async ({ legs, plan: made, sources, builds: planned }, succeeds = () => true) => {
			const reasons = new Map(made.legs.flatMap((leg) => leg.builds.map(({ id, reason }) => [id, reason])));
			const tries: FailedTry[] = [];
			for (const { arch, builds: ofLeg } of legs) {
				for (const { buildId, staging } of ofLeg) {
					const start = Math.floor(io.clock.now() / 1000);
					io.clock.advance(60_000);
					const identifier = titleOf(planned[buildId]!);
					if (succeeds(identifier, arch)) {
						registry.set(staging.reference, indexOf(staging.reference, [arch], "built"));
						continue;
					}
					const end = Math.floor(io.clock.now() / 1000);
					tries.push({
						buildId,
						start,
						end,
						url: "https://log.example.org/1",
						identifier,
						reason: reasons.get(buildId)!,
					});
				}
			}
			const output = await buildsNow(sources, { indexes: {} });
			const happened = {
				sources,
				...output,
				tries,
				built: new Set<string>(),
				tags: {},
				when: new Date(io.clock.now()).toISOString(),
			};
			keep(remember(world.state ?? emptyState, happened));
		},
		decide: (forced) => {
			const state = world.state ?? emptyState;
			keep({ ...state, decisions: { ...state.decisions, forced: { ...state.decisions.forced, ...forced } } });
		},
	};
	return world;
}

/** A plan as a person reads it: legs in order, then what waits. */
export function planText({ plan: made, sources }: Pick<Planned, "plan" | "sources">): string {
	const tagOf = (source: string, arch: string): string => sources[source]?.arches[arch]?.tags[0] ?? source;
	const legs = made.legs.map(
		({ runner, builds: ofLeg, id }) =>
			`${id.replace(/-[0-9a-f]{8}$/, "")} on ${runner}${ofLeg.map(({ reason }) => `\n    ${short(reason)}`).join("")}`,
	);
	const waiting = made.waiting.map(
		({ source, arch, why, wave, reason }) =>
			`waits (${why}, ${wave === null ? "no wave" : `wave ${wave}`}): ${tagOf(source, arch)} ${arch}\n    ${short(reason)}`,
	);
	const overdue = made.overdue.map(({ source, arch }) => `overdue: ${tagOf(source, arch)} ${arch}`);
	return [...legs, ...waiting, ...overdue].map((line) => `${line}\n`).join("");
}

/** Digests and commits are as good as any other here. */
function short(reason: string): string {
	return reason.replaceAll(/sha256:[0-9a-f]+/g, "sha256:…").replaceAll(/\b[0-9a-f]{12}\b/g, "COMMIT");
}
