import { createHash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { reply, scripted, testIo } from "../../test/support/scripted.ts";
import { parseReference } from "../oci/index.ts";
import { createRegistryClient, startRegistry, type RegistryClientOptions } from "./index.ts";

const content = Buffer.from(Array.from({ length: 20_000 }, (_, at) => (at * 7) % 251));
const digest = `sha256:${createHash("sha256").update(content).digest("hex")}`;
const blob = { digest, size: content.length };

/** Bytes of a request after which the connection breaks, an answer in place of the right one, or nothing wrong. */
type Trouble =
	| { readonly breakAfter: number }
	| { readonly status: number; readonly headers?: Record<string, string> }
	| "lost";

/** A registry with one session after another, which says what it has of each; `trouble` comes by number of request. */
async function uploads(
	trouble: (method: string, number: number, has: number) => Trouble | undefined,
	options: { readonly opened?: Record<string, string>; readonly patched?: number; readonly silent?: boolean } = {},
) {
	const sessions = new Map<number, Buffer>();
	let count = 0;
	const stored = new Set<string>();
	const seen: string[] = [];
	let received = 0;
	const range = (has: number): Record<string, string> => ({ range: `0-${Math.max(0, has - 1)}` });
	const server = await scripted((request, response, number) => {
		void serve(request, response, number).catch(() => response.destroy());
	});
	async function serve(request: IncomingMessage, response: ServerResponse, number: number) {
		const method = request.method!;
		const url = new URL(request.url!, "http://x");
		const id = Number(url.pathname.split("/").at(-1));
		seen.push(`${method} ${request.headers["content-range"] ?? ""}`.trim());
		const wrong = trouble(method, number, sessions.get(id)?.length ?? 0);
		if (wrong !== undefined && wrong !== "lost" && "status" in wrong) {
			request.resume();
			reply(response, wrong.status, wrong.headers);
			return;
		}
		let taken = 0;
		for await (const chunk of request as AsyncIterable<Buffer>) {
			const piece = wrong !== undefined && wrong !== "lost" ? chunk.subarray(0, wrong.breakAfter - taken) : chunk;
			taken += piece.length;
			received += piece.length;
			if (method === "PATCH" && taken === piece.length) {
				const start = Number(request.headers["content-range"]?.split("-")[0]);
				if (start !== sessions.get(id)!.length) {
					request.resume();
					reply(response, 416, range(sessions.get(id)!.length));
					return;
				}
			}
			sessions.set(id, Buffer.concat([sessions.get(id)!, piece]));
			if (piece.length < chunk.length) {
				request.socket.destroy();
				return;
			}
		}
		if (method === "PUT") {
			const body = sessions.get(id);
			if (body === undefined) return reply(response, 404);
			const right = `sha256:${createHash("sha256").update(body).digest("hex")}` === url.searchParams.get("digest");
			if (right) stored.add(url.searchParams.get("digest")!);
			sessions.delete(id);
			if (wrong === "lost") return request.socket.destroy();
			return reply(response, right ? 201 : 400);
		}
		if (wrong === "lost") return request.socket.destroy();
		if (method === "HEAD")
			return response.writeHead(stored.has(digest) ? 200 : 404, { "content-length": content.length }).end();
		if (method === "PATCH" && options.silent === true) return response.writeHead(202).end();
		if (method === "POST") sessions.set(count++, Buffer.alloc(0));
		const at = method === "POST" ? count - 1 : id;
		const has = sessions.get(at)?.length;
		if (has === undefined) return reply(response, 404);
		const status = method === "GET" ? 204 : method === "PATCH" ? (options.patched ?? 202) : 202;
		const opened = method === "POST" ? options.opened : {};
		response.writeHead(status, { location: `/v2/name/blobs/uploads/${at}`, ...range(has), ...opened }).end();
	}
	const io = testIo();
	let opened = 0;
	const put = (client: RegistryClientOptions = {}) =>
		createRegistryClient(io, client).putBlob(parseReference(`${server.host}/name`), blob, () => {
			opened++;
			const pieces = [content.subarray(0, 5000), content.subarray(5000, 12_345), content.subarray(12_345)];
			return Readable.from(pieces, { objectMode: false });
		});
	return {
		io,
		put,
		seen,
		stored,
		opened: () => opened,
		received: () => received,
		[Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
	};
}

describe("an upload that breaks off", () => {
	test("goes on where the registry is, in pieces", async () => {
		await using server = await uploads((method, number) =>
			method === "PATCH" && number === 3 ? { breakAfter: 3000 } : undefined,
		);
		await server.put({ chunkSize: 8000 });
		expect(server.stored).toEqual(new Set([digest]));
		expect(server.seen).toEqual([
			"POST",
			"PATCH 0-7999",
			"PATCH 8000-15999",
			"GET",
			"PATCH 11000-18999",
			"PATCH 19000-19999",
			"PUT",
		]);
		expect(server.received()).toBe(content.length);
		expect(server.io.clock.slept).toHaveLength(1);
	});

	test("goes on in pieces, too, where it was to go as a whole", async () => {
		await using server = await uploads((method) =>
			method === "PUT" && server.seen.length < 3 ? { breakAfter: 9000 } : undefined,
		);
		await server.put();
		expect(server.seen).toEqual(["POST", "PUT", "GET", "PATCH 9000-19999", "PUT"]);
		expect(server.received()).toBe(content.length);
	});

	test("begins anew where nothing of it is there", async () => {
		for (const breakAfter of [0, 1]) {
			await using server = await uploads((_, number) => (number === 2 ? { breakAfter } : undefined));
			await server.put();
			expect(server.seen).toEqual(["POST", "PUT", "GET", "HEAD", "POST", "PUT"]);
		}
	});

	test("is over where only the answer to its end was lost", async () => {
		for (const chunkSize of [Infinity, 15_000]) {
			await using server = await uploads((method) => (method === "PUT" ? "lost" : undefined));
			await server.put({ chunkSize });
			expect(server.seen.slice(-3)).toEqual(["PUT", "GET", "HEAD"]);
			expect(server.received()).toBe(content.length);
		}
	});

	test("begins anew where the registry knows the session no more, or says something of no use", async () => {
		for (const headers of [{}, { range: "0-99999999" }, { range: "5-9" }] as Record<string, string>[]) {
			await using server = await uploads((method, number) => {
				if (method === "PATCH" && number === 3) return { breakAfter: 10 };
				if (method === "GET") return { status: "range" in headers ? 204 : 404, headers };
				return undefined;
			});
			await server.put({ chunkSize: 10_000 });
			expect(server.seen).toEqual([
				"POST",
				"PATCH 0-9999",
				"PATCH 10000-19999",
				"GET",
				"POST",
				"PATCH 0-9999",
				"PATCH 10000-19999",
				"PUT",
			]);
		}
	});

	test("begins anew where what it went on with is refused; a refusal of credentials ends it", async () => {
		await using server = await uploads((method, number) => {
			if (method === "PATCH" && number === 3) return { breakAfter: 10 };
			return method === "PATCH" && number === 5 ? { status: 409 } : undefined;
		});
		await server.put({ chunkSize: 10_000 });
		expect(server.seen.slice(3, 6)).toEqual(["GET", "PATCH 10010-19999", "POST"]);
		expect(server.stored.size).toBe(1);
		await using other = await uploads((_, number) => {
			if (number === 3) return { breakAfter: 10 };
			return number > 4 ? { status: 401 } : undefined;
		});
		await expect(other.put({ chunkSize: 10_000 })).rejects.toMatchObject({ code: "credentials" });
	});

	test("waits while the registry does not say how far it is", async () => {
		await using server = await uploads((method, number) => {
			if (number === 3) return { breakAfter: 10 };
			if (method === "GET" && number === 4) return { status: 503 };
			return method === "GET" && number === 5 ? "lost" : undefined;
		});
		await server.put({ chunkSize: 10_000 });
		expect(server.seen.slice(2)).toEqual(["PATCH 10000-19999", "GET", "GET", "GET", "PATCH 10010-19999", "PUT"]);
		expect(server.io.clock.slept).toHaveLength(3);
	});

	test("may break off more often than it is tried, as long as it gets on", async () => {
		await using server = await uploads((method, _, has) =>
			method === "PATCH" && has < 15_000 ? { breakAfter: 1000 } : undefined,
		);
		await server.put({ chunkSize: 19_999, retry: { tries: 2 } });
		expect(server.io.clock.slept).toHaveLength(15);
		expect(server.received()).toBe(content.length);
		await using stuck = await uploads((method) => (method === "PATCH" ? { breakAfter: 0 } : undefined));
		await expect(stuck.put({ chunkSize: 5000, retry: { tries: 2 } })).rejects.toThrow("failed 2 times");
	});

	test("ends with what was to be sent, whatever happens on the way, and never sends what is there", async () => {
		const trouble = fc.oneof(
			fc.record({ breakAfter: fc.integer({ min: 0, max: 12_000 }) }),
			fc.constantFrom<Trouble>(
				"lost",
				{ status: 500 },
				{ status: 503 },
				{ status: 429, headers: { "retry-after": "1" } },
			),
			fc.constant(undefined),
		);
		await fc.assert(
			fc.asyncProperty(
				fc.oneof(fc.constant(Infinity), fc.integer({ min: 2000, max: 21_000 })),
				fc.array(trouble, { maxLength: 12 }),
				async (chunkSize, troubles) => {
					await using server = await uploads((_, number) => troubles[number - 1]);
					await server.put({ chunkSize, retry: { tries: 20, random: () => 0.5 } });
					expect(server.stored).toEqual(new Set([digest]));
					const anew = server.seen.filter((line) => line === "POST").length;
					expect(server.received()).toBeLessThanOrEqual(anew * content.length);
				},
			),
			{ seed: Number(process.env["FC_SEED"] ?? 1), numRuns: 60 },
		);
	});

	test("does not ask another host's storage how far it is", async () => {
		let puts = 0;
		await using storage = await scripted((request, response) => {
			if (++puts === 1) request.socket.destroy();
			else request.resume().on("end", () => reply(response, 201));
		});
		await using home = await scripted((request, response) => {
			if (request.method === "POST") reply(response, 202, { location: `${storage.url}/upload` });
			else reply(response, 404);
		});
		const client = createRegistryClient(testIo());
		await client.putBlob(parseReference(`${home.host}/name`), blob, () =>
			Readable.from([content], { objectMode: false }),
		);
		expect(storage.requests.map((line) => line.split(" ")[0])).toEqual(["PUT", "PUT"]);
		expect(home.requests.map((line) => line.split(" ")[0])).toEqual(["POST", "HEAD", "POST"]);
	});
});

describe("pieces", () => {
	test("follow the registry: what it kept, what it expects, and how large they must be", async () => {
		// It keeps only the first 5,000 bytes of a piece.
		await using server = await uploads((method, number) =>
			method === "PATCH" && number === 2
				? { status: 202, headers: { range: "0-4999", location: "/v2/name/blobs/uploads/0" } }
				: undefined,
		);
		await expect(server.put({ chunkSize: 8000 })).rejects.toMatchObject({ code: "registry" });
		expect(server.seen).toEqual(["POST", "PATCH 0-7999", "PATCH 5000-12999", "GET"]);

		await using least = await uploads(() => undefined, { opened: { "oci-chunk-min-length": "12000" } });
		await least.put({ chunkSize: 100 });
		expect(least.seen).toEqual(["POST", "PATCH 0-11999", "PATCH 12000-19999", "PUT"]);

		await using whole = await uploads(() => undefined, { opened: { "oci-chunk-min-length": "30000" } });
		await whole.put({ chunkSize: 100 });
		expect(whole.seen).toEqual(["POST", "PUT"]);

		await using odd = await uploads(() => undefined, { opened: { "oci-chunk-min-length": "many" }, patched: 201 });
		await odd.put({ chunkSize: 10_000 });
		expect(odd.seen).toEqual(["POST", "PATCH 0-9999", "PATCH 10000-19999", "PUT"]);
	});

	test("stay where they are where the registry says nothing else", async () => {
		await using server = await uploads(() => undefined, { silent: true });
		await server.put({ chunkSize: 12_000 });
		expect(server.seen).toEqual(["POST", "PATCH 0-11999", "PATCH 12000-19999", "PUT"]);
		expect(server.stored.size).toBe(1);
	});

	test("are refused where the registry is elsewhere: it says where, and what does not help is an error", async () => {
		await using server = await uploads(
			(method, number) => (method === "GET" || number !== 3 ? undefined : { status: 416 }),
			{},
		);
		await expect(server.put({ chunkSize: 8000 })).rejects.toThrow("HTTP 416");
		await using ahead = await uploads((method, number, has) => {
			if (method === "PATCH" && number === 2) return { status: 416 };
			return method === "GET" && has === 0 ? { status: 204, headers: { range: "0-7999" } } : undefined;
		});
		await expect(ahead.put({ chunkSize: 8000 })).rejects.toMatchObject({ code: "registry" });
		expect(ahead.seen.slice(0, 4)).toEqual(["POST", "PATCH 0-7999", "GET", "PATCH 8000-15999"]);
	});

	test("a registry that always has something else is given up", async () => {
		let has = 0;
		await using server = await uploads((method) => {
			if (method === "PATCH")
				return { status: 202, headers: { range: `0-${(has += 100)}`, location: "/v2/name/blobs/uploads/0" } };
			return undefined;
		});
		await expect(server.put({ chunkSize: 8000 })).rejects.toThrow("again and again");
		expect(server.seen).toHaveLength(1 + 6);
	});

	test("of GHCR are no larger than it takes, and those of ECR no smaller", async () => {
		const large = Buffer.alloc(12 * 1024 * 1024, 1);
		const described = { digest: `sha256:${createHash("sha256").update(large).digest("hex")}`, size: large.length };
		for (const [host, chunkSize, pieces] of [
			["ghcr.io", 8 * 1024 * 1024, 3],
			["123456789012.dkr.ecr.eu-west-1.amazonaws.com", 1024 * 1024, 3],
			["quay.io", 6 * 1024 * 1024, 2],
		] as const) {
			const server = await startRegistry();
			const io = testIo();
			const seen: string[] = [];
			const http: typeof io.http = (request) => {
				seen.push(request.method);
				return io.http({ ...request, url: new URL(request.url.pathname + request.url.search, server.url) });
			};
			const client = createRegistryClient({ ...io, http }, { chunkSize });
			await client.putBlob(parseReference(`${host}/name`), described, () =>
				Readable.from([large], { objectMode: false }),
			);
			expect(seen.filter((method) => method === "PATCH")).toHaveLength(pieces);
			await server.close();
		}
	});
});
