import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { expect, describe, test } from "vitest";
import { reply, scripted, testIo } from "../../test/support/scripted.ts";
import { BrewlineError } from "../errors.ts";
import { mediaTypes, parseReference } from "../oci/index.ts";
import { parseChallenges } from "./challenge.ts";
import { createRegistryClient, startRegistry, type Credential, type Incoming, type RegistryAuth } from "./index.ts";

const index = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [] }));
const good: Credential = { username: "user", password: "secret", origin: "/home/me/.docker/config.json: auths" };
const from = (credential: Credential | undefined) => () => Promise.resolve(credential);

async function guarded(auth: Partial<RegistryAuth> & Pick<RegistryAuth, "kind">) {
	const seen: string[] = [];
	const server = await startRegistry({
		auth: { username: "user", password: "secret", ...auth },
		fault: (request: Incoming) => {
			seen.push(`${request.method} ${request.path.split("?")[0]}`);
			return undefined;
		},
	});
	return { ...server, seen, [Symbol.asyncDispose]: () => server.close() };
}

describe.each(["basic", "bearer"] as const)("%s", (kind) => {
	test("the right credentials read and write", async () => {
		await using server = await guarded({ kind });
		const client = createRegistryClient(testIo(), { credentials: from(good) });
		const reference = parseReference(`${server.host}/name:tag`);
		await client.putManifest(reference, mediaTypes.ociIndex, index);
		expect((await client.getManifest(reference))?.bytes).toEqual(index);
	});

	test("the second request of a kind asks for nothing again", async () => {
		await using server = await guarded({ kind });
		const client = createRegistryClient(testIo(), { credentials: from(good) });
		const reference = parseReference(`${server.host}/name:tag`);
		await client.getManifest(reference);
		server.seen.length = 0;
		await client.getManifest(reference);
		expect(server.seen).toEqual(["GET /v2/name/manifests/tag"]);
	});

	test("wrong credentials are an error everywhere, that names where they came from and holds no secret", async () => {
		await using server = await guarded({ kind, anonymousPull: true });
		const client = createRegistryClient(testIo(), {
			credentials: from({ ...good, password: "wrong-one" }),
			hides: () => true,
		});
		const error = await client
			.putManifest(parseReference(`${server.host}/name:tag`), "x/y", index)
			.catch((e: unknown) => e);
		expect(error).toMatchObject({ code: "credentials", message: expect.stringContaining(good.origin) });
		expect(JSON.stringify([error, (error as BrewlineError).cause])).not.toContain("wrong-one");
		await expect(client.getManifest(parseReference(`${server.host}/name:tag`))).rejects.toMatchObject({
			code: "credentials",
		});
	});

	test("without credentials what is hidden is missing where the options say so, else an error", async () => {
		await using server = await guarded({ kind });
		const hides = createRegistryClient(testIo(), { hides: ({ repository }) => repository === "theirs" });
		expect(await hides.getManifest(parseReference(`${server.host}/theirs:tag`))).toBeUndefined();
		expect(await hides.headManifest(parseReference(`${server.host}/theirs:tag`))).toBeUndefined();
		expect(await hides.hasBlob(parseReference(`${server.host}/theirs`), `sha256:${"0".repeat(64)}`)).toBe(false);
		const error = await hides.getManifest(parseReference(`${server.host}/ours:tag`)).catch((e: unknown) => e);
		expect(error).toMatchObject({
			code: "credentials",
			message: expect.stringContaining("without credentials"),
			hint: expect.stringContaining(`docker login ${server.host}`),
		});
	});

	test("what may be read without logging in, may be so", async () => {
		await using server = await guarded({ kind, anonymousPull: true });
		await createRegistryClient(testIo(), { credentials: from(good) }).putManifest(
			parseReference(`${server.host}/name:tag`),
			mediaTypes.ociIndex,
			index,
		);
		const client = createRegistryClient(testIo());
		expect((await client.getManifest(parseReference(`${server.host}/name:tag`)))?.bytes).toEqual(index);
	});

	test("a new log-in counts after a refusal", async () => {
		await using server = await guarded({ kind });
		let credential: Credential = { ...good, password: "expired" };
		let asked = 0;
		const client = createRegistryClient(testIo(), {
			credentials: () => {
				asked++;
				return Promise.resolve(credential);
			},
		});
		const reference = parseReference(`${server.host}/name:tag`);
		await expect(client.getManifest(reference)).rejects.toMatchObject({ code: "credentials" });
		credential = good;
		expect(await client.getManifest(reference)).toBeUndefined();
		await client.getManifest(reference);
		expect(asked).toBeLessThanOrEqual(3);
	});
});

describe("tokens", () => {
	const tokens = (seen: readonly string[]) => seen.filter((line) => line.endsWith("/token")).length;

	test("requests at the same time share one, and so do later ones of the same scope", async () => {
		await using server = await guarded({ kind: "bearer" });
		const client = createRegistryClient(testIo(), { credentials: from(good) });
		await Promise.all(
			Array.from({ length: 100 }, (_, at) => client.getManifest(parseReference(`${server.host}/name:${at}`))),
		);
		expect(tokens(server.seen)).toBe(1);
		await client.getManifest(parseReference(`${server.host}/other:tag`));
		expect(tokens(server.seen)).toBe(2);
	});

	test("are renewed by one request when they have expired by our clock", async () => {
		const io = testIo();
		await using server = await guarded({ kind: "bearer", tokenSeconds: 100, now: () => io.clock.now() });
		const client = createRegistryClient(io, { credentials: from(good) });
		const get = () => client.getManifest(parseReference(`${server.host}/name:tag`));
		await get();
		io.clock.advance(89_000);
		await get();
		expect(tokens(server.seen)).toBe(1);
		io.clock.advance(2000);
		server.seen.length = 0;
		await Promise.all([get(), get(), get()]);
		expect(tokens(server.seen)).toBe(1);
		expect(server.seen).toHaveLength(4);
	});

	test("are renewed when the registry takes them no more, once for all", async () => {
		const io = testIo();
		let ahead = 0;
		await using server = await guarded({ kind: "bearer", tokenSeconds: 100, now: () => io.clock.now() + ahead });
		const client = createRegistryClient(io, { credentials: from(good) });
		const get = () => client.getManifest(parseReference(`${server.host}/name:tag`));
		await get();
		ahead = 200_000;
		server.seen.length = 0;
		await Promise.all([get(), get(), get()]);
		expect(tokens(server.seen)).toBe(1);
	});

	test("an identity token is exchanged, and refused ones are named", async () => {
		await using server = await guarded({ kind: "bearer", identityToken: "refresh-me" });
		const reference = parseReference(`${server.host}/name:tag`);
		const right = createRegistryClient(testIo(), {
			credentials: from({ identityToken: "refresh-me", origin: "here" }),
		});
		await right.putManifest(reference, mediaTypes.ociIndex, index);
		expect(server.seen).toContain("POST /token");
		const wrong = createRegistryClient(testIo(), {
			credentials: from({ identityToken: "old", origin: "there" }),
			hides: () => true,
		});
		await expect(wrong.getManifest(reference)).rejects.toThrow("with the credentials from there");
	});

	test("a refresh token that is no grant (400) is one that is refused", async () => {
		await using server = await scripted((request, response) => {
			if (request.url?.startsWith("/token") === true) reply(response, 400, {}, `{"error":"invalid_grant"}`);
			else reply(response, 401, { "www-authenticate": `Bearer realm="${server.url}/token"` });
		});
		const reference = parseReference(`${server.host}/name`);
		const identified = createRegistryClient(testIo(), { credentials: from({ identityToken: "x", origin: "there" }) });
		await expect(identified.getManifest(reference)).rejects.toMatchObject({ code: "credentials" });
		await expect(createRegistryClient(testIo()).getManifest(reference)).rejects.toMatchObject({ code: "registry" });
	});

	test("a registry token is used as it is", async () => {
		await using server = await scripted((request, response) => {
			if (request.headers.authorization === "Bearer ready") reply(response, 404);
			else reply(response, 401, { "www-authenticate": `Bearer realm="http://localhost:1/none"` });
		});
		const client = createRegistryClient(testIo(), { credentials: from({ registryToken: "ready", origin: "x" }) });
		expect(await client.getManifest(parseReference(`${server.host}/name`))).toBeUndefined();
		expect(server.requests).toHaveLength(2);
	});

	test("service and scopes are ours to say, of a mount both", async () => {
		await using server = await scripted((request, response) => {
			if (request.url?.startsWith("/token") === true) reply(response, 200, {}, `{"access_token":"t"}`);
			else if (request.headers.authorization === "Bearer t") reply(response, 201);
			else
				reply(response, 401, {
					"www-authenticate": `Bearer realm="${server.url}/token?a=b#f",service="the service",scope="repository:everything:*"`,
				});
		});
		const client = createRegistryClient(testIo());
		const digest = `sha256:${"0".repeat(64)}`;
		await client.mountBlob(parseReference(`${server.host}/to`), digest, parseReference(`${server.host}/from`));
		expect(server.requests[1]).toBe(
			"GET /token?a=b&service=the+service&scope=repository%3Ato%3Apull%2Cpush&scope=repository%3Afrom%3Apull",
		);
	});

	test.each([
		["a token server that is not HTTPS", "ghcr.io", 'Bearer realm="http://example.org/token"'],
		["a token server on this machine", "ghcr.io", 'Bearer realm="https://127.0.0.1/token"'],
		["a token server with a user", "ghcr.io", 'Bearer realm="https://a:b@example.org/token"'],
		["nothing at all", "ghcr.io", "Bearer"],
		["no token server", "ghcr.io", 'Bearer service="x"'],
		["a file", "localhost:1", 'Bearer realm="file:///etc/passwd"'],
	])("%s is not gone to", async (_, host, challenge) => {
		const asked: string[] = [];
		await using server = await scripted((_request, response) =>
			reply(response, 401, { "www-authenticate": challenge }),
		);
		const io = testIo();
		const client = createRegistryClient(
			{
				...io,
				http: (request) => {
					asked.push(request.url.host);
					return io.http({ ...request, url: new URL(request.url.pathname, server.url) });
				},
			},
			{ credentials: from(good) },
		);
		await expect(client.getManifest(parseReference(`${host}/name:tag`))).rejects.toThrow("where we do not go");
		expect(asked).toEqual([host]);
	});

	test.each([
		["not JSON", "<html>"],
		["has no token", "{}"],
		["has one that is no token", `{"token":"a\\r\\nb: c"}`],
		["too long", `{"token":"${"x".repeat(1024 * 1024)}"}`],
	])("an answer that is %s is an error", async (_, body) => {
		await using server = await scripted((request, response) => {
			if (request.url?.startsWith("/token") === true) reply(response, 200, {}, body);
			else reply(response, 401, { "www-authenticate": `Bearer realm="${server.url}/token"` });
		});
		const client = createRegistryClient(testIo());
		const getting = client.getManifest(parseReference(`${server.host}/name`));
		await expect(getting).rejects.toMatchObject({
			code: "registry",
			message: expect.stringContaining("asking for a token"),
		});
	});

	test("a token server that fails for a moment is asked again; one that denies without credentials hides", async () => {
		let tries = 0;
		await using server = await scripted((request, response) => {
			if (request.url?.startsWith("/token") === true) reply(response, tries++ === 0 ? 503 : 403);
			else reply(response, 401, { "www-authenticate": `Bearer realm="${server.url}/token"` });
		});
		const io = testIo();
		const client = createRegistryClient(io, { hides: () => true });
		expect(await client.getManifest(parseReference(`${server.host}/name`))).toBeUndefined();
		expect(io.clock.slept).toHaveLength(1);
	});

	test("a token that is refused as soon as it is there is not asked for for ever", async () => {
		let given = 0;
		await using server = await scripted((request, response) => {
			if (request.url?.startsWith("/token") === true)
				reply(response, 200, {}, `{"token":"t${given++}","expires_in":100}`);
			else reply(response, 401, { "www-authenticate": `Bearer realm="${server.url}/token"` });
		});
		const client = createRegistryClient(testIo(), { credentials: from(good) });
		const reference = parseReference(`${server.host}/name`);
		await expect(client.getManifest(reference)).rejects.toMatchObject({ code: "credentials" });
		expect(given).toBe(1);
		await expect(client.getManifest(reference)).rejects.toMatchObject({ code: "credentials" });
		expect(given).toBe(2);
	});

	test("a registry that names another token server later is believed", async () => {
		let realm = "one";
		await using server = await scripted((request, response) => {
			if (request.url?.startsWith("/one") === true) reply(response, 200, {}, `{"token":"one"}`);
			else if (request.url?.startsWith("/two") === true) reply(response, 200, {}, `{"token":"two"}`);
			else if (request.headers.authorization === `Bearer ${realm}`) reply(response, 404);
			else reply(response, 401, { "www-authenticate": `Bearer realm="${server.url}/${realm}"` });
		});
		const client = createRegistryClient(testIo());
		expect(await client.getManifest(parseReference(`${server.host}/name`))).toBeUndefined();
		realm = "two";
		expect(await client.getManifest(parseReference(`${server.host}/name`))).toBeUndefined();
	});

	test("an upload whose token is refused in the middle goes on with a new one", async () => {
		const io = testIo();
		let ahead = 0;
		const pieces = new Set<unknown>();
		const server = await startRegistry({
			auth: {
				kind: "bearer",
				username: "user",
				password: "secret",
				tokenSeconds: 100,
				now: () => io.clock.now() + ahead,
			},
			fault: ({ method, headers }) => {
				// Between a piece and the next one the token expires.
				if (method === "PATCH" && !pieces.has(headers["content-range"])) ahead += 150_000;
				pieces.add(headers["content-range"]);
				return undefined;
			},
		});
		const client = createRegistryClient(io, { credentials: from(good), chunkSize: 4 });
		const repository = parseReference(`${server.host}/name`);
		const content = Buffer.from("0123456789");
		const digest = `sha256:${createHash("sha256").update(content).digest("hex")}`;
		await client.putBlob(repository, { digest, size: 10 }, () => Readable.from([content], { objectMode: false }));
		expect(await client.hasBlob(repository, digest)).toBe(true);
		expect(io.clock.slept).toEqual([]);
		await server.close();
	});

	test("a failing source of credentials is asked again the next time", async () => {
		await using server = await guarded({ kind: "bearer" });
		let fails = true;
		const client = createRegistryClient(testIo(), {
			credentials: () => (fails ? Promise.reject(new BrewlineError("credentials", "locked")) : Promise.resolve(good)),
		});
		const reference = parseReference(`${server.host}/name`);
		await expect(client.getManifest(reference)).rejects.toThrow("locked");
		fails = false;
		expect(await client.getManifest(reference)).toBeUndefined();
	});
});

test("a challenge of an unknown kind, or none, is a refusal", async () => {
	for (const headers of [{}, { "www-authenticate": "Negotiate" }] as Record<string, string>[]) {
		await using server = await scripted((_, response) => reply(response, 401, headers));
		const client = createRegistryClient(testIo(), { credentials: from(good) });
		await expect(client.getManifest(parseReference(`${server.host}/name`))).rejects.toMatchObject({
			code: "credentials",
		});
		expect(server.requests).toHaveLength(1);
	}
});

describe("challenges", () => {
	test.each([
		["", []],
		["Basic", [{ scheme: "basic", parameters: {} }]],
		[
			'Bearer realm="https://a/t",service=b , Basic Realm="q\\"u,o\\\\te"',
			[
				{ scheme: "bearer", parameters: { realm: "https://a/t", service: "b" } },
				{ scheme: "basic", parameters: { realm: 'q"u,o\\te' } },
			],
		],
		['realm="x"', []],
		['Bearer realm="open', [{ scheme: "bearer", parameters: {} }]],
		['Bearer __proto__="x"', [{ scheme: "bearer", parameters: JSON.parse('{"__proto__":"x"}') as object }]],
		["Bearer realm=x, ((, Basic", [{ scheme: "bearer", parameters: { realm: "x" } }]],
	])("%j", (header, expected) => {
		expect(
			parseChallenges(header).map(({ scheme, parameters }) => ({ scheme, parameters: Object.entries(parameters) })),
		).toEqual(expected.map(({ scheme, parameters }) => ({ scheme, parameters: Object.entries(parameters) })));
	});
});
