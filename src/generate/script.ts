import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { definitionLimit } from "../definition/library.ts";
import { decodeText } from "../definition/index.ts";
import { BrewlineError } from "../errors.ts";
import { runCommand } from "../io/command.ts";
import { printable } from "../io/printable.ts";
import type { Io } from "../io/index.ts";

export interface ScriptInput {
	/** The work tree that the script is of, and runs in. */
	readonly folder: string;
	/** Its path there. */
	readonly script: string;
	/** The folder of the library, for scripts that ask for their parents' definitions. */
	readonly library?: string;
	/** Milliseconds; default 5 minutes. */
	readonly timeLimit?: number;
}

const defaultTimeLimit = 5 * 60_000;

/** What a script may see of the environment: where programs are. No token, no address, nothing of the runner's. */
const kept: ReadonlySet<string> = new Set(["PATH", "SYSTEMROOT", "TZ"]);

/**
 * Runs a repository's own generator, and gives what it prints. It is code of the repository, and can do what this user can: the
 * caller has to have been told that it may run. It gets an empty home folder, no input, and a time limit, and what it leaves running is ended with it.
 */
export async function runScript(input: ScriptInput, io: Io): Promise<string> {
	const { folder, script, library, timeLimit = defaultTimeLimit } = input;
	const home = await mkdtemp(path.join(tmpdir(), "brewline-script-"));
	const env: Record<string, string | undefined> = {};
	for (const name of Object.keys(io.env)) if (!kept.has(name.toUpperCase())) env[name] = undefined;
	env["HOME"] = home;
	env["TMPDIR"] = home;
	env["LC_ALL"] = "C.UTF-8";
	if (library !== undefined) env["BASHBREW_LIBRARY"] = library;
	const late = AbortSignal.timeout(timeLimit);
	try {
		const { stdout } = await runCommand(io, [path.resolve(folder, script)], {
			cwd: folder,
			env,
			signal: AbortSignal.any([io.signal, late]),
			maxOutput: definitionLimit,
			endsWithIt: true,
			hint: "Run it by itself to see more; it needs the programs that it calls: bash, jq, awk, bashbrew.",
		});
		return decodeText(stdout);
	} catch (error) {
		if (!late.aborted || io.signal.aborted) throw error;
		throw new BrewlineError("limit", `${printable(script)} took longer than ${timeLimit / 1000} s, and was ended`, {
			cause: error,
		});
	} finally {
		await rm(home, { recursive: true, force: true });
	}
}
