import { spawn } from "node:child_process";
import type { ClientRequest } from "node:http";
import type { Readable } from "node:stream";
import timers from "node:timers";
import { download, release } from "./download.ts";
import type { Clock, Exec, Io, Log, Send } from "./types.ts";

export interface NodeIoOptions {
	readonly log?: Log;
	readonly signal?: AbortSignal;
	readonly env?: Io["env"];
}

/** The real world, by Node's own modules. */
export function nodeIo(options: NodeIoOptions = {}): Io {
	const env = options.env ?? process.env;
	return {
		exec: nodeExec(env),
		http: nodeSend(env),
		clock: nodeClock,
		log: options.log ?? (() => {}),
		signal: options.signal ?? new AbortController().signal,
		env,
	};
}

const nodeClock: Clock = {
	now: () => Date.now(),
	sleep: async (milliseconds, signal) => {
		await timers.promises
			.setTimeout(milliseconds, undefined, signal === undefined ? {} : { signal })
			.catch((error: unknown) => {
				signal?.throwIfAborted();
				throw error;
			});
	},
};

/** Whether this system has process groups. */
const grouped = process.platform !== "win32";

function nodeExec(env: Io["env"]): Exec {
	return ([program, ...args], options = {}) => {
		const child = spawn(program, args, {
			...(options.cwd === undefined ? {} : { cwd: options.cwd }),
			env: { ...env, ...options.env },
			stdio: ["pipe", "pipe", "pipe"],
			windowsHide: true,
			// A group of its own, so that its helpers (git's remote-http, buildx) can be ended with it.
			detached: grouped,
		});
		const kill = (signal: NodeJS.Signals): void => {
			if (!grouped || child.pid === undefined) {
				child.kill(signal);
				return;
			}
			try {
				process.kill(-child.pid, signal);
			} catch {
				// All of the group has ended.
			}
		};
		// A child that ends before it has read its input is judged by its exit code, not by EPIPE.
		child.stdin.on("error", () => {});
		let killer: NodeJS.Timeout | undefined;
		const end = () => {
			kill("SIGINT");
			killer = setTimeout(() => {
				kill("SIGKILL");
			}, options.killAfter ?? 3000);
		};
		const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve, reject) => {
			child.once("error", reject);
			child.once("exit", (code, signal) => {
				resolve({ code, signal });
			});
		}).finally(() => {
			clearTimeout(killer);
			options.signal?.removeEventListener("abort", end);
		});
		// Who only reads the streams must not bring the program down; who awaits `exited` still gets the error.
		exited.catch(() => {});
		if (options.signal?.aborted) end();
		else options.signal?.addEventListener("abort", end, { once: true });
		return {
			stdin: child.stdin,
			stdout: child.stdout,
			stderr: child.stderr,
			exited,
			kill: (signal = "SIGTERM") => {
				kill(signal);
			},
		};
	};
}

/** Milliseconds without a byte in either direction; some registries take their time to store a large layer. */
const idleLimit = 120_000;

const proxyVariables = ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"];

/**
 * Connections are kept and shared by all requests of one `Io`, but for large bodies; proxies are taken from its environment.
 */
function nodeSend(env: Io["env"]): Send {
	const exchange = nodeExchange(env);
	const isProxied = proxyVariables.some((name) => (env[name] ?? "") !== "");
	/** Origins that sent a large body in a transfer coding. */
	const coding = new Set<string>();
	return async (request) => {
		const { method, url, large = false } = request;
		const isPlain = method === "GET" && url.username === "" && url.password === "";
		if (large && isPlain && !isProxied && !coding.has(url.origin)) {
			const response = await download(request, idleLimit);
			if (response !== undefined) return response;
			coding.add(url.origin);
		}
		return exchange(request);
	};
}

function nodeExchange(env: Io["env"]): Send {
	// Half of the commands ask nobody, and do not wait for these to be loaded. Imported, they would read each of their names,
	// and the one for web sockets loads all of fetch.
	const load = (name: "node:http" | "node:https") => {
		const { Agent, request } = process.getBuiltinModule(name);
		// Not limited here: a copy holds one connection while it waits for another.
		return { request, agent: new Agent({ keepAlive: true, proxyEnv: env }) };
	};
	let plain: ReturnType<typeof load> | undefined;
	let secure: ReturnType<typeof load> | undefined;
	return (request) =>
		new Promise((resolve, reject) => {
			const isSecure = request.url.protocol === "https:";
			const protocol = isSecure ? (secure ??= load("node:https")) : (plain ??= load("node:http"));
			const body = request.body;
			const length = body === undefined ? undefined : body.length;
			const outgoing = protocol.request(request.url, {
				method: request.method,
				agent: protocol.agent,
				headers: {
					"accept-encoding": "identity",
					...request.headers,
					...(length === undefined &&
					request.method !== "POST" &&
					request.method !== "PUT" &&
					request.method !== "PATCH"
						? {}
						: { "content-length": String(length ?? 0) }),
				},
				...(request.signal === undefined ? {} : { signal: request.signal }),
			});
			outgoing.once("error", reject);
			const giveUp = () => {
				outgoing.destroy(
					Object.assign(new Error(`${request.url.host} was silent for ${idleLimit / 1000} s`), { code: "ETIMEDOUT" }),
				);
			};
			outgoing.setTimeout(idleLimit, giveUp);
			// Headers that come in byte by byte are no better than none.
			let patience: NodeJS.Timeout | undefined;
			outgoing.once("finish", () => {
				patience = setTimeout(giveUp, idleLimit);
			});
			outgoing.once("close", () => {
				clearTimeout(patience);
			});
			outgoing.once("response", (response) => {
				clearTimeout(patience);
				const headers: Record<string, string> = {};
				for (const [name, values] of Object.entries(response.headersDistinct))
					headers[name] = (values ?? []).join(", ");
				resolve({ status: response.statusCode ?? 0, headers, body: response });
			});
			if (body === undefined) outgoing.end();
			else if (body instanceof Uint8Array) outgoing.end(body);
			else {
				const stream = body.open();
				stream.once("error", (error) => {
					outgoing.destroy(error);
				});
				if (body.release === true) pipeReleasing(stream, outgoing);
				else stream.pipe(outgoing);
				outgoing.once("close", () => stream.destroy());
			}
		});
}

/**
 * Like `pipe`, but that pieces are given back as soon as they are sent. Collected, those that lived through a stall of the other
 * side would come to 64 MB first.
 */
function pipeReleasing(stream: Readable, outgoing: ClientRequest): void {
	stream.on("data", (piece: Buffer) => {
		// It takes no more, and its end comes with its "close".
		if (outgoing.destroyed) return;
		const takesMore = outgoing.write(piece, (error) => {
			// What was not sent may still be in the system's hands.
			if (error == null) release(piece);
		});
		if (!takesMore) stream.pause();
	});
	outgoing.on("drain", () => stream.resume());
	stream.once("end", () => {
		if (!outgoing.destroyed) outgoing.end();
	});
}
