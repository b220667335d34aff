import { existsSync } from "node:fs";
import path from "node:path";
import posix from "node:path/posix";
import { dockerProgram } from "../config/defaults.ts";
import type { ImageConfig } from "../config/index.ts";
import { decodeText } from "../definition/index.ts";
import { BrewlineError } from "../errors.ts";
import { gitIn, newestCommits, type LocalRepository } from "../git/index.ts";
import type { Io } from "../io/index.ts";
import { printable } from "../io/printable.ts";
import { dayOf, readCommit, readWorkTree, type RepositoryFiles, versionsWarnings } from "../matrix/index.ts";
import { openSandbox, type Sandbox, type SandboxOptions } from "../sandbox/index.ts";
import type { Definitions } from "./definitions.ts";
import type { Generated, SurveyInput } from "./types.ts";
import { uncommittedOf } from "./uncommitted.ts";

export interface GenerateInput {
	readonly config: ImageConfig;
	/** A work tree's folder, which is read as it is now; or a repository, bare or not, and a commit of it. */
	readonly repository: { readonly folder: string } | { readonly gitDirectory: string; readonly commit: string };
	/** The definitions of parents. */
	readonly definitions: Definitions;
	/** The architectures that there are. */
	readonly architectures: readonly string[];
	/** The architecture of an entry that names none; default: Docker's. */
	readonly defaultArchitecture?: string;
	/** `YYYY-MM-DD`. */
	readonly today: string;
	/** Where the repository's own data is evaluated, for who generates many definitions; default: one of its own. */
	readonly sandbox?: Sandbox;
	/** The configuration's path in the work tree, where it is in there: it is told if it is not committed. */
	readonly configuration?: string;
	/** What the repository's own data may use while it is evaluated. */
	readonly limits?: Pick<SandboxOptions, "timeLimit" | "memoryLimit">;
	/** The commits of branches, where they are not to be those that the repository has now. */
	readonly branches?: ReadonlyMap<string, string>;
}

/** An image's definition, with what explains it, from its repository: a handful of git processes (spec/library-generation.md). */
export async function generate(input: GenerateInput, io: Io): Promise<Generated> {
	const { config, repository, architectures } = input;
	const today = dayOf(io, input.today);
	// It starts while files are read.
	await using own = input.sandbox === undefined ? openSandbox({ ...input.limits, signal: io.signal }) : undefined;
	const sandbox = input.sandbox ?? own!;
	const isWorkTree = "folder" in repository;
	const local: LocalRepository = isWorkTree
		? { folder: repository.folder }
		: { folder: repository.gitDirectory, gitDirectory: repository.gitDirectory };
	const revision = isWorkTree ? "HEAD" : repository.commit;
	const [files, changed, branches] = await Promise.all([
		isWorkTree ? readWorkTree(io, repository.folder) : readCommit(io, repository.gitDirectory, repository.commit),
		isWorkTree ? changedFiles(io, local) : [],
		input.branches ?? (usesBranches(config) ? readBranches(io, local) : new Map<string, string>()),
		isWorkTree ? refuseInside(io, local) : undefined,
	]);
	const committed = await committedFiles(io, local, changed, input.config, files);
	const { defaultArchitecture = dockerProgram.defaultArchitecture } = input;
	const asked: SurveyInput = { config, files, committed, today, architectures, defaultArchitecture, branches };
	const found = await sandbox.run("survey", asked);
	const [{ head, commits }, definitions, existing] = await Promise.all([
		newestCommits(io, local, revision, found.queries),
		readDefinitions(input.definitions, found.parents),
		existingObjects(io, local, found.objects),
	]);
	const { untracked = new Set<string>() } = files;
	const composed = await sandbox.run("compose", { ...asked, survey: found, head, commits, definitions, existing });
	return {
		...composed,
		uncommitted: isWorkTree
			? uncommittedOf({ config, configuration: input.configuration, composed, survey: found, changed, untracked })
			: [],
		warnings: versionsWarnings(config, files),
	};
}

async function readDefinitions(definitions: Definitions, images: readonly string[]): Promise<Map<string, string>> {
	const texts = await Promise.all(images.map(async (image) => [image, await definitions(image)] as const));
	return new Map(texts.flatMap(([image, text]) => (text === undefined ? [] : [[image, text] as const])));
}

/** Directories in a definition count from the top of the repository. */
async function refuseInside(io: Io, repository: LocalRepository): Promise<void> {
	// The top has this, as a folder or, in a further work tree, as a file; no process is needed to see it.
	if (existsSync(path.join(repository.folder, ".git"))) return;
	const prefix = decodeText(await gitIn(io, repository, ["rev-parse", "--show-prefix"])).trim();
	if (prefix === "") return;
	throw new BrewlineError(
		"usage",
		`${printable(repository.folder)} is ${printable(prefix)} of a repository, not the top of one`,
		{
			hint: "Put brewline.yaml at the top of the repository.",
		},
	);
}

/** Tracked files that are not as they were committed. */
async function changedFiles(io: Io, repository: LocalRepository): Promise<readonly string[]> {
	const told = await gitIn(io, repository, [
		"diff",
		"--name-only",
		"-z",
		"--no-renames",
		"--no-ext-diff",
		"--relative",
		"HEAD",
	]);
	return decodeText(told).split("\0").filter(Boolean);
}

const maxDockerfile = 1024 * 1024;

/** What the changed Dockerfiles were in the newest commit; of the files that are copied only the names matter. */
async function committedFiles(
	io: Io,
	repository: LocalRepository,
	changed: readonly string[],
	config: ImageConfig,
	files: RepositoryFiles,
): Promise<Map<string, string>> {
	const [start] = posix.basename(config.file ?? "Dockerfile").split("{");
	const wanted = changed.filter(
		(name) => files.files.has(name) && posix.basename(name).startsWith(start!) && !name.includes("\n"),
	);
	if (wanted.length === 0) return new Map();
	const told = await gitIn(io, repository, ["cat-file", "--batch"], {
		input: wanted.map((path) => `HEAD:./${path}\n`).join(""),
	});
	const found = new Map<string, string>();
	let at = 0;
	for (const path of wanted) {
		const end = told.indexOf(10, at);
		if (end < 0) break;
		const size = /^[0-9a-f]+ blob ([0-9]+)$/.exec(told.toString("latin1", at, end))?.[1];
		at = end + 1;
		if (size === undefined) continue;
		if (Number(size) <= maxDockerfile) found.set(path, decodeText(told.subarray(at, at + Number(size))));
		at += Number(size) + 1;
	}
	return found;
}

function usesBranches(config: ImageConfig): boolean {
	return config.header.branchFields !== undefined || (config.architectures ?? []).some((rule) => "branches" in rule);
}

/** The branches of a clone: those of the remote it is from, and where it has none of that name, its own. */
async function readBranches(io: Io, repository: LocalRepository): Promise<Map<string, string>> {
	const told = await gitIn(io, repository, [
		"for-each-ref",
		"--format=%(objectname) %(refname)",
		"refs/heads",
		"refs/remotes/origin",
	]);
	const branches = new Map<string, string>();
	for (const line of decodeText(told).split("\n")) {
		const [, commit, branch] = /^([0-9a-f]+) refs\/(?:heads|remotes\/origin)\/(.+)$/.exec(line) ?? [];
		if (commit !== undefined && branch !== undefined) branches.set(branch, commit);
	}
	return branches;
}

async function existingObjects(
	io: Io,
	repository: LocalRepository,
	objects: readonly string[],
): Promise<readonly boolean[]> {
	if (objects.length === 0) return [];
	// One line each; only the id is asked for, so that the object itself need not be there.
	const asked = objects.filter((object) => !object.includes("\n"));
	const told = await gitIn(io, repository, ["cat-file", "--batch-check=%(objectname)"], {
		input: `${asked.join("\n")}\n`,
	});
	const lines = told.toString("utf8").split("\n");
	const there = new Set(asked.filter((_, index) => /^[0-9a-f]+$/.test(lines[index] ?? "")));
	return objects.map((object) => there.has(object));
}
