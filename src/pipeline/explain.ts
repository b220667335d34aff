import type { Build } from "../builds/index.ts";
import { orderedEntries } from "../json/index.ts";
import { pairOf, type Plan } from "../plan/index.ts";
import { untestedOf, type Untested } from "../publish/index.ts";
import type { SourceEntry, Sources } from "../sources/index.ts";
import { reasonsIn } from "./report.ts";
import { requireImage, select } from "./select.ts";
import { computeBuilds, computePlan, computeSources, openLookups } from "./steps.ts";
import { knownTests } from "./tests.ts";
import type { Workspace } from "./workspace.ts";

/** Why one image is, or is not, as it is defined, on one architecture, and the same of all that it is built from. */
export interface Explanation {
	/** The first one, as people call it. */
	readonly tag: string;
	readonly arch: string;
	/** `present`: built as it is defined; `due`: to be built now; `waiting`: not now. */
	readonly state: "present" | "due" | "waiting";
	readonly reason: string;
	/** Null: it has none before its parents are there. */
	readonly buildId: string | null;
	/** Where a build is staged, and what stands there. */
	readonly staging: string | null;
	readonly digest: string | null;
	/** Why what is there is not published before it is tested; null: nothing requires that, or it passed. */
	readonly test: string | null;
	readonly source: Pick<SourceEntry, "GitRepo" | "GitCommit" | "Directory" | "File">;
	/** In the order of the FROMs. */
	readonly parents: readonly ExplainedParent[];
}

export interface ExplainedParent {
	readonly from: string;
	/** What the build uses of it; null: nothing, as it is not there. */
	readonly digest: string | null;
	/** Of ours; null: an image from outside. */
	readonly image: Explanation | null;
}

/** Explains all that a reference names. Reads the registry and the state, writes nothing. */
export async function explain(workspace: Workspace, reference: string, arch?: string): Promise<readonly Explanation[]> {
	requireImage(workspace.program.library, reference);
	const dry = { ...workspace, dryRun: true };
	const sources = await computeSources(dry);
	const selected = select(sources, reference, arch);
	const output = await computeBuilds(dry, sources, openLookups(dry));
	const { plan } = await computePlan(dry, sources, output);
	const tests = await knownTests(workspace.work, workspace.io, await workspace.memory.read());
	const explained = explainer(sources, Object.values(output.builds), plan, ({ build: { arch, resolved }, source }) =>
		untestedOf(source.arches[arch]?.tags ?? [], arch, resolved?.manifests ?? [], { ...workspace, tests }),
	);
	return selected.map((one) => explained(one.sourceId, one.arch));
}

function explainer(
	sources: Sources,
	builds: readonly Build[],
	plan: Plan,
	untested: (build: Build) => Untested | undefined,
): (sourceId: string, arch: string) => Explanation {
	const byPair = new Map(builds.map((build) => [pairOf(build.build.sourceId, build.build.arch), build]));
	const waiting = new Map(plan.waiting.map((item) => [pairOf(item.source, item.arch), item.reason]));
	const due = reasonsIn(plan);
	const known = new Map<string, Explanation>();

	const of = (sourceId: string, arch: string): Explanation => {
		const pair = pairOf(sourceId, arch);
		const before = known.get(pair);
		if (before !== undefined) return before;
		const source = sources[sourceId]!;
		const ofArch = source.arches[arch]!;
		const build = byPair.get(pair);
		const { GitRepo, GitCommit, Directory, File } = source.entries[0]!;
		const present = build !== undefined && build.build.resolved !== null;
		const reason = build === undefined ? undefined : due.get(build.buildId);
		const explanation: Explanation = {
			tag: ofArch.tags[0]!,
			arch,
			state: present ? "present" : reason === undefined ? "waiting" : "due",
			reason: present ? presentReason(build) : (reason ?? waiting.get(pair) ?? "it is not in this plan"),
			buildId: build?.buildId ?? null,
			staging: build?.build.img ?? null,
			digest: build?.build.resolved?.manifests[0]?.digest ?? null,
			test: (build && untested(build)?.why) ?? null,
			source: { GitRepo, GitCommit, Directory, File },
			parents: orderedEntries(ofArch.parents).map(([from, parent]) => ({
				from,
				digest: build?.build.parents[from] ?? null,
				image:
					parent.sourceId !== null && Object.hasOwn(sources[parent.sourceId]?.arches ?? {}, arch)
						? of(parent.sourceId, arch)
						: null,
			})),
		};
		known.set(pair, explanation);
		return explanation;
	};
	return of;
}

function presentReason({ build }: Build): string {
	return build.force === undefined
		? "nothing changed: this content, on these parents, is built"
		: `nothing changed: it was forced (${build.force}), and is built`;
}
