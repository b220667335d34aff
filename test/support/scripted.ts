import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { nodeIo, type Clock, type Io, type LogEvent } from "../../src/io/index.ts";

export interface ScriptedServer extends AsyncDisposable {
	/** `127.0.0.1:PORT` */
	readonly host: string;
	readonly url: string;
	/** `METHOD PATH` of each request so far. */
	readonly requests: readonly string[];
	/** The headers of each request so far. */
	readonly headers: readonly IncomingMessage["headers"][];
}

/** A real HTTP server on loopback that answers as the test says. */
export async function scripted(
	handler: (request: IncomingMessage, response: ServerResponse, number: number) => void,
): Promise<ScriptedServer> {
	const requests: string[] = [];
	const headers: IncomingMessage["headers"][] = [];
	const server = createServer((request, response) => {
		requests.push(`${request.method} ${request.url}`);
		headers.push(request.headers);
		handler(request, response, requests.length);
	});
	await new Promise<void>((resolve) => {
		server.listen(0, "127.0.0.1", resolve);
	});
	const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
	return {
		host,
		url: `http://${host}`,
		requests,
		headers,
		[Symbol.asyncDispose]: () =>
			new Promise((resolve) => {
				server.close(() => resolve());
				server.closeAllConnections();
			}),
	};
}

/** Answers with a status, headers and a body of known length. */
export function reply(
	response: ServerResponse,
	status: number,
	headers: Readonly<Record<string, string>> = {},
	body: string | Uint8Array = "",
): void {
	response.writeHead(status, { "content-length": Buffer.byteLength(body), ...headers });
	response.end(body);
}

export interface VirtualClock extends Clock {
	/** Milliseconds of each sleep so far. */
	readonly slept: readonly number[];
	advance(milliseconds: number): void;
}

/** Time that passes only by sleeping, and then at once. */
export function virtualClock(start = Date.UTC(2026, 0, 1)): VirtualClock {
	let now = start;
	const slept: number[] = [];
	return {
		slept,
		now: () => now,
		sleep: async (milliseconds, signal) => {
			signal?.throwIfAborted();
			slept.push(milliseconds);
			now += milliseconds;
		},
		advance: (milliseconds) => {
			now += milliseconds;
		},
	};
}

/** The real world, but for its clock, with its log kept. */
export function testIo(options: { readonly env?: Io["env"]; readonly signal?: AbortSignal } = {}): Io & {
	readonly clock: VirtualClock;
	readonly logged: readonly LogEvent[];
} {
	const logged: LogEvent[] = [];
	const io = nodeIo({
		env: { PATH: process.env["PATH"] },
		...options,
		log: (event) => {
			logged.push(event);
		},
	});
	return { ...io, clock: virtualClock(), logged };
}

export interface EventClock extends Clock {
	/** Lets time pass, sleeper by sleeper in order, until nobody sleeps. */
	run(): Promise<void>;
	/** Lets time pass until something has ended that asks servers, too: never while one is to answer. */
	runWith<T>(io: Pick<Io, "http">, work: (io: Pick<Io, "http">) => Promise<T>): Promise<T>;
}

/** Time for many who sleep at once: it moves on to the next who wants to wake when nothing else is left to do. */
export function eventClock(start = Date.UTC(2026, 0, 1)): EventClock {
	let now = start;
	const sleepers: { readonly until: number; readonly wake: () => void }[] = [];
	/** Wakes the next sleeper; false where there is none. */
	const step = (): boolean => {
		const next = sleepers.shift();
		now = Math.max(now, next?.until ?? 0);
		next?.wake();
		return next !== undefined;
	};
	return {
		now: () => now,
		sleep: (milliseconds, signal) =>
			new Promise((resolve, reject) => {
				signal?.throwIfAborted();
				signal?.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
				sleepers.push({ until: now + Math.max(0, milliseconds), wake: resolve });
				sleepers.sort((one, other) => one.until - other.until);
			}),
		run: async () => {
			do await turns(1);
			while (step());
		},
		runWith: async (io, work) => {
			let answering = 0;
			const state = { ended: false };
			const working = work({
				http: async (request) => {
					answering++;
					const response = await io.http(request).finally(() => answering--);
					// An answer is under way until all of it is there.
					answering++;
					response.body.once("close", () => answering--);
					return response;
				},
			}).finally(() => {
				state.ended = true;
			});
			while (!state.ended) {
				await turns(20);
				if (answering === 0) step();
			}
			return working;
		},
	};
}

/** Lets all else go on that has something to do now. */
async function turns(count: number): Promise<void> {
	for (let turn = 0; turn < count; turn++)
		await new Promise((resolve) => {
			setImmediate(resolve);
		});
}
