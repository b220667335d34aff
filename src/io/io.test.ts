import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { counted, nodeIo, printable, refuseLinks, runCommand, writeWhole } from "./index.ts";

/** A process that has ended may stay in the table until its parent asks for it. */
function isRunning(pid: number): boolean {
	try {
		return !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
	} catch {
		return false;
	}
}

const io = nodeIo({ env: { PATH: process.env["PATH"], GIVEN: "1" } });

describe("exec", () => {
	it("passes arguments as they are, and adds and takes variables", async () => {
		const script = "console.log(JSON.stringify([process.argv.slice(1), process.env.GIVEN, process.env.MORE]))";
		const { stdout } = await runCommand(io, [process.execPath, "-e", script, "$(id)", "a b"], {
			env: { GIVEN: undefined, MORE: "2" },
		});
		expect(JSON.parse(stdout.toString())).toEqual([["$(id)", "a b"], null, "2"]);
	});

	it("gives what failed, with the end of its standard error, escaped", async () => {
		const failing = runCommand(io, [process.execPath, "-e", "console.error('no\\u001b[31m'); process.exit(3)"], {
			code: "git",
			hint: "look there",
		});
		await expect(failing).rejects.toMatchObject({ code: "git", hint: "look there" });
		await expect(failing).rejects.toThrow(/exit code 3: no\\u\{1b\}\[31m/);
		await expect(runCommand(io, ["no-such-program-anywhere"])).rejects.toThrow("cannot start no-such-program-anywhere");
	});

	it("bounds what it keeps of the output", async () => {
		const endless = "setInterval(() => process.stdout.write('x'.repeat(65536)), 0)";
		await expect(runCommand(io, [process.execPath, "-e", endless], { maxOutput: 1_000_000 })).rejects.toThrow(
			"wrote more than 1000000 bytes",
		);
	});

	it.runIf(process.platform === "linux")(
		"ends a program with its own children, also one that does not listen",
		async () => {
			const ending = new AbortController();
			const inner = "process.on('SIGINT', () => {}); console.log(process.pid); setInterval(() => {}, 1000)";
			// It listens before the inner one can say that it is there.
			const outer = `process.on('SIGINT', () => {}); setInterval(() => {}, 1000);
			const { spawn } = require('node:child_process');
			spawn(process.execPath, ['-e', ${JSON.stringify(inner)}], { stdio: 'inherit' })`;
			const child = io.exec([process.execPath, "-e", outer], { signal: ending.signal, killAfter: 50 });
			const [data] = (await once(child.stdout, "data")) as [Buffer];
			const pid = Number(data.toString());
			const closed = once(child.stdout, "close");
			ending.abort();
			expect(await child.exited).toEqual({ code: null, signal: "SIGKILL" });
			await closed;
			await expect.poll(() => isRunning(pid)).toBe(false);
		},
	);

	it("does not start anything once the end was asked for", async () => {
		const ended = nodeIo({ signal: AbortSignal.abort(new Error("ended")) });
		await expect(runCommand(ended, [process.execPath, "-e", "setInterval(() => {}, 1000)"])).rejects.toMatchObject({
			code: "cancelled",
		});
	});
});

describe("http", () => {
	let server: http.Server;
	let url: URL;
	beforeAll(async () => {
		server = http.createServer((request, response) => {
			response.setHeader("x-length", request.headers["content-length"] ?? "none");
			response.setHeader("set-cookie", ["a", "b"]);
			response.statusCode = request.url === "/moved" ? 307 : 200;
			request.pipe(response);
		});
		server.listen(0, "127.0.0.1");
		await once(server, "listening");
		url = new URL(`http://127.0.0.1:${(server.address() as net.AddressInfo).port}/`);
	});
	afterAll(() => {
		server.closeAllConnections();
		server.close();
	});

	it("sends bytes and streams with their length, and follows nothing", async () => {
		const bytes = await io.http({ method: "PUT", url, body: Buffer.from("abc") });
		expect([bytes.status, bytes.headers["x-length"], await text(bytes.body)]).toEqual([200, "3", "abc"]);
		const stream = await io.http({
			method: "POST",
			url: new URL("/moved", url),
			body: { length: 4, open: () => Readable.from([Buffer.from("ab"), Buffer.from("cd")]) },
		});
		expect([stream.status, stream.headers["x-length"], await text(stream.body)]).toEqual([307, "4", "abcd"]);
		const empty = await io.http({ method: "POST", url });
		expect([empty.headers["x-length"], empty.headers["set-cookie"], await text(empty.body)]).toEqual(["0", "a, b", ""]);
		const get = await io.http({ method: "GET", url });
		expect([get.headers["x-length"], await text(get.body)]).toEqual(["none", ""]);
	});

	it("gives back the memory of what is sent where nobody else has it, and of nothing that has more than was sent", async () => {
		const all = Buffer.alloc(300_000, "c");
		const pieces = [Buffer.alloc(100_000, "a"), Buffer.alloc(200_000, "b"), all.subarray(0, 50_000)];
		const send = (release: boolean) =>
			io.http({ method: "PUT", url, body: { length: 350_000, release, open: () => Readable.from([...pieces]) } });
		const whole = `${"a".repeat(100_000)}${"b".repeat(200_000)}${"c".repeat(50_000)}`;
		expect((await text((await send(false)).body)) === whole).toBe(true);
		expect(pieces.map(({ length }) => length)).toEqual([100_000, 200_000, 50_000]);
		expect((await text((await send(true)).body)) === whole).toBe(true);
		expect(pieces.map(({ length }) => length)).toEqual([0, 0, 50_000]);
		expect(all.length).toBe(300_000);
	});

	it("ends what is to be given back where the other side breaks off or the stream fails", async () => {
		const broken = net.createServer((socket) => socket.on("error", () => {}).once("data", () => socket.destroy()));
		broken.listen(0, "127.0.0.1");
		await once(broken, "listening");
		const { port } = broken.address() as net.AddressInfo;
		const endless = Readable.from(
			(function* () {
				for (;;) yield Buffer.alloc(100_000);
			})(),
			{ objectMode: false },
		);
		const body = { length: 1e12, release: true, open: () => endless };
		await expect(io.http({ method: "PUT", url: new URL(`http://127.0.0.1:${port}/`), body })).rejects.toMatchObject({
			code: expect.stringMatching(/ECONNRESET|EPIPE/) as string,
		});
		await vi.waitFor(() => {
			expect(endless.destroyed).toBe(true);
		});
		broken.close();
	});

	it("does not wait for ever for headers that come byte by byte", async () => {
		vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
		try {
			let asked: () => void;
			const begun = new Promise<void>((resolve) => {
				asked = resolve;
			});
			const sockets: net.Socket[] = [];
			const dripping = net.createServer((socket) => {
				sockets.push(socket.on("error", () => {}));
				socket.once("data", () => {
					socket.write("HTTP/1.1 200 OK\r\nx-slow: ");
					asked();
				});
			});
			dripping.listen(0, "127.0.0.1");
			await once(dripping, "listening");
			const { port } = dripping.address() as net.AddressInfo;
			const answer = io.http({ method: "GET", url: new URL(`http://127.0.0.1:${port}/`) });
			const failed = answer.catch((error: unknown) => error);
			await begun;
			for (let at = 0; at < 12; at++) {
				sockets[0]!.write("x");
				await vi.advanceTimersByTimeAsync(10_000);
			}
			expect(await failed).toMatchObject({ code: "ETIMEDOUT" });
			dripping.close();
			for (const socket of sockets) socket.destroy();
		} finally {
			vi.useRealTimers();
		}
	});

	it("fails where a stream fails, and where nobody answers", async () => {
		const failing = Readable.from(
			(function* () {
				yield Buffer.from("ab");
				throw new Error("the disk is gone");
			})(),
		);
		const sent = io.http({ method: "PUT", url, body: { length: 4, open: () => failing } });
		await expect(sent.then(({ body }) => text(body))).rejects.toThrow("the disk is gone");
		await expect(io.http({ method: "GET", url: new URL("http://127.0.0.1:1/") })).rejects.toThrow("ECONNREFUSED");
	});
});

describe("clock", () => {
	it("wakes up with the signal's reason", async () => {
		const ending = new AbortController();
		const sleeping = io.clock.sleep(100_000, ending.signal);
		ending.abort(new Error("ended"));
		await expect(sleeping).rejects.toThrow("ended");
	});
});

describe("printable", () => {
	it.each([
		["a\u001b[2Jb", "a\\u{1b}[2Jb"],
		["a\nb\r", "a\\u{a}b\\u{d}"],
		["\u202eabc\u2066", "\\u{202e}abc\\u{2066}"],
		["\u0085\u2028", "\\u{85}\\u{2028}"],
		["tab\there, ünïcödé 🙂", "tab here, ünïcödé 🙂"],
		["\ud800", "\\u{d800}"],
	])("shows %j as %j", (input, output) => {
		expect(printable(input)).toBe(output);
	});

	it("cuts long text", () => {
		expect(printable("x".repeat(600))).toBe(`${"x".repeat(500)}…`);
	});
});

describe("files", () => {
	let folder: string;
	beforeAll(() => {
		folder = mkdtempSync(path.join(os.tmpdir(), "brewline-files-"));
	});
	afterAll(() => {
		rmSync(folder, { recursive: true, force: true });
	});

	it("are not written through a link, whatever it is called", async () => {
		const [file, victim] = [path.join(folder, "file"), path.join(folder, "victim")];
		writeFileSync(victim, "safe");
		symlinkSync(victim, `${file}.${process.pid}.part`);
		symlinkSync(victim, file);
		await writeWhole(file, "text");
		expect([readFileSync(file, "utf8"), readFileSync(victim, "utf8")]).toEqual(["text", "safe"]);
	});

	it("cannot be where a folder is, or below a file, and the error says so", async () => {
		const file = path.join(folder, "a file");
		await writeWhole(file, "text");
		mkdirSync(path.join(folder, "a folder"));
		const place = (name: string): Promise<void> => writeWhole(path.join(folder, name), "other");
		await expect(place("a folder")).rejects.toMatchObject({
			code: "usage",
			message: `${path.join(folder, "a folder")} cannot be written: it is a folder`,
		});
		for (const name of ["a file/x", "a file/x/y"]) {
			await expect(place(name)).rejects.toMatchObject({
				code: "usage",
				message: expect.stringContaining("something on the way to it is no folder") as string,
			});
		}
		await expect(place("x".repeat(300))).rejects.toMatchObject({ code: "usage" });
		expect(readFileSync(file, "utf8")).toBe("text");
	});

	it("that lie behind a link of a folder are refused, others are not", () => {
		const root = path.join(folder, "root");
		mkdirSync(path.join(root, "own/deep"), { recursive: true });
		symlinkSync(folder, path.join(root, "own/link"));
		for (const name of ["own", "own/deep/new/x", ".", "../link/x", "/own/link"])
			refuseLinks(root, path.resolve(root, name));
		for (const name of ["own/link", "own/link/x", "own/deep/../link/x/y"]) {
			expect(() => refuseLinks(root, path.resolve(root, name))).toThrow(/own\/link is a link/);
		}
	});
});

it("a number stands before one thing, or before several", () => {
	expect([0, 1, 2].map((number) => counted(number, "tag"))).toEqual(["0 tags", "1 tag", "2 tags"]);
	expect([1, 3].map((number) => counted(number, "entry", "entries"))).toEqual(["1 entry", "3 entries"]);
});
