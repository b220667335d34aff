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
			if (request.url?.startsWith("/token") === true) reply(response, 200, {}, `{"token":"","access_token":"t"}`);
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
		["a token server in a private network", "ghcr.io", 'Bearer realm="https://10.0.0.1/token"'],
		["a token server with the credentials of a cloud's machine", "ghcr.io", 'Bearer realm="https://169.254.169.254/"'],
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

const missing = `sha256:${"0".repeat(64)}`;

describe("one token for several repositories", () => {
	/** Token authentication with a record of what was asked; `grants` may take scopes away, or refuse (a status). */
	async function counting(options: {
		readonly grants?: (scopes: readonly string[]) => readonly string[] | number;
		readonly refusal?: number;
	}) {
		const asked: (readonly string[])[] = [];
		const plain: string[] = [];
		const granted = new Map<string, readonly string[]>();
		let refused = 0;
		const server = await scripted((request, response) => {
			const url = new URL(request.url!, "http://x");
			if (url.pathname === "/token") {
				const scopes = url.searchParams.getAll("scope");
				asked.push(scopes);
				const given = options.grants?.(scopes) ?? scopes;
				const value = `t${asked.length}`;
				if (typeof given === "number") return reply(response, given);
				granted.set(`Bearer ${value}`, given);
				return reply(response, 200, {}, JSON.stringify({ token: value, expires_in: 100 }));
			}
			const given = granted.get(request.headers.authorization ?? "");
			if (given === undefined) plain.push(request.url!);
			const name = /^\/v2\/(.*)\/(?:blobs|manifests)\//.exec(url.pathname)![1]!;
			if (given?.includes(`repository:${name}:pull`) === true) return reply(response, 200);
			refused++;
			reply(response, given === undefined ? 401 : (options.refusal ?? 401), {
				"www-authenticate": `Bearer realm="${server.url}/token",service="s"${given === undefined ? "" : ',error="insufficient_scope"'}`,
			});
		});
		const io = testIo();
		const client = createRegistryClient(io, { hides: () => true });
		const has = (name: string) => client.hasBlob(parseReference(`${server.host}/${name}`), missing);
		return {
			io,
			asked,
			plain,
			has,
			all: (names: readonly string[]) => Promise.all(names.map(has)),
			refused: () => refused,
			requests: server.requests,
			[Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
		};
	}
	const names = (count: number, prefix = "name") => Array.from({ length: count }, (_, at) => `org/${prefix}-${at}`);

	test("a hundred repositories at once take seven tokens, of at most 16 scopes, and one request without", async () => {
		await using server = await counting({});
		expect(await server.all(names(100))).toEqual(Array(100).fill(true));
		expect(server.plain).toHaveLength(1);
		expect(server.asked.map(({ length }) => length)).toEqual([16, 16, 16, 16, 16, 16, 4]);
		expect(new Set(server.asked.flat()).size).toBe(100);
		expect(server.requests).toHaveLength(1 + 7 + 100);
		await server.all(names(100));
		expect(server.asked).toHaveLength(7);
	});

	test("those that are full do not wait for each other", async () => {
		const held: (() => void)[] = [];
		await using server = await scripted((request, response) => {
			if (request.url?.startsWith("/token") === true) {
				held.push(() => reply(response, 200, {}, `{"token":"t"}`));
				// Three of 16 at once; the last, which is not full, comes after these.
				const tokens = server.requests.filter((line) => line.includes("/token")).length;
				if (tokens >= 3) for (const answer of held.splice(0)) answer();
			} else if (request.headers.authorization === "Bearer t") reply(response, 404);
			else reply(response, 401, { "www-authenticate": `Bearer realm="${server.url}/token"` });
		});
		const client = createRegistryClient(testIo());
		const asked = names(50).map((name) => client.hasBlob(parseReference(`${server.host}/${name}`), missing));
		expect(await Promise.all(asked)).toEqual(Array(50).fill(false));
		expect(server.requests.filter((line) => line.includes("/token"))).toHaveLength(4);
	});

	test("those who come while one is asked for go together", async () => {
		await using server = await counting({});
		await server.has("first");
		const rounds = [...names(3, "a"), ...names(3, "b")].map(async (name, at) => {
			for (let turns = 0; turns < at; turns++)
				await new Promise((resolve) => {
					setImmediate(resolve);
				});
			return server.has(name);
		});
		await Promise.all(rounds);
		expect(server.asked.length).toBeLessThan(5);
		expect(server.asked.flat()).toHaveLength(7);
	});

	test("long names make an address no longer than servers take", async () => {
		await using server = await counting({});
		await server.all(names(32, "n".repeat(240)));
		expect(Math.max(...server.asked.map((scopes) => scopes.join(" ").length))).toBeLessThanOrEqual(2000);
		expect(server.asked.flat()).toHaveLength(32);
	});

	test("one that has expired is renewed for all that it was for", async () => {
		await using server = await counting({});
		await server.all(names(10));
		server.io.clock.advance(95_000);
		await server.has("org/name-3");
		await server.all(names(10));
		expect(server.asked.map(({ length }) => length)).toEqual([10, 10]);
		expect(server.refused()).toBe(1);
	});

	test.each([400, 401, 403])("a server that refuses several (%i) is asked for each", async (status) => {
		await using server = await counting({ grants: (scopes) => (scopes.length > 1 ? status : scopes) });
		expect(await server.all(names(5))).toEqual(Array(5).fill(true));
		expect(await server.has("another")).toBe(true);
		expect(server.asked.map(({ length }) => length)).toEqual([5, 1, 1, 1, 1, 1, 1]);
		server.io.clock.advance(95_000);
		await server.has("another");
		await server.has("another");
		expect(server.asked).toHaveLength(8);
	});

	test("a server in trouble is not asked one by one", async () => {
		await using server = await counting({ grants: () => 501 });
		await expect(Promise.all(names(5).map(server.has))).rejects.toMatchObject({ code: "registry" });
		expect(server.asked).toHaveLength(1);
	});

	test("credentials that are refused are refused once for several, and once for one", async () => {
		await using server = await counting({ grants: () => 401 });
		const results = await Promise.allSettled(names(20).map(server.has));
		expect(results).toHaveLength(20);
		expect(server.asked.map(({ length }) => length).slice(0, 2)).toEqual([16, 1]);
		expect(server.asked.length).toBeLessThanOrEqual(4);
	});

	test.each([401, 403])(
		"a registry that takes a token for several for the last alone (%i) is asked with others",
		async (refusal) => {
			await using server = await counting({ grants: (scopes) => scopes.slice(-1), refusal });
			expect(await server.all(names(4))).toEqual(Array(4).fill(true));
			const before = server.asked.length;
			expect(await server.all(names(3, "later"))).toEqual(Array(3).fill(true));
			// Once that is known, nothing is tried in vain.
			expect(server.asked.slice(before).map(({ length }) => length)).toEqual([1, 1, 1]);
		},
	);

	test("a repository that is hidden costs others nothing, once a token has been seen to work for several", async () => {
		const visible = (scopes: readonly string[]) => scopes.filter((scope) => !scope.includes("hidden"));
		await using server = await counting({ grants: visible });
		await server.all(names(8));
		const before = server.requests.length;
		expect(await server.all(names(4, "hidden"))).toEqual(Array(4).fill(false));
		expect(await server.has("org/hidden-1")).toBe(false);
		expect(server.requests.length - before).toBe(1 + 4 + 1);
	});

	test("a repository that comes into being is seen with the next token, which leaves that of the others alone", async () => {
		let made = false;
		const visible = (scopes: readonly string[]) => scopes.filter((scope) => made || !scope.includes("new"));
		await using server = await counting({ grants: visible });
		await server.all(names(8));
		expect(await server.has("org/new")).toBe(false);
		made = true;
		expect(await server.has("org/new")).toBe(false);
		server.io.clock.advance(11_000);
		const before = server.asked.length;
		expect(await server.has("org/new")).toBe(true);
		await server.all([...names(8), "org/new"]);
		expect(server.asked.slice(before)).toEqual([["repository:org/new:pull"]]);
	});

	test("a hidden one among the first is asked for alone, to be sure", async () => {
		const visible = (scopes: readonly string[]) => scopes.filter((scope) => !scope.includes("hidden"));
		await using server = await counting({ grants: visible });
		expect(await server.all(["org/hidden", "org/hidden-too"])).toEqual([false, false]);
		expect(server.asked.map(({ length }) => length)).toEqual([2, 1, 1]);
	});
});

describe("a registry of which nothing is known", () => {
	test("is asked by one first; where that fails all go on, as they would without", async () => {
		let underWay = 0;
		const others: number[] = [];
		await using server = await scripted((_, response, number) => {
			others.push(underWay++);
			setImmediate(() => {
				underWay--;
				if (number === 1) response.destroy();
				else reply(response, 404);
			});
		});
		const client = createRegistryClient(testIo());
		const asked = Array.from({ length: 5 }, (_, at) => client.getManifest(parseReference(`${server.host}/name:${at}`)));
		expect(await Promise.all(asked)).toEqual(Array(5).fill(undefined));
		expect(others).toHaveLength(1 + 5);
		expect(others[0]).toBe(0);
		expect(server.requests[0]).toBe("GET /v2/name/manifests/0");
	});

	test("and is silent keeps nobody waiting for more than one request's time", async () => {
		const io = testIo();
		let silent = 0;
		let late = 0;
		const http = (): Promise<never> => {
			silent++;
			const { promise, reject } = Promise.withResolvers<never>();
			// The first is given up after two minutes; all others ask at the same time from then on.
			setImmediate(() => {
				late = Math.max(late, silent);
				reject(Object.assign(new Error("silent"), { code: "ETIMEDOUT" }));
				silent = 0;
			});
			return promise;
		};
		const client = createRegistryClient({ ...io, http }, { retry: { tries: 1 } });
		const asked = Array.from({ length: 20 }, (_, at) => client.getManifest(parseReference(`ghcr.io/org/name:${at}`)));
		const results = await Promise.allSettled(asked);
		expect(new Set(results.map(({ status }) => status))).toEqual(new Set(["rejected"]));
		expect(late).toBe(19);
	});

	test("and that lets anybody read is asked for few tokens when several want to write", async () => {
		await using open = await scripted((request, response) => {
			const guardedPath = request.method === "POST" || request.url?.startsWith("/token") === true;
			if (request.url?.startsWith("/token") === true) reply(response, 200, {}, '{"token":"t"}');
			else if (guardedPath && request.headers.authorization === undefined)
				reply(response, 401, { "www-authenticate": `Bearer realm="${open.url}/token"` });
			else reply(response, guardedPath ? 201 : 404);
		});
		const client = createRegistryClient(testIo());
		const reference = (name: string) => parseReference(`${open.host}/${name}`);
		await client.getManifest(reference("name"));
		const mounts = ["a", "b", "c"].map((name) => client.mountBlob(reference(name), missing, reference("name")));
		expect(await Promise.all(mounts)).toEqual([true, true, true]);
		// Who finds out after the first was asked for goes with the next.
		expect(open.requests.filter((line) => line.includes("/token")).length).toBeLessThan(3);
	});

	test("and that asks for nothing is not waited for again", async () => {
		let release = () => {};
		await using server = await scripted((request, response) => {
			if (request.url?.endsWith("slow") === true) release = () => reply(response, 404);
			else reply(response, 404);
		});
		const client = createRegistryClient(testIo());
		const get = (tag: string) => client.getManifest(parseReference(`${server.host}/name:${tag}`));
		await get("one");
		const slow = get("slow");
		await get("two");
		release();
		await slow;
		expect(server.requests.map((line) => line.split("/").at(-1))).toEqual(["one", "slow", "two"]);
	});
});

describe("where passwords go for a token", () => {
	const asking = async (
		host: string,
		realm: string,
		options: { readonly tokenServers?: Record<string, string> } = {},
	) => {
		const sent: string[] = [];
		await using server = await scripted((request, response) => {
			if (request.url?.startsWith("/token") === true) reply(response, 200, {}, '{"token":"t"}');
			else if (request.headers.authorization === "Bearer t") reply(response, 404);
			else reply(response, 401, { "www-authenticate": `Bearer realm="${realm}"` });
		});
		const io = testIo();
		const http: typeof io.http = (request) => {
			if (request.headers?.["authorization"]?.startsWith("Basic") === true) sent.push(request.url.origin);
			return io.http({ ...request, url: new URL(request.url.pathname + request.url.search, server.url) });
		};
		const get = (credential: Credential | undefined) =>
			createRegistryClient(
				{ ...io, http },
				{ credentials: from(credential), plainHttp: ["plain.internal:5000"], ...options },
			).getManifest(parseReference(`${host}/org/name:tag`));
		// Who has none has none to lose.
		expect(await get(undefined)).toBeUndefined();
		const result = await get(good).catch((error: unknown) => error);
		return { sent, result };
	};

	test.each([
		["docker.io", "https://auth.docker.io/token"],
		["ghcr.io", "https://ghcr.io/token"],
		["quay.io", "https://auth.quay.io/token"],
		["registry.gitlab.com", "https://gitlab.com/token"],
		["registry.example.org", "https://sso.example.org/token"],
		["registry.example.org:5000", "https://registry.example.org:8443/token"],
		["plain.internal:5000", "http://plain.internal:5001/token"],
		["127.0.0.1:5000", "http://localhost:5001/token"],
	])("%s: to %s", async (host, realm) => {
		expect(await asking(host, realm)).toEqual({ sent: [new URL(realm).origin], result: undefined });
	});

	test.each([
		["docker.io", "https://auth.docker.io.example.org/token"],
		["docker.io", "https://ghcr.io/token"],
		["registry.example.org", "https://example.com/token"],
		["registry.example.org", "https://badexample.org/token"],
		["8.8.8.8:5000", "https://9.8.8.8/token"],
		["registry:5000", "https://sso.example.org/token"],
		["plain.internal:5000", "http://other.internal:5001/token"],
		["plain.internal:5000", "https://sso.example.org/token"],
	])("%s: not to %s, unless the configuration says so", async (host, realm) => {
		const { sent, result } = await asking(host, realm);
		expect(sent).toEqual([]);
		expect(result).toMatchObject({
			code: "credentials",
			message: expect.stringContaining(`from ${good.origin} are not sent`),
			hint: expect.stringContaining(`tokenServers: { "${host}": "${new URL(realm).origin}" }`),
		});
		const { origin } = new URL(realm);
		expect(await asking(host, realm, { tokenServers: { [host]: origin } })).toEqual({
			sent: [origin],
			result: undefined,
		});
	});
});

test("a token server that is not there says nothing of what is asked for", async () => {
	await using server = await scripted((request, response) => {
		const headers = { "www-authenticate": `Bearer realm="http://${request.headers.host}/token"` };
		reply(response, request.url!.startsWith("/token") ? 404 : 401, headers);
	});
	const client = createRegistryClient(testIo(), { credentials: from(good) });
	await expect(client.getManifest(parseReference(`${server.host}/name`))).rejects.toMatchObject({
		code: "registry",
		message: expect.stringContaining("gives no token"),
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
