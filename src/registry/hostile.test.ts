import { createHash } from "node:crypto";
import type { ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import { reply, scripted, testIo, type VirtualClock } from "../../test/support/scripted.ts";
import { mediaTypes, parseReference } from "../oci/index.ts";
import { isPrivate } from "./hosts.ts";
import { answerOf, createRegistryClient, synthesize, type RegistryClient } from "./index.ts";
import { createPace } from "./pace.ts";

const sha256 = (bytes: Uint8Array | string) => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
const piece = Buffer.alloc(65_536, 32);

/** Sends without end, as fast as it is taken; how much that was. */
function endless(response: ServerResponse): { sent: number } {
	const count = { sent: 0 };
	const body = new Readable({
		read() {
			count.sent += piece.length;
			this.push(piece);
		},
	});
	body.pipe(response);
	response.once("close", () => body.destroy());
	return count;
}

/** What does with a client all that reads. */
const reads: Readonly<Record<string, (client: RegistryClient, host: string) => Promise<unknown>>> = {
	"a manifest": (client, host) => client.getManifest(parseReference(`${host}/name:tag`)),
	"a manifest's head": (client, host) => client.headManifest(parseReference(`${host}/name:tag`)),
	"a blob": async (client, host) =>
		Array.fromAsync((await client.getBlob(parseReference(`${host}/name`), { digest: sha256("x"), size: 1000 }))!),
	tags: (client, host) => Array.fromAsync(client.listTags(parseReference(`${host}/name`))),
};

describe("a body without end", () => {
	test.each(Object.keys(reads).filter((name) => !name.endsWith("head")))("as %s is cut off", async (name) => {
		const counts: { sent: number }[] = [];
		await using server = await scripted((_, response) => {
			response.writeHead(200, { "content-type": mediaTypes.ociIndex });
			counts.push(endless(response));
		});
		const error = await reads[name]!(createRegistryClient(testIo()), server.host).catch((cause: unknown) => cause);
		expect(error).toMatchObject({ code: name === "a blob" ? "digest" : "registry" });
		expect(counts).toHaveLength(1);
		// What is allowed, and what fits into the buffers on the way.
		expect(counts[0]!.sent).toBeLessThan((name === "tags" ? 16 : 4) * 2 ** 20 + 16 * 2 ** 20);
	});

	test.each([401, 403, 404, 429, 500])("as the explanation of a %i is not waited for", async (status) => {
		await using server = await scripted((_, response) => {
			response.writeHead(status, status === 401 ? { "www-authenticate": "Basic" } : {});
			endless(response);
		});
		const client = createRegistryClient(testIo(), { retry: { tries: 1, patience: 0 } });
		const listing = Array.fromAsync(client.listTags(parseReference(`${server.host}/name`)));
		const error = await listing.catch((cause: unknown) => cause);
		expect(answerOf(error)?.status).toBe(status);
		expect((error as Error).message.length).toBeLessThan(500);
	});

	test("of a token server is cut off, and so is one behind a redirect", async () => {
		const counts: { sent: number }[] = [];
		await using server = await scripted((request, response) => {
			if (request.url?.startsWith("/token") === true) counts.push(endless(response.writeHead(200)));
			else if (request.url?.includes("moved") === true)
				counts.push(endless(response.writeHead(307, { location: "/end" })));
			else if (request.url === "/end") reply(response, 200, {}, "{}");
			else reply(response, 401, { "www-authenticate": `Bearer realm="${server.url}/token"` });
		});
		const client = createRegistryClient(testIo());
		await expect(client.getManifest(parseReference(`${server.host}/name:tag`))).rejects.toThrow("longer than 1048576");
		expect(await createRegistryClient(testIo()).getManifest(parseReference(`${server.host}/name:moved`))).toBeDefined();
		for (const { sent } of counts) expect(sent).toBeLessThan(16 * 2 ** 20);
	});
});

describe("a body that drips", () => {
	/** A byte at a time, ten seconds apart. */
	const drip = (response: ServerResponse, clock: VirtualClock, count: number) => {
		let left = count;
		const next = () => {
			if (left-- === 0 || response.destroyed) return response.end();
			clock.advance(10_000);
			response.write(" ");
			setTimeout(next, 1);
			return undefined;
		};
		next();
	};

	test.each(Object.keys(reads).filter((name) => !name.endsWith("head")))(
		"as %s is given up, and tried again",
		async (name) => {
			const io = testIo();
			await using server = await scripted((_, response) => {
				response.writeHead(200, { "content-type": mediaTypes.ociIndex, "content-length": "900" });
				drip(response, io.clock, 900);
			});
			const client = createRegistryClient(io, { retry: { tries: 3 } });
			const error = await reads[name]!(client, server.host).catch((cause: unknown) => cause);
			expect(error).toMatchObject({ code: "registry" });
			const causes = [error as Error, (error as Error).cause as Error];
			expect(causes.map(({ message }) => message).join()).toMatch(/only \d+ bytes came in \d+ s/);
			expect(server.requests).toHaveLength(3);
		},
	);

	test("as an explanation is no explanation", async () => {
		const io = testIo();
		await using server = await scripted((_, response) => {
			response.writeHead(404);
			drip(response, io.clock, 1000);
		});
		expect(await createRegistryClient(io).getManifest(parseReference(`${server.host}/name:tag`))).toBeUndefined();
		expect(server.requests).toHaveLength(1);
	});

	test("counts only while it is waited for, and a slow beginning is forgotten", () => {
		const { clock } = testIo();
		const pace = createPace(clock);
		const step = (seconds: number, bytes: number) => {
			clock.advance(seconds * 1000);
			pace.received(bytes);
			// What its reader does with it takes a day.
			clock.advance(86_400_000);
			pace.waiting();
		};
		for (let at = 0; at < 96; at++) step(10, 10_000);
		for (let at = 0; at < 7; at++) step(100, 1);
		// A single large piece after it makes up for it.
		step(1, 10_000_000);
		for (let at = 0; at < 7; at++) step(10, 1);
		expect(() => step(10, 1)).toThrow(
			expect.objectContaining({ code: "ETIMEDOUT", message: "only 8 bytes came in 80 s" }),
		);
	});
});

describe("manifests", () => {
	const answering = (bytes: Uint8Array | string, headers: Record<string, string> = {}) =>
		scripted((_, response) => reply(response, 200, { "content-type": mediaTypes.ociIndex, ...headers }, bytes));
	const options = { architectures: {}, architectureAnnotation: "a" };

	test("of 10 MB are refused, before all of it is there", async () => {
		await using server = await answering(Buffer.alloc(10_000_000, " "));
		const getting = createRegistryClient(testIo()).getManifest(parseReference(`${server.host}/name:tag`));
		await expect(getting).rejects.toMatchObject({
			code: "registry",
			message: expect.stringContaining("larger than 4194304 bytes"),
		});
	});

	test("that are others than was said are refused, whoever says so, and not asked for again", async () => {
		await using server = await answering("{}", { "docker-content-digest": sha256("other") });
		const client = createRegistryClient(testIo());
		for (const text of ["name:tag", `name@${sha256("third")}`]) {
			await expect(client.getManifest(parseReference(`${server.host}/${text}`))).rejects.toMatchObject({
				code: "digest",
			});
		}
		expect(server.requests).toHaveLength(2);
	});

	test.each([
		["nested deeply", `{"manifests":${"[".repeat(2_000_000)}`, "levels deep"],
		[
			"nested deeply in what nobody reads",
			`{"schemaVersion":2,"x":${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}}`,
			"levels deep",
		],
		["full of numbers", `{"schemaVersion":1e999,"manifests":[]}`, "schemaVersion"],
		["with sizes that are none", `{"manifests":[{"digest":"${sha256("")}","size":1e300}]}`, `"size"`],
		["not in UTF-8", Buffer.from([0x7b, 0xff, 0x7d]), "not UTF-8"],
	])("%s are refused", async (_, bytes, message) => {
		await using server = await answering(bytes);
		const reading = synthesize(createRegistryClient(testIo()), parseReference(`${server.host}/name:tag`), options);
		await expect(reading).rejects.toMatchObject({ code: "registry", message: expect.stringContaining(message) });
	});

	test("with as many children as fit take no requests and little memory", async () => {
		const child = (at: number) => ({
			mediaType: mediaTypes.ociManifest,
			digest: `sha256:${at.toString(16).padStart(64, "0")}`,
			size: 1,
			platform: { os: "linux", architecture: "amd64" },
		});
		const bytes = JSON.stringify({ schemaVersion: 2, manifests: Array.from({ length: 20_000 }, (_, at) => child(at)) });
		await using server = await answering(bytes);
		const before = process.memoryUsage().heapUsed;
		const index = await synthesize(createRegistryClient(testIo()), parseReference(`${server.host}/name:tag`), options);
		expect(index?.manifests).toHaveLength(20_000);
		expect(process.memoryUsage().heapUsed - before).toBeLessThan(200 * 2 ** 20);
		expect(server.requests).toHaveLength(1);
	});

	test("of a million children do not fit", async () => {
		await using server = await answering(`{"manifests":[${"{},".repeat(2_000_000)}{}]}`);
		const reading = synthesize(createRegistryClient(testIo()), parseReference(`${server.host}/name:tag`), options);
		await expect(reading).rejects.toThrow("larger than 4194304 bytes");
		await using fits = await answering(`{"manifests":[${"{},".repeat(1_300_000)}{}]}`);
		const other = synthesize(createRegistryClient(testIo()), parseReference(`${fits.host}/name:tag`), options);
		await expect(other).rejects.toThrow("manifests[0]");
	});
});

describe("where a registry sends us", () => {
	/** Asks as if the server were at that host; which hosts were asked. */
	async function asked(host: string, answer: (path: string) => Record<string, string> | undefined) {
		const hosts: string[] = [];
		await using server = await scripted((request, response) => {
			const headers = answer(request.url ?? "");
			if (headers === undefined) reply(response, 200, {}, "{}");
			else reply(response, "location" in headers ? 307 : 401, headers);
		});
		const io = testIo();
		const http: typeof io.http = (request) => {
			hosts.push(`${request.url.host}${request.headers?.["authorization"] === undefined ? "" : " with credentials"}`);
			return io.http({ ...request, url: new URL(request.url.pathname, server.url) });
		};
		const credentials = () => Promise.resolve({ username: "u", password: "p", origin: "test" });
		const client = createRegistryClient({ ...io, http }, { credentials });
		const result = await client.getManifest(parseReference(`${host}/org/name:tag`)).catch((error: unknown) => error);
		return { hosts, result };
	}

	test.each([
		"http://storage.example.org/",
		"https://localhost/",
		"https://127.0.0.1/",
		"https://[::1]/",
		"https://10.1.2.3/",
		"https://172.31.0.1/",
		"https://192.168.1.1/",
		"https://169.254.169.254/latest/meta-data",
		"https://[fe80::1]/",
		"https://[fd00::1]/",
		"https://[::ffff:10.0.0.1]/",
		"https://0x0a000001/",
		"https://metadata.google.internal/",
		"https://printer.local/",
		"https://router/",
		"ftp://example.org/",
		"https://user@example.org/",
		"//",
	])("%s is not gone to by a public registry", async (location) => {
		const { hosts, result } = await asked("registry.example.org", () => ({ location }));
		expect(hosts).toEqual(["registry.example.org"]);
		expect(result).toMatchObject({ code: "registry", message: expect.stringContaining("where we do not go") });
	});

	test.each([
		["10.0.0.1:5000", "https://10.0.0.2:9000/"],
		["registry.internal", "https://storage.internal/"],
		["registry.example.org", "https://storage.example.com/"],
	])("%s may send us to %s, without credentials", async (host, location) => {
		const { hosts, result } = await asked(host, (path) => (path === "/" ? undefined : { location }));
		expect(hosts).toEqual([host, new URL(location).host]);
		expect(result).toMatchObject({ bytes: Buffer.from("{}") });
	});

	test("a challenge never has credentials sent elsewhere", async () => {
		for (const realm of ["https://evil.example.com/token", "https://registry.example.org.evil.example/token"]) {
			const { hosts, result } = await asked("registry.example.org", () => ({
				"www-authenticate": `Bearer realm="${realm}"`,
			}));
			expect(hosts).toEqual(["registry.example.org"]);
			expect(result).toMatchObject({ code: "credentials" });
		}
	});

	test("credentials stay at home when a registry asks for them and then sends us away", async () => {
		let first = true;
		const { hosts } = await asked("registry.example.org", (path) => {
			if (path === "/") return undefined;
			if (!first) return { location: "https://storage.example.com/" };
			first = false;
			return { "www-authenticate": "Basic" };
		});
		expect(hosts).toEqual(["registry.example.org", "registry.example.org with credentials", "storage.example.com"]);
	});

	test("what is private is told from what is not", () => {
		for (const host of [
			"0.0.0.0",
			"100.64.0.1",
			"100.127.0.1",
			"[64:ff9b::a00:1]",
			"[fc00::]",
			"[fec0::1]",
			"x.home.arpa",
			"x.lan.",
		]) {
			expect([host, isPrivate(host)]).toEqual([host, true]);
		}
		for (const host of [
			"100.63.0.1",
			"100.128.0.1",
			"172.15.0.1",
			"172.32.0.1",
			"[2001:db8::1]",
			"[::ffff:808:808]",
			"a.example",
			"11.0.0.1",
		]) {
			expect([host, isPrivate(host)]).toEqual([host, false]);
		}
	});
});
