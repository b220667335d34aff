import { closeSync, mkdirSync, openSync, writeSync } from "node:fs";
import path from "node:path";
import { finished, pipeline } from "node:stream/promises";
import type { Readable } from "node:stream";
import { StringDecoder } from "node:string_decoder";
import { BrewlineError, messageOf } from "../errors.ts";
import { printable } from "../io/printable.ts";
import type { Io } from "../io/types.ts";
import type { Command } from "./commands.ts";

/** The log of one build: a file, `io.log`, and the last lines in memory. All text is escaped: it is the build's own. */
export interface BuildLog {
	/** One line, without its end. */
	readonly write: (line: string) => void;
	/** The last lines, oldest first. */
	readonly tail: () => readonly string[];
	readonly close: () => void;
}

const keptLines = 20;
const longestLine = 4000;
const longestKeptLine = 500;
/** A build that prints without end must not fill the disk; BuildKit itself cuts a step's output at 2 MiB. */
const largestFile = 64 * 1024 * 1024;

export function openLog(io: Io, task: string, file: string | undefined): BuildLog {
	if (file !== undefined) {
		mkdirSync(path.dirname(file), { recursive: true });
	}
	let descriptor = file === undefined ? undefined : openSync(file, "w");
	const last: string[] = [];
	let size = 0;
	return {
		write(line) {
			const text = printable(line, longestLine);
			last.push(text.slice(0, longestKeptLine));
			if (last.length > keptLines) {
				last.shift();
			}
			if (descriptor !== undefined && size <= largestFile) {
				size += writeSync(descriptor, `${text}\n`);
				if (size > largestFile) {
					writeSync(descriptor, "(the log is cut here)\n");
				}
			}
			io.log({ type: "output", task, text });
		},
		tail: () => last,
		close() {
			if (descriptor !== undefined) {
				closeSync(descriptor);
				// A build that did not end in time may still write.
				descriptor = undefined;
			}
		},
	};
}

/** Calls `write` for each line, with bounded memory: a line that does not end is cut into several. */
async function eachLine(stream: Readable, write: (line: string) => void): Promise<void> {
	const decoder = new StringDecoder("utf8");
	let rest = "";
	const take = (text: string) => {
		// A carriage return alone redraws a line on a terminal.
		const lines = (rest + text).split(/\r\n|\n|\r(?!$)/);
		rest = lines.pop()!;
		lines.forEach(write);
		if (rest.length > longestLine) {
			write(rest);
			rest = "";
		}
	};
	stream.on("data", (chunk: Buffer) => {
		take(decoder.write(chunk));
	});
	// A stream that is destroyed has ended too: the process is judged by its exit code.
	await finished(stream).catch(() => {});
	take(decoder.end());
	if (rest !== "") {
		write(rest.replace(/\r$/, ""));
	}
}

export interface RunOptions {
	readonly cwd: string;
	readonly log: BuildLog;
	/** Added to the environment, besides the command's own. */
	readonly env?: Readonly<Record<string, string>>;
	/** Standard input; default empty. */
	readonly input?: string | Readable;
}

/** How long standard output may stay open after the end of its program: a grandchild can hold it. */
const drainMilliseconds = 500;

/** Runs a command to its end, its output into the log. Anything but exit code 0 is an error with the code `build`. */
export async function runLogged(io: Io, command: Command, options: RunOptions): Promise<void> {
	const name = printable(command.argv.slice(0, 3).join(" "));
	io.signal.throwIfAborted();
	options.log.write(`+ ${command.argv.map(shown).join(" ")}`);
	const child = io.exec(command.argv, {
		cwd: options.cwd,
		env: { ...options.env, ...command.env },
		signal: io.signal,
	});
	const output = Promise.all([child.stdout, child.stderr].map((stream) => eachLine(stream, options.log.write)));
	let inputError: unknown;
	if (options.input === undefined || typeof options.input === "string") {
		child.stdin.end(options.input ?? "");
	} else {
		// What the program does not read to its end is its own affair; what cannot be read is an error.
		const source = options.input;
		source.once("error", (error) => {
			inputError = error;
		});
		pipeline(source, child.stdin).catch(() => {});
	}
	try {
		const exit = await child.exited.catch((cause: unknown) => {
			throw new BrewlineError("engine", `cannot start ${name}: ${printable(messageOf(cause))}`, {
				hint: "is docker installed, with buildx, and on the PATH?",
				cause,
			});
		});
		const drained = new Promise((resolve) => setTimeout(resolve, drainMilliseconds).unref());
		await Promise.race([output, drained]);
		io.signal.throwIfAborted();
		if (inputError !== undefined) {
			throw inputError;
		}
		if (exit.code !== 0) {
			const how = exit.signal === null ? `exit code ${exit.code}` : `ended by ${exit.signal}`;
			// BuildKit's own last word, where there is one.
			const why = options.log.tail().findLast((line) => line.startsWith("ERROR: "));
			throw new BrewlineError(
				"build",
				`${name}: ${how}${why === undefined ? "" : `: ${why.slice("ERROR: ".length)}`}`,
				{
					hint: "the log has the reason",
				},
			);
		}
	} finally {
		child.stdout.destroy();
		child.stderr.destroy();
		if (typeof options.input === "object") {
			options.input.destroy();
		}
		await output;
	}
}

/** An argument as a person would type it, for the log only. */
function shown(argument: string): string {
	return /^[\w@%+=:,./-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", "'\\''")}'`;
}
