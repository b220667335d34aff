import type { Io } from "../io/types.ts";
import { BrewlineError } from "../errors.ts";
import { runCommand } from "../io/command.ts";
import { gitEnvironment, type GitConfig } from "./command.ts";

/** A repository of the user's own, as it is told: a work tree's folder, or a bare repository's. */
export interface LocalRepository {
	/** Where git runs. */
	readonly folder: string;
	/** The folder of a bare repository, which is one only where it is named; left out: git finds the work tree's from `folder`. */
	readonly gitDirectory?: string;
}

/** The folder was named by the user, whoever owns it; a program that its configuration names is not started. */
export const repositoryConfig: GitConfig = [
	["safe.directory", "*"],
	// A folder that was committed may look like a repository, with a configuration of its own.
	["safe.bareRepository", "explicit"],
	["core.fsmonitor", "false"],
	["core.quotePath", "false"],
];

/** Runs git in a repository of the user's own, and gives what it writes. */
export async function gitIn(
	io: Io,
	{ folder, gitDirectory }: LocalRepository,
	args: readonly string[],
	options: { readonly input?: string; readonly maxOutput?: number } = {},
): Promise<Buffer> {
	try {
		const { stdout } = await runCommand(io, ["git", ...args], {
			cwd: folder,
			env: gitEnvironment(io, gitDirectory, repositoryConfig),
			code: "git",
			...options,
		});
		return stdout;
	} catch (error) {
		const hint = error instanceof BrewlineError ? hintFor(error.message) : undefined;
		if (hint === undefined) throw error;
		throw new BrewlineError("git", (error as BrewlineError).message, { cause: error, hint });
	}
}

/** What helps where git says the same to everybody who begins. */
function hintFor(message: string): string | undefined {
	if (message.startsWith("cannot start")) return "install git 2.36 or later";
	if (message.includes("not a git repository")) return "Begin one with git init, or go to the folder that is one.";
	if (message.includes("ambiguous argument 'HEAD'")) return "Nothing is committed here yet: commit first.";
	return undefined;
}
