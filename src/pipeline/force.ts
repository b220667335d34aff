import { buildIdOf, forcedId } from "../builds/index.ts";
import { BrewlineError } from "../errors.ts";
import { timeOf, titleOf } from "../plan/index.ts";
import type { ForcedBuild, State } from "../state/index.ts";
import { select } from "./select.ts";
import { computeBuilds, computeSources, openLookups } from "./steps.ts";
import type { Workspace } from "./workspace.ts";

export interface ForceRequest {
	/** `IMAGE` or `IMAGE:TAG`. */
	readonly reference: string;
	readonly arch?: string;
	/** One line; it becomes part of the new build's id. */
	readonly reason: string;
	readonly by: string;
}

export interface ForcedOutcome {
	readonly tag: string;
	readonly arch: string;
	/** The id that is replaced; null: nothing is forced. */
	readonly buildId: string | null;
	readonly note: string;
}

/**
 * Decides that builds are made again although nothing changed (docs/design.md, Forced builds), and writes that into the
 * state. What is not built yet is not forced: it is planned anyway.
 */
export async function force(workspace: Workspace, request: ForceRequest): Promise<readonly ForcedOutcome[]> {
	const { reason, by } = request;
	if (reason.trim() === "" || /\p{Cc}/u.test(reason) || reason.length > 1000) {
		throw new BrewlineError("usage", "the reason must be one line of text", {
			hint: "it is recorded, and shown wherever the build is: --reason TEXT",
		});
	}
	if (workspace.memory.where === undefined) {
		throw new BrewlineError("config", "there is no state that a decision could be written into", {
			hint: "name its repository in the configuration: program.state.repository",
		});
	}
	// The next plan compares what is there with what was known: nothing of that is written over here.
	const dry = { ...workspace, dryRun: true };
	const sources = await computeSources(dry);
	const selected = select(sources, request.reference, request.arch);
	const output = await computeBuilds(dry, sources, openLookups(dry));
	const byPair = new Map(
		Object.values(output.builds).map((build) => [`${build.build.sourceId} ${build.build.arch}`, build]),
	);
	const outcomes = selected.map(({ sourceId, arch, tag }): ForcedOutcome => {
		const build = byPair.get(`${sourceId} ${arch}`);
		if (build === undefined) {
			return {
				tag,
				arch,
				buildId: null,
				note: "waits for an image that it is built from: it is built after that anyway",
			};
		}
		if (build.build.resolved === null)
			return { tag, arch, buildId: null, note: "is not built yet: it is planned anyway" };
		return { tag, arch, buildId: build.buildId, note: "is built again by the next plan" };
	});
	const replaced = outcomes.flatMap(({ buildId }) => (buildId === null ? [] : [output.builds[buildId]!]));
	const when = timeOf(Math.floor(workspace.io.clock.now() / 1000));
	if (replaced.length > 0) {
		const names = [...new Set(replaced.map(titleOf))];
		const more = names.length > 3 ? ` and ${names.length - 3} more` : "";
		await workspace.memory.update(
			(state) => {
				const forced: Record<string, ForcedBuild> = { ...state.decisions.forced };
				for (const build of replaced) {
					forced[build.buildId] = { text: freshText(reason, build.build, state, when), by, when };
				}
				return { ...state, decisions: { ...state.decisions, forced } };
			},
			`Force ${names.slice(0, 3).join(", ")}${more}: ${reason}`,
		);
	}
	return outcomes;
}

/** The reason, with the time where it was given for the same build before: the id would be an old one else. */
function freshText(
	reason: string,
	{ sourceId, arch, parents }: Parameters<typeof buildIdOf>[0],
	{ decisions }: State,
	when: string,
): string {
	const texts = Object.fromEntries(Object.entries(decisions.forced).map(([id, { text }]) => [id, text]));
	const known = new Set<string>();
	let id = buildIdOf({ sourceId, arch, parents });
	const last = forcedId({ sourceId, arch, parents }, texts).buildId;
	for (; id !== last; id = buildIdOf({ sourceId, arch, parents, force: texts[id]! })) known.add(id);
	known.add(last);
	const again = buildIdOf({ sourceId, arch, parents, force: reason });
	return known.has(again) ? `${reason} (${when})` : reason;
}
