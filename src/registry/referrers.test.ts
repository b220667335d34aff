import { Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import { reply, scripted, testIo } from "../../test/support/scripted.ts";
import { mediaTypes, parseReference, sha256Of, type Descriptor, type Reference } from "../oci/index.ts";
import { createRegistryClient, startRegistry, type Fault, type Incoming, type RegistryClient } from "./index.ts";
import { referrersTag } from "./referrers.ts";

const empty = { mediaType: mediaTypes.ociEmpty, digest: sha256Of("{}"), size: 2 };
const artifactType = "application/vnd.example.signature";

async function registry(referrers: boolean, fault?: (request: Incoming) => Fault | undefined) {
	const seen: string[] = [];
	const server = await startRegistry({
		referrers,
		fault: (request) => {
			seen.push(`${request.method} ${request.path}`);
			return fault?.(request);
		},
	});
	const repository = parseReference(`${server.host}/org/name`);
	const io = testIo();
	const client = createRegistryClient(io);
	await client.putBlob(repository, empty, () => Readable.from([Buffer.from("{}")], { objectMode: false }));
	return { ...server, seen, io, client, repository, [Symbol.asyncDispose]: () => server.close() };
}

const subject = { mediaType: mediaTypes.ociManifest, digest: sha256Of("subject"), size: 7 };

/** A signature of the subject; `name` makes it differ from others. */
async function sign(client: RegistryClient, repository: Reference, name: string, more: object = { artifactType }) {
	const bytes = Buffer.from(
		JSON.stringify({
			schemaVersion: 2,
			mediaType: mediaTypes.ociManifest,
			...more,
			config: empty,
			layers: [],
			subject,
			annotations: { name },
		}),
	);
	const { digest } = await client.putManifest(repository, mediaTypes.ociManifest, bytes);
	const type = "artifactType" in more ? artifactType : mediaTypes.ociEmpty;
	const { mediaType } = subject;
	return { mediaType, digest, size: bytes.length, annotations: { name }, artifactType: type };
}

const of = (repository: Reference, { digest } = subject) => ({ ...repository, digest });
const sorted = (list: readonly Descriptor[]) => list.toSorted((a, b) => a.digest.localeCompare(b.digest));
const tagPath = `/v2/org/name/manifests/${referrersTag(subject.digest)}`;

describe.each([
	["a registry that lists referrers", true],
	["a registry that does not", false],
])("%s", (_, referrers) => {
	test("what was put with a subject is listed for it, whether that is there or not, and by its type", async () => {
		await using server = await registry(referrers);
		const { client, repository } = server;
		expect(await client.listReferrers(of(repository))).toEqual([]);
		const first = await sign(client, repository, "first");
		const second = await sign(client, repository, "second", {});
		expect(sorted(await client.listReferrers(of(repository)))).toEqual(sorted([first, second]));
		expect(await client.listReferrers(of(repository), { artifactType })).toEqual([first]);
		expect(await client.listReferrers(of(repository), { artifactType: "another" })).toEqual([]);
		expect(await client.listReferrers(of(parseReference(`${server.host}/nothing`)))).toEqual([]);
		expect(server.seen.some((request) => request.startsWith(`PUT ${tagPath}`))).toBe(!referrers);
	});

	test("many that are put at once are all listed", async () => {
		await using server = await registry(referrers);
		const { client, repository } = server;
		const names = Array.from({ length: 12 }, (_, number) => `number ${number}`);
		const put = await Promise.all(names.map((name) => sign(client, repository, name)));
		expect(sorted(await client.listReferrers(of(repository)))).toEqual(sorted(put));
	});
});

describe("without the list", () => {
	test("it is asked for once, and what is listed already is not written again", async () => {
		await using server = await registry(false);
		const { client, repository } = server;
		await client.listReferrers(of(repository));
		await client.listReferrers(of(repository));
		expect(server.seen.filter((request) => request.includes("/referrers/"))).toHaveLength(1);
		await sign(client, repository, "one");
		server.seen.length = 0;
		await sign(client, repository, "one");
		expect(server.seen.filter((request) => request.includes(tagPath))).toEqual([`GET ${tagPath}`]);
	});

	test("what another wrote over ours in between is put back", async () => {
		// The other has read the empty list, and writes once ours was written and seen.
		const held = Promise.withResolvers<void>();
		const arrived = Promise.withResolvers<void>();
		await using server = await registry(false, ({ method, path, headers }) => {
			if (method !== "PUT" || path !== tagPath || headers["user-agent"] !== "other") return undefined;
			arrived.resolve();
			return { kind: "wait", until: held.promise };
		});
		const { repository } = server;
		const other = createRegistryClient(testIo(), { userAgent: "other" });
		const io = testIo();
		let written: Promise<Descriptor> | undefined;
		const sleep: typeof io.clock.sleep = async (milliseconds, signal) => {
			held.resolve();
			await written;
			await io.clock.sleep(milliseconds, signal);
		};
		written = sign(other, repository, "theirs");
		await arrived.promise;
		const ours = await sign(createRegistryClient({ ...io, clock: { ...io.clock, sleep } }), repository, "ours");
		expect(sorted(await server.client.listReferrers(of(repository)))).toEqual(sorted([ours, await written]));
	});

	test("a list that shows late what was written to it is waited for, and not written again", async () => {
		let written = 0;
		let reads = 0;
		await using server = await registry(false, ({ method, path }) => {
			if (path !== tagPath) return undefined;
			if (method === "PUT") written++;
			return method === "GET" && written > 0 && ++reads <= 5 ? { kind: "answer", status: 404 } : undefined;
		});
		const { client, repository } = server;
		const put = await sign(client, repository, "late");
		expect(written).toBe(1);
		expect(server.io.clock.slept.reduce((sum, time) => sum + time, 0)).toBeGreaterThan(4000);
		expect(await client.listReferrers(of(repository))).toEqual([put]);
	});

	test("a list that never keeps what is written is an error", async () => {
		await using server = await registry(false, ({ method, path }) =>
			method === "GET" && path === tagPath ? { kind: "answer", status: 404 } : undefined,
		);
		await expect(sign(server.client, server.repository, "lost")).rejects.toMatchObject({
			code: "registry",
			message: expect.stringContaining("does not stay there"),
		});
	});

	test("a tag that is used for something else is left alone, and lists nothing", async () => {
		await using server = await registry(false);
		const { client, repository } = server;
		const image = Buffer.from(JSON.stringify({ schemaVersion: 2, config: empty, layers: [] }));
		const tag = { ...repository, tag: referrersTag(subject.digest) };
		const { digest } = await client.putManifest(tag, mediaTypes.ociManifest, image);
		expect(await client.listReferrers(of(repository))).toEqual([]);
		await expect(sign(client, repository, "x")).rejects.toMatchObject({ code: "registry" });
		expect((await client.headManifest(tag))?.digest).toBe(digest);
	});

	test.each([
		["bytes", [{ ...subject, annotations: { long: "x".repeat(4_194_000) } }]],
		["entries", entries(0, 10_000)],
	])("a list of too many %s is not added to", async (_, manifests) => {
		await using server = await registry(false);
		const { client, repository } = server;
		const list = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests };
		// The registry would not take the list: nothing that it names is there.
		const http: typeof server.io.http = async (request) => {
			const found = await server.io.http(request);
			if (request.method !== "GET" || !request.url.pathname.includes(referrersTag(subject.digest))) return found;
			const headers = { "content-type": mediaTypes.ociIndex };
			return { status: 200, headers, body: Readable.from([Buffer.from(JSON.stringify(list))], { objectMode: false }) };
		};
		await expect(sign(createRegistryClient({ ...server.io, http }), repository, "more")).rejects.toMatchObject({
			code: "registry",
			message: expect.stringContaining("there are more than"),
		});
		expect(await client.listReferrers(of(repository))).toEqual([]);
	});

	test("an index can be about something, too, and one that failed to be listed keeps no other from it", async () => {
		let failing = true;
		await using server = await registry(false, ({ method, path }) =>
			failing && method === "PUT" && path === tagPath ? { kind: "answer", status: 403 } : undefined,
		);
		const { client, repository } = server;
		const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [], subject };
		const put = () => client.putManifest(repository, mediaTypes.ociIndex, Buffer.from(JSON.stringify(index)));
		const failed = await Promise.allSettled([put(), sign(client, repository, "second")]);
		expect(failed).toMatchObject(failed.map(() => ({ status: "rejected", reason: { code: "credentials" } })));
		failing = false;
		const [{ digest }, signature] = await Promise.all([put(), sign(client, repository, "third")]);
		const listed = await client.listReferrers(of(repository));
		const { mediaType } = index;
		expect(sorted(listed)).toEqual(sorted([{ mediaType, digest, size: expect.any(Number) as number }, signature]));
	});

	test("a list that a mirror has is not what is written back", async () => {
		await using server = await registry(false);
		await using mirror = await scripted((_, response) => reply(response, 404));
		const client = createRegistryClient(testIo(), { mirrors: { [server.host]: mirror.url } });
		const first = await sign(client, server.repository, "first");
		const second = await sign(client, server.repository, "second");
		expect(sorted(await server.client.listReferrers(of(server.repository)))).toEqual(sorted([first, second]));
		expect(mirror.requests).toEqual([]);
	});
});

/** So many descriptors that differ from all others. */
function entries(first: number, count: number): readonly Descriptor[] {
	return Array.from({ length: count }, (_, number) => ({ ...subject, digest: sha256Of(String(first + number)) }));
}

describe("answers", () => {
	const index = (...manifests: unknown[]) =>
		JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests });
	const headers = { "content-type": mediaTypes.ociIndex };
	const entry = { mediaType: mediaTypes.ociManifest, digest: sha256Of("a"), size: 1 };

	test.each([
		["404 without a code", 404, {}, "404 page not found", 1],
		["404 of an unknown repository", 404, {}, '{"errors":[{"code":"NAME_UNKNOWN"}]}', 2],
		["400", 400, {}, "", 1],
		["405", 405, {}, "", 1],
		["a web page", 200, { "content-type": "text/html" }, "<html>", 1],
	])("%s: the tag is asked for instead", async (_, status, more, body, questions) => {
		await using server = await scripted((request, response) => {
			if (request.url!.includes("/referrers/")) reply(response, status, more, body);
			else reply(response, 200, headers, index(entry));
		});
		const client = createRegistryClient(testIo());
		const repository = parseReference(`${server.host}/org/name`);
		for (let time = 0; time < 2; time++) expect(await client.listReferrers(of(repository))).toEqual([entry]);
		expect(server.requests.filter((request) => request.includes("/referrers/"))).toHaveLength(questions);
	});

	test("a registry that is known to have no lists is not asked for them", async () => {
		await using server = await scripted((_, response) => reply(response, 200, headers, index(entry)));
		const io = testIo();
		const client = createRegistryClient({
			...io,
			http: (request) => io.http({ ...request, url: new URL(request.url.pathname, server.url) }),
		});
		expect(await client.listReferrers(of(parseReference("ghcr.io/org/name")))).toEqual([entry]);
		expect(server.requests).toEqual([`GET ${tagPath}`]);
	});

	test("pages are followed, each manifest once, on the same host only", async () => {
		const next = { ...entry, digest: sha256Of("b") };
		let elsewhere = "";
		await using server = await scripted((request, response) => {
			const url = request.url!;
			const link = `<${url.includes("other") ? elsewhere : ""}/v2/org/name/referrers/x?page=2>; rel="next"`;
			if (url.endsWith("page=2")) reply(response, 200, headers, index(entry, next));
			else reply(response, 200, { ...headers, link }, index(entry));
		});
		elsewhere = server.url.replace("127.0.0.1", "127.0.0.2");
		const client = createRegistryClient(testIo());
		const repository = parseReference(`${server.host}/org/name`);
		expect(await client.listReferrers(of(repository))).toEqual([entry, next]);
		await expect(client.listReferrers(of(repository), { artifactType: "other" })).rejects.toMatchObject({
			code: "registry",
		});
	});

	test.each([
		["pages in a circle", (url: string) => [index(), `<${url}>; rel="next"`], "circle"],
		["an entry that is no descriptor", () => [index({ digest: "x" })], "digest"],
		["too many entries", () => [index(...Array.from({ length: 10_001 }, () => entry))], "more than 10000"],
		["a list that is none", () => ['{"manifests":{}}'], "not a list"],
		["no JSON", () => ["x"], "not JSON"],
	] as [string, (url: string) => string[], string][])("%s is an error", async (_, answer, message) => {
		await using server = await scripted((request, response) => {
			const [body, link] = answer(request.url!);
			reply(response, 200, { ...headers, ...(link === undefined ? {} : { link }) }, body);
		});
		const client = createRegistryClient(testIo());
		await expect(client.listReferrers(of(parseReference(`${server.host}/org/name`)))).rejects.toMatchObject({
			code: "registry",
			message: expect.stringContaining(message),
		});
	});

	test.each([
		["a list without an end", (page: number) => ({ body: index(), next: page + 1 }), "more than 1000 pages"],
		[
			"too many in all",
			(page: number) => ({ body: index(...entries(page * 6000, 6000)), next: page < 1 ? page + 1 : undefined }),
			"more than 10000 of them",
		],
		[
			"a list that ends in the middle",
			(page: number) => ({ body: index(), next: page + 1, status: 200 + 204 * page }),
			"ends in the middle",
		],
	] as [string, (page: number) => { body: string; next?: number; status?: number }, string][])(
		"%s is an error",
		async (_, answer, message) => {
			await using server = await scripted((request, response) => {
				const page = Number(new URL(request.url!, "http://x").searchParams.get("page") ?? 0);
				const { body, next, status = 200 } = answer(page);
				const link = next === undefined ? {} : { link: `</v2/org/name/referrers/x?page=${next}>; rel="next"` };
				reply(response, status, { ...headers, ...link }, body);
			});
			const client = createRegistryClient(testIo());
			await expect(client.listReferrers(of(parseReference(`${server.host}/org/name`)))).rejects.toMatchObject({
				code: "registry",
				message: expect.stringContaining(message),
			});
		},
	);

	test("an answer without a type is none, a list without manifests is empty", async () => {
		await using server = await scripted((request, response) => {
			if (request.url!.includes("/referrers/")) reply(response, 200);
			else reply(response, 200, headers, '{"schemaVersion":2}');
		});
		const client = createRegistryClient(testIo());
		expect(await client.listReferrers(of(parseReference(`${server.host}/org/name`)))).toEqual([]);
		expect(server.requests).toHaveLength(2);
	});

	test("a refusal is an error, or hides what is not there", async () => {
		await using server = await scripted((_, response) => reply(response, 403));
		const repository = parseReference(`${server.host}/org/name`);
		await expect(createRegistryClient(testIo()).listReferrers(of(repository))).rejects.toMatchObject({
			code: "credentials",
		});
		const hiding = createRegistryClient(testIo(), { hides: () => true });
		expect(await hiding.listReferrers(of(repository))).toEqual([]);
	});

	test("a subject that is no descriptor is an error before anything is sent", async () => {
		await using server = await scripted((_, response) => reply(response, 201));
		const client = createRegistryClient(testIo());
		const bytes = Buffer.from('{"schemaVersion":2,"subject":{"digest":"x"}}');
		const repository = parseReference(`${server.host}/org/name`);
		await expect(client.putManifest(repository, mediaTypes.ociManifest, bytes)).rejects.toMatchObject({
			code: "registry",
		});
		expect(server.requests).toEqual([]);
		// Null is none.
		await client.putManifest(repository, mediaTypes.ociManifest, Buffer.from('{"schemaVersion":2,"subject":null}'));
		expect(server.requests).toHaveLength(1);
	});

	test("the tag of a longer digest is cut", () => {
		expect(referrersTag(`sha512:${"a".repeat(128)}`)).toBe(`sha512-${"a".repeat(64)}`);
	});
});
