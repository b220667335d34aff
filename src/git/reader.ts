import { createHash, type Hash } from "node:crypto";
import { BrewlineError } from "../errors.ts";
import { printable } from "../io/printable.ts";
import type { Child, Io } from "../io/types.ts";
import { gitEnvironment } from "./command.ts";

export type ObjectType = "blob" | "tree" | "commit" | "tag";

/** Where one object goes. What it throws fails that one reading; the rest of the object is then passed over. */
export interface ObjectSink {
	start(type: ObjectType, size: number): void | Promise<void>;
	/** As with the others: nothing more is read, of any object, until a promise that it returns is settled. */
	data(chunk: Buffer): void | Promise<void>;
	end?(): void | Promise<void>;
}

/** Reads objects through one long-lived `git cat-file --batch`. */
export interface ObjectReader {
	/**
	 * Sinks are served in the order of the calls, all of which may be made at once. Every object is checked against its
	 * id, so that a cache that was changed behind our back is found out before anything is made of it.
	 */
	read(id: string, sink: ObjectSink): Promise<void>;
	/** How many objects are still to come. */
	pending(): number;
	/** Ends the process; what is still to come fails. */
	close(): Promise<void>;
}

interface Request {
	readonly id: string;
	readonly sink: ObjectSink;
	resolve(): void;
	reject(error: unknown): void;
}

const headerLimit = 256;

export function openReader(io: Io, directory: string): ObjectReader {
	const queue: Request[] = [];
	let next = 0;
	let failure: unknown;
	let stderr = "";
	const child: Child = io.exec(["git", "cat-file", "--batch"], {
		// Without it git takes whole packed objects into memory, up to 512 MiB.
		env: gitEnvironment(io, directory, [["core.bigFileThreshold", "1m"]]),
		signal: io.signal,
	});
	child.stderr.on("data", (chunk: Buffer) => {
		stderr = (stderr + chunk.toString("utf8")).slice(-4096);
	});
	const done = pump().catch((error: unknown) => error);
	const ended = (async () => {
		const problem = await done;
		child.kill("SIGKILL");
		const exit = await child.exited.catch((error: unknown) => error);
		failure ??= io.signal.aborted
			? new BrewlineError("cancelled", "reading from git was ended")
			: exit instanceof Error
				? new BrewlineError("git", "cannot start git", { cause: exit, hint: "install git 2.36 or later" })
				: (problem ?? damaged(directory, stderr === "" ? "git cat-file ended" : printable(stderr.trim())));
		while (next < queue.length) queue[next++]!.reject(failure);
	})();

	/** Takes the answers apart: `ID TYPE SIZE`, the content and a newline, or `ID missing`. */
	async function pump(): Promise<void> {
		let header = "";
		let remaining = -1;
		let hash: Hash | undefined;
		let request: Request | undefined;
		let problem: unknown;
		for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
			let at = 0;
			while (at < chunk.length) {
				if (remaining < 0) {
					const newline = chunk.indexOf(10, at);
					header += chunk.toString("latin1", at, newline < 0 ? chunk.length : newline);
					if (header.length > headerLimit) throw damaged(directory, "git cat-file answered what it never does");
					if (newline < 0) break;
					at = newline + 1;
					request = queue[next];
					if (request === undefined) throw damaged(directory, "git cat-file answered without being asked");
					const [id, type, size] = header.split(" ");
					header = "";
					problem = undefined;
					if (id !== request.id || size === undefined) {
						finish(
							type === "missing"
								? damaged(directory, `the object ${request.id} is missing`)
								: damaged(directory, `the object ${request.id} cannot be read`),
						);
						continue;
					}
					remaining = Number(size);
					hash = createHash(id.length === 64 ? "sha256" : "sha1").update(`${type} ${size}\0`);
					try {
						await request.sink.start(type as ObjectType, remaining);
					} catch (error) {
						problem = error;
					}
				} else if (remaining > 0) {
					const part = chunk.subarray(at, Math.min(chunk.length, at + remaining));
					at += part.length;
					remaining -= part.length;
					hash!.update(part);
					if (problem !== undefined) continue;
					try {
						await request!.sink.data(part);
					} catch (error) {
						problem = error;
					}
				} else {
					at++;
					remaining = -1;
					if (hash!.digest("hex") !== request!.id)
						problem = damaged(directory, `the content of the object ${request!.id} is not what its id says`);
					try {
						if (problem === undefined) await request!.sink.end?.();
					} catch (error) {
						problem = error;
					}
					finish(problem);
				}
			}
		}
	}

	function finish(problem: unknown): void {
		const request = queue[next++]!;
		if (next > 1024) {
			queue.splice(0, next);
			next = 0;
		}
		if (problem === undefined) request.resolve();
		else request.reject(problem);
	}

	return {
		read: (id, sink) =>
			new Promise((resolve, reject) => {
				if (failure !== undefined) {
					reject(failure);
					return;
				}
				queue.push({ id, sink, resolve, reject });
				child.stdin.write(`${id}\n`);
			}),
		pending: () => queue.length - next,
		close: async () => {
			failure ??= new BrewlineError("git", "the git store was closed");
			child.stdin.end();
			if (queue.length > next) child.kill("SIGKILL");
			await ended;
		},
	};
}

/** The error of a cache that is not as we left it. */
export function damaged(directory: string, what: string): BrewlineError {
	return new BrewlineError("git", `the git cache is damaged: ${what}`, {
		hint: `delete ${directory}: what is needed of it is fetched again`,
	});
}
