import type { Readable, Writable } from "node:stream";
import type { ErrorCode, Location } from "../errors.ts";

/** All that touches the world, apart from the file system, which is used directly. */
export interface Io {
	readonly exec: Exec;
	readonly http: Send;
	readonly clock: Clock;
	readonly log: Log;
	/** Aborted when the whole program is asked to end: stop starting, end children, write results. */
	readonly signal: AbortSignal;
	readonly env: Readonly<Record<string, string | undefined>>;
}

export interface ExecOptions {
	readonly cwd?: string;
	/** Added to (or with `undefined`, taken from) the environment of `Io.env`. */
	readonly env?: Readonly<Record<string, string | undefined>>;
	/** Ends the process: SIGINT, then SIGKILL after `killAfter` milliseconds (default 3000). */
	readonly signal?: AbortSignal;
	readonly killAfter?: number;
}

/**
 * Starts a program with an argument array, never through a shell.
 * A program that cannot be started rejects `exited`.
 */
export type Exec = (argv: readonly [string, ...string[]], options?: ExecOptions) => Child;

export interface Child {
	readonly stdin: Writable;
	readonly stdout: Readable;
	readonly stderr: Readable;
	readonly exited: Promise<Exit>;
	kill(signal?: NodeJS.Signals): void;
}

export interface Exit {
	/** Null where a signal ended it. */
	readonly code: number | null;
	readonly signal: NodeJS.Signals | null;
}

export interface HttpRequest {
	readonly method: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
	readonly url: URL;
	readonly headers?: Readonly<Record<string, string>>;
	/**
	 * Bytes, or a stream of known length that can be opened again for another try. `release`: nobody else has its pieces, so that
	 * each gives its memory back as soon as it is sent, instead of waiting to be collected. Default: no.
	 */
	readonly body?: Uint8Array | { readonly length: number; readonly release?: boolean; open(): Readable };
	readonly signal?: AbortSignal;
	/** A large body is to be expected: it is worth a connection of its own. Default: no. */
	readonly large?: boolean;
}

export interface HttpResponse {
	readonly status: number;
	/** Names in lower case; repeated headers joined with `, `. */
	readonly headers: Readonly<Record<string, string | undefined>>;
	/** To be read to its end or destroyed by the caller, whose own its pieces are. */
	readonly body: Readable;
}

/** One exchange: no redirect is followed, no status is an error; what is refused is the connection. */
export type Send = (request: HttpRequest) => Promise<HttpResponse>;

export interface Clock {
	/** Milliseconds since the epoch. */
	now(): number;
	/** Rejects with the signal's reason when it is aborted. */
	sleep(milliseconds: number, signal?: AbortSignal): Promise<void>;
}

export interface Message {
	readonly type: "message";
	readonly level: "debug" | "info" | "notice" | "warning" | "error";
	readonly text: string;
	readonly code?: ErrorCode;
	readonly at?: Location;
	readonly hint?: string;
}

export type TaskState = "running" | "built" | "copied" | "present" | "failed" | "timed-out" | "cancelled";

/** One step of a task that is worth showing while it runs; `task` is the same for all steps of one task. */
export interface Progress {
	readonly type: "progress";
	readonly task: string;
	readonly state: TaskState;
	/** What it does now, or what came of it. */
	readonly detail?: string;
}

/** All that waits for something now, and for what, a line each; it takes the place of what was said before. */
export interface Waits {
	readonly type: "waiting";
	readonly lines: readonly string[];
}

/** A line of a child's output, shown below its task or in a group of the log. */
export interface Output {
	readonly type: "output";
	readonly task: string;
	readonly text: string;
}

export type LogEvent = Message | Progress | Waits | Output;
export type Log = (event: LogEvent) => void;
