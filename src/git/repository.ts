import type { Io } from "../io/types.ts";
import { BrewlineError } from "../errors.ts";
import { runCommand } from "../io/command.ts";
import { printable } from "../io/printable.ts";
import { gitEnvironment, type GitConfig } from "./command.ts";

/** A repository of the user's own, as it is told: a work tree's folder, or a bare repository's. */
export interface LocalRepository {
	/** Where git runs. */
	readonly folder: string;
	/** The folder of a bare repository, which is one only where it is named; left out: git finds the work tree's from `folder`. */
	readonly gitDirectory?: string;
}

/** The folder was named by the user, whoever owns it; a program that its configuration names is not started. */
const repositoryConfig: GitConfig = [
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

const maxErrorOutput = 4096;

/**
 * Runs git in a repository of the user's own, and gives what it writes piece by piece, until `take` wants no more. Tells whether
 * it was ended so.
 */
export async function gitStream(
	io: Io,
	{ folder, gitDirectory }: LocalRepository,
	args: readonly string[],
	take: (chunk: Buffer) => boolean,
	options: { readonly input?: string; readonly config?: GitConfig } = {},
): Promise<boolean> {
	const child = io.exec(["git", ...args], {
		cwd: folder,
		env: gitEnvironment(io, gitDirectory, [...repositoryConfig, ...(options.config ?? [])]),
		signal: io.signal,
	});
	child.stdin.end(options.input ?? "");
	let stderr = "";
	child.stderr.on("data", (chunk: Buffer) => {
		stderr = (stderr + chunk.toString("utf8")).slice(-maxErrorOutput);
	});
	const exited = child.exited.catch((cause: unknown) => {
		throw new BrewlineError("git", "cannot start git", { cause, hint: "install git 2.36 or later" });
	});
	let enough = false;
	let isWhole = false;
	try {
		for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
			enough = take(chunk);
			if (enough) break;
		}
		isWhole = !enough;
	} catch (error) {
		if (!(error instanceof Error && "code" in error && error.code === "ERR_STREAM_PREMATURE_CLOSE")) throw error;
	} finally {
		if (!isWhole) child.kill("SIGKILL");
	}
	const { code } = await exited;
	if (enough) return true;
	if (io.signal.aborted) throw new BrewlineError("cancelled", `git ${printable(args[0] ?? "")} was ended`);
	if (code === 0) return false;
	const last = stderr
		.trim()
		.split("\n")
		.slice(-3)
		.map((line) => printable(line.trim()));
	throw new BrewlineError("git", last.join("; "));
}

/** What helps where git says the same to everybody who begins. */
function hintFor(message: string): string | undefined {
	if (message.startsWith("cannot start")) return "install git 2.36 or later";
	if (message.includes("not a git repository")) return "Begin one with git init, or go to the folder that is one.";
	if (message.includes("ambiguous argument 'HEAD'")) return "Nothing is committed here yet: commit first.";
	return undefined;
}
