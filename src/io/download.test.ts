import { execFileSync, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import net, { type AddressInfo, type Socket } from "node:net";
import os from "node:os";
import path from "node:path";
import type { Readable } from "node:stream";
import { setImmediate as soon, setTimeout as wait } from "node:timers/promises";
import tls from "node:tls";
import { describe, expect, test, vi } from "vitest";
import { download, release } from "./download.ts";
import { nodeIo, type HttpResponse } from "./index.ts";

interface Server extends AsyncDisposable {
	readonly url: URL;
	readonly asked: string[];
	readonly sockets: Socket[];
}

/** Answers each connection, once all of its request is there, as the test says: byte by byte. */
async function answering(answer: (socket: Socket, number: number) => void): Promise<Server> {
	const asked: string[] = [];
	const sockets: Socket[] = [];
	const server = net.createServer((socket) => {
		sockets.push(socket.on("error", () => {}));
		let request = "";
		socket.on("data", (piece) => {
			request += piece.toString("latin1");
			if (!request.endsWith("\r\n\r\n")) return;
			answer(socket, asked.push(request));
			request = "";
		});
	});
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	const { port } = server.address() as AddressInfo;
	return {
		url: new URL(`http://127.0.0.1:${port}/v2/blob?a=b`),
		asked,
		sockets,
		[Symbol.asyncDispose]: async () => {
			for (const socket of sockets) socket.destroy();
			server.close();
			await once(server, "close");
		},
	};
}

/** Milliseconds for what a loaded machine may take its time for. */
const patience = 20_000;
const saying = (text: string) => answering((socket) => socket.end(Buffer.from(text, "latin1")));
const get = (url: URL, limit = 20_000) => download({ method: "GET", url }, limit);
const bytesOf = async (response: HttpResponse | undefined): Promise<Buffer> =>
	Buffer.concat((await response!.body.toArray()) as Buffer[]);

describe("a large body", () => {
	test("comes with its head, over a connection that is closed then", async () => {
		await using server = await answering((socket) => {
			socket.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Two: a\r\nx-two:\tb \r\n__proto__: c\r\n\r\nhello");
		});
		const headers = { range: "bytes=1-", "accept-encoding": "identity", authorization: "Bearer \xe9" };
		const response = await download({ method: "GET", url: server.url, headers }, 20_000);
		expect(response).toMatchObject({ status: 200, headers: { "content-length": "5", "x-two": "a, b" } });
		expect(Object.entries(response!.headers)).toContainEqual(["__proto__", "c"]);
		expect((await bytesOf(response)).toString()).toBe("hello");
		const sent = ["GET /v2/blob?a=b HTTP/1.1", `host: ${server.url.host}`, "accept-encoding: identity"];
		expect(server.asked).toEqual([
			[...sent, "range: bytes=1-", "authorization: Bearer \xe9", "connection: close", "", ""].join("\r\n"),
		]);
		await vi.waitFor(() => {
			expect(server.sockets[0]!.destroyed).toBe(true);
		}, patience);
	});

	test("is the same wherever its answer is cut into pieces, with others before it that only inform", async () => {
		const content = randomBytes(300);
		const informing = "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n";
		const head = Buffer.from(`${informing}HTTP/1.1 206 Partial Content\r\ncontent-length: 300\r\n\r\n`);
		const whole = Buffer.concat([head, content]);
		await using server = await answering((socket, number) => {
			socket.setNoDelay();
			const cut = number * 7;
			socket.write(whole.subarray(0, cut));
			setTimeout(() => socket.end(whole.subarray(cut)), 5);
		});
		const answers = Array.from({ length: 60 }, () => get(server.url));
		for (const answer of await Promise.all(answers)) {
			expect(answer!.status).toBe(206);
			expect((await bytesOf(answer)).equals(content)).toBe(true);
		}
	});

	test("of many megabytes is whole, also where its pieces are given back and read into again", async () => {
		const content = randomBytes(20_000_000);
		await using server = await answering((socket) => {
			socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${content.length}\r\n\r\n`);
			socket.end(content);
		});
		const read = async (): Promise<number> => {
			const { body } = (await get(server.url))!;
			let at = 0;
			for await (const piece of body as AsyncIterable<Buffer>) {
				expect(piece.equals(content.subarray(at, at + piece.length))).toBe(true);
				at += piece.length;
				// As one that is sent, some time later.
				setImmediate(release, piece);
			}
			return at;
		};
		const sizes = Array.from({ length: 3 }, () => content.length);
		expect(await Promise.all([read(), read(), read()])).toEqual(sizes);
		expect(await Promise.all([read(), read(), read()])).toEqual(sizes);
	});

	test("keeps what was not given back, and what was given back twice is lent once", async () => {
		const content = randomBytes(4_000_000);
		await using server = await answering((socket) => {
			socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${content.length}\r\n\r\n`);
			socket.end(content);
		});
		const kept = (await (await get(server.url))!.body.toArray()) as Buffer[];
		const given = (await (await get(server.url))!.body.toArray()) as Buffer[];
		for (const piece of [...given, ...given]) release(piece);
		expect((await bytesOf(await get(server.url))).equals(content)).toBe(true);
		expect(Buffer.concat(kept).equals(content)).toBe(true);
	});

	test("is read no faster than it is wanted", async () => {
		let sent = 0;
		const piece = Buffer.alloc(1_000_000);
		await using server = await answering((socket) => {
			socket.write("HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n");
			const more = (): void => {
				if (socket.destroyed) return;
				sent += piece.length;
				if (socket.write(piece)) setImmediate(more);
				else socket.once("drain", more);
			};
			more();
		});
		const { body } = (await get(server.url))!;
		for (let before = -1; before !== sent; await wait(100)) before = sent;
		expect(sent).toBeLessThan(100_000_000);
		const before = sent;
		body.resume();
		await vi.waitFor(() => {
			expect(sent).toBeGreaterThan(before + 100_000_000);
		}, patience);
		body.destroy();
		await vi.waitFor(() => {
			expect(server.sockets[0]!.destroyed).toBe(true);
		}, patience);
	});

	test.each([
		["ends with the connection, where it has no length", "HTTP/1.1 200 OK\r\n\r\nabc", "abc"],
		["has no more bytes than its length", "HTTP/1.0 200\r\ncontent-length: 2\r\n\r\nabc", "ab"],
		["has none", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nabc", ""],
		["has none by its status", "HTTP/1.1 204 No Content\r\n\r\nabc", ""],
	])("%s", async (_, text, body) => {
		await using server = await saying(text);
		expect((await bytesOf(await get(server.url))).toString()).toBe(body);
	});

	test("that is moved, or not there, is an answer like others", async () => {
		await using server = await saying("HTTP/1.1 307 Away\r\nlocation: http://x/\r\ncontent-length: 2\r\n\r\nno");
		const response = await get(server.url);
		expect([response!.status, response!.headers["location"]]).toEqual([307, "http://x/"]);
		expect((await bytesOf(response)).toString()).toBe("no");
	});
});

describe("what is wrong", () => {
	test.each([
		["not HTTP", "SSH-2.0-OpenSSH\r\n\r\n", "HPE_INVALID_CONSTANT"],
		["another HTTP", "HTTP/2 200\r\n\r\n", "HPE_INVALID_CONSTANT"],
		["a status that is none", "HTTP/1.1 000 No\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "HPE_INVALID_CONSTANT"],
		["another protocol", "HTTP/1.1 101 Switching\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "HPE_INVALID_CONSTANT"],
		["a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n", "HPE_INVALID_CONSTANT"],
		["a head of bare line feeds", "HTTP/1.1 200 OK\nx: y\r\n\r\n", "HPE_INVALID_CONSTANT"],
		["a header without a colon", "HTTP/1.1 200 OK\r\nnone\r\n\r\n", "HPE_INVALID_HEADER_TOKEN"],
		["a header without a name", "HTTP/1.1 200 OK\r\n: x\r\n\r\n", "HPE_INVALID_HEADER_TOKEN"],
		["a blank in a name", "HTTP/1.1 200 OK\r\ncontent-length : 1\r\n\r\n", "HPE_INVALID_HEADER_TOKEN"],
		["a header that goes on", "HTTP/1.1 200 OK\r\nx: y\r\n z: 1\r\n\r\n", "HPE_INVALID_HEADER_TOKEN"],
		["a control character", "HTTP/1.1 200 OK\r\nx: \x1b[31m\r\n\r\n", "HPE_INVALID_HEADER_TOKEN"],
		["a bare line feed", "HTTP/1.1 200 OK\r\nx: a\nb: c\r\n\r\n", "HPE_INVALID_HEADER_TOKEN"],
		["two lengths", "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\na", "HPE_INVALID_CONTENT_LENGTH"],
		["a length that is none", "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\na", "HPE_INVALID_CONTENT_LENGTH"],
		["an infinite length", "HTTP/1.1 200 OK\r\ncontent-length: Infinity\r\n\r\na", "HPE_INVALID_CONTENT_LENGTH"],
		["a length in hexadecimal", "HTTP/1.1 200 OK\r\ncontent-length: 0x1\r\n\r\na", "HPE_INVALID_CONTENT_LENGTH"],
		["an endless head", `HTTP/1.1 200 OK\r\nx: ${"y".repeat(17_000)}`, "HPE_HEADER_OVERFLOW"],
		["a large head", `HTTP/1.1 200 OK\r\nx: ${"y".repeat(17_000)}\r\n\r\n`, "HPE_HEADER_OVERFLOW"],
		["an end in the head", "HTTP/1.1 200 OK\r\nx: y", "ECONNRESET"],
		["nothing", "", "ECONNRESET"],
	])("in the head: %s", async (_, text, code) => {
		await using server = await saying(text);
		await expect(get(server.url)).rejects.toMatchObject({ code });
	});

	test("in the body: an end before its length, with or without a reset", async () => {
		await using server = await answering((socket, number) => {
			socket.write("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel", () => {
				if (number === 1) socket.end();
				else socket.resetAndDestroy();
			});
		});
		for (const _ of [1, 2]) {
			const read = async () => bytesOf(await get(server.url));
			await expect(read()).rejects.toMatchObject({ code: "ECONNRESET" });
		}
	});

	test.each(["an end", "a reset", "silence", "the user"])("before anybody reads the body: %s", async (how) => {
		await using server = await answering((socket) => {
			socket.write("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel", () => {
				if (how === "an end") socket.end();
				if (how === "a reset") socket.resetAndDestroy();
			});
		});
		const ending = new AbortController();
		const limit = how === "silence" ? 1000 : 20_000;
		const { body } = (await download({ method: "GET", url: server.url, signal: ending.signal }, limit))!;
		if (how === "the user") ending.abort(Object.assign(new Error("enough"), { code: "ABORT_ERR" }));
		await vi.waitFor(() => {
			expect(body.destroyed).toBe(true);
		}, patience);
		await soon();
		const code = { silence: "ETIMEDOUT", "the user": "ABORT_ERR" }[how] ?? "ECONNRESET";
		expect(body.errored).toMatchObject({ code });
		await expect(body.toArray()).rejects.toMatchObject({ code });
	});

	test("a head that comes byte by byte, or others that only inform, for longer than one waits", async () => {
		for (const drop of ["x", "HTTP/1.1 100 Continue\r\n\r\n"]) {
			await using server = await answering((socket) => {
				if (drop === "x") socket.write("HTTP/1.1 200 OK\r\nx: ");
				const dripping = setInterval(() => socket.write(drop), 20);
				socket.once("close", () => clearInterval(dripping));
			});
			await expect(get(server.url, 300)).rejects.toMatchObject({ code: "ETIMEDOUT" });
		}
	});

	test("silence, before the head and in the body", async () => {
		await using server = await answering((socket, number) => {
			if (number === 2) socket.write("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel");
		});
		await expect(get(server.url, 100)).rejects.toMatchObject({ code: "ETIMEDOUT" });
		await expect(get(server.url, 100).then(bytesOf)).rejects.toMatchObject({ code: "ETIMEDOUT" });
	});

	test("what the user ends: before it begins, before the head, and in the body", async () => {
		await using server = await answering((socket, number) => {
			if (number === 2) socket.write("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel");
		});
		const reason = new Error("enough");
		const ended = download({ method: "GET", url: server.url, signal: AbortSignal.abort(reason) }, 20_000);
		await expect(ended).rejects.toBe(reason);
		expect(server.asked).toEqual([]);

		const early = new AbortController();
		const waiting = download({ method: "GET", url: server.url, signal: early.signal }, 20_000);
		const failed = waiting.catch((error: unknown) => error);
		await vi.waitFor(() => {
			expect(server.asked).toHaveLength(1);
		}, patience);
		early.abort(reason);
		expect(await failed).toBe(reason);

		const late = new AbortController();
		const { body } = (await download({ method: "GET", url: server.url, signal: late.signal }, 20_000))!;
		late.abort(reason);
		await expect(body.toArray()).rejects.toBe(reason);
	});

	test("headers that would be more than one, and nobody there", async () => {
		await using server = await saying("");
		const headers = { authorization: "a\r\nx: y" };
		await expect(download({ method: "GET", url: server.url, headers }, 20_000)).rejects.toThrow("Invalid character");
		expect(server.asked).toEqual([]);
		await expect(get(new URL("http://127.0.0.1:1/"))).rejects.toMatchObject({ code: "ECONNREFUSED" });
	});
});

describe("a client", () => {
	/** Tells of each request which of the two asked. */
	async function telling(handler: (request: http.IncomingMessage, response: http.ServerResponse) => void) {
		const asked: string[] = [];
		const server = http.createServer((request, response) => {
			asked.push(`${request.method} ${request.headers.connection} ${request.headers.authorization ?? "-"}`);
			handler(request, response);
		});
		server.listen(0, "127.0.0.1");
		await once(server, "listening");
		return {
			url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`),
			asked,
			[Symbol.asyncDispose]: async () => {
				server.close();
				server.closeAllConnections();
				await once(server, "close");
			},
		};
	}
	const text = async ({ body }: { readonly body: Readable }): Promise<string> =>
		Buffer.concat((await body.toArray()) as Buffer[]).toString();

	test("asks for large bodies so, and for all else over connections that are kept", async () => {
		await using server = await telling((_, response) => {
			response.writeHead(200, { "content-length": "4" }).end("body");
		});
		const { http: send } = nodeIo({ env: {} });
		const { url } = server;
		expect(await text(await send({ method: "GET", url, large: true }))).toBe("body");
		expect(await text(await send({ method: "GET", url }))).toBe("body");
		await text(await send({ method: "HEAD", url, large: true }));
		const named = new URL(url);
		named.username = "u";
		expect(await text(await send({ method: "GET", url: named, large: true }))).toBe("body");
		const basic = `Basic ${Buffer.from("u:").toString("base64")}`;
		expect(server.asked).toEqual(["GET close -", "GET keep-alive -", "HEAD keep-alive -", `GET keep-alive ${basic}`]);
	});

	test("asks once more where it comes in a transfer coding, and not so again", async () => {
		await using server = await telling((_, response) => {
			response.write("bo");
			response.end("dy");
		});
		const { http: send } = nodeIo({ env: {} });
		for (const _ of [1, 2])
			expect(await text(await send({ method: "GET", url: server.url, large: true }))).toBe("body");
		expect(server.asked).toEqual(["GET close -", "GET keep-alive -", "GET keep-alive -"]);
	});

	test("leaves large bodies to the proxy that is set", async () => {
		await using server = await telling((request, response) => {
			response.end(request.url);
		});
		for (const name of ["http_proxy", "HTTP_PROXY"]) {
			const { http: send } = nodeIo({ env: { [name]: server.url.origin } });
			const url = new URL("http://registry.example.org/blob");
			expect(await text(await send({ method: "GET", url, large: true }))).toBe(url.href);
		}
	});
});

const hasOpenssl = spawnSync("openssl", ["version"]).status === 0;

test.runIf(hasOpenssl)(
	"over TLS: from one whom an authority vouches for, by name and by address, and from nobody else",
	async () => {
		const folder = mkdtempSync(path.join(os.tmpdir(), "brewline-download-"));
		const names = "subjectAltName=DNS:localhost,IP:127.0.0.1";
		const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
		const files = ["-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=test", "-addext", names];
		execFileSync("openssl", ["req", "-x509", ...kind, ...files], { cwd: folder, stdio: "pipe" });
		const [key, cert] = ["key.pem", "cert.pem"].map((name) => readFileSync(path.join(folder, name)));
		rmSync(folder, { recursive: true });
		const content = randomBytes(3_000_000);
		const asked: (string | false | null | undefined)[] = [];
		const server = https.createServer({ key, cert }, (request, response) => {
			asked.push((request.socket as tls.TLSSocket).servername);
			response.writeHead(200, { "content-length": String(content.length) }).end(content);
		});
		server.on("tlsClientError", () => {});
		server.listen(0, "127.0.0.1");
		await once(server, "listening");
		const { port } = server.address() as AddressInfo;
		const trusted = tls.getCACertificates("default");
		try {
			const address = new URL(`https://127.0.0.1:${port}/`);
			await expect(get(address)).rejects.toMatchObject({ code: "DEPTH_ZERO_SELF_SIGNED_CERT" });
			await expect(get(new URL(`http://127.0.0.1:${port}/`))).rejects.toMatchObject({ code: "ECONNRESET" });
			tls.setDefaultCACertificates([...trusted, cert!.toString()]);
			const { http: send } = nodeIo({ env: {} });
			for (const url of [address, new URL(`https://localhost:${port}/`)]) {
				const { body } = await send({ method: "GET", url, large: true });
				expect(Buffer.concat((await body.toArray()) as Buffer[]).equals(content)).toBe(true);
			}
			expect(asked).toEqual([false, "localhost"]);
		} finally {
			tls.setDefaultCACertificates(trusted);
			server.close();
			server.closeAllConnections();
		}
	},
);
