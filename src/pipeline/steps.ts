import path from "node:path";
import { type BuildResult, readResult, type Run } from "../build/index.ts";
import {
	builds,
	type BuildsOutput,
	type Lookup,
	readLookupCache,
	registryLookup,
	writeBuilds,
	writeLookupCache,
	type LookupCache,
} from "../builds/index.ts";
import { type Program, servedArchitectures } from "../config/index.ts";
import { loadLibrary, type Selection } from "../definition/index.ts";
import { BrewlineError, messageOf } from "../errors.ts";
import { writeWhole } from "../io/files.ts";
import { type Io, printable } from "../io/index.ts";
import { parseReference, sha256Of } from "../oci/index.ts";
import { type Leg, plan, type PlanOutput, readLeg, readPlan, writePlan } from "../plan/index.ts";
import { readExternalPins, readSources, sources, type Sources, writeSources } from "../sources/index.ts";
import { readForeign, readIfThere, readRequired } from "./files.ts";
import { filesOf, repositoryKey, type Workspace } from "./workspace.ts";

/** Definitions, pins and git become `sources.json`; what an earlier one says of the same commits is taken over. */
export async function computeSources(workspace: Workspace): Promise<Sources> {
	const { program, io, work, git } = workspace;
	const file = filesOf(work).sources;
	const previous = await remembered(workspace, file, (bytes) => readSources(bytes, file));
	const selections = await loadLibrary(program.library, {
		architectures: Object.keys(program.architectures),
		defaultArchitecture: program.defaultArchitecture,
	});
	warnOf(selections, io);
	if (selections.length === 0) {
		const text = `the library folder ${program.library} holds no definitions`;
		io.log({ type: "message", level: "warning", text });
	}
	const computed = await sources(
		{
			selections,
			pins: await readExternalPins(program.externalPins),
			...(previous === undefined ? {} : { previous }),
		},
		io,
		{ program, git },
	);
	await save(workspace, file, () => writeSources(computed));
	return computed;
}

/** Says what is odd in definitions, though it is read. */
export function warnOf(selections: readonly Selection[], io: Io): void {
	for (const definition of new Set(selections.map((selection) => selection.definition))) {
		for (const { message, at, hint } of definition.warnings) {
			io.log({
				type: "message",
				level: "warning",
				code: "definition",
				text: message,
				at,
				...(hint === undefined ? {} : { hint }),
			});
		}
	}
}

/**
 * What an earlier run wrote to save time; undefined where there is none. One that cannot be read is left out with a warning:
 * nothing but time is lost with it (docs/design.md), and the next one takes its place.
 */
async function remembered<T>({ io }: Workspace, file: string, read: (bytes: Buffer) => T): Promise<T | undefined> {
	const bytes = await readIfThere(file);
	try {
		return bytes && read(bytes);
	} catch (error) {
		if (!(error instanceof BrewlineError) || error.code !== "handover") throw error;
		io.log({ type: "message", level: "warning", code: error.code, text: `not used: ${error.message}` });
		return undefined;
	}
}

async function save({ dryRun }: Workspace, file: string, text: () => string): Promise<void> {
	if (!dryRun) await writeWhole(file, text());
}

/** The registry, asked once for each reference until it is forgotten. */
export interface Lookups {
	readonly lookup: Lookup;
	readonly forget: (references: readonly string[]) => void;
}

export function openLookups({ client, program }: Workspace): Lookups {
	const asked = new Map<string, ReturnType<Lookup>>();
	const ask = registryLookup(client, program);
	return {
		lookup: (reference) => {
			let answer = asked.get(reference);
			if (answer === undefined) {
				answer = ask(reference);
				asked.set(reference, answer);
			}
			return answer;
		},
		forget: (references) => {
			for (const reference of references) asked.delete(reference);
		},
	};
}

/** Sources and what the registry holds become `builds.json` and the cache of lookups. */
export async function computeBuilds(workspace: Workspace, all: Sources, lookups: Lookups): Promise<BuildsOutput> {
	const { program, io, work, everRead } = workspace;
	const files = filesOf(work);
	const read = (bytes: Buffer): LookupCache => readLookupCache(bytes, { file: files.cache });
	const cache = (await remembered(workspace, files.cache, read)) ?? { indexes: {} };
	// Without a digest only staging references are kept, and these are ours (spec/builds.md, Cache).
	for (const reference of Object.keys(cache.indexes)) {
		if (!reference.includes("@")) everRead.add(repositoryKey(parseReference(reference)));
	}
	const output = await builds({ sources: all, cache }, io, { program, lookup: lookups.lookup });
	await save(workspace, files.builds, () => writeBuilds(output.builds));
	await save(workspace, files.cache, () => writeLookupCache(output.cache));
	return output;
}

export interface PlanChoice {
	/** Only these architectures; all that have a runner where it is left out. */
	readonly architectures?: readonly string[];
	/** The commit of the library's repository. */
	readonly library?: string;
}

/** Builds become `plan.json` and its legs. */
export async function computePlan(
	workspace: Workspace,
	all: Sources,
	{ builds, waiting }: BuildsOutput,
	choice: PlanChoice = {},
): Promise<PlanOutput> {
	const { program, io, work, everRead } = workspace;
	const output = await plan({ builds, waiting, sources: all }, io, {
		program: { ...program, architectures: chosenArchitectures(program, choice.architectures) },
		everRead: (repository) => everRead.has(repositoryKey(parseReference(repository))),
		...(choice.library === undefined ? {} : { library: choice.library }),
	});
	if (!workspace.dryRun) await writePlan(work, output);
	return output;
}

/** `sources.json`, as the step before wrote it; with the plan's digest it must be the very file that was planned with. */
export async function readSourcesFile({ work }: Workspace, planDigest?: string): Promise<Sources> {
	const files = filesOf(work);
	const planned =
		planDigest === undefined
			? undefined
			: await readRequired(files.plan, "plan", (bytes) => readPlan(bytes, { file: files.plan, digest: planDigest }));
	return readRequired(files.sources, "sources", (bytes) => {
		if (planned !== undefined && sha256Of(bytes) !== planned.sources) {
			throw new BrewlineError(
				"handover",
				`${files.sources} is not the file that was planned with: its SHA-256 differs`,
				{
					hint: "take both files from the same run",
				},
			);
		}
		return readSources(bytes, files.sources);
	});
}

export interface LegOptions {
	/** The digest that the one leg that is named must have; the plan is not read then. */
	readonly digest?: string | undefined;
	/** Without a plan there are no legs, instead of an error. */
	readonly optional?: boolean;
}

/** Legs of the plan, all of them where none is named. */
export async function readLegs(
	work: string,
	ids: readonly string[],
	{ digest, optional }: LegOptions = {},
): Promise<Leg[]> {
	const files = filesOf(work);
	const digests = new Map<string, string>();
	if (digest === undefined) {
		if (optional === true && (await readIfThere(files.plan)) === undefined) return [];
		const planned = await readRequired(files.plan, "plan", (bytes) => readPlan(bytes, { file: files.plan }));
		for (const leg of planned.legs) digests.set(leg.id, leg.digest);
	}
	const legs: Leg[] = [];
	for (const id of ids.length === 0 ? digests.keys() : ids) {
		const expected = digest ?? digests.get(id);
		if (expected === undefined || !/^[a-z0-9][a-z0-9-]{0,62}$/.test(id)) {
			throw new BrewlineError("usage", `there is no leg ${printable(id)} in ${files.plan}`, {
				hint:
					digests.size === 0
						? "the plan has no legs: nothing is to be built"
						: `its legs are: ${[...digests.keys()].slice(0, 20).join(", ")}`,
			});
		}
		const file = path.join(files.legs, `${id}.json`);
		legs.push(await readRequired(file, "plan", (bytes) => readLeg(bytes, { file, digest: expected }), maxLegBytes));
	}
	return legs;
}

/** The architectures with only the chosen ones served. */
export function chosenArchitectures(program: Program, names: readonly string[] | undefined): Program["architectures"] {
	if (names === undefined) return program.architectures;
	for (const name of names) {
		if (!servedArchitectures(program).includes(name)) {
			throw new BrewlineError("usage", `nothing builds ${printable(name)} here`, {
				hint: `the architectures with a runner are: ${servedArchitectures(program).join(", ")}`,
			});
		}
	}
	return Object.fromEntries(
		Object.entries(program.architectures).map(([name, value]) => [
			name,
			names.includes(name) ? value : { ...value, runner: null },
		]),
	);
}

/** More than a leg or a result can need; any job may have written what stands there. */
const maxLegBytes = 16 * 1024 * 1024;
const maxResultBytes = 4 * 1024 * 1024;

/**
 * What legs say of their builds, by build id: time, log and reason. A result that is missing, too large, of another run or not
 * of its leg is left out with a warning; what was built is asked of the registry anyway.
 */
export async function readResults(
	work: string,
	legs: readonly Leg[],
	io: Io,
	run?: Run,
): Promise<Map<string, BuildResult>> {
	const results = new Map<string, BuildResult>();
	for (const leg of legs) {
		const file = path.join(filesOf(work).results, `${leg.id}.json`);
		try {
			const expected = run === undefined ? {} : { run };
			const result = readResult(await readForeign(file, maxResultBytes), { file, leg: leg.id, ...expected });
			const own = new Set(leg.builds.map(({ buildId }) => buildId));
			for (const build of result.builds) if (own.has(build.buildId)) results.set(build.buildId, build);
		} catch (error) {
			const text = (error as NodeJS.ErrnoException).code === "ENOENT" ? "it left no result" : messageOf(error);
			io.log({ type: "message", level: "warning", text: `leg ${leg.id}: ${text}` });
		}
	}
	return results;
}
