import path from "node:path";
import { type BuildResult, readResult, type Run } from "../build/index.ts";
import {
	builds,
	type BuildsOutput,
	checkMissing,
	type Lookup,
	readBuilds,
	readLookupCache,
	registryLookup,
	writeBuilds,
	writeLookupCache,
	openStaging,
	type LookupCache,
	type StagedOptions,
} from "../builds/index.ts";
import { architectureOptions, type Program, servedArchitectures, unmatchedImages } from "../config/index.ts";
import { loadLibrary } from "../definition/index.ts";
import { BrewlineError, messageOf } from "../errors.ts";
import { writeWhole } from "../io/files.ts";
import { type Io, printable } from "../io/index.ts";
import { parseReference, platformString, sha256Of, underNamespace } from "../oci/index.ts";
import {
	type Capacity,
	type Leg,
	type Plan,
	plan,
	type PlanOutput,
	readLeg,
	readPlan,
	writePlan,
} from "../plan/index.ts";
import {
	readExternalPins,
	readSources,
	sources,
	type SourceEntry,
	type Sources,
	writeSources,
} from "../sources/index.ts";
import type { State } from "../state/index.ts";
import { readForeign, readIfThere, readRequired } from "./files.ts";
import { forcedTexts } from "./memory.ts";
import { warnOf } from "./warn.ts";
import { filesOf, repositoryKey, type Workspace } from "./workspace.ts";

/** Definitions, pins and git become `sources.json`; what an earlier one says of the same commits is taken over. */
export async function computeSources(workspace: Workspace): Promise<Sources> {
	const { program, io, work, git, memory } = workspace;
	const file = filesOf(work).sources;
	const previous =
		(await remembered(workspace, file, (bytes) => readSources(bytes, file))) ?? (await memory.read())?.sources;
	const selections = await loadLibrary(program.library, architectureOptions(program));
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
	warnOfPolicies(workspace, computed);
	return computed;
}

/** A rule for images that there are not is no error: they may have been taken out of the library. */
function warnOfPolicies({ program, io }: Workspace, computed: Sources): void {
	if (program.policies.every(({ images }) => images === undefined)) return;
	const tags = new Set(
		Object.values(computed).flatMap(({ arches }) => Object.values(arches).flatMap((one) => one.tags)),
	);
	const unmatched = unmatchedImages(program, tags);
	if (unmatched.length > 0) {
		io.log({
			type: "message",
			level: "warning",
			code: "config",
			text: `policies name what the library has no tag of: ${printable(unmatched.join(", "), 1000)}`,
			hint: "correct the name, or take it out once the image is gone: a rule that matches nothing is not obeyed",
		});
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

/** Writes a hand-over file; gives back its SHA-256, or undefined in a dry run. */
async function save({ dryRun }: Workspace, file: string, text: () => string): Promise<string | undefined> {
	if (dryRun) return undefined;
	const content = text();
	await writeWhole(file, content);
	return sha256Of(content);
}

/** The registry, asked once for each reference until that was pushed. */
export interface Lookups {
	readonly lookup: Lookup;
	readonly digestOf: StagedOptions["digestOf"];
	readonly listTags: StagedOptions["listTags"];
	/** From now on these are asked for again. */
	readonly pushed: (references: readonly string[]) => void;
	/** All that were. */
	readonly fresh: ReadonlySet<string>;
}

/** After so many questions it is said how many there were. */
const toldEvery = 500;

export function openLookups({ client, program, io }: Workspace): Lookups {
	const asked = new Map<string, ReturnType<Lookup>>();
	const digests = new Map<string, Promise<string | undefined>>();
	const lists = new Map<string, Promise<readonly string[]>>();
	const ask = registryLookup(client, program);
	const fresh = new Set<string>();
	return {
		lookup: (reference) => {
			let answer = asked.get(reference);
			if (answer === undefined) {
				answer = ask(reference);
				asked.set(reference, answer);
				if (asked.size % toldEvery === 0) {
					io.log({ type: "message", level: "info", text: `${asked.size} references were looked up so far` });
				}
			}
			return answer;
		},
		digestOf: (reference) => {
			const answer =
				digests.get(reference) ?? client.headManifest(parseReference(reference)).then((found) => found?.digest);
			digests.set(reference, answer);
			return answer;
		},
		// What is pushed after a list was read is asked for by itself.
		listTags: async function* (repository, options) {
			const key = repositoryKey(repository);
			const list = lists.get(key) ?? Array.fromAsync(client.listTags(repository, options));
			lists.set(key, list);
			yield* await list;
		},
		pushed: (references) => {
			for (const reference of references) {
				asked.delete(reference);
				digests.delete(reference);
				fresh.add(reference);
			}
		},
		fresh,
	};
}

export interface BuildsChoice {
	/** The texts of forced builds by the id that each replaces; default: what is remembered. */
	readonly forced?: Readonly<Record<string, string>> | undefined;
	/** What a plan of this run looked up: only what it did not find is asked for. Default: what is remembered, confirmed anew. */
	readonly planned?: LookupCache | undefined;
	/** Whether much that was known may be missing (`checkMissing`). Default: yes. */
	readonly acceptMissing?: boolean;
}

/** Builds, and the SHA-256 of the files that they were written to; without, in a dry run. */
export interface ComputedBuilds extends BuildsOutput {
	readonly files?: { readonly builds: string; readonly cache: string };
}

/** Sources and what the registry holds become `builds.json` and the cache of lookups. */
export async function computeBuilds(
	workspace: Workspace,
	all: Sources,
	lookups: Lookups,
	options: BuildsChoice = {},
): Promise<ComputedBuilds> {
	const { program, io, work, everRead } = workspace;
	const files = filesOf(work);
	const state = await workspace.memory.read();
	const read = (bytes: Buffer): LookupCache => readLookupCache(bytes, { file: files.cache });
	const cache = options.planned ?? (await remembered(workspace, files.cache, read)) ?? state?.cache ?? { indexes: {} };
	for (const reference of [...Object.keys(cache.indexes), ...publishedReferences(state, program)]) {
		// Without a digest only staging references are kept, and these are ours (spec/builds.md, Cache).
		if (!reference.includes("@")) everRead.add(repositoryKey(parseReference(reference)));
	}
	const staging =
		options.planned === undefined
			? openStaging(all, cache, io, { ...lookups, template: program.registries.staging })
			: { cache: options.planned, lookup: lookups.lookup, found: () => ({ known: 0, missing: [] }) };
	const input = { sources: all, cache: staging.cache, forced: options.forced ?? forcedTexts(state) };
	const output = await builds(input, io, { program, lookup: staging.lookup });
	if (options.acceptMissing === false) checkMissing(staging.found());
	const buildsDigest = await save(workspace, files.builds, () => writeBuilds(output.builds));
	const cacheDigest = await save(workspace, files.cache, () => writeLookupCache(output.cache));
	if (buildsDigest === undefined || cacheDigest === undefined) return output;
	return { ...output, files: { builds: buildsDigest, cache: cacheDigest } };
}

/** The tags that were published once, joined and of the architectures, as references. */
function publishedReferences(state: State | undefined, { registries, architectures }: Program): readonly string[] {
	const namespaces = Object.values(architectures).flatMap(({ namespace, platform }) =>
		namespace === null ? [] : [{ namespace, platform: platformString(platform) }],
	);
	return Object.values(state?.published ?? {}).flatMap((ofImage) =>
		Object.entries(ofImage).flatMap(([tag, { platforms }]) => [
			underNamespace(registries.namespace, tag),
			...namespaces
				.filter(({ platform }) => platforms.includes(platform))
				.map(({ namespace }) => `${namespace}/${tag}`),
		]),
	);
}

export interface PlanChoice {
	/** Only these architectures; all that have a runner where it is left out. */
	readonly architectures?: readonly string[];
	/** The commit of the library's repository. */
	readonly library?: string;
	/** Whether what failed before is tried again at once. Default: no. */
	readonly retry?: boolean;
	/** How much one run can take; default: everything. */
	readonly capacity?: Capacity;
}

/** Builds become `plan.json` and its legs. */
export async function computePlan(
	workspace: Workspace,
	all: Sources,
	{ builds, waiting, files }: ComputedBuilds,
	choice: PlanChoice = {},
): Promise<PlanOutput> {
	const { program, io, work, everRead, dryRun } = workspace;
	const state = await workspace.memory.read();
	const output = await plan(
		{
			builds,
			waiting,
			sources: all,
			...(state === undefined
				? {}
				: {
						queue: Object.assign({}, ...Object.values(state.queue)),
						previous: (await import("../state/index.ts")).predecessors(state),
						forced: state.decisions.forced,
					}),
		},
		io,
		{
			program: chosenArchitectures(program, choice.architectures),
			read: everRead,
			wholeProgram: program,
			everRead: (repository) => everRead.has(repositoryKey(parseReference(repository))),
			changedFiles: (before, now) => changedFiles(workspace, before, now),
			...(choice.library === undefined ? {} : { library: choice.library }),
			...(choice.retry === undefined ? {} : { retry: choice.retry }),
			...(choice.capacity === undefined ? {} : { capacity: choice.capacity }),
			...(files === undefined ? {} : { files }),
		},
	);
	if (!dryRun) await writePlan(work, output);
	return output;
}

/** How many changed files are looked for; a reason names some of them. */
const maxChangedFiles = 100;

/** Which files of a source changed; undefined where git cannot say: a reason is not worth an error. */
async function changedFiles(
	{ git, io }: Workspace,
	before: SourceEntry,
	now: SourceEntry,
): Promise<readonly string[] | undefined> {
	if (before.GitRepo !== now.GitRepo) return undefined;
	try {
		const repository = git.repository(now.GitRepo);
		const wanted = [before, now].map(({ GitCommit, GitFetch }) => ({ commit: GitCommit, fetch: GitFetch }));
		await repository.ensure(wanted, { history: false });
		const [old, current] = [before, now].map(({ GitCommit, Directory }) => ({
			commit: GitCommit,
			directory: Directory,
		}));
		return await repository.changedPaths(old!, current!, maxChangedFiles);
	} catch (error) {
		if (!(error instanceof BrewlineError) || error.code === "cancelled") throw error;
		io.log({ type: "message", level: "debug", text: `what changed is not known: ${error.message}` });
		return undefined;
	}
}

/** `plan.json`; with a digest it must be there, and be that very file. */
export async function readPlanFile({ work }: Workspace, digest?: string): Promise<Plan | undefined> {
	const file = filesOf(work).plan;
	if (digest !== undefined) return readRequired(file, "plan", (bytes) => readPlan(bytes, { file, digest }));
	return (await readIfThere(file)) === undefined
		? undefined
		: readRequired(file, "plan", (bytes) => readPlan(bytes, { file }));
}

/** `sources.json`, as the step before wrote it; with a digest it must be the very file that was planned with. */
export async function readSourcesFile({ work }: Workspace, digest?: string): Promise<Sources> {
	const file = filesOf(work).sources;
	return readRequired(file, "sources", (bytes) => readSources(planned(bytes, file, digest), file));
}

/** The bytes, if they have the digest that the plan gives for the file. */
function planned(bytes: Buffer, file: string, digest: string | undefined): Buffer {
	if (digest === undefined || sha256Of(bytes) === digest) return bytes;
	throw new BrewlineError("handover", `${file} is not the file that was planned with: its SHA-256 differs`, {
		hint: "take both files from the same run",
	});
}

/** `builds.json` and `cache.json` of a plan. */
export async function readPlanned({ work }: Workspace, plan: Plan): Promise<Pick<BuildsOutput, "builds" | "cache">> {
	const files = filesOf(work);
	const digestFor = (digest: string | null, file: string): string => {
		if (digest !== null) return digest;
		throw new BrewlineError("handover", `the plan was made without ${file}`, { hint: "plan again: brewline plan" });
	};
	const ofBuilds = { file: files.builds, digest: digestFor(plan.builds, files.builds) };
	const ofCache = { file: files.cache, digest: digestFor(plan.cache, files.cache) };
	return {
		builds: await readRequired(files.builds, "plan", (bytes) => readBuilds(bytes, ofBuilds)),
		cache: await readRequired(files.cache, "plan", (bytes) => readLookupCache(bytes, ofCache)),
	};
}

export interface LegOptions {
	/** The digest that the one leg that is named must have; the plan is not read then. */
	readonly digest?: string | undefined;
	/** The plan, where it was read. */
	readonly plan?: Plan;
}

/** Legs of the plan, all of them where none is named. */
export async function readLegs(work: string, ids: readonly string[], options: LegOptions = {}): Promise<Leg[]> {
	const { digest } = options;
	const files = filesOf(work);
	const digests = new Map<string, string>();
	if (digest === undefined) {
		const plan =
			options.plan ?? (await readRequired(files.plan, "plan", (bytes) => readPlan(bytes, { file: files.plan })));
		for (const leg of plan.legs) digests.set(leg.id, leg.digest);
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

/** The program with only the chosen architectures served. */
export function chosenArchitectures(program: Program, names: readonly string[] | undefined): Program {
	if (names === undefined) return program;
	for (const name of names) {
		if (!servedArchitectures(program).includes(name)) {
			throw new BrewlineError("usage", `nothing builds ${printable(name)} here`, {
				hint: `the architectures with a runner are: ${servedArchitectures(program).join(", ")}`,
			});
		}
	}
	const architectures = Object.fromEntries(
		Object.entries(program.architectures).map(([name, value]) => [
			name,
			names.includes(name) ? value : { ...value, runner: null },
		]),
	);
	// A policy's runner must not serve what was not chosen.
	const others = Object.keys(architectures).filter((name) => !names.includes(name));
	return { ...program, architectures, policies: [...program.policies, { architectures: others, runner: null }] };
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
