import { mkdtemp, readFile, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { Readable } from "node:stream";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { nodeIo, type Io, type LogEvent } from "../io/index.ts";
import { openLog, runLogged } from "./log.ts";

let folder: string;
beforeEach(async () => {
	folder = await mkdtemp(path.join(os.tmpdir(), "log-"));
});
afterEach(async () => {
	vi.useRealTimers();
	await rm(folder, { recursive: true });
});

function opened(signal = new AbortController().signal, watch: (event: LogEvent) => void = () => {}) {
	const events: LogEvent[] = [];
	const io = nodeIo({
		signal,
		log: (event) => {
			events.push(event);
			watch(event);
		},
	});
	const file = path.join(folder, "logs", "x.log");
	return { events, io, file, log: openLog(io, "x", file) };
}

function script(text: string, ...args: readonly string[]): { argv: [string, ...string[]] } {
	return { argv: [process.execPath, "-e", text, ...args] };
}

const printing = `
	const { stdout, stderr } = process;
	stdout.write("one\\ntw");
	setTimeout(() => { stdout.write("o\\r\\nred \\x1b[31m\\n::set-output name=x::y\\n"); stderr.write("half \\xe4"); }, 20);
`;

it("keeps every line, escaped, in the file, in the log and in memory", async () => {
	const { events, io, file, log } = opened();
	await runLogged(io, script(printing), { cwd: folder, log });
	log.close();
	const lines = (await readFile(file, "utf8")).split("\n");
	expect(lines.slice(1)).toEqual(["one", "two", "red \\u{1b}[31m", "::set-output name=x::y", "half ä", ""]);
	expect(log.tail().slice(1)).toEqual(lines.slice(1, -1));
	expect(events.map((event) => (event.type === "output" ? event.text : event)).slice(1)).toEqual(lines.slice(1, -1));
});

it("cuts lines that do not end", async () => {
	const { io, log, file } = opened();
	await runLogged(io, script("process.stdout.write('x'.repeat(1_000_000))"), { cwd: folder, log });
	log.close();
	const lines = (await readFile(file, "utf8")).split("\n");
	expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(4100);
	expect(log.tail().every((line) => line.length <= 501)).toBe(true);
});

it("gives standard input as text, as a stream, and to a program that does not read it", async () => {
	const { io, log } = opened();
	const count = "let n = 0; process.stdin.on('data', (c) => n += c.length).on('end', () => console.log(n))";
	await runLogged(io, script(count), { cwd: folder, log, input: "hello" });
	const input = Readable.from([Buffer.alloc(300_000), Buffer.alloc(1)]);
	await runLogged(io, script(count), { cwd: folder, log, input });
	const unread = Readable.from([Buffer.alloc(5_000_000)]);
	await runLogged(io, script("process.exit(0)"), { cwd: folder, log, input: unread });
	expect(unread.destroyed).toBe(true);
	expect(log.tail().filter((line) => /^\d/.test(line))).toEqual(["5", "300001"]);
	log.close();
});

it("fails with the error of its input", async () => {
	const { io, log } = opened();
	const input = new Readable({
		read() {
			this.destroy(new Error("git is gone"));
		},
	});
	const run = runLogged(io, script("process.stdin.resume()"), { cwd: folder, log, input });
	await expect(run).rejects.toThrow("git is gone");
	log.close();
});

it("says how a program failed, or that it is not there", async () => {
	const { io, log } = opened();
	await expect(runLogged(io, script("process.exit(3)"), { cwd: folder, log })).rejects.toMatchObject({
		code: "build",
		message: expect.stringContaining("exit code 3"),
	});
	await expect(runLogged(io, { argv: ["no-such-program"] }, { cwd: folder, log })).rejects.toMatchObject({
		code: "engine",
		message: expect.stringContaining("cannot start no-such-program"),
	});
	log.close();
});

it("ends a program that ignores SIGINT, and does not wait for its children", async () => {
	const end = new AbortController();
	const { promise: refused, resolve } = Promise.withResolvers<void>();
	const { io: patient, log } = opened(end.signal, (event) => {
		if (event.type === "output" && event.text === "no") resolve();
	});
	const io: Io = { ...patient, exec: (argv, options) => patient.exec(argv, { ...options, killAfter: 100 }) };
	// In a group of its own the child outlives its parent, whose output it has.
	const stubborn = `
		process.on("SIGINT", () => console.log("no"));
		const { spawn } = require("node:child_process");
		const child = spawn("sleep", ["300"], { stdio: ["ignore", "inherit", "inherit"], detached: true });
		console.log("ready", process.pid, child.pid);
	`;
	const run = runLogged(io, script(stubborn), { cwd: folder, log });
	const ready = () => log.tail().find((line) => line.startsWith("ready"));
	await expect.poll(ready).toBeDefined();
	const [pid, child] = ready()!.split(" ").slice(1).map(Number);
	vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
	end.abort(new Error("enough"));
	// Nothing is killed before it could say so.
	await refused;
	vi.advanceTimersByTime(100);
	vi.useRealTimers();
	await expect(run).rejects.toThrow("enough");
	expect(() => process.kill(pid!, 0)).toThrow("ESRCH");
	expect(process.kill(child!)).toBe(true);
	log.close();
	log.write("late");
});

it("starts nothing after the end", async () => {
	const end = new AbortController();
	end.abort(new Error("enough"));
	const { io, log } = opened(end.signal);
	await expect(runLogged(io, script(""), { cwd: folder, log })).rejects.toThrow("enough");
	expect(log.tail()).toEqual([]);
	log.close();
});
