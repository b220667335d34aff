import { buildIdOf, forcedId } from "../builds/index.ts";
import { policyOf } from "../config/index.ts";
import { BrewlineError } from "../errors.ts";
import { printable } from "../io/index.ts";
import { decisionOf, type Forced, timeOf, titleOf } from "../plan/index.ts";
import type { ForcedBuild, State } from "../state/index.ts";
import { requireImage, select } from "./select.ts";
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

/** Refuses a decision that could not be written down: without one line of why and of who, or with nowhere to write it. */
export function requireDecidable({ memory }: Pick<Workspace, "memory">, ...texts: readonly string[]): void {
	for (const text of texts) {
		if (text.trim() === "" || /\p{Cc}/u.test(text) || text.length > 1000) {
			throw new BrewlineError("usage", "a reason, and who decides, must be one line of text", {
				hint: "both are recorded, and shown wherever the decision is: --reason TEXT, --by NAME",
			});
		}
	}
	if (memory.where === undefined) {
		throw new BrewlineError("config", "there is no state that a decision could be written into", {
			hint: "name its repository in the configuration: program.state.repository",
		});
	}
}

/**
 * Decides that builds are made again although nothing changed (docs/design.md, Forced builds), and writes that into the
 * state. What is not built yet is not forced: it is planned anyway. Nor is what somebody else decided first: a decision has one
 * author and one reason. Nor what nothing builds: what there is of it would be given up for nothing.
 */
export async function force(workspace: Workspace, request: ForceRequest): Promise<readonly ForcedOutcome[]> {
	const { reason, by } = request;
	requireDecidable(workspace, reason, by);
	requireImage(workspace.program.library, request.reference);
	// The next plan compares what is there with what was known: nothing of that is written over here.
	const dry = { ...workspace, dryRun: true };
	const sources = await computeSources(dry);
	const selected = select(sources, request.reference, request.arch);
	const output = await computeBuilds(dry, sources, openLookups(dry));
	const byPair = new Map(
		Object.values(output.builds).map((build) => [`${build.build.sourceId} ${build.build.arch}`, build]),
	);
	const known = (await workspace.memory.read())?.decisions.forced ?? {};
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
		if (build.build.resolved === null) {
			const decision = decisionOf(build, known);
			const note = decision === undefined ? "is not built yet: it is planned anyway" : decidedBefore(decision);
			return { tag, arch, buildId: null, note };
		}
		if (policyOf(workspace.program, build.source.arches[arch]!.tags, arch).runner === null) {
			return { tag, arch, buildId: null, note: `nothing builds ${arch} here (it has no runner in the configuration)` };
		}
		const note = `${workspace.dryRun ? "would be" : "is"} built again by the next plan`;
		return { tag, arch, buildId: build.buildId, note };
	});
	const replaced = outcomes.flatMap(({ buildId }) => (buildId === null ? [] : [output.builds[buildId]!]));
	const when = timeOf(Math.floor(workspace.io.clock.now() / 1000));
	/** What others decided since the state was read, by the id that is replaced. */
	const taken = new Map<string, Forced>();
	if (replaced.length > 0) {
		const names = [...new Set(replaced.map(titleOf))];
		const more = names.length > 3 ? ` and ${names.length - 3} more` : "";
		await workspace.memory.update(
			(state) => {
				const forced: Record<string, ForcedBuild> = { ...state.decisions.forced };
				taken.clear();
				for (const build of replaced) {
					const other = Object.hasOwn(forced, build.buildId) ? forced[build.buildId] : undefined;
					if (other !== undefined) {
						taken.set(build.buildId, other);
						continue;
					}
					forced[build.buildId] = { text: freshText(reason, build.build, state, when), by, when };
				}
				return { ...state, decisions: { ...state.decisions, forced } };
			},
			`Force ${names.slice(0, 3).join(", ")}${more}: ${reason}`,
		);
	}
	return outcomes.map((outcome) => {
		const other = taken.get(outcome.buildId ?? "");
		return other === undefined ? outcome : { ...outcome, buildId: null, note: decidedBefore(other) };
	});
}

/**
 * What builds that were forced are called, `TAG ARCHITECTURE`, by the id that was replaced; of what the last plan knew, and where
 * the decision still is about it.
 */
export function forcedTitles({ builds, decisions: { forced } }: State): ReadonlyMap<string, string> {
	const titles = new Map<string, string>();
	for (const build of Object.values(builds)) {
		const { sourceId, arch, parents } = build.build;
		let id = buildIdOf({ sourceId, arch, parents });
		while (Object.hasOwn(forced, id) && !titles.has(id)) {
			titles.set(id, `${titleOf(build)} ${arch}`);
			id = buildIdOf({ sourceId, arch, parents, force: forced[id]!.text });
		}
	}
	return titles;
}

function decidedBefore({ by, when, text }: Forced): string {
	return `is built again anyway: forced by ${printable(by, 100)}, ${when}: ${printable(text, 500)}`;
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
