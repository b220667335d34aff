import { existsSync } from "node:fs";
import type { Run } from "../build/index.ts";
import type { Builds, LookupCache } from "../builds/index.ts";
import { BrewlineError } from "../errors.ts";
import { pairOf, type Plan } from "../plan/index.ts";
import { type Ledger, publish, type PublishDecisions, type PublishResult, waitingRule } from "../publish/index.ts";
import type { Sources } from "../sources/index.ts";
import { noMemory } from "./memory.ts";
import { buildReports, type Draft, reasonsIn, stillWaiting, tagReports } from "./report.ts";
import {
	computeBuilds,
	computePlan,
	openLookups,
	readLegs,
	readPlanFile,
	readPlanned,
	readResults,
	readSourcesFile,
} from "./steps.ts";
import { knownTests } from "./tests.ts";
import { filesOf, type Workspace } from "./workspace.ts";

export interface PublishChoice {
	/** Whether every tag is looked at, also those that are made from what they were made from before. Default: no. */
	readonly audit?: boolean;
	/** Whether a tag may go back to an older version. Default: no. */
	readonly allowOlder?: boolean;
}

/** Milliseconds: publishing may take hours, and obeys within so long what is decided meanwhile. */
const decisionsAge = 60_000;

/** What is decided now, asked no more often than that; the same object as long as nothing is new. */
function decisionsOf(
	{ memory, io }: Workspace,
	first: PublishDecisions | undefined,
): () => Promise<PublishDecisions | undefined> {
	let asked = io.clock.now();
	let known = Promise.resolve(first);
	const ask = async (before: PublishDecisions | undefined): Promise<PublishDecisions | undefined> => {
		try {
			const now = (await memory.again())?.decisions;
			return JSON.stringify(now) === JSON.stringify(before) ? before : now;
		} catch (error) {
			if (!(error instanceof BrewlineError) || error.code === "cancelled") throw error;
			const text = `whether something was decided since this run began is not known: ${error.message}`;
			io.log({ type: "message", level: "warning", code: error.code, text });
			return before;
		}
	};
	return () => {
		if (io.clock.now() - asked >= decisionsAge) {
			asked = io.clock.now();
			known = known.then(ask);
		}
		return known;
	};
}

/**
 * Moves what is staged to its tags; what is looked at is read from the registry anew, and nothing from files or earlier
 * look-ups. What people decided, and what was published before, is in the state.
 */
export async function publishStaged(
	workspace: Workspace,
	input: { readonly sources: Sources; readonly builds: Builds },
	options: PublishChoice & {
		readonly dryRun?: boolean;
		readonly overdue?: ReadonlySet<string>;
		/** The digests of the files of test results that are believed; default: whatever the work folder has. */
		readonly testDigests?: readonly string[];
	} = {},
): Promise<PublishResult> {
	const { program, io, client } = workspace;
	const state = await workspace.memory.read();
	const lookups = openLookups(workspace);
	return publish(input, io, {
		program,
		client,
		lookup: async (reference) => {
			const found = await lookups.lookup(reference);
			// What is not there may come to be while this runs.
			if (found === undefined) lookups.pushed([reference]);
			return found;
		},
		mustWait: waitingRule(program, options.overdue ?? new Set()),
		dryRun: options.dryRun ?? workspace.dryRun,
		...(state === undefined
			? {}
			: { decisions: state.decisions, ledger: Object.assign({}, ...Object.values(state.published)) as Ledger }),
		decided: decisionsOf(workspace, state?.decisions),
		tests: await knownTests(workspace.work, io, state, options.testDigests),
		audit: options.audit ?? false,
		allowOlder: options.allowOlder ?? false,
	});
}

/**
 * The step of its own: from `sources.json` and the registry, with the reasons that the legs' results give, into the report.
 * With the digest of `plan.json`, the files must be those of that plan, and results those of that run.
 */
export async function publishPlanned(
	workspace: Workspace,
	report: Draft,
	options: PublishChoice & {
		readonly planDigest?: string;
		readonly run?: Run;
		/** With `planDigest`: the digests of the files of test results that are believed; default: none is. */
		readonly testDigests?: readonly string[];
	} = {},
): Promise<void> {
	const { io, work } = workspace;
	const planned = await readPlanFile(workspace, options.planDigest);
	// The job has no memory of its own.
	for (const repository of planned?.read ?? []) workspace.everRead.add(repository);
	const strict = options.planDigest !== undefined;
	// What a plan of this run says is believed; of what earlier runs learned, only decisions and what tags were made from.
	const dry = { ...workspace, dryRun: true, ...(strict ? { memory: noMemory } : {}) };
	const sources = await readSourcesFile(workspace, strict ? planned?.sources : undefined);
	// Those of the plan where it is the one that is to be published.
	const forced = strict ? planned?.forced : undefined;
	const output = await computeBuilds(dry, sources, openLookups(workspace), {
		forced,
		planned: strict && planned !== undefined ? await plannedLookups(workspace, planned) : undefined,
	});
	const { builds } = output;
	const legs = planned === undefined ? [] : await readLegs(work, [], { plan: planned });
	const reasons = planned === undefined ? new Map<string, string>() : reasonsIn(planned);
	const results = await readResults(work, legs, io, options.run);
	const next = await computePlan(dry, sources, output);
	report.waiting = stillWaiting(sources, builds, next.plan, planned);
	report.builds = buildReports(builds, results, reasons);
	const overdue = new Set(
		((strict ? planned : undefined) ?? next.plan).overdue.map(({ source, arch }) => pairOf(source, arch)),
	);
	const published = await publishStaged(
		workspace,
		{ sources, builds },
		{
			...options,
			dryRun: report.dryRun,
			overdue,
			...(strict ? { testDigests: options.testDigests ?? [] } : {}),
		},
	);
	Object.assign(report, tagReports(published));
}

/** What the plan looked up, where its job handed that over. */
async function plannedLookups(workspace: Workspace, plan: Plan): Promise<LookupCache | undefined> {
	const { builds, cache } = filesOf(workspace.work);
	if (!existsSync(builds) || !existsSync(cache)) return undefined;
	return (await readPlanned(workspace, plan)).cache;
}
