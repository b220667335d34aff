import net from "node:net";
import { BrewlineError } from "../errors.ts";
import { printable } from "../io/printable.ts";
import type { Io } from "../io/types.ts";

export interface Lock {
	release(): Promise<void>;
}

export interface LockOptions {
	/** Told to those who wait. */
	readonly holder: string;
	/** Milliseconds after which waiting ends in an error. */
	readonly patience: number;
	readonly onWait?: (holder: string) => void;
}

const unknownHolder = "a program that does not say its name";

/**
 * A lock of the whole machine (Linux: its network namespace): a socket with an abstract name, which the kernel gives
 * back however its holder ends, and whose closing wakes those who wait.
 */
export async function takeLock(io: Io, name: string, options: LockOptions): Promise<Lock> {
	const deadline = io.clock.now() + options.patience;
	let told = false;
	for (;;) {
		if (io.signal.aborted) throw new BrewlineError("cancelled", "ended while waiting for another engine");
		const server = await listen(`\0${name}`, options.holder);
		if (server !== undefined) return { release: () => close(server) };
		const left = deadline - io.clock.now();
		if (left <= 0)
			throw new BrewlineError("engine", "another program holds the engine for too long", {
				hint: "End the other run, or wait for its end.",
			});
		await untilReleased(`\0${name}`, AbortSignal.any([io.signal, AbortSignal.timeout(left)]), (holder) => {
			if (told) return;
			told = true;
			options.onWait?.(holder);
		});
	}
}

interface Held {
	readonly server: net.Server;
	readonly waiting: Set<net.Socket>;
}

function listen(path: string, holder: string): Promise<Held | undefined> {
	return new Promise((resolve, reject) => {
		const waiting = new Set<net.Socket>();
		const server = net.createServer((socket) => {
			waiting.add(socket);
			socket.unref();
			socket.on("error", () => {});
			socket.once("close", () => waiting.delete(socket));
			socket.write(`${holder}\n`);
		});
		server.once("error", (error: NodeJS.ErrnoException) => {
			if (error.code === "EADDRINUSE") resolve(undefined);
			else reject(error);
		});
		server.listen(path, () => {
			server.unref();
			resolve({ server, waiting });
		});
	});
}

async function close({ server, waiting }: Held): Promise<void> {
	const closed = new Promise<void>((resolve) => {
		server.close(() => {
			resolve();
		});
	});
	for (const socket of waiting) socket.destroy();
	await closed;
}

/** Ends when the holder lets go or the signal is aborted; never fails. */
function untilReleased(path: string, signal: AbortSignal, onHolder: (holder: string) => void): Promise<void> {
	return new Promise((resolve) => {
		const socket = net.connect({ path });
		const end = () => {
			socket.destroy();
		};
		let text = "";
		socket.on("data", (data) => {
			if (text.includes("\n") || text.length > 500) return;
			text += data.toString("utf8");
			const line = text.split("\n")[0] ?? "";
			if (text.includes("\n")) onHolder(line === "" ? unknownHolder : printable(line));
		});
		socket.on("error", () => {});
		socket.once("close", () => {
			signal.removeEventListener("abort", end);
			resolve();
		});
		if (signal.aborted) end();
		else signal.addEventListener("abort", end, { once: true });
	});
}
