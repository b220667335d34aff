import { mkdir, readFile } from "node:fs/promises";
import { userInfo } from "node:os";
import path from "node:path";
import { readBuilds, readLookupCache, writeBuilds, writeLookupCache } from "../builds/index.ts";
import { BrewlineError, messageOf } from "../errors.ts";
import { counted, printable, writeWhole } from "../io/index.ts";
import { tabJson } from "../json/index.ts";
import {
	decisions,
	explain,
	type Explanation,
	force,
	hold,
	release,
	rememberRun,
	rollback,
	shrink,
	type Workspace,
} from "../pipeline/index.ts";
import { readSources, writeSources } from "../sources/index.ts";
import { emptyState, splitState, type State } from "../state/index.ts";
import type { Context } from "./context.ts";
import { inWorkspace } from "./workspace.ts";

/** Why an image is built or not, with all that it stands on. */
export function explainStep(context: Context, _options: object, args: string[]): Promise<number> {
	const [reference = "", arch] = args;
	return inWorkspace(context, { dryRun: true }, async (workspace) => {
		const explanations = await explain(workspace, reference, arch);
		context.print(
			context.json
				? tabJson(explanations)
				: explanations.map((one) => explanationText(one, context, "", new Set())).join(""),
		);
		return 0;
	});
}

/** `said`: what stands above already. Images that others have in common would be said again for each way to them. */
function explanationText(one: Explanation, context: Context, indent: string, said: Set<Explanation>): string {
	const { style } = context;
	const { GitRepo, GitCommit, Directory } = one.source;
	const color = { present: style.green, due: style.yellow, waiting: style.red }[one.state];
	const state = { present: "built", due: "to build", waiting: "waits" }[one.state];
	said.add(one);
	const lines = [
		`${indent}${style.bold(printable(one.tag))} ${printable(one.arch)}: ${color(state)}: ${printable(one.reason, 2000)}`,
		`${indent}  from ${printable(`${GitRepo}#${GitCommit}:${Directory}`, 500)}`,
	];
	if (one.staging !== null) lines.push(`${indent}  ${printable(one.staging)} ${one.digest ?? "(nothing there)"}`);
	if (one.test !== null) lines.push(`${indent}  ${style.yellow("held")}: ${printable(one.test, 2000)}`);
	const text = lines.map((line) => `${line}\n`).join("");
	const parents = one.parents.map(({ from, digest, image }) => {
		const head = `${indent}  on ${printable(from)} ${digest ?? (from === "scratch" ? "" : "(not there)")}`.trimEnd();
		if (image === null) return `${head}\n`;
		if (said.has(image)) return `${head}, as said above\n`;
		return `${head}\n${explanationText(image, context, `${indent}    `, said)}`;
	});
	return text + parents.join("");
}

/** Has builds made again although nothing changed. */
export function forceStep(
	context: Context,
	options: { reason: string; by?: string; dryRun?: boolean },
	args: string[],
): Promise<number> {
	const [reference = "", arch] = args;
	const by = decider(context, options);
	return inWorkspace(context, options, async (workspace) => {
		const outcomes = await force(workspace, {
			reference,
			reason: options.reason,
			by,
			...(arch === undefined ? {} : { arch }),
		});
		const lines = outcomes.map(({ tag, arch: on, note }) => `${printable(tag)} ${printable(on)}: ${note}\n`);
		const decided = outcomes.some(({ buildId }) => buildId !== null);
		if (decided) lines.push(`${whereWritten(context, workspace)}\n`);
		context.print(context.json ? tabJson(outcomes) : lines.join(""));
		return decided ? 0 : 7;
	});
}

function decider({ io }: Context, { by }: { by?: string }): string {
	const named = by ?? io.env["GITHUB_ACTOR"];
	if (named !== undefined) return named;
	try {
		return userInfo().username;
	} catch (cause) {
		// In containers that are run under a number alone.
		throw new BrewlineError("usage", "who decides is not known: this system has no name for who runs this", {
			cause,
			hint: "name who it is: --by NAME",
		});
	}
}

/** Where a decision is now, for people, and who obeys it. */
function whereWritten({ work }: Context, { memory, dryRun }: Workspace): string {
	if (dryRun) return "nothing was written";
	const at = memory.where ?? "";
	const local = at.startsWith(work + path.sep)
		? ", which runs with this work folder obey and no others: name program.state.repository for all"
		: "";
	return `it is in the state at ${printable(at)}${local}`;
}

interface DecisionFlags {
	readonly reason: string;
	readonly by?: string;
	readonly dryRun?: boolean;
}

/** The name that a decision is about; undefined: everything, which has to be said. */
function subject(args: readonly string[], { all = false }: { all?: boolean }): string | undefined {
	const [name] = args;
	if ((name === undefined) === all) return name;
	throw new BrewlineError(
		"usage",
		name === undefined ? "neither an image nor a tag is named" : "--all is for all images",
		{
			hint: "write NAME, NAME:TAG, or --all alone",
		},
	);
}

/** Runs a decision and says what it was; in a dry run, what it would be. */
function deciding(
	context: Context,
	flags: { readonly dryRun?: boolean },
	decide: (workspace: Workspace) => Promise<{ readonly text: string; readonly data: object }>,
): Promise<number> {
	const dryRun = flags.dryRun === true;
	return inWorkspace(context, { dryRun }, async (workspace) => {
		const { text, data } = await decide(workspace);
		context.print(context.json ? tabJson({ ...data, dryRun }) : `${text}; ${whereWritten(context, workspace)}\n`);
		return 0;
	});
}

/** Has tags stay as they are. */
export function holdStep(context: Context, flags: DecisionFlags & { all?: boolean }, args: string[]): Promise<number> {
	return deciding(context, flags, async (workspace) => {
		const name = subject(args, flags);
		const by = decider(context, flags);
		await hold(workspace, name, { reason: flags.reason, by });
		const what = name === undefined ? "nothing is published" : `${printable(name)} is not moved`;
		return { text: `${what} until it is released: brewline release ${name ?? "--all"}`, data: { hold: name ?? null } };
	});
}

/** Has a tag hold what it held before. */
export function rollbackStep(
	context: Context,
	flags: DecisionFlags & { to?: string },
	args: string[],
): Promise<number> {
	return deciding(context, flags, async (workspace) => {
		const [tag = ""] = args;
		const request = {
			reason: flags.reason,
			by: decider(context, flags),
			...(flags.to === undefined ? {} : { to: flags.to }),
		};
		const { digest, since } = await rollback(workspace, tag, request);
		const held = since === null ? "" : `, which it held from ${since} on`;
		return {
			text: `${printable(tag)} is to hold ${digest}${held}, from the next run on`,
			data: { tag, digest, since },
		};
	});
}

/** Lets tags go without platforms. */
export function shrinkStep(context: Context, flags: DecisionFlags, args: string[]): Promise<number> {
	return deciding(context, flags, async (workspace) => {
		const [name = "", ...platforms] = args;
		await shrink(workspace, name, platforms, { reason: flags.reason, by: decider(context, flags) });
		return { text: `${printable(name)} may go without ${platforms.join(", ")}`, data: { name, platforms } };
	});
}

/** Ends decisions. Ends with 7 where there was none. */
export function releaseStep(
	context: Context,
	flags: { all?: boolean; by?: string; dryRun?: boolean },
	args: string[],
): Promise<number> {
	const dryRun = flags.dryRun === true;
	return inWorkspace(context, { dryRun }, async (workspace) => {
		const ended = await release(workspace, subject(args, flags), decider(context, flags));
		const what = ended.join(", ");
		context.print(
			context.json
				? tabJson({ ended, dryRun })
				: ended.length === 0
					? "nothing of the kind was decided: brewline decisions lists what was\n"
					: dryRun
						? `would end: ${what}; nothing was written\n`
						: `ended: ${what}\n`,
		);
		return ended.length === 0 ? 7 : 0;
	});
}

/** Everything that was decided and is in force. */
export function decisionsStep(context: Context): Promise<number> {
	return inWorkspace(context, { dryRun: true }, async (workspace) => {
		const { decisions: all, titles } = await decisions(workspace);
		const line = (what: string, { by, when, why }: { by: string; when: string; why: string }) =>
			`${what}, by ${printable(by)}, ${when}: ${printable(why, 1000)}\n`;
		const lines = [
			...(all.stop === undefined ? [] : [line("everything is held", all.stop)]),
			...Object.entries(all.holds).map(([name, one]) => line(`${name} is held`, one)),
			...Object.entries(all.rollbacks).map(([name, one]) => line(`${name} is taken back to ${one.digest}`, one)),
			...Object.entries(all.shrink).map(([name, one]) =>
				line(`${name} may go without ${one.platforms.join(", ")}`, one),
			),
			...Object.entries(all.forced).map(([id, { by, when, text }]) =>
				line(
					titles.has(id)
						? `${printable(titles.get(id)!)} is made again instead of ${id.slice(0, 12)}`
						: `${id} was made again; it is of nothing that was planned last`,
					{ by, when, why: text },
				),
			),
		];
		context.print(context.json ? tabJson(all) : lines.join("") || "nothing is decided\n");
		return 0;
	});
}

/** Writes what the steps before learned into the state. */
export function rememberStep(context: Context): Promise<number> {
	return inWorkspace(context, {}, async (workspace) => {
		const remembered = await rememberRun(workspace);
		context.print(
			context.json
				? tabJson(remembered)
				: `${counted(remembered.tries, "failed try", "failed tries")} and ${counted(remembered.tags, "tag")} are in the state at ${workspace.memory.where}\n`,
		);
		return 0;
	});
}

const stateFiles = { sources: "sources.json", builds: "builds.json", cache: "cache.json" } as const;

/** Writes the state as the single files of the existing system. */
export function exportState(context: Context, _options: object, args: string[]): Promise<number> {
	const folder = path.resolve(args[0] ?? ".");
	return inWorkspace(context, { dryRun: true }, async (workspace) => {
		const state = await workspace.memory.read();
		if (state === undefined) {
			// Files of this name may lie there already.
			throw new BrewlineError("handover", `there is no state at ${printable(workspace.memory.where ?? "")}`, {
				hint: "it is written by: brewline run, brewline remember; program.state.repository says where it is kept",
			});
		}
		await mkdir(folder, { recursive: true });
		await writeWhole(path.join(folder, stateFiles.sources), writeSources(state.sources));
		await writeWhole(path.join(folder, stateFiles.builds), writeBuilds(state.builds));
		await writeWhole(path.join(folder, stateFiles.cache), writeLookupCache(state.cache));
		context.print(`${Object.values(stateFiles).join(", ")} are in ${folder}\n`);
		return 0;
	});
}

/** Takes the single files of the existing system over into the state; decisions, tries and tags stay. */
export function importState(
	context: Context,
	options: { sources: string; builds: string; cache?: string; dryRun?: boolean },
): Promise<number> {
	const read = async (file: string): Promise<Buffer> =>
		await readFile(file).catch((error: unknown) => {
			throw new BrewlineError("handover", `cannot read ${printable(file)}: ${messageOf(error)}`, { cause: error });
		});
	return inWorkspace(context, options, async (workspace) => {
		const sources = readSources(await read(options.sources), options.sources);
		const builds = readBuilds(await read(options.builds), { file: options.builds });
		const cache =
			options.cache === undefined
				? { indexes: {} }
				: readLookupCache(await read(options.cache), { file: options.cache });
		const takenOver = (state: State): State => ({ ...state, sources, builds, cache });
		// What cannot be written is told by a dry run, too.
		if (workspace.dryRun) splitState(takenOver((await workspace.memory.read()) ?? emptyState));
		await workspace.memory.update(takenOver, "Take over sources, builds and lookups");
		const counts = `${counted(Object.keys(sources).length, "source")} and ${counted(Object.keys(builds).length, "build")}`;
		context.print(
			options.dryRun === true
				? `${counts} can be taken over\n`
				: `${counts} are in the state at ${workspace.memory.where}\n`,
		);
		return 0;
	});
}
