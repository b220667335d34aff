import { getCompileCacheDir } from "node:module";
import path from "node:path";
import { Worker } from "node:worker_threads";
import { BrewlineError, type Location, messageOf } from "../errors.ts";
import { printable } from "../io/printable.ts";
import { type Answer, errorFrom, type Request, type ToThread, type WorkerData } from "./messages.ts";
import type { TaskInput, TaskName, TaskOutput } from "./tasks.ts";

export interface SandboxOptions {
	/** Milliseconds for each task; default 30 s. */
	readonly timeLimit?: number;
	/** Bytes, of JavaScript's heap and of jq's memory each, and twice that in all; default 256 MiB. */
	readonly memoryLimit?: number;
	/** Ends what runs. */
	readonly signal?: AbortSignal;
}

export interface Sandbox {
	/**
	 * Performs a task in a thread of its own, one after the other. A task that takes too long or too much memory is ended with its
	 * thread, and fails with the code `limit`; the next one gets a new thread.
	 */
	run<Name extends TaskName>(task: Name, input: TaskInput<Name>): Promise<TaskOutput<Name>>;
	[Symbol.asyncDispose](): Promise<void>;
}

const mebibyte = 1024 * 1024;
const defaults = { timeLimit: 30_000, memoryLimit: 256 * mebibyte };
/** Milliseconds that a thread gets to come to its end by itself. */
const patience = 2000;

/** One task in a thread of its own, which is ended afterwards. */
export async function sandboxed<Name extends TaskName>(
	task: Name,
	input: TaskInput<Name>,
	options: SandboxOptions = {},
): Promise<TaskOutput<Name>> {
	await using sandbox = openSandbox(options);
	return await sandbox.run(task, input);
}

/** A thread for all that an image repository's own data drives. It starts at once, so that it is ready when it is needed. */
export function openSandbox(options: SandboxOptions = {}): Sandbox {
	const { signal, timeLimit, memoryLimit } = { ...defaults, ...options };
	let thread: Thread | undefined = startThread(memoryLimit);
	let previous: Promise<unknown> = Promise.resolve();
	let closed = false;

	const perform = async (request: Request): Promise<unknown> => {
		if (closed) throw new BrewlineError("internal", "the sandbox is closed");
		const running = (thread ??= startThread(memoryLimit));
		const ended = Promise.withResolvers<never>();
		const timer = setTimeout(
			() => ended.reject(tookTooLong(timeLimit, request.task === "jq" || running.at() !== undefined)),
			timeLimit,
		);
		const stopWatching = watchMemory(2 * memoryLimit, ended.reject);
		const abort = (): void => ended.reject(new BrewlineError("cancelled", messageOf(signal?.reason)));
		if (signal?.aborted) abort();
		signal?.addEventListener("abort", abort);
		try {
			return await Promise.race([running.ask(request), running.failed, ended.promise]);
		} catch (error) {
			// What the task itself threw left the thread as it was.
			if (running.answered(error)) throw error;
			thread = undefined;
			await running.kill();
			throw placed(error, running.at());
		} finally {
			clearTimeout(timer);
			stopWatching();
			signal?.removeEventListener("abort", abort);
		}
	};

	return {
		run: async <Name extends TaskName>(task: Name, input: TaskInput<Name>) => {
			const result = previous.then(() => perform({ task, input }));
			previous = result.catch(() => undefined);
			return (await result) as TaskOutput<Name>;
		},
		[Symbol.asyncDispose]: async () => {
			closed = true;
			await thread?.close();
		},
	};
}

/**
 * Calls back once the process has grown by more than so many bytes. Heap and jq's memory have limits of their own; what is
 * in neither, as the output that jq's runtime collects, is seen only from outside.
 */
function watchMemory(bytes: number, exceeded: (error: BrewlineError) => void): () => void {
	const before = process.memoryUsage.rss();
	const timer = setInterval(() => {
		if (process.memoryUsage.rss() - before > bytes) exceeded(usedTooMuch(bytes));
	}, 200);
	return () => clearInterval(timer);
}

/** The error of a task that did not come to its end, with what it was at. */
function placed(error: unknown, at: Location | undefined): unknown {
	if (!(error instanceof BrewlineError) || error.code !== "limit" || at === undefined) return error;
	return new BrewlineError("limit", error.message, { at, ...(error.hint === undefined ? {} : { hint: error.hint }) });
}

/** Only templates and other programs of jq have loops; all else that may go on and on are regular expressions. */
function tookTooLong(milliseconds: number, isProgram: boolean): BrewlineError {
	const what = isProgram ? "it" : "what brewline.yaml and versions.json say";
	return new BrewlineError("limit", `${what} took longer than ${milliseconds / 1000} s, and was ended`, {
		hint: isProgram
			? "Look for a loop or recursion without an end."
			: "Look for a regular expression that has too many ways to match, as (a+)+ has: in split, capture or matches.",
	});
}

function usedTooMuch(bytes: number): BrewlineError {
	return new BrewlineError("limit", `it used more than ${Math.round(bytes / mebibyte)} MiB of memory, and was ended`);
}

interface Thread {
	ask(request: Request): Promise<unknown>;
	/** Rejects when the thread ends by itself, as one does whose heap is full. */
	readonly failed: Promise<never>;
	/** Whether this error came as the answer to a request. */
	answered(error: unknown): boolean;
	/** What the last task said that it was at. */
	at(): Location | undefined;
	/**
	 * Lets the thread come to its end, and ends it where it does not. To end one from outside while V8 loads or compiles something
	 * there has crashed whole processes, so that is for those that do not listen.
	 */
	close(): Promise<void>;
	/** Ends it, whatever it does. */
	kill(): Promise<void>;
}

function startThread(memoryLimit: number): Thread {
	// Its folder is one of this version of Node below the one that was asked for.
	const cache = getCompileCacheDir();
	const data: WorkerData = { memoryLimit, ...(cache === undefined ? {} : { compileCache: path.dirname(cache) }) };
	// Beside this file in the sources, in the package and in bundles.
	const file = new URL(import.meta.url.endsWith(".ts") ? "./worker.ts" : "./worker.js", import.meta.url);
	const worker = new Worker(file, {
		workerData: data,
		env: {},
		execArgv: [],
		// What jq's runtime prints when it gives up is not for people; it is read by nobody.
		stdout: true,
		stderr: true,
		resourceLimits: { maxOldGenerationSizeMb: Math.ceil(memoryLimit / mebibyte) },
	});
	// A thread that has nothing to do keeps no process alive.
	worker.unref();
	const failed = Promise.withResolvers<never>();
	failed.promise.catch(() => undefined);
	worker.once("error", (error: NodeJS.ErrnoException) => {
		failed.reject(
			error.code === "ERR_WORKER_OUT_OF_MEMORY"
				? usedTooMuch(memoryLimit)
				: new BrewlineError("internal", `the sandbox ended: ${printable(error.message)}`, { cause: error }),
		);
	});
	const ended = Promise.withResolvers<void>();
	worker.once("exit", () => {
		failed.reject(new BrewlineError("internal", "the sandbox ended by itself"));
		ended.resolve();
	});
	const kill = async (): Promise<void> => {
		await worker.terminate();
	};
	const send = (message: ToThread): void => worker.postMessage(message);
	const answers = new WeakSet<BrewlineError>();
	let at: Location | undefined;
	return {
		ask: (request) =>
			new Promise((resolve, reject) => {
				at = undefined;
				worker.ref();
				const listen = (answer: Answer): void => {
					if ("at" in answer) {
						at = answer.at;
						return;
					}
					worker.off("message", listen);
					worker.unref();
					if ("output" in answer) return resolve(answer.output);
					const error = errorFrom(answer.error);
					answers.add(error);
					return reject(error);
				};
				worker.on("message", listen);
				send(request);
			}),
		at: () => at,
		failed: failed.promise,
		answered: (error) => error instanceof BrewlineError && answers.has(error),
		close: async () => {
			worker.ref();
			send("end");
			const timer = setTimeout(() => void kill(), patience);
			await ended.promise;
			clearTimeout(timer);
		},
		kill,
	};
}
