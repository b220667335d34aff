import { randomUUID } from "node:crypto";
import { link, readFile, readlink, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { BrewlineError } from "../errors.ts";
import { isRunning } from "../io/command.ts";
import type { Io } from "../io/types.ts";

/** How often a holder shows that it is alive, how often a waiter looks, and after how long it believes otherwise. */
const beat = 2000;
const pause = 100;
const patience = 30_000;

/**
 * Runs `action` while holding the lock `file`, which processes of one machine or of several may share. A holder that
 * was killed does not keep it: its process is gone, or its file is no longer touched.
 */
export async function withLock<T>(io: Io, file: string, action: () => Promise<T>): Promise<T> {
	const space = await readlink("/proc/self/ns/pid").catch(() => "");
	const machine = `${hostname()} ${space}`;
	const mine = JSON.stringify({ machine, pid: process.pid, id: randomUUID() });
	await acquire(io, file, machine, mine);
	const timer = setInterval(() => {
		const now = new Date();
		utimes(file, now, now).catch(() => {});
	}, beat);
	timer.unref();
	try {
		return await action();
	} finally {
		clearInterval(timer);
		if ((await content(file)) === mine) await rm(file, { force: true });
	}
}

async function acquire(io: Io, file: string, machine: string, mine: string): Promise<void> {
	let seen = "";
	let unchanged = 0;
	let told = false;
	for (;;) {
		if (io.signal.aborted) throw new BrewlineError("cancelled", "waiting for another process's git fetch was ended");
		try {
			// Written elsewhere first, so that nobody ever reads half of it.
			const draft = `${file}.${randomUUID()}`;
			await writeFile(draft, mine);
			try {
				await link(draft, file);
				return;
			} finally {
				await rm(draft, { force: true });
			}
		} catch (error) {
			if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
		}
		const holder = await content(file);
		const state = `${holder} ${await stat(file).then(
			(stats) => stats.mtimeMs,
			() => 0,
		)}`;
		unchanged = state === seen ? unchanged + pause : 0;
		seen = state;
		if (holder !== undefined && (isGone(holder, machine) || unchanged >= patience)) {
			await take(file, holder);
			continue;
		}
		if (!told && unchanged > 0) {
			io.log({
				type: "message",
				level: "debug",
				text: `waiting for another process that fetches into ${file.replace(/\.lock$/, "")}`,
			});
			told = true;
		}
		await io.clock.sleep(pause, io.signal);
	}
}

async function content(file: string): Promise<string | undefined> {
	return readFile(file, "utf8").catch(() => undefined);
}

/** Whether the holder was a process of this machine that is no longer there. */
function isGone(holder: string, machine: string): boolean {
	try {
		const value = JSON.parse(holder) as { machine?: unknown; pid?: unknown };
		return value.machine === machine && typeof value.pid === "number" && value.pid > 0 && !isRunning(value.pid);
	} catch {
		return false;
	}
}

/** Takes a dead holder's lock away; if it was another's by then, that one gets it back. */
async function take(file: string, holder: string): Promise<void> {
	const aside = `${file}.${randomUUID()}`;
	try {
		await rename(file, aside);
	} catch {
		return;
	}
	if ((await content(aside)) !== holder) await link(aside, file).catch(() => {});
	await rm(aside, { force: true });
}
