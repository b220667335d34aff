import type { Io } from "../io/types.ts";
import { BrewlineError } from "../errors.ts";
import { runCommand } from "../io/command.ts";
import { gitEnvironment, type GitConfig } from "./command.ts";

/** A repository of the user's own, as it is told: a work tree's folder, or a bare repository's. */
export interface LocalRepository {
	/** Where git runs. */
	readonly folder: string;
	/** The folder of a bare repository; left out: git finds it from `folder`. */
	readonly gitDirectory?: string;
}

/** The folder was named by the user, whoever owns it; a program that its configuration names is not started. */
export const repositoryConfig: GitConfig = [
	["safe.directory", "*"],
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
		if (!(error instanceof BrewlineError) || !error.message.startsWith("cannot start")) throw error;
		throw new BrewlineError("git", error.message, { cause: error, hint: "install git 2.36 or later" });
	}
}
