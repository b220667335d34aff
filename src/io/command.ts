import { BrewlineError, type ErrorCode } from "../errors.ts";
import { printable } from "./printable.ts";
import type { Child, ExecOptions, Io } from "./types.ts";

export interface CommandOptions extends ExecOptions {
	readonly input?: string | Uint8Array;
	/** Bytes of standard output after which the program is ended; default 64 MiB. */
	readonly maxOutput?: number;
	/** The code of the error that a failure becomes; default `failed`. */
	readonly code?: ErrorCode;
	readonly hint?: string;
	/** What it started is ended when it ends: else its output is waited for as long as anything has it open. */
	readonly endsWithIt?: boolean;
}

export interface CommandResult {
	readonly stdout: Buffer;
	/** Its last 64 KiB. */
	readonly stderr: string;
}

const keptErrorOutput = 65_536;
/** Milliseconds that an output may stay open when all that can be ended has been. */
const grace = 1000;

/** Runs a program to its end and gives its output. Anything but exit code 0 is an error with the end of its standard error. */
export async function runCommand(
	io: Io,
	argv: readonly [string, ...string[]],
	options: CommandOptions = {},
): Promise<CommandResult> {
	const code = options.code ?? "failed";
	const name = printable(argv.slice(0, 3).join(" "));
	const child = io.exec(argv, { signal: io.signal, ...options });
	child.stdin.end(options.input ?? "");
	const limit = options.maxOutput ?? 64 * 1024 * 1024;
	const chunks: Buffer[] = [];
	let size = 0;
	let stderr = "";
	child.stdout.on("data", (chunk: Buffer) => {
		size += chunk.length;
		if (size > limit) child.kill("SIGKILL");
		else chunks.push(chunk);
	});
	child.stderr.on("data", (chunk: Buffer) => {
		stderr = (stderr + chunk.toString("utf8")).slice(-keptErrorOutput);
	});
	const closed = Promise.all(
		[child.stdout, child.stderr].map((stream) => new Promise((resolve) => stream.once("close", resolve))),
	);
	const exit = await child.exited.catch((error: unknown) => {
		throw new BrewlineError(code, `cannot start ${name}`, {
			cause: error,
			...(options.hint === undefined ? {} : { hint: options.hint }),
		});
	});
	if (options.endsWithIt === true) {
		child.kill("SIGKILL");
		await closedSoon(io, closed, child, (message) => new BrewlineError(code, `${name} ${message}`));
	} else await closed;
	if (size > limit) throw new BrewlineError(code, `${name} wrote more than ${limit} bytes`);
	if ((options.signal ?? io.signal).aborted) throw new BrewlineError("cancelled", `${name} was ended`);
	if (exit.code !== 0) {
		const how = exit.signal === null ? `exit code ${exit.code}` : `ended by ${exit.signal}`;
		const lines = stderr
			.trim()
			.split("\n")
			.slice(-5)
			.map((line) => printable(line.trim()));
		throw new BrewlineError(
			code,
			`${name}: ${how}${lines[0] === "" ? "" : `: ${lines.join("; ")}`}`,
			options.hint === undefined ? {} : { hint: options.hint },
		);
	}
	return { stdout: Buffer.concat(chunks), stderr };
}

/** Waits for the outputs; what left the program's group of processes cannot be ended, and is not waited for. */
async function closedSoon(
	io: Io,
	closed: Promise<unknown>,
	{ stdout, stderr }: Child,
	problem: (message: string) => BrewlineError,
): Promise<void> {
	const done = new AbortController();
	const late = io.clock.sleep(grace, done.signal).then(() => true);
	const isLate = await Promise.race([closed.then(() => false), late]);
	done.abort();
	if (!isLate) return;
	stdout.destroy();
	stderr.destroy();
	throw problem("left a program running that has its output, which may not be whole");
}

/** Whether a process of this machine has not ended, whoever it belongs to. */
export function isRunning(pid: number): boolean {
	try {
		return process.kill(pid, 0);
	} catch (error) {
		// Another user's process is one as well.
		return (error as NodeJS.ErrnoException).code === "EPERM";
	}
}
