import { describe, expect, test } from "vitest";
import { reply, scripted, testIo, virtualClock } from "../../test/support/scripted.ts";
import { BrewlineError } from "../errors.ts";
import { parseReference } from "../oci/index.ts";
import { answerOf, createRegistryClient, mirrorsFromEnvironment } from "./index.ts";
import { canonicalHost, endpointOf, isLoopback } from "./hosts.ts";
import { retrying } from "./retry.ts";

const middle = { random: () => 0.5 };

describe("retries", () => {
	test("a registry in trouble is asked five times, ever more slowly", async () => {
		await using server = await scripted((_, response) => reply(response, 503, {}, "try\u001b[31m later"));
		const io = testIo();
		const client = createRegistryClient(io, { retry: middle });
		const error = await client.getManifest(parseReference(`${server.host}/name:tag`)).catch((e: unknown) => e);
		expect(error).toMatchObject({
			code: "registry",
			message: expect.stringContaining("HTTP 503 (try\\u{1b}[31m later)"),
		});
		expect(io.clock.slept).toEqual([500, 1000, 2000, 4000]);
		expect(io.logged).toHaveLength(4);
		expect(server.requests).toHaveLength(5);
	});

	test("what is over at the second try was nothing", async () => {
		await using server = await scripted((_, response, number) => {
			if (number === 1) response.destroy();
			else reply(response, number === 2 ? 502 : 200, {}, "{}");
		});
		const client = createRegistryClient(testIo());
		expect(await client.getManifest(parseReference(`${server.host}/name:tag`))).toMatchObject({
			bytes: Buffer.from("{}"),
		});
	});

	test("a manifest whose body breaks off is read again", async () => {
		await using server = await scripted((_, response, number) => {
			if (number > 1) reply(response, 200, {}, "{}");
			else response.writeHead(200, { "content-length": 2 }).write("{", () => response.destroy());
		});
		const client = createRegistryClient(testIo());
		expect(await client.getManifest(parseReference(`${server.host}/name:tag`))).toMatchObject({
			bytes: Buffer.from("{}"),
		});
	});

	test("a registry that is down is an error that says so", async () => {
		const server = await scripted(() => {});
		await server[Symbol.asyncDispose]();
		const client = createRegistryClient(testIo());
		await expect(client.getManifest(parseReference(`${server.host}/name:tag`))).rejects.toMatchObject({
			code: "registry",
			message: expect.stringMatching(/^reading 127\.0\.0\.1:\d+\/name:tag failed 5 times: .*ECONNREFUSED/),
			hint: expect.stringContaining("up"),
		});
	});

	test("a registry that speaks plain HTTP where TLS is expected is an error that says how to do that", async () => {
		await using server = await scripted((_, response) => reply(response, 200, {}, "{}"));
		const io = testIo();
		const http: typeof io.http = (request) =>
			io.http({ ...request, url: new URL(request.url.pathname, server.url.replace("http:", "https:")) });
		const client = createRegistryClient({ ...io, http });
		await expect(client.getManifest(parseReference("registry.internal:5000/name:tag"))).rejects.toMatchObject({
			code: "registry",
			hint: expect.stringContaining("program.registries.plainHttp"),
		});
	});

	test("429 is waited out as long as the registry asks, in seconds or until a date", async () => {
		const io = testIo();
		await using server = await scripted((_, response, number) => {
			if (number === 1) reply(response, 429, { "retry-after": "7" });
			else if (number === 2) reply(response, 429, { "retry-after": new Date(io.clock.now() + 90_000).toUTCString() });
			else if (number === 3) reply(response, 429, { "retry-after": "soon" });
			else reply(response, 200, {}, "{}");
		});
		const client = createRegistryClient(io, { retry: middle });
		expect(await client.getManifest(parseReference(`${server.host}/name:tag`))).toBeDefined();
		expect(io.clock.slept).toEqual([7500, expect.closeTo(90_500, -4), 2500]);
	});

	test("patience with 429 ends", async () => {
		await using server = await scripted((_, response) => reply(response, 429, { "retry-after": "400" }));
		const io = testIo();
		const client = createRegistryClient(io, { retry: { ...middle, patience: 1000_000 } });
		await expect(client.getManifest(parseReference(`${server.host}/name:tag`))).rejects.toMatchObject({
			code: "registry",
			message: expect.stringContaining("429"),
			hint: expect.stringContaining("rate limit"),
		});
		expect(io.clock.slept).toEqual([400_500, 400_500]);
	});

	test("patience ends as soon with a registry that says each time that it takes the next request soon", async () => {
		await using server = await scripted((_, response) => reply(response, 429, { "retry-after": "1" }));
		const io = testIo();
		const start = io.clock.now();
		const client = createRegistryClient(io, { retry: { ...middle, patience: 300_000 } });
		await expect(client.getManifest(parseReference(`${server.host}/name:tag`))).rejects.toMatchObject({
			message: expect.stringContaining("429"),
		});
		expect(io.clock.now() - start).toBeLessThanOrEqual(300_000);
		expect(server.requests.length).toBeGreaterThan(10);
	});

	test("Retry-After is obeyed on 503 too, and nobody waits for a year", async () => {
		await using server = await scripted((_, response, number) =>
			reply(response, 503, { "retry-after": number === 1 ? "9" : "99999999" }),
		);
		const io = testIo();
		const client = createRegistryClient(io, { retry: middle });
		await expect(client.getManifest(parseReference(`${server.host}/name:tag`))).rejects.toMatchObject({
			code: "registry",
		});
		expect(io.clock.slept).toEqual([9000]);
	});

	test("answers that mean no are believed at once", async () => {
		for (const [status, body] of [
			[400, ""],
			[405, ""],
			[500, `{"errors":[{"code":"MANIFEST_INVALID"}]}`],
			[500, `{"errors":[null,{"code":7},{"code":"MANIFEST_BLOB_UNKNOWN","message":7},"x"]}`],
		] as const) {
			await using server = await scripted((_, response) => reply(response, status, {}, body));
			const client = createRegistryClient(testIo());
			const error = await client.getManifest(parseReference(`${server.host}/name:tag`)).catch((e: unknown) => e);
			expect(answerOf(error)?.status).toBe(status);
			expect(server.requests).toHaveLength(1);
		}
	});

	test("error bodies of any form are survived", async () => {
		for (const body of ["[]", "null", '{"errors":{}}', `{"errors":[${"[".repeat(10_000)}`, "x".repeat(1_000_000)]) {
			await using server = await scripted((_, response) => reply(response, 400, {}, body));
			const client = createRegistryClient(testIo());
			const error = await client.getManifest(parseReference(`${server.host}/name:tag`)).catch((e: unknown) => e);
			expect(answerOf(error)).toMatchObject({ status: 400, codes: [] });
			expect((error as Error).message.length).toBeLessThan(400);
		}
	});

	test("an error without a registry's answer or a connection's code passes as an error of ours", async () => {
		const io = { ...testIo(), clock: virtualClock() };
		const failing = (error: unknown) =>
			retrying(io, {}, "doing it", async () => {
				throw error;
			});
		await expect(failing(new TypeError("oops"))).rejects.toMatchObject({
			code: "registry",
			message: "doing it failed: oops",
		});
		await expect(failing(new BrewlineError("config", "mine"))).rejects.toMatchObject({ code: "config" });
		await expect(failing("text")).rejects.toMatchObject({ message: "doing it failed: text" });
		await expect(failing(new AggregateError([], ""))).rejects.toMatchObject({
			message: "doing it failed: no reason given",
		});
		const stranger = Object.assign(new Error("nobody knows it"), { code: "SELF_SIGNED_CERT_IN_CHAIN" });
		await expect(failing(stranger)).rejects.toMatchObject({
			message: "doing it failed: nobody knows it",
			hint: expect.stringContaining("NODE_EXTRA_CA_CERTS"),
		});
		expect(io.clock.slept).toEqual([]);
		const parse = Object.assign(new Error("parse error"), { code: "HPE_INVALID_CONSTANT" });
		await expect(failing(parse)).rejects.toMatchObject({ message: "doing it failed 5 times: parse error" });
	});

	test("who is asked to end waits for nothing", async () => {
		const ending = new AbortController();
		await using server = await scripted((_, response, number) => {
			if (number === 1) reply(response, 503);
			else ending.abort();
		});
		const io = testIo({ signal: ending.signal });
		const client = createRegistryClient(io);
		await expect(client.getManifest(parseReference(`${server.host}/name:tag`))).rejects.toMatchObject({
			code: "cancelled",
		});
		const asleep = new AbortController();
		const sleeping = {
			...testIo({ signal: asleep.signal }),
			clock: {
				now: () => 0,
				sleep: () => {
					asleep.abort();
					return Promise.reject(new Error("aborted"));
				},
			},
		};
		const broken = () => Promise.reject(Object.assign(new Error("reset"), { code: "ECONNRESET" }));
		await expect(retrying(sleeping, {}, "doing it", broken)).rejects.toMatchObject({ code: "cancelled" });
	});
});

describe("mirrors", () => {
	test("take the reads of Docker Hub, HEADs included, and their 404 counts; writes go to the Hub", async () => {
		await using mirror = await scripted((_, response) => reply(response, 404));
		await using hub = await scripted((request, response) => reply(response, request.method === "PUT" ? 201 : 200));
		const io = testIo();
		const asked: string[] = [];
		const client = createRegistryClient(
			{
				...io,
				http: (request) => {
					const url = new URL(request.url);
					asked.push(`${request.method} ${url.origin === mirror.url ? "mirror" : url.origin}${url.pathname}`);
					return io.http({ ...request, url: url.origin === mirror.url ? url : new URL(url.pathname, hub.url) });
				},
			},
			{ mirrors: mirrorsFromEnvironment({ DOCKERHUB_PUBLIC_PROXY: `${mirror.url}/` }) },
		);
		expect(await client.getManifest(parseReference("alpine"))).toBeUndefined();
		expect(await client.headManifest(parseReference("index.docker.io/alpine:3"))).toBeUndefined();
		await client.putManifest(parseReference("org/name:tag"), "x/y", Buffer.from("{}"));
		expect(await client.headManifest(parseReference("org/name:tag"), { direct: true })).toMatchObject({
			mediaType: "",
		});
		expect(asked).toEqual([
			"GET mirror/v2/library/alpine/manifests/latest",
			"HEAD mirror/v2/library/alpine/manifests/3",
			"PUT https://registry-1.docker.io/v2/org/name/manifests/tag",
			"HEAD https://registry-1.docker.io/v2/org/name/manifests/tag",
			"GET https://registry-1.docker.io/v2/org/name/manifests/tag",
		]);
	});

	test("never see the Hub's credentials, and are named in errors", async () => {
		await using mirror = await scripted((_, response) => reply(response, 401, { "www-authenticate": "Basic" }));
		const hosts: string[] = [];
		const client = createRegistryClient(testIo(), {
			mirrors: { "docker.io": mirror.url },
			credentials: (host) => {
				hosts.push(host);
				return Promise.resolve(undefined);
			},
		});
		await expect(client.getManifest(parseReference("alpine"))).rejects.toThrow(
			`${mirror.host} (mirror of docker.io)/library/alpine`,
		);
		expect(new Set(hosts)).toEqual(new Set([mirror.host]));
	});

	test("a slow one is waited for, piece by piece", async () => {
		let resume: () => void = () => {};
		const begun = new Promise<void>((resolve) => {
			resume = resolve;
		});
		await using mirror = await scripted((_, response) => {
			response.writeHead(200, { "content-length": 2 }).write("{");
			setImmediate(() => {
				resume();
				response.end("}");
			});
		});
		const client = createRegistryClient(testIo(), { mirrors: { "docker.io": mirror.url } });
		const getting = client.getManifest(parseReference("alpine"));
		await begun;
		expect(await getting).toMatchObject({ bytes: Buffer.from("{}") });
	});

	test.each(["mirror.example.org", "ftp://x/", "https://x/path", "https://x/?q", "https://u:pw@x/", "https://x/#f"])(
		"%s is none",
		(value) => {
			const reading = () => mirrorsFromEnvironment({ DOCKERHUB_PUBLIC_PROXY: value });
			expect(reading).toThrow("DOCKERHUB_PUBLIC_PROXY is not an http or https URL");
			expect(reading).not.toThrow("pw");
		},
	);

	test("none is set by an empty variable", () => {
		expect(mirrorsFromEnvironment({ DOCKERHUB_PUBLIC_PROXY: "" })).toEqual({});
		expect(mirrorsFromEnvironment({})).toEqual({});
	});
});

describe("hosts", () => {
	test.each([
		["docker.io", "https://registry-1.docker.io"],
		["registry.hub.docker.com", "https://registry-1.docker.io"],
		["ghcr.io", "https://ghcr.io"],
		["localhost:5000", "http://localhost:5000"],
		["127.0.0.1:5000", "http://127.0.0.1:5000"],
		["127.8.9.10", "http://127.8.9.10"],
		["[::1]:5000", "http://[::1]:5000"],
		["registry.internal:5000", "http://registry.internal:5000"],
		["registry.internal", "https://registry.internal"],
		["a.localhost:5000", "https://a.localhost:5000"],
		["10.0.0.1:5000", "https://10.0.0.1:5000"],
	])("%s is spoken to at %s", (host, origin) => {
		expect(endpointOf(host, "write", { plainHttp: ["registry.internal:5000"] }).origin).toBe(origin);
	});

	test.each(["localhost:5000x", "a/b", "a@b", ""])("%j is none", (host) => {
		expect(() => endpointOf(host, "write", {})).toThrow("is not a registry's host");
	});

	test("the Hub's names are one", () => {
		expect(["docker.io", "index.docker.io", "ghcr.io"].map(canonicalHost)).toEqual([
			"docker.io",
			"docker.io",
			"ghcr.io",
		]);
	});

	test("this machine has many names", () => {
		expect(["127.0.0.1", "localhost", "a.localhost.", "[::1]", "[::]", "0.0.0.0"].map(isLoopback)).toEqual(
			Array(6).fill(true),
		);
		expect(["128.0.0.1", "localhost.example", "[::2]", "127.example.org"].map(isLoopback)).toEqual(
			Array(4).fill(false),
		);
	});
});
