import { spawn } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { networkInterfaces, tmpdir } from "node:os";
import path from "node:path";
import { Readable } from "node:stream";
import { array, assert, constantFrom, oneof, property, string } from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { testIo } from "../../../test/support/scripted.ts";
import { mediaTypes, parseReference } from "../../oci/index.ts";
import { createRegistryClient, startRegistry, type RunningRegistry } from "../index.ts";
import { routeOf } from "./routes.ts";

const sha256 = (bytes: Uint8Array | string) => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
const none = sha256("nothing has this content");

let folder: string;
beforeAll(async () => {
	folder = await mkdtemp(path.join(tmpdir(), "registry-"));
});
afterAll(() => rm(folder, { recursive: true }));

interface Answer {
	readonly status: number;
	readonly headers: Headers;
	readonly text: string;
}

async function ask(
	server: Pick<RunningRegistry, "url">,
	method: string,
	target: string,
	body?: string | Uint8Array,
	headers: Record<string, string> = {},
): Promise<Answer> {
	const response = await fetch(new URL(target, server.url), {
		method,
		headers,
		...(body === undefined ? {} : { body: Buffer.from(body) }),
	});
	return { status: response.status, headers: response.headers, text: await response.text() };
}

/** A registry in a process of its own, which can be killed. */
async function startProcess(directory: string): Promise<{ readonly url: string; readonly kill: () => Promise<void> }> {
	const script = `
		import { startRegistry } from ${JSON.stringify(path.join(import.meta.dirname, "index.ts"))};
		const server = await startRegistry({ directory: ${JSON.stringify(directory)} });
		console.log(server.url);`;
	const child = spawn(process.execPath, ["--input-type=module", "--eval", script]);
	const gone = once(child, "exit");
	const [line] = (await once(child.stdout, "data")) as [Buffer];
	return {
		url: line.toString().trim(),
		kill: async () => {
			child.kill("SIGKILL");
			await gone;
		},
	};
}

const codesOf = ({ text }: Answer) =>
	(JSON.parse(text) as { errors: { code: string }[] }).errors.map(({ code }) => code);

async function upload(server: Pick<RunningRegistry, "url">, repository: string, content: string): Promise<string> {
	const answer = await ask(server, "POST", `/v2/${repository}/blobs/uploads/?digest=${sha256(content)}`, content);
	expect(answer.status).toBe(201);
	return sha256(content);
}

function descriptor(content: string, mediaType: string) {
	return { mediaType, digest: sha256(content), size: content.length };
}

function manifestText(extra: object = {}) {
	return JSON.stringify({
		schemaVersion: 2,
		mediaType: mediaTypes.ociManifest,
		config: descriptor("{}", mediaTypes.ociConfig),
		layers: [],
		...extra,
	});
}

function put(
	server: Pick<RunningRegistry, "url">,
	target: string,
	text: string,
	type: string = mediaTypes.ociManifest,
) {
	return ask(server, "PUT", target, text, { "content-type": type });
}

describe.each(["memory", "folder"] as const)("in %s", (kind) => {
	let server: RunningRegistry;
	beforeAll(async () => {
		server = await startRegistry(kind === "memory" ? {} : { directory: path.join(folder, "one") });
	});
	afterAll(() => server.close());

	test("it says what it speaks", async () => {
		const answer = await ask(server, "GET", "/v2/");
		expect([answer.status, answer.text]).toEqual([200, "{}\n"]);
		expect(answer.headers.get("docker-distribution-api-version")).toBe("registry/2.0");
		expect((await ask(server, "GET", "/v2")).status).toBe(200);
	});

	test("a blob comes in pieces, with its state asked for in between", async () => {
		const opened = await ask(server, "POST", "/v2/org/name/blobs/uploads/");
		expect(opened.status).toBe(202);
		const session = opened.headers.get("location")!;
		expect(session).toMatch(/^\/v2\/org\/name\/blobs\/uploads\/[\w-]+$/);
		const first = await ask(server, "PATCH", session, "01234", { "content-range": "0-4" });
		expect([first.status, first.headers.get("range")]).toEqual([202, "0-4"]);
		const gap = await ask(server, "PATCH", session, "x", { "content-range": "7-8" });
		expect([gap.status, gap.headers.get("range"), gap.headers.get("location")]).toEqual([416, "0-4", session]);
		expect(codesOf(gap)).toEqual(["BLOB_UPLOAD_INVALID"]);
		const early = await ask(server, "PUT", `${session}?digest=${none}`, "x", { "content-range": "0-0" });
		expect([early.status, early.headers.get("range")]).toEqual([416, "0-4"]);
		const nonsense = await ask(server, "PATCH", session, "x", { "content-range": "many" });
		expect(nonsense.status).toBe(416);
		const state = await ask(server, "GET", session);
		expect([state.status, state.headers.get("range")]).toEqual([204, "0-4"]);
		expect((await ask(server, "PATCH", session, "56")).status).toBe(202);
		const done = await ask(server, "PUT", `${session}?digest=${sha256("0123456789")}`, "789");
		expect(done.status).toBe(201);
		expect((await ask(server, "GET", done.headers.get("location")!)).text).toBe("0123456789");
		const part = await ask(server, "GET", done.headers.get("location")!, undefined, { range: "bytes=6-" });
		expect([part.status, part.text]).toEqual([206, "6789"]);
		expect(codesOf(await ask(server, "GET", session))).toEqual(["BLOB_UPLOAD_UNKNOWN"]);
	});

	test.each([
		["shorter than it says", "PATCH", "5-9", "56"],
		["longer than it says", "PATCH", "5-5", "56"],
		["that ends before it begins", "PATCH", "5-3", ""],
		["that is not the last one that it says", "PUT", "5-9", "56"],
	])("a piece %s is refused, and the right one taken", async (_, method, range, content) => {
		const session = (await ask(server, "POST", "/v2/name/blobs/uploads/")).headers.get("location")!;
		await ask(server, "PATCH", session, "01234", { "content-range": "0-4" });
		const last = `${session}?digest=${sha256("0123456789")}`;
		const wrong = await ask(server, method, method === "PUT" ? last : session, content, { "content-range": range });
		expect([wrong.status, codesOf(wrong)]).toEqual([400, ["SIZE_INVALID"]]);
		expect((await ask(server, "PUT", last, "56789", { "content-range": "5-9" })).status).toBe(201);
	});

	test("of a piece of unknown length the range says where it begins", async () => {
		const session = (await ask(server, "POST", "/v2/name/blobs/uploads/")).headers.get("location")!;
		const status = await new Promise((resolve, reject) => {
			const headers = { "content-range": "0-4", "transfer-encoding": "chunked" };
			httpRequest(new URL(session, server.url), { method: "PATCH", headers })
				.once("error", reject)
				.once("response", (response) => resolve(response.resume().statusCode))
				.end("01234");
		});
		expect(status).toBe(202);
		expect((await ask(server, "PUT", `${session}?digest=${sha256("01234")}`)).status).toBe(201);
	});

	test("content with another digest is not taken, nor kept", async () => {
		for (const digest of [sha256("other"), `sha512:${"0".repeat(128)}`]) {
			const answer = await ask(server, "POST", `/v2/name/blobs/uploads/?digest=${digest}`, "content");
			expect([answer.status, codesOf(answer)]).toEqual([400, ["DIGEST_INVALID"]]);
			expect((await ask(server, "HEAD", `/v2/name/blobs/${digest}`)).status).toBe(404);
		}
	});

	test("sha512 blobs are as good", async () => {
		const digest = `sha512:${createHash("sha512").update("content").digest("hex")}`;
		expect((await ask(server, "POST", `/v2/name/blobs/uploads/?digest=${digest}`, "content")).status).toBe(201);
		expect((await ask(server, "GET", `/v2/name/blobs/${digest}`)).text).toBe("content");
	});

	test("uploads can be given up, belong to their repository, and need a digest", async () => {
		const { headers } = await ask(server, "POST", "/v2/name/blobs/uploads");
		const session = headers.get("location")!;
		expect((await ask(server, "GET", session.replace("/name/", "/other/"))).status).toBe(404);
		expect((await ask(server, "PUT", session, "x")).status).toBe(400);
		expect((await ask(server, "PUT", `${session}?digest=md5:00`, "x")).status).toBe(400);
		expect((await ask(server, "DELETE", session)).status).toBe(204);
		expect((await ask(server, "GET", session)).status).toBe(404);
		expect((await ask(server, "POST", "/v2/name/blobs/uploads/?digest=x")).status).toBe(400);
	});

	test("two requests cannot write to one upload", async () => {
		const { headers } = await ask(server, "POST", "/v2/name/blobs/uploads/");
		const session = headers.get("location")!;
		const writing = httpRequest(new URL(session, server.url), { method: "PATCH" });
		writing.on("error", () => {});
		const answered = new Promise((resolve) => {
			writing.once("response", (response) => resolve(response.resume().statusCode));
		});
		await new Promise<void>((resolve) => {
			writing.write("first", () => resolve());
		});
		await untilBusy();
		expect(codesOf(await ask(server, "PATCH", session, "second", { "content-range": "5-10" }))).toEqual([
			"BLOB_UPLOAD_INVALID",
		]);
		expect(codesOf(await ask(server, "PUT", `${session}?digest=${none}`, "x"))).toEqual(["BLOB_UPLOAD_INVALID"]);
		expect((await ask(server, "DELETE", session)).status).toBe(409);
		writing.end();
		expect(await answered).toBe(202);

		async function untilBusy() {
			while ((await ask(server, "GET", session)).headers.get("range") !== "0-4") await Promise.resolve();
		}
	});

	test("what came in before a connection broke is kept", async () => {
		const { headers } = await ask(server, "POST", "/v2/name/blobs/uploads/");
		const session = headers.get("location")!;
		const writing = httpRequest(new URL(session, server.url), { method: "PATCH", headers: { "content-length": 100 } });
		writing.on("error", () => {});
		writing.write("first");
		const state = () => ask(server, "GET", session);
		while ((await state()).headers.get("range") !== "0-4") await Promise.resolve();
		writing.destroy();
		let done: Answer;
		do done = await ask(server, "PUT", `${session}?digest=${sha256("first, second")}`, ", second");
		while (done.status === 409);
		expect(done.status).toBe(201);
	});

	test("mounts link what is there, and open an upload for what is not", async () => {
		const digest = await upload(server, "from", "to be mounted");
		const mounted = await ask(server, "POST", `/v2/to/blobs/uploads/?mount=${digest}&from=from`);
		expect([mounted.status, mounted.headers.get("docker-content-digest")]).toEqual([201, digest]);
		expect((await ask(server, "GET", `/v2/to/blobs/${digest}`)).text).toBe("to be mounted");
		expect((await ask(server, "POST", `/v2/to/blobs/uploads/?mount=${digest}&from=empty`)).status).toBe(202);
		expect((await ask(server, "POST", `/v2/to/blobs/uploads/?mount=${digest}`)).status).toBe(202);
		const bad = await ask(server, "POST", "/v2/to/blobs/uploads/?mount=x&from=from");
		expect([codesOf(bad), bad.text]).toEqual([["DIGEST_INVALID"], expect.stringContaining("mount is no digest")]);
		expect(codesOf(await ask(server, "POST", `/v2/to/blobs/uploads/?mount=${digest}&from=../x`))).toEqual([
			"NAME_INVALID",
		]);
	});

	test("a blob of one repository is not in another", async () => {
		const digest = await upload(server, "from", "only here");
		expect(codesOf(await ask(server, "GET", `/v2/elsewhere/blobs/${digest}`))).toEqual(["BLOB_UNKNOWN"]);
	});

	test.each([
		["bytes=0-3", 206, "0123", "bytes 0-3/10"],
		["bytes=8-", 206, "89", "bytes 8-9/10"],
		["bytes=8-100", 206, "89", "bytes 8-9/10"],
		["bytes=-3", 206, "789", "bytes 7-9/10"],
		["bytes=-30", 206, "0123456789", "bytes 0-9/10"],
		["bytes=10-", 416, expect.stringContaining("RANGE_INVALID"), "bytes */10"],
		["bytes=-0", 416, expect.stringContaining("RANGE_INVALID"), "bytes */10"],
		["bytes=5-2", 200, "0123456789", null],
		["bytes=-", 200, "0123456789", null],
		["bytes=1-2,4-5", 200, "0123456789", null],
		["lines=1-2", 200, "0123456789", null],
	])("of a blob, %s", async (range, status, text, contentRange) => {
		const digest = await upload(server, "name", "0123456789");
		const answer = await ask(server, "GET", `/v2/name/blobs/${digest}`, undefined, { range });
		expect([answer.status, answer.text, answer.headers.get("content-range")]).toEqual([status, text, contentRange]);
	});

	test("empty blobs, and HEAD", async () => {
		const digest = await upload(server, "name", "");
		expect(await ask(server, "GET", `/v2/name/blobs/${digest}`)).toMatchObject({ status: 200, text: "" });
		expect((await ask(server, "GET", `/v2/name/blobs/${digest}`, undefined, { range: "bytes=0-" })).status).toBe(416);
		const long = await upload(server, "name", "0123456789");
		const head = await ask(server, "HEAD", `/v2/name/blobs/${long}`);
		expect([head.status, head.text, head.headers.get("content-length")]).toEqual([200, "", "10"]);
		const part = await ask(server, "HEAD", `/v2/name/blobs/${long}`, undefined, { range: "bytes=1-2" });
		expect([part.status, part.headers.get("content-length")]).toEqual([200, "10"]);
	});

	test("a manifest needs its children, an index its manifests; a subject need not be there", async () => {
		const text = manifestText({ layers: [descriptor("layer", "application/vnd.oci.image.layer.v1.tar")] });
		expect(codesOf(await put(server, "/v2/parent/manifests/tag", text))).toEqual([
			"MANIFEST_BLOB_UNKNOWN",
			"MANIFEST_BLOB_UNKNOWN",
		]);
		await upload(server, "parent", "{}");
		expect(codesOf(await put(server, "/v2/parent/manifests/tag", text))).toEqual(["MANIFEST_BLOB_UNKNOWN"]);
		const index = JSON.stringify({ schemaVersion: 2, manifests: [descriptor(text, mediaTypes.ociManifest)] });
		expect(codesOf(await put(server, "/v2/parent/manifests/index", index, mediaTypes.ociIndex))).toEqual([
			"MANIFEST_BLOB_UNKNOWN",
		]);
		await upload(server, "parent", "layer");
		expect((await put(server, "/v2/parent/manifests/tag", text)).status).toBe(201);
		expect((await put(server, "/v2/parent/manifests/index", index, mediaTypes.ociIndex)).status).toBe(201);
		const foreign = manifestText({ layers: [{ ...descriptor("far", "x/y"), urls: ["https://example.org/far"] }] });
		expect((await put(server, "/v2/parent/manifests/foreign", foreign)).status).toBe(201);
		// As Go writes an image without layers.
		const nulls = manifestText({ layers: null, annotations: null, subject: null });
		expect((await put(server, "/v2/parent/manifests/nulls", nulls)).status).toBe(201);
		const subject = manifestText({ subject: { ...descriptor("later", mediaTypes.ociManifest) } });
		const answer = await put(server, "/v2/parent/manifests/subject", subject);
		expect([answer.status, answer.headers.get("oci-subject")]).toEqual([201, sha256("later")]);
		const read = await ask(server, "GET", "/v2/parent/manifests/tag");
		expect([read.text, read.headers.get("content-type"), read.headers.get("docker-content-digest")]).toEqual([
			text,
			mediaTypes.ociManifest,
			sha256(text),
		]);
	});

	test.each([
		["not JSON", "{", mediaTypes.ociManifest, "MANIFEST_INVALID"],
		["not UTF-8", Buffer.from([0x22, 0xff, 0x22]), mediaTypes.ociManifest, "MANIFEST_INVALID"],
		["not an object", "[]", mediaTypes.ociManifest, "MANIFEST_INVALID"],
		["of schema 1", '{"schemaVersion":1}', mediaTypes.ociManifest, "MANIFEST_INVALID"],
		["empty", '{"schemaVersion":2}', mediaTypes.ociManifest, "MANIFEST_INVALID"],
		["of another media type", manifestText(), mediaTypes.ociIndex, "MANIFEST_INVALID"],
		["of no media type", manifestText({ mediaType: undefined }), "x", "MANIFEST_INVALID"],
		["with a media type that is none", manifestText({ mediaType: 7 }), mediaTypes.ociManifest, "MANIFEST_INVALID"],
		["with layers that are none", manifestText({ layers: {} }), mediaTypes.ociManifest, "MANIFEST_INVALID"],
		["with a layer that is none", manifestText({ layers: [null] }), mediaTypes.ociManifest, "MANIFEST_INVALID"],
		[
			"with a path for a digest",
			manifestText({ layers: [{ mediaType: "x/y", digest: "../../x", size: 1 }] }),
			mediaTypes.ociManifest,
			"MANIFEST_INVALID",
		],
		["with a config that is none", manifestText({ config: 7 }), mediaTypes.ociManifest, "MANIFEST_INVALID"],
		["with a subject that is none", manifestText({ subject: [] }), mediaTypes.ociManifest, "MANIFEST_INVALID"],
		["too large", Buffer.alloc(4 * 1024 * 1024 + 1, " "), mediaTypes.ociManifest, "SIZE_INVALID"],
	])("a manifest that is %s is refused", async (_, body, type, code) => {
		const answer = await ask(server, "PUT", "/v2/invalid/manifests/tag", body, { "content-type": type });
		expect(codesOf(answer)).toEqual([code]);
		expect(codesOf(await ask(server, "GET", "/v2/invalid/manifests/tag"))).toEqual(["MANIFEST_UNKNOWN"]);
	});

	test("a manifest goes under its own digest only", async () => {
		await upload(server, "name", "{}");
		expect(codesOf(await put(server, `/v2/name/manifests/${none}`, manifestText()))).toEqual(["DIGEST_INVALID"]);
		expect((await put(server, `/v2/name/manifests/${sha256(manifestText())}`, manifestText())).status).toBe(201);
	});

	test("tags are listed sorted, by pages, upper and lower case apart", async () => {
		await upload(server, "tags", "{}");
		for (const tag of ["b", "A", "a", "B", "_x", "1.0"]) await put(server, `/v2/tags/manifests/${tag}`, manifestText());
		const list = async (query: string) => ask(server, "GET", `/v2/tags/tags/list${query}`);
		const all = ["1.0", "A", "B", "_x", "a", "b"];
		expect(JSON.parse((await list("")).text)).toEqual({ name: "tags", tags: all });
		const page = await list("?n=2");
		expect(JSON.parse(page.text)).toMatchObject({ tags: all.slice(0, 2) });
		expect(page.headers.get("link")).toBe('</v2/tags/tags/list?n=2&last=A>; rel="next"');
		const last = await list("?n=4&last=A");
		expect([JSON.parse(last.text), last.headers.get("link")]).toMatchObject([{ tags: all.slice(2) }, null]);
		expect(JSON.parse((await list("?n=0")).text)).toMatchObject({ tags: [] });
		expect(JSON.parse((await list("?n=2147483647")).text)).toMatchObject({ tags: all });
		expect(codesOf(await list("?n=x"))).toEqual(["PAGINATION_NUMBER_INVALID"]);
		expect(codesOf(await ask(server, "GET", "/v2/tag/tags/list"))).toEqual(["NAME_UNKNOWN"]);
		const client = createRegistryClient(testIo());
		expect(await Array.fromAsync(client.listTags(parseReference(`${server.host}/tags`)))).toEqual(all);
	});

	test("the longest tags are kept, and told apart by case", async () => {
		await upload(server, "long", "{}");
		const tags = ["A".repeat(128), `${"A".repeat(127)}a`, "a".repeat(128)];
		for (const tag of tags) {
			expect((await put(server, `/v2/long/manifests/${tag}`, manifestText())).status).toBe(201);
		}
		expect(JSON.parse((await ask(server, "GET", "/v2/long/tags/list")).text)).toEqual({ name: "long", tags });
		expect((await ask(server, "DELETE", `/v2/long/manifests/${tags[0]}`)).status).toBe(202);
		expect(JSON.parse((await ask(server, "GET", "/v2/long/tags/list")).text)).toMatchObject({ tags: tags.slice(1) });
		for (const [at, tag] of tags.entries()) {
			expect((await ask(server, "HEAD", `/v2/long/manifests/${tag}`)).status).toBe(at === 0 ? 404 : 200);
		}
	});

	test("referrers are what names a subject, by type", async () => {
		await upload(server, "referring", "{}");
		const subject = descriptor(manifestText(), mediaTypes.ociManifest);
		await put(server, "/v2/referring/manifests/subject", manifestText());
		const one = manifestText({ subject, artifactType: "a/one", annotations: { k: "v" } });
		const two = manifestText({ subject, layers: undefined });
		await put(server, "/v2/referring/manifests/one", one);
		await put(server, `/v2/referring/manifests/${sha256(two)}`, two);
		const list = async (query = "") => ask(server, "GET", `/v2/referring/referrers/${subject.digest}${query}`);
		const found = JSON.parse((await list()).text) as { manifests: { digest: string }[] };
		expect(new Set(found.manifests.map(({ digest }) => digest))).toEqual(new Set([sha256(one), sha256(two)]));
		const filtered = await list("?artifactType=a/one");
		expect(filtered.headers.get("oci-filters-applied")).toBe("artifactType");
		expect(filtered.headers.get("content-type")).toBe(mediaTypes.ociIndex);
		expect(JSON.parse(filtered.text)).toEqual({
			schemaVersion: 2,
			mediaType: mediaTypes.ociIndex,
			manifests: [
				{
					mediaType: mediaTypes.ociManifest,
					digest: sha256(one),
					size: one.length,
					annotations: { k: "v" },
					artifactType: "a/one",
				},
			],
		});
		await ask(server, "DELETE", `/v2/referring/manifests/${sha256(one)}`);
		expect(JSON.parse((await list("?artifactType=a/one")).text)).toMatchObject({ manifests: [] });
		const index = JSON.stringify({ schemaVersion: 2, manifests: [], subject });
		await put(server, "/v2/referring/manifests/index", index, mediaTypes.ociIndex);
		const { manifests } = JSON.parse((await list()).text) as { manifests: { digest: string }[] };
		expect(manifests.find(({ digest }) => digest === sha256(index))).not.toHaveProperty("artifactType");
		expect(JSON.parse((await ask(server, "GET", `/v2/nothing/referrers/${none}`)).text)).toMatchObject({
			manifests: [],
		});
	});

	test("deleting a manifest takes its tags along, deleting a tag nothing else; blobs go by repository", async () => {
		await upload(server, "deleted", "{}");
		const digest = sha256(manifestText());
		for (const tag of ["one", "two", "three"]) await put(server, `/v2/deleted/manifests/${tag}`, manifestText());
		const other = manifestText({ annotations: { a: "b" } });
		await put(server, "/v2/deleted/manifests/other", other);
		expect((await ask(server, "DELETE", "/v2/deleted/manifests/one")).status).toBe(202);
		expect((await ask(server, "DELETE", "/v2/deleted/manifests/one")).status).toBe(404);
		expect((await ask(server, "HEAD", "/v2/deleted/manifests/two")).status).toBe(200);
		expect((await ask(server, "DELETE", `/v2/deleted/manifests/${digest}`)).status).toBe(202);
		expect((await ask(server, "DELETE", `/v2/deleted/manifests/${digest}`)).status).toBe(404);
		expect(JSON.parse((await ask(server, "GET", "/v2/deleted/tags/list")).text)).toMatchObject({ tags: ["other"] });
		expect((await ask(server, "DELETE", `/v2/deleted/blobs/${sha256("{}")}`)).status).toBe(202);
		expect((await ask(server, "DELETE", `/v2/deleted/blobs/${sha256("{}")}`)).status).toBe(404);
		expect((await ask(server, "GET", `/v2/deleted/blobs/${sha256("{}")}`)).status).toBe(404);
	});

	test.each([
		["GET", "/", 404, "UNSUPPORTED"],
		["GET", "/v1/search", 404, "UNSUPPORTED"],
		["GET", "/v2/name/unknown/x", 404, "UNSUPPORTED"],
		["GET", "/v2/%ff/tags/list", 404, "UNSUPPORTED"],
		["GET", "/v2/UPPER/tags/list", 400, "NAME_INVALID"],
		["GET", "/v2/a%2f%2e%2e%2fb/manifests/x", 400, "NAME_INVALID"],
		["GET", `/v2/${"a".repeat(256)}/tags/list`, 400, "NAME_INVALID"],
		["GET", "/v2/name/manifests/sha256:00", 400, "DIGEST_INVALID"],
		["GET", "/v2/name/manifests/.hidden", 400, "TAG_INVALID"],
		["GET", "/v2/name/blobs/tag", 400, "DIGEST_INVALID"],
		["GET", "/v2/name/referrers/tag", 400, "DIGEST_INVALID"],
		["GET", "/v2/name/blobs/uploads/unknown", 404, "BLOB_UPLOAD_UNKNOWN"],
	])("%s %s is refused", async (method, target, status, code) => {
		const answer = await ask(server, method, target);
		expect([answer.status, codesOf(answer)]).toEqual([status, [code]]);
	});

	test.each([
		["POST", "/v2/", "GET, HEAD"],
		["POST", "/v2/name/manifests/tag", "GET, HEAD, PUT, DELETE"],
		["PUT", `/v2/name/blobs/${none}`, "GET, HEAD, DELETE"],
		["GET", "/v2/name/blobs/uploads/", "POST"],
		["PUT", "/v2/name/tags/list", "GET, HEAD"],
		["PUT", `/v2/name/referrers/${none}`, "GET, HEAD"],
	])("%s %s is refused, with what is not: %s", async (method, target, allow) => {
		const answer = await ask(server, method, target);
		expect([answer.status, codesOf(answer), answer.headers.get("allow")]).toEqual([405, ["UNSUPPORTED"], allow]);
	});

	test("a part of an upload may be called like a part of the protocol", async () => {
		const digest = await upload(server, "blobs/uploads/manifests", "odd");
		expect((await ask(server, "GET", `/v2/blobs/uploads/manifests/blobs/${digest}`)).text).toBe("odd");
	});

	test("other methods of uploads are refused", async () => {
		const { headers } = await ask(server, "POST", "/v2/name/blobs/uploads/");
		const refused = await ask(server, "POST", headers.get("location")!);
		expect([refused.status, refused.headers.get("allow")]).toEqual([405, "GET, HEAD, PATCH, PUT, DELETE"]);
		expect((await ask(server, "PUT", headers.get("location")!)).text).toContain("it takes ?digest=");
	});
});

describe("in a folder", () => {
	test("what was acknowledged is there for the next server; uploads under way are gone", async () => {
		const directory = path.join(folder, "kept");
		const first = await startRegistry({ directory });
		await upload(first, "org/name", "{}");
		await put(first, "/v2/org/name/manifests/Tag", manifestText());
		const { headers } = await ask(first, "POST", "/v2/org/name/blobs/uploads/");
		await ask(first, "PATCH", headers.get("location")!, "half");
		await first.close();
		expect(await readdir(path.join(directory, "uploads"))).toEqual([]);
		const second = await startRegistry({ directory });
		expect((await ask(second, "GET", "/v2/org/name/manifests/Tag")).text).toBe(manifestText());
		expect(JSON.parse((await ask(second, "GET", "/v2/org/name/tags/list")).text)).toMatchObject({ tags: ["Tag"] });
		expect((await ask(second, "GET", headers.get("location")!)).status).toBe(404);
		await second.close();
	});

	test("a server that is killed in the middle of an upload loses nothing that it acknowledged", async () => {
		const directory = path.join(folder, "killed");
		const killed = await startProcess(directory);
		await upload(killed, "name", "{}");
		await put(killed, "/v2/name/manifests/tag", manifestText());
		const { headers } = await ask(killed, "POST", "/v2/name/blobs/uploads/");
		await ask(killed, "PATCH", headers.get("location")!, "half");
		await killed.kill();
		const server = await startRegistry({ directory });
		expect((await ask(server, "GET", "/v2/name/manifests/tag")).text).toBe(manifestText());
		expect((await ask(server, "GET", `/v2/name/blobs/${sha256("{}")}`)).text).toBe("{}");
		expect((await readdir(path.join(directory, "blobs/sha256"))).toSorted()).toEqual(
			[sha256("{}"), sha256(manifestText())].map((digest) => digest.slice("sha256:".length)).toSorted(),
		);
		expect(await readdir(path.join(directory, "uploads"))).toEqual([]);
		await server.close();
	});

	test("a server that cannot start takes no upload away from the one that runs there", async () => {
		const directory = path.join(folder, "twice");
		const first = await startProcess(directory);
		const { headers } = await ask(first, "POST", "/v2/name/blobs/uploads/");
		await ask(first, "PATCH", headers.get("location")!, "half");
		await expect(startRegistry({ directory, port: Number(new URL(first.url).port) })).rejects.toMatchObject({
			message: expect.stringContaining("EADDRINUSE"),
		});
		const end = `${headers.get("location")!}?digest=${sha256("half")}`;
		expect((await ask(first, "PUT", end)).status).toBe(201);
		await first.kill();
	});

	test("what others keep in the folder stays", async () => {
		const directory = path.join(folder, "others");
		await mkdir(path.join(directory, "uploads/2024"), { recursive: true });
		await writeFile(path.join(directory, "uploads/thesis.txt"), "precious");
		// In a container the server has the number of the one that was killed there before.
		await writeFile(path.join(directory, `uploads/${process.pid}-${randomUUID()}`), "half");
		await (await startRegistry({ directory })).close();
		expect(await readdir(path.join(directory, "uploads"))).toEqual(["2024", "thesis.txt"]);
	});

	test("of a blob that was to come at once and broke off nothing is kept", async () => {
		const directory = path.join(folder, "broken");
		const server = await startRegistry({ directory });
		const uploads = () => readdir(path.join(directory, "uploads"));
		const target = new URL(`/v2/name/blobs/uploads/?digest=${none}`, server.url);
		const writing = httpRequest(target, { method: "POST", headers: { "content-length": 100 } });
		writing.on("error", () => {});
		writing.write("first");
		while ((await uploads()).length === 0) await Promise.resolve();
		writing.destroy();
		while ((await uploads()).length > 0) await Promise.resolve();
		expect((await ask(server, "HEAD", `/v2/name/blobs/${none}`)).status).toBe(404);
		await server.close();
	});

	test("the folder holds nothing outside of itself, whatever is asked for", async () => {
		const directory = path.join(folder, "inside");
		const server = await startRegistry({ directory });
		for (const target of [
			"/v2/..%2f..%2fx/blobs/uploads/",
			"/v2/a/../../x/blobs/uploads/",
			"/v2/a%00b/blobs/uploads/",
		]) {
			const answer = await ask(server, "POST", target);
			expect(answer.status).toBeGreaterThanOrEqual(400);
		}
		await server.close();
		expect(await readdir(folder)).not.toContain("x");
	});

	test("a folder that is none is an error, and a port that is taken", async () => {
		const one = await startRegistry();
		await expect(startRegistry({ port: one.port })).rejects.toMatchObject({
			code: "registry",
			hint: expect.stringContaining("choose another port"),
		});
		await one.close();
		await expect(startRegistry({ directory: "/dev/null/x" })).rejects.toMatchObject({ code: "registry" });
	});

	test("a disk that fails is an error of the registry's, not its end", async () => {
		const directory = path.join(folder, "failing");
		const server = await startRegistry({ directory });
		await writeFile(path.join(directory, "repositories"), "in the way");
		const answer = await ask(server, "POST", `/v2/name/blobs/uploads/?digest=${sha256("x")}`, "x");
		expect([answer.status, codesOf(answer)]).toEqual([500, ["UNKNOWN"]]);
		await rm(path.join(directory, "repositories"));
		await upload(server, "name", "x");
		// A folder where a tag's file should be.
		await mkdir(path.join(directory, "repositories/name/_tags/1"), { recursive: true });
		expect((await ask(server, "GET", "/v2/name/manifests/1")).status).toBe(500);
		await server.close();
	});
});

describe("with tokens", () => {
	const auth = { kind: "bearer", username: "user", password: "secret", identityToken: "refresh" } as const;
	const form = { "content-type": "application/x-www-form-urlencoded" };

	test.each([
		["name and password in a form", "username=user&password=secret", 200],
		["a refresh token", "refresh_token=refresh", 200],
		["a wrong password", "username=user&password=wrong", 401],
		["no password", "username=user", 401],
		["a wrong refresh token", "refresh_token=wrong", 401],
		["nothing", "", 200],
	])("%s", async (_, body, status) => {
		const server = await startRegistry({ auth });
		expect((await ask(server, "POST", "/token", body, form)).status).toBe(status);
		await server.close();
	});

	test("a token opens what it was asked for, until it expires", async () => {
		let now = 0;
		const server = await startRegistry({ auth: { ...auth, now: () => now, tokenSeconds: 10 } });
		const text = (
			await ask(server, "POST", "/token", "username=user&password=secret&scope=repository:a:pull,push other:x:y", form)
		).text;
		const { token } = JSON.parse(text) as { token: string };
		const get = (target: string) => ask(server, "GET", target, undefined, { authorization: `Bearer ${token}` });
		expect((await get("/v2/")).status).toBe(200);
		expect((await get("/v2/a/tags/list")).status).toBe(404);
		expect((await get("/v2/b/tags/list")).headers.get("www-authenticate")).toContain('error="insufficient_scope"');
		now = 10_000;
		const late = await get("/v2/");
		expect(late.status).toBe(401);
		expect(late.headers.get("www-authenticate")).toBe(
			`Bearer realm="${server.url}/token",service="brewline-registry",error="invalid_token"`,
		);
		const unknown = await ask(server, "GET", "/v2/a/tags/list", undefined, { authorization: "Bearer x" });
		expect(unknown.headers.get("www-authenticate")).toContain('scope="repository:a:pull",error="invalid_token"');
		await server.close();
	});
});

describe("what Node takes but no client sends", () => {
	test.each([
		["no host", "GET /v2/ HTTP/1.0\r\n\r\n", "200"],
		["a host and path that make no URL", "GET // HTTP/1.1\r\nHost: [\r\nConnection: close\r\n\r\n", "400"],
		[
			"a manifest without a type",
			'PUT /v2/a/manifests/b HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 31\r\n\r\n{"schemaVersion":2,"manifests":[',
			"400",
		],
	])("%s", async (_, text, status) => {
		const server = await startRegistry();
		const socket = connect(server.port, "127.0.0.1");
		socket.write(text);
		const answer = Buffer.concat(await Array.fromAsync(socket as AsyncIterable<Buffer>)).toString("latin1");
		expect(answer.slice(9, 12)).toBe(status);
		await server.close();
	});
});

describe("faults", () => {
	test("a fault that waits is done when its time comes", async () => {
		let go: (value: unknown) => void = () => {};
		const until = new Promise((resolve) => {
			go = resolve;
		});
		const order: string[] = [];
		const server = await startRegistry({
			fault: ({ number }) => (number === 1 ? { kind: "wait", until } : undefined),
			log: (event) => void order.push(event.type === "message" ? event.text : ""),
		});
		const slow = ask(server, "GET", "/v2/");
		await ask(server, "GET", "/v2/x");
		go(undefined);
		expect((await slow).status).toBe(200);
		expect(order).toEqual(["registry: 404 GET /v2/x", "registry: 200 GET /v2/"]);
		await server.close();
	});

	test("the answer to a write can be lost, and a body cut or damaged; the rest goes on", async () => {
		const faults = [
			{ kind: "reset", when: "after" },
			{ kind: "truncate", bytes: 5 },
			{ kind: "corrupt" },
			{ kind: "truncate", bytes: 500 },
		] as const;
		const server = await startRegistry({ fault: ({ number }) => faults[number - 1] });
		await expect(ask(server, "POST", `/v2/name/blobs/uploads/?digest=${sha256("content")}`, "content")).rejects.toThrow(
			"fetch failed",
		);
		const target = `/v2/name/blobs/${sha256("content")}`;
		await expect(ask(server, "GET", target)).rejects.toThrow("terminated");
		expect((await ask(server, "GET", target)).text).toBe("bontent");
		expect((await ask(server, "GET", target)).text).toBe("content");
		await server.close();
	});

	test("an answer can misstate what was done", async () => {
		const headers = { "docker-content-digest": none };
		const server = await startRegistry({ fault: () => ({ kind: "misstate", headers }) });
		const answer = await ask(server, "POST", `/v2/name/blobs/uploads/?digest=${sha256("content")}`, "content");
		expect([answer.status, answer.headers.get("docker-content-digest")]).toEqual([201, none]);
		expect((await ask(server, "GET", `/v2/name/blobs/${sha256("content")}`)).text).toBe("content");
		await server.close();
	});

	test("of a damaged body of many pieces one bit is wrong", async () => {
		const content = "x".repeat(200_000);
		const server = await startRegistry({
			directory: path.join(folder, "damaged"),
			fault: ({ method }) => (method === "GET" ? { kind: "corrupt" } : undefined),
		});
		const digest = await upload(server, "name", content);
		expect((await ask(server, "GET", `/v2/name/blobs/${digest}`)).text).toBe(`y${content.slice(1)}`);
		await server.close();
	});

	test("an upload that is cancelled twice at once is cancelled once", async () => {
		const server = await startRegistry({ directory: path.join(folder, "cancelled") });
		const session = (await ask(server, "POST", "/v2/name/blobs/uploads/")).headers.get("location")!;
		const answers = await Promise.all([1, 2, 3, 4].map(() => ask(server, "DELETE", session)));
		expect(answers.map(({ status }) => status).every((status) => status === 204 || status === 404)).toBe(true);
		expect((await ask(server, "GET", session)).status).toBe(404);
		await server.close();
	});
});

const hasIPv6 = Object.values(networkInterfaces()).some((some) => some?.some(({ address }) => address === "::1"));

test.skipIf(!hasIPv6)(
	`an IPv6 address can be listened on and written in references${hasIPv6 ? "" : " (no IPv6 here)"}`,
	async () => {
		const server = await startRegistry({ host: "::1" });
		const content = Buffer.from("content");
		const client = createRegistryClient(testIo());
		const repository = parseReference(`${server.host}/name`);
		await client.putBlob(repository, { digest: sha256(content), size: 7 }, () => Readable.from([content]));
		expect(await client.hasBlob(repository, sha256(content))).toBe(true);
		await server.close();
	},
);

test("localhost leads to a registry on 127.0.0.1", async () => {
	const server = await startRegistry();
	const client = createRegistryClient(testIo());
	expect(await client.getManifest(parseReference(`localhost:${server.port}/name:tag`))).toBeUndefined();
	await server.close();
});

test("no path leads to a route whose parts are unsafe", () => {
	const part = oneof(
		constantFrom("..", "%2e%2e", "a", "blobs", "uploads", "manifests", "tags", "list", "%00", "_x", none),
		string(),
	);
	const parts = (path: string): readonly string[] => {
		const route = routeOf(path);
		if (!("repository" in route)) return [];
		return [
			...route.repository.split("/"),
			...(route.kind === "manifest" ? [route.reference] : []),
			...(route.kind === "upload" ? [route.id] : []),
		];
	};
	expect(parts("/v2/a/b/manifests/c")).toEqual(["a", "b", "c"]);
	assert(
		property(array(part), (path) => parts(`/v2/${path.join("/")}`).every((safe) => /^\w[\w.:-]*$/.test(safe))),
		{ seed: Number(process.env["FC_SEED"] ?? 1), numRuns: 2000 },
	);
});
