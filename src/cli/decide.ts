import { mkdir, readFile } from "node:fs/promises";
import { userInfo } from "node:os";
import path from "node:path";
import { readBuilds, readLookupCache, writeBuilds, writeLookupCache } from "../builds/index.ts";
import { BrewlineError, messageOf } from "../errors.ts";
import { printable, writeWhole } from "../io/index.ts";
import { tabJson } from "../json/index.ts";
import { explain, type Explanation, force, openWorkspace, rememberRun, type Workspace } from "../pipeline/index.ts";
import { readSources, writeSources } from "../sources/index.ts";
import { emptyState } from "../state/index.ts";
import { type Context, sayUnconfigured } from "./context.ts";

async function inWorkspace(
	context: Context,
	dryRun: boolean,
	step: (workspace: Workspace) => Promise<number>,
): Promise<number> {
	sayUnconfigured(context);
	await using workspace = openWorkspace(context.program, context.io, { work: context.work, dryRun });
	return await step(workspace);
}

/** Why an image is built or not, with all that it stands on. */
export function explainStep(context: Context, _options: object, args: string[]): Promise<number> {
	const [reference = "", arch] = args;
	return inWorkspace(context, true, async (workspace) => {
		const explanations = await explain(workspace, reference, arch);
		context.print(
			context.json ? tabJson(explanations) : explanations.map((one) => explanationText(one, context, "")).join(""),
		);
		return 0;
	});
}

function explanationText(one: Explanation, context: Context, indent: string): string {
	const { style } = context;
	const { GitRepo, GitCommit, Directory } = one.source;
	const color = { present: style.green, due: style.yellow, waiting: style.red }[one.state];
	const state = { present: "built", due: "to build", waiting: "waits" }[one.state];
	const lines = [
		`${indent}${style.bold(printable(one.tag))} ${printable(one.arch)}: ${color(state)}: ${printable(one.reason, 2000)}`,
		`${indent}  from ${printable(`${GitRepo}#${GitCommit}:${Directory}`, 500)}`,
	];
	if (one.staging !== null) lines.push(`${indent}  ${printable(one.staging)} ${one.digest ?? "(nothing there)"}`);
	const text = lines.map((line) => `${line}\n`).join("");
	const parents = one.parents.map(({ from, digest, image }) => {
		const head = `${indent}  on ${printable(from)} ${digest ?? (from === "scratch" ? "" : "(not there)")}`.trimEnd();
		return `${head}\n${image === null ? "" : explanationText(image, context, `${indent}    `)}`;
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
	const { env } = context.io;
	const by = options.by ?? env["GITHUB_ACTOR"] ?? userInfo().username;
	return inWorkspace(context, options.dryRun === true, async (workspace) => {
		const outcomes = await force(workspace, {
			reference,
			reason: options.reason,
			by,
			...(arch === undefined ? {} : { arch }),
		});
		context.print(
			context.json
				? tabJson(outcomes)
				: outcomes.map(({ tag, arch: on, note }) => `${printable(tag)} ${printable(on)}: ${note}\n`).join(""),
		);
		return outcomes.some(({ buildId }) => buildId !== null) ? 0 : 7;
	});
}

/** Writes what the steps before learned into the state. */
export function rememberStep(context: Context): Promise<number> {
	return inWorkspace(context, false, async (workspace) => {
		const remembered = await rememberRun(workspace);
		context.print(
			context.json
				? tabJson(remembered)
				: `${remembered.tries} failed tries and ${remembered.tags} tags are in the state at ${workspace.memory.where}\n`,
		);
		return 0;
	});
}

const stateFiles = { sources: "sources.json", builds: "builds.json", cache: "cache.json" } as const;

/** Writes the state as the single files of the existing system. */
export function exportState(context: Context, _options: object, args: string[]): Promise<number> {
	const folder = path.resolve(args[0] ?? ".");
	return inWorkspace(context, true, async (workspace) => {
		const state = (await workspace.memory.read()) ?? emptyState;
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
	return inWorkspace(context, options.dryRun === true, async (workspace) => {
		const sources = readSources(await read(options.sources), options.sources);
		const builds = readBuilds(await read(options.builds), { file: options.builds });
		const cache =
			options.cache === undefined
				? { indexes: {} }
				: readLookupCache(await read(options.cache), { file: options.cache });
		await workspace.memory.update(
			(state) => ({ ...state, sources, builds, cache }),
			"Take over sources, builds and lookups",
		);
		const counts = `${Object.keys(sources).length} sources and ${Object.keys(builds).length} builds`;
		context.print(
			options.dryRun === true
				? `${counts} can be taken over\n`
				: `${counts} are in the state at ${workspace.memory.where}\n`,
		);
		return 0;
	});
}
