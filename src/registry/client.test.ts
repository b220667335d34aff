import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import { reply, scripted, testIo } from "../../test/support/scripted.ts";
import { BrewlineError } from "../errors.ts";
import { mediaTypes, parseReference, type Reference } from "../oci/index.ts";
import { answerOf, createRegistryClient, startRegistry, type Fault, type Incoming } from "./index.ts";

const sha256 = (bytes: Uint8Array | string) => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
const describing = (bytes: Uint8Array) => ({ digest: sha256(bytes), size: bytes.length });
const sourceOf = (bytes: Uint8Array) => () =>
	Readable.from(
		[bytes.subarray(0, 7), bytes.subarray(7)].filter(({ length }) => length > 0),
		{ objectMode: false },
	);
const bytesOf = async (stream: Readable | undefined) => Buffer.concat(await Array.fromAsync(stream!));
const emptyIndex = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [] }));

async function registry(fault?: (request: Incoming) => Fault | undefined) {
	const seen: string[] = [];
	const server = await startRegistry({
		fault: (request) => {
			seen.push(`${request.method} ${request.path.replace(/uploads\/[\w-]+/, "uploads/ID")}`);
			return fault?.(request);
		},
	});
	const reference = (text: string): Reference => parseReference(`${server.host}/${text}`);
	return { ...server, seen, reference, [Symbol.asyncDispose]: () => server.close() };
}

describe("manifests", () => {
	test("what is put under a tag is found by tag, by digest, and by its digest where both are given", async () => {
		await using server = await registry();
		const client = createRegistryClient(testIo());
		const { digest } = await client.putManifest(server.reference("org/name:tag"), mediaTypes.ociIndex, emptyIndex);
		const expected = { mediaType: mediaTypes.ociIndex, digest: sha256(emptyIndex) };
		expect(digest).toBe(expected.digest);
		for (const text of ["org/name:tag", `org/name@${digest}`, `org/name:other@${digest}`]) {
			expect(await client.getManifest(server.reference(text))).toEqual({ ...expected, bytes: emptyIndex });
			expect(await client.headManifest(server.reference(text))).toEqual({ ...expected, size: emptyIndex.length });
		}
	});

	test("an answer counts as what it says where its body breaks off", async () => {
		await using server = await scripted((request, response) => {
			const status = request.method === "PUT" ? 201 : 403;
			response.writeHead(status, { "content-length": 100 }).write("{", () => response.destroy());
		});
		const client = createRegistryClient(testIo());
		const name = parseReference(`${server.host}/name:tag`);
		await expect(client.putManifest(name, mediaTypes.ociIndex, emptyIndex)).resolves.toMatchObject({
			digest: sha256(emptyIndex),
		});
		await expect(client.getManifest(name)).rejects.toThrow("HTTP 403");
	});

	test("the registry is told who asks, in which version", async () => {
		await using server = await scripted((_, response) => reply(response, 404));
		await createRegistryClient(testIo()).getManifest(parseReference(`${server.host}/name`));
		const manifest = await readFile(path.join(import.meta.dirname, "../../package.json"), "utf8");
		const { version } = JSON.parse(manifest) as { version: string };
		expect(server.headers[0]!["user-agent"]).toBe(`brewline/${version}`);
	});

	test("without tag and digest latest is asked for, and what is put lies under its digest", async () => {
		await using server = await registry();
		const client = createRegistryClient(testIo());
		await client.putManifest(server.reference("name"), mediaTypes.ociIndex, emptyIndex);
		expect(await client.getManifest(server.reference("name"))).toBeUndefined();
		expect(server.seen).toEqual([`PUT /v2/name/manifests/${sha256(emptyIndex)}`, "GET /v2/name/manifests/latest"]);
	});

	test("what is put under a digest must have it, before anything is sent", async () => {
		await using server = await registry();
		const client = createRegistryClient(testIo());
		const reference = server.reference(`name:tag@${sha256("other")}`);
		await expect(client.putManifest(reference, mediaTypes.ociIndex, emptyIndex)).rejects.toMatchObject({
			code: "digest",
		});
		expect(server.seen).toEqual([]);
	});

	test("sha512 digests are checked as such", async () => {
		await using server = await registry();
		const client = createRegistryClient(testIo());
		const digest = `sha512:${createHash("sha512").update(emptyIndex).digest("hex")}`;
		await client.putManifest(server.reference(`name@${digest}`), mediaTypes.ociIndex, emptyIndex);
		expect((await client.getManifest(server.reference(`name@${digest}`)))?.digest).toBe(digest);
	});

	test("missing children are an answer that callers can read", async () => {
		await using server = await registry();
		const client = createRegistryClient(testIo());
		const bytes = Buffer.from(
			JSON.stringify({
				schemaVersion: 2,
				manifests: [{ mediaType: mediaTypes.ociManifest, digest: sha256("x"), size: 1 }],
			}),
		);
		const error = await client
			.putManifest(server.reference("name:tag"), mediaTypes.ociIndex, bytes)
			.catch((e: unknown) => e);
		expect(error).toMatchObject({ code: "registry" });
		expect(answerOf(error)).toMatchObject({ status: 400, codes: ["MANIFEST_BLOB_UNKNOWN"] });
		expect(answerOf(new Error("another"))).toBeUndefined();
	});

	test.each([
		["other bytes than were asked for", (request: Incoming) => request.method === "GET"],
		["a wrong digest in the header", () => false],
	])("%s is an error that is not tried again", async (name, corrupts) => {
		await using server = await registry((request) => (corrupts(request) ? { kind: "corrupt" } : undefined));
		await using liar = await scripted((_, response) =>
			reply(response, 200, { "content-type": "x/y", "docker-content-digest": sha256("other") }, emptyIndex),
		);
		const io = testIo();
		const client = createRegistryClient(io);
		await client.putManifest(server.reference("name:tag"), mediaTypes.ociIndex, emptyIndex);
		const reference = name.startsWith("other")
			? server.reference(`name@${sha256(emptyIndex)}`)
			: parseReference(`${liar.host}/name:tag`);
		await expect(client.getManifest(reference)).rejects.toMatchObject({ code: "digest" });
		expect(io.clock.slept).toEqual([]);
	});

	test("a registry that files a manifest under another digest, or states another one by digest, lies", async () => {
		await using liar = await scripted((request, response) =>
			reply(response, request.method === "PUT" ? 201 : 200, {
				"docker-content-digest": sha256("other"),
				"content-length": "0",
			}),
		);
		const client = createRegistryClient(testIo());
		const reference = parseReference(`${liar.host}/name@${sha256(emptyIndex)}`);
		await expect(client.putManifest(reference, mediaTypes.ociIndex, emptyIndex)).rejects.toMatchObject({
			code: "digest",
		});
		await expect(client.headManifest(reference)).rejects.toMatchObject({ code: "digest" });
	});

	test("a digest of another algorithm cannot be compared and says nothing", async () => {
		await using server = await scripted((_, response) =>
			reply(response, 201, { "docker-content-digest": `sha512:${"0".repeat(128)}` }),
		);
		const client = createRegistryClient(testIo());
		const reference = parseReference(`${server.host}/name:tag`);
		expect(await client.putManifest(reference, mediaTypes.ociIndex, emptyIndex)).toEqual({
			digest: sha256(emptyIndex),
		});
	});

	test("a HEAD without digest or length is followed by a GET", async () => {
		await using server = await scripted((request, response) => {
			if (request.method === "HEAD") response.writeHead(200).end();
			else if (request.url?.endsWith("gone") === true) reply(response, 404);
			else reply(response, 200, {}, emptyIndex);
		});
		const client = createRegistryClient(testIo());
		const digest = sha256(emptyIndex);
		expect(await client.headManifest(parseReference(`${server.host}/name:tag`))).toEqual({
			mediaType: "",
			digest,
			size: emptyIndex.length,
		});
		expect(await client.headManifest(parseReference(`${server.host}/name:gone`))).toBeUndefined();
	});

	test("an answer to HEAD without a type has none", async () => {
		await using server = await scripted((_, response) =>
			reply(response, 200, { "docker-content-digest": sha256("x"), "content-length": "7" }),
		);
		const client = createRegistryClient(testIo());
		const head = await client.headManifest(parseReference(`${server.host}/name:tag`));
		expect(head).toEqual({ mediaType: "", digest: sha256("x"), size: 7 });
	});

	test("more than 4 MiB is refused, also when it never ends", async () => {
		await using server = await scripted((_, response) => {
			response.writeHead(200, { "content-type": mediaTypes.ociIndex });
			Readable.from(endless(), { objectMode: false }).pipe(response);
		});
		const client = createRegistryClient(testIo());
		await expect(client.getManifest(parseReference(`${server.host}/name:tag`))).rejects.toThrow("4194304 bytes");
	});

	test("names that are none reach no registry", async () => {
		const io = testIo();
		const client = createRegistryClient({ ...io, http: () => Promise.reject(new Error("asked")) });
		const host = "localhost:1";
		for (const reference of [
			{ host, repository: "a/../b" },
			{ host, repository: "a:b" },
			{ host, repository: "a", tag: "x/y" },
			{ host, repository: "a", digest: "sha256:00" },
			{ host: "user@evil.example", repository: "a" },
			{ host: "[::g]", repository: "a" },
		]) {
			await expect(client.getManifest(reference)).rejects.toMatchObject({ code: "reference" });
		}
		await expect(client.putManifest({ host, repository: "a", tag: "x y" }, "t", emptyIndex)).rejects.toMatchObject({
			code: "reference",
		});
		await expect(client.hasBlob({ host, repository: "a" }, "x")).rejects.toMatchObject({ code: "reference" });
	});
});

async function* endless() {
	const piece = Buffer.alloc(65_536, " ");
	for (;;) yield await Promise.resolve(piece);
}

describe("blobs", () => {
	test("that are wrong are neither read to their end nor put, also as another blob than they were checked for", async () => {
		let corrupt = true;
		await using server = await registry(({ method }) =>
			corrupt && method === "GET" ? { kind: "corrupt" } : undefined,
		);
		const client = createRegistryClient(testIo());
		const bytes = Buffer.from("a blob");
		const blob = describing(bytes);
		await client.putBlob(server.reference("name"), blob, sourceOf(bytes));
		const read = async () => (await client.getBlob(server.reference("name"), blob))!;
		await expect(bytesOf(await read())).rejects.toMatchObject({ code: "digest" });
		const wrong = await read();
		await expect(client.putBlob(server.reference("other"), blob, () => wrong)).rejects.toMatchObject({
			code: "digest",
		});
		expect(await client.hasBlob(server.reference("other"), blob.digest)).toBe(false);

		corrupt = false;
		for (const another of [describing(Buffer.from("A blob")), { ...blob, size: blob.size + 1 }]) {
			const right = await read();
			await expect(client.putBlob(server.reference("other"), another, () => right)).rejects.toMatchObject({
				code: "digest",
			});
			expect(await client.hasBlob(server.reference("other"), another.digest)).toBe(false);
		}
	});

	const content = Buffer.from("0123456789".repeat(2000));

	test.each([
		["whole", Infinity, ["POST", "PUT"]],
		["in pieces", 8000, ["POST", "PATCH", "PATCH", "PATCH", "PUT"]],
		["in pieces that fit", 10_000, ["POST", "PATCH", "PATCH", "PUT"]],
	])("are uploaded %s and read back", async (_, chunkSize, methods) => {
		await using server = await registry();
		const client = createRegistryClient(testIo(), { chunkSize });
		const repository = server.reference("org/name");
		expect(await client.hasBlob(repository, sha256(content))).toBe(false);
		expect(await client.blobSize(repository, sha256(content))).toBeUndefined();
		expect(await client.getBlob(repository, describing(content))).toBeUndefined();
		server.seen.length = 0;
		await client.putBlob(repository, describing(content), sourceOf(content));
		expect(server.seen.map((line) => line.split(" ")[0])).toEqual(methods);
		expect(await client.hasBlob(repository, sha256(content))).toBe(true);
		expect(await client.blobSize(repository, sha256(content))).toBe(content.length);
		expect(await bytesOf(await client.getBlob(repository, describing(content)))).toEqual(content);
	});

	test("a blob whose length is not stated is there, and of no known size", async () => {
		await using server = await scripted((_, response) => {
			response.writeHead(200).end();
		});
		const client = createRegistryClient(testIo());
		const repository = parseReference(`${server.host}/name`);
		expect(await client.hasBlob(repository, sha256(content))).toBe(true);
		await expect(client.blobSize(repository, sha256(content))).rejects.toMatchObject({ code: "registry" });
	});

	test("an empty blob is one, too", async () => {
		await using server = await registry();
		const client = createRegistryClient(testIo());
		const empty = new Uint8Array();
		await client.putBlob(server.reference("name"), describing(empty), sourceOf(empty));
		expect(await bytesOf(await client.getBlob(server.reference("name"), describing(empty)))).toHaveLength(0);
	});

	test.each([
		["is too short", content.subarray(1)],
		["is too long", Buffer.concat([content, content])],
		["is another", Buffer.from(content).fill(1, 100, 101)],
	])("a source that %s is never uploaded in full, and not tried again", async (_, wrong) => {
		for (const chunkSize of [Infinity, 8000]) {
			await using server = await registry();
			const io = testIo();
			const client = createRegistryClient(io, { chunkSize });
			const uploading = client.putBlob(server.reference("name"), describing(content), sourceOf(wrong));
			await expect(uploading).rejects.toMatchObject({ code: "digest" });
			expect(io.clock.slept).toEqual([]);
			expect(await client.hasBlob(server.reference("name"), sha256(content))).toBe(false);
		}
	});

	test("a source that has failed before it is read fails the upload at once", async () => {
		await using server = await registry();
		const failed = Readable.from([], { objectMode: false });
		failed.on("error", () => {});
		failed.destroy(new BrewlineError("digest", "not what was asked for"));
		await new Promise((resolve) => failed.once("close", resolve));
		const uploading = createRegistryClient(testIo()).putBlob(
			server.reference("name"),
			describing(Buffer.from("content")),
			() => failed,
		);
		await expect(uploading).rejects.toThrow("not what was asked for");
	});

	test("a source that fails fails the upload", async () => {
		await using server = await registry();
		const client = createRegistryClient(testIo());
		const broken = () =>
			new Readable({
				read() {
					this.destroy(new Error("disk on fire"));
				},
			});
		await expect(client.putBlob(server.reference("name"), describing(content), broken)).rejects.toThrow("disk on fire");
	});

	test.each(["before", "after"] as const)("an upload whose connection breaks %s is done again", async (when) => {
		for (const [chunkSize, method] of [
			[Infinity, "PUT"],
			[8000, "PATCH"],
		] as const) {
			let broken = 0;
			await using server = await registry((request) =>
				request.method === method && broken++ === 0 ? { kind: "reset", when } : undefined,
			);
			const io = testIo();
			const client = createRegistryClient(io, { chunkSize });
			await client.putBlob(server.reference("name"), describing(content), sourceOf(content));
			expect(await bytesOf(await client.getBlob(server.reference("name"), describing(content)))).toEqual(content);
			expect(io.clock.slept).toHaveLength(1);
		}
	});

	test("a registry that keeps nothing more is not sent pieces for ever", async () => {
		await using server = await scripted((request, response) => {
			request.resume().on("end", () => {
				reply(response, 202, { location: "/v2/name/blobs/uploads/1", range: "0-10" });
			});
		});
		const client = createRegistryClient(testIo(), { chunkSize: 8000 });
		const uploading = client.putBlob(parseReference(`${server.host}/name`), describing(content), sourceOf(content));
		await expect(uploading).rejects.toThrow("of 8011 bytes the registry has 11");
		expect(server.requests.map((line) => line.split(" ")[0])).toEqual(["POST", "PATCH", "PATCH"]);
	});

	test("refused pieces and ends of uploads are errors, and what a session's address says is kept", async () => {
		for (const [chunkSize, refused] of [
			[8000, "PATCH"],
			[Infinity, "PUT"],
		] as const) {
			await using server = await scripted((request, response) => {
				request.resume().on("end", () => {
					if (request.method === refused)
						reply(response, 416, {}, `{"errors":[{"code":"RANGE_INVALID","message":"a\\u001bb"}]}`);
					else reply(response, 202, { location: "/elsewhere?_state=a%3D%3D~+b" });
				});
			});
			const client = createRegistryClient(testIo(), { chunkSize });
			const uploading = client.putBlob(parseReference(`${server.host}/name`), describing(content), sourceOf(content));
			await expect(uploading).rejects.toThrow("HTTP 416 (RANGE_INVALID: a\\u{1b}b)");
			const query = refused === "PUT" ? `&digest=${sha256(content)}` : "";
			expect(server.requests.filter((line) => !line.startsWith("GET")).at(-1)).toBe(
				`${refused} /elsewhere?_state=a%3D%3D~+b${query}`,
			);
		}
	});

	describe.each([
		["a small one", content],
		["a large one, over a connection of its own", Buffer.alloc(9_000_000, content)],
	])("%s", (_kind, content) => {
		test("a body that breaks off is read on from there", async () => {
			let gets = 0;
			const ranges: unknown[] = [];
			await using server = await registry((request) => {
				if (request.method !== "GET") return undefined;
				ranges.push(request.headers["range"]);
				return gets++ < 2 ? { kind: "truncate", bytes: 9000 } : undefined;
			});
			const io = testIo();
			const client = createRegistryClient(io);
			await client.putBlob(server.reference("name"), describing(content), sourceOf(content));
			expect(await bytesOf(await client.getBlob(server.reference("name"), describing(content)))).toEqual(content);
			expect(ranges).toEqual([undefined, "bytes=9000-", "bytes=18000-"]);
		});

		test("a registry that knows no ranges is read again from the start", async () => {
			await using server = await scripted((_, response, number) => {
				response.writeHead(200, { "content-length": content.length });
				if (number === 1) response.write(content.subarray(0, 5000), () => response.destroy());
				else response.end(content);
			});
			const client = createRegistryClient(testIo());
			expect(await bytesOf(await client.getBlob(parseReference(`${server.host}/name`), describing(content)))).toEqual(
				content,
			);
		});

		test.each([
			[
				"breaks off every time",
				(response: Parameters<typeof reply>[0]) =>
					response.writeHead(200, { "content-length": String(content.length) }).write("0123", () => response.destroy()),
				"registry",
				"broke off after",
			],
			[
				"always ends early",
				(response: Parameters<typeof reply>[0]) => response.writeHead(200, { connection: "close" }).end("0123"),
				"digest",
				`has 4 bytes, not ${content.length}`,
			],
			[
				"never ends",
				(response: Parameters<typeof reply>[0]) => Readable.from(endless(), { objectMode: false }).pipe(response),
				"digest",
				`has more than its ${content.length} bytes`,
			],
			[
				"is another",
				(response: Parameters<typeof reply>[0]) => reply(response, 200, {}, Buffer.alloc(content.length)),
				"digest",
				"has the digest",
			],
		])("a body that %s is an error for who reads it", async (_, answer, code, message) => {
			await using server = await scripted((_request, response) => {
				answer(response);
			});
			const client = createRegistryClient(testIo());
			const blob = await client.getBlob(parseReference(`${server.host}/name`), describing(content));
			const error = await bytesOf(blob).catch((e: unknown) => e);
			expect(error).toMatchObject({ code, message: expect.stringContaining(message) });
		});

		test("a part that was not asked for, and content that vanishes, are errors", async () => {
			await using server = await scripted((_, response, number) => {
				if (number === 1 || number === 3) {
					response.writeHead(200, { "content-length": content.length });
					response.write(content.subarray(0, 5000), () => response.destroy());
				} else if (number === 2) reply(response, 206, { "content-range": "bytes 1-2/3" }, "xx");
				else reply(response, 404);
			});
			const client = createRegistryClient(testIo());
			const repository = parseReference(`${server.host}/name`);
			await expect(bytesOf(await client.getBlob(repository, describing(content)))).rejects.toThrow("another part");
			await expect(bytesOf(await client.getBlob(repository, describing(content)))).rejects.toThrow("vanished");
		});

		test("a reader that turns away ends the download", async () => {
			let closed: () => void;
			const ended = new Promise<void>((resolve) => {
				closed = resolve;
			});
			await using server = await scripted((_, response) => {
				response.on("close", () => closed()).writeHead(200, { "content-length": 2 ** 40 });
				Readable.from(endless(), { objectMode: false }).pipe(response);
			});
			const client = createRegistryClient(testIo());
			const blob = await client.getBlob(parseReference(`${server.host}/name`), { digest: sha256("x"), size: 2 ** 40 });
			for await (const _ of blob!) break;
			await ended;
			expect(blob!.destroyed).toBe(true);
		});
	});

	test.each([
		["that has a length", true],
		["in chunks", false],
	])("nothing of a body %s is read that cannot be passed on: who does not take it stops all", async (_, hasLength) => {
		const size = 128 * 1024 * 1024;
		const piece = Buffer.alloc(1024 * 1024, 5);
		const hash = createHash("sha256");
		for (let at = 0; at < size; at += piece.length) hash.update(piece);
		const blob = { digest: `sha256:${hash.digest("hex")}`, size };
		let produced = 0;
		let receive: () => void = () => {};
		await using server = await scripted((request, response) => {
			if (request.method === "GET") {
				if (hasLength) response.writeHead(200, { "content-length": String(size) });
				const content = Readable.from(pieces(), { objectMode: false });
				content.pipe(response).once("close", () => content.destroy());
			} else if (request.method === "POST") reply(response, 202, { location: "/upload" });
			else {
				receive = () => {
					request.resume().on("end", () => reply(response, 201));
				};
			}
		});
		function* pieces() {
			for (produced = 0; produced < size; produced += piece.length) yield piece;
		}
		const client = createRegistryClient(testIo());
		const repository = parseReference(`${server.host}/name`);
		const stream = await client.getBlob(repository, blob);
		const uploading = client.putBlob(repository, blob, () => stream!);
		for (let quiet = 0, before = 0; quiet < 500; before = produced) {
			await new Promise((resolve) => {
				setImmediate(resolve);
			});
			quiet = produced > 0 && produced === before ? quiet + 1 : 0;
		}
		// What fits into the buffers of four sockets.
		expect(produced).toBeLessThan(size / 2);
		receive();
		await uploading;
		expect(produced).toBe(size);
	});
});

describe("mounts", () => {
	const content = Buffer.from("content");

	test("from another repository of the same host, without upload", async () => {
		await using server = await registry();
		const client = createRegistryClient(testIo());
		await client.putBlob(server.reference("from"), describing(content), sourceOf(content));
		expect(await client.mountBlob(server.reference("to"), sha256(content), server.reference("from"))).toBe(true);
		server.seen.length = 0;
		await client.putBlob(
			server.reference("also"),
			describing(content),
			() => Readable.from([]),
			server.reference("from"),
		);
		expect(server.seen).toEqual([`POST /v2/also/blobs/uploads/?mount=${sha256(content)}&from=from`]);
		expect(await client.hasBlob(server.reference("to"), sha256(content))).toBe(true);
	});

	test("a mount that did not happen is none; an upload goes on in the session that it opened", async () => {
		await using server = await registry();
		const client = createRegistryClient(testIo());
		expect(await client.mountBlob(server.reference("to"), sha256(content), server.reference("from"))).toBe(false);
		server.seen.length = 0;
		await client.putBlob(server.reference("to"), describing(content), sourceOf(content), server.reference("from"));
		expect(server.seen.map((line) => line.split(" ")[0])).toEqual(["POST", "PUT"]);
	});

	test("between hosts nothing is asked", async () => {
		await using server = await registry();
		const client = createRegistryClient(testIo());
		const elsewhere = parseReference("ghcr.io/org/name");
		expect(await client.mountBlob(server.reference("to"), sha256(content), elsewhere)).toBe(false);
		expect(server.seen).toEqual([]);
		await client.putBlob(server.reference("to"), describing(content), sourceOf(content), elsewhere);
		expect(server.seen[0]).toBe("POST /v2/to/blobs/uploads/");
	});

	test("a registry that refuses the mount gets the content instead", async () => {
		let mounts = 0;
		await using server = await registry((request) => {
			if (!request.path.includes("mount=")) return undefined;
			mounts++;
			return { kind: "answer", status: 403, body: `{"errors":[{"code":"DENIED"}]}` };
		});
		const client = createRegistryClient(testIo());
		expect(await client.mountBlob(server.reference("to"), sha256(content), server.reference("from"))).toBe(false);
		await client.putBlob(server.reference("to"), describing(content), sourceOf(content), server.reference("from"));
		expect(mounts).toBe(2);
		expect(await client.hasBlob(server.reference("to"), sha256(content))).toBe(true);
	});

	test("what is wrong with the registry is no refused mount", async () => {
		await using server = await registry(() => ({ kind: "answer", status: 500 }));
		const client = createRegistryClient(testIo());
		const mounting = client.mountBlob(server.reference("to"), sha256(content), server.reference("from"));
		await expect(mounting).rejects.toMatchObject({ code: "registry" });
		const uploading = client.putBlob(
			server.reference("to"),
			describing(content),
			sourceOf(content),
			server.reference("from"),
		);
		await expect(uploading).rejects.toMatchObject({ code: "registry" });
	});

	test("a session on another host gets the content, but no credentials", async () => {
		await using storage = await scripted((request, response) => {
			request.resume().on("end", () => reply(response, 201));
		});
		await using home = await scripted((request, response) => {
			if (request.headers.authorization === undefined) {
				reply(response, 401, { "www-authenticate": 'Basic realm="x"' });
			} else reply(response, 202, { location: `${storage.url}/upload` });
		});
		const credentials = () => Promise.resolve({ username: "u", password: "p", origin: "test" });
		const client = createRegistryClient(testIo(), { credentials });
		await client.putBlob(parseReference(`${home.host}/to`), describing(content), sourceOf(content));
		expect(storage.requests).toEqual([`PUT /upload?digest=${sha256(content)}`]);
		expect(storage.headers[0]?.authorization).toBeUndefined();
	});

	test("a piece of an upload may be answered without a range", async () => {
		await using server = await scripted((request, response) => {
			request.resume().on("end", () => reply(response, request.method === "PUT" ? 201 : 202, { location: "/next" }));
		});
		const client = createRegistryClient(testIo(), { chunkSize: 4 });
		await client.putBlob(parseReference(`${server.host}/to`), describing(content), sourceOf(content));
		expect(server.requests.map((line) => line.split(" ")[0])).toEqual(["POST", "PATCH", "PATCH", "PUT"]);
	});

	test("a session at an address that cannot be is an error", async () => {
		for (const headers of [{}, { location: "ftp://127.0.0.1/" }, { location: "http://user:pw@127.0.0.1/" }]) {
			await using server = await scripted((_, response) => reply(response, 202, headers));
			const client = createRegistryClient(testIo());
			const uploading = client.putBlob(parseReference(`${server.host}/to`), describing(content), sourceOf(content));
			await expect(uploading).rejects.toThrow("where we do not go");
		}
	});
});

describe("tags", () => {
	test("come page by page", async () => {
		await using server = await scripted((request, response) => {
			const url = new URL(request.url ?? "", "http://x");
			const last = Number(url.searchParams.get("last") ?? "0");
			const tags = Array.from({ length: 3 }, (_, at) => String(last + at + 1));
			const link =
				last < 6
					? { link: `<other>; rel="prev", </v2/name/tags/list?n=3&last=${last + 3}>; title="a,b"; rel="next"` }
					: {};
			reply(response, 200, link, JSON.stringify({ name: "name", tags }));
		});
		const client = createRegistryClient(testIo());
		const tags = await Array.fromAsync(client.listTags(parseReference(`${server.host}/name:ignored`)));
		expect(tags).toEqual(["1", "2", "3", "4", "5", "6", "7", "8", "9"]);
		expect(server.requests).toHaveLength(3);
	});

	/** A registry with so many tags, sorted, that gives no links; without `pages` it gives all of them each time. */
	const unlinked = async (count: number, answers: "pages" | "all" | "first") => {
		const all = Array.from({ length: count }, (_, number) => String(number).padStart(6, "0"));
		const server = await scripted((request, response) => {
			const query = new URL(request.url ?? "", "http://x").searchParams;
			const rest = all.filter((tag) => answers !== "pages" || tag > (query.get("last") ?? ""));
			const tags = answers === "all" ? rest : rest.slice(0, Number(query.get("n")));
			reply(response, 200, {}, JSON.stringify({ name: "name", tags }));
		});
		const list = (maxPages?: number) =>
			Array.fromAsync(
				createRegistryClient(testIo()).listTags(
					parseReference(`${server.host}/name`),
					maxPages === undefined ? {} : { maxPages },
				),
			);
		return { all, server, list };
	};

	test.each([
		[999, "pages", 1],
		[1000, "pages", 2],
		[1001, "pages", 2],
		[1999, "pages", 3],
		[2500, "pages", 3],
		[999, "all", 1],
		[1000, "all", 2],
		[2500, "all", 1],
	] as const)(
		"a full page without a link is no end: %i of them, given as %s, take %i",
		async (count, answers, pages) => {
			const { all, server, list } = await unlinked(count, answers);
			await using _ = server;
			expect(await list()).toEqual(all);
			expect(server.requests).toHaveLength(pages);
		},
	);

	test("pages that cannot be gone on from are an error, and so are more tags than the pages that are wanted", async () => {
		const stuck = await unlinked(1500, "first");
		await using _ = stuck.server;
		await expect(stuck.list()).rejects.toThrow("begins anew where it should go on");
		expect(stuck.server.requests).toHaveLength(2);
		const whole = await unlinked(2001, "all");
		await using __ = whole.server;
		await expect(whole.list(2)).rejects.toThrow("there are more than 2000 of them");
		expect(whole.server.requests).toHaveLength(1);
		expect(await whole.list(3)).toEqual(whole.all);
	});

	test("a page that breaks off is read again; one that always does is our error", async () => {
		let broken = 1;
		await using server = await scripted((_, response) => {
			if (broken-- > 0) response.writeHead(200, { "content-length": 100 }).write("{", () => response.destroy());
			else reply(response, 200, {}, '{"tags":["1"]}');
		});
		const client = createRegistryClient(testIo());
		const list = () => Array.fromAsync(client.listTags(parseReference(`${server.host}/name`)));
		expect(await list()).toEqual(["1"]);
		expect(server.requests).toHaveLength(2);
		broken = Infinity;
		await expect(list()).rejects.toMatchObject({ code: "registry" });
		expect(server.requests).toHaveLength(2 + 5);
	});

	test("a repository that is gone after a page is an error", async () => {
		await using server = await scripted((_, response, number) => {
			if (number === 1) reply(response, 200, { link: `<?last=1>; rel="next"` }, '{"tags":["1"]}');
			else reply(response, 404, {}, '{"errors":[{"code":"NAME_UNKNOWN"}]}');
		});
		const client = createRegistryClient(testIo());
		await expect(Array.fromAsync(client.listTags(parseReference(`${server.host}/name`)))).rejects.toThrow("vanished");
	});

	test("more pages than are wanted, a refusal and a bare 404 are errors: a list is whole or none", async () => {
		await using server = await scripted((request, response) => {
			if (request.url?.startsWith("/v2/denied/") === true) reply(response, 403);
			else if (request.url?.startsWith("/v2/none/") === true) reply(response, 404);
			else reply(response, 200, { link: `<?n=1000&last=${server.requests.length}>; rel="next"` }, '{"tags":["1"]}');
		});
		const client = createRegistryClient(testIo(), { hides: () => true });
		const list = (name: string, maxPages?: number) =>
			Array.fromAsync(
				client.listTags(parseReference(`${server.host}/${name}`), maxPages === undefined ? {} : { maxPages }),
			);
		await expect(list("name", 2)).rejects.toThrow("there are more than 2 pages of them");
		expect(server.requests).toHaveLength(2);
		await expect(list("denied")).rejects.toMatchObject({ code: "credentials" });
		await expect(list("none")).rejects.toMatchObject({ code: "registry" });
	});

	test("a missing repository has none, and a list that is null is empty", async () => {
		await using server = await registry();
		const client = createRegistryClient(testIo());
		expect(await Array.fromAsync(client.listTags(server.reference("name")))).toEqual([]);
		await using other = await scripted((_, response) => reply(response, 200, {}, `{"tags":null}`));
		expect(await Array.fromAsync(client.listTags(parseReference(`${other.host}/name`)))).toEqual([]);
	});

	test.each([
		["another host", { link: '<http://localhost:1/v2/x>; rel="next"' }, "{}", "continues its list at"],
		["a circle", { link: "<?n=1000>; rel=next" }, "{}", "circle"],
		["no JSON", {}, "<html>", "not JSON"],
		["no list", {}, '{"tags":{}}', "not a list"],
		["no tags", {}, '{"tags":["ok","../x"]}', '"../x"'],
		["too much", {}, `{"tags":[${" ".repeat(17 * 1024 * 1024)}]}`, "larger than"],
	])("an answer with %s is an error", async (_, headers, body, message) => {
		await using server = await scripted((_request, response) => reply(response, 200, headers, body));
		const client = createRegistryClient(testIo());
		const listing = Array.fromAsync(client.listTags(parseReference(`${server.host}/name`)));
		await expect(listing).rejects.toMatchObject({ code: "registry", message: expect.stringContaining(message) });
	});
});

describe("deleting", () => {
	test("takes a tag away, or all that a digest has; what is not there is no error", async () => {
		await using server = await registry();
		const client = createRegistryClient(testIo());
		const at = server.reference("name:one");
		const bytes = Buffer.from(emptyIndex);
		const { digest } = await client.putManifest(at, mediaTypes.ociIndex, bytes);
		expect(await client.deleteManifest(at)).toBe(true);
		expect(await client.headManifest(at)).toBeUndefined();
		expect(await client.deleteManifest(at)).toBe(false);
		const { tag: _, ...untagged } = at;
		expect(await client.deleteManifest({ ...untagged, digest })).toBe(true);
		expect(await client.getManifest({ ...untagged, digest })).toBeUndefined();
		expect(await client.deleteManifest(server.reference("name"))).toBe(false);
	});

	test.each([405, 403, 400])("says what the registry answers: %i", async (status) => {
		await using server = await scripted((_, response) => reply(response, status));
		const client = createRegistryClient(testIo(), { hides: () => true });
		const error = await client
			.deleteManifest(parseReference(`${server.host}/name:tag`))
			.catch((cause: unknown) => cause);
		expect(answerOf(error)).toMatchObject({ status });
		expect(server.requests).toEqual(["DELETE /v2/name/manifests/tag"]);
	});
});

describe("redirects of reads", () => {
	test("are followed to other hosts without credentials, and back home with them", async () => {
		await using storage = await scripted((request, response) => {
			if (request.url === "/back") reply(response, 302, { location: `${home.url}/final` });
			else reply(response, 200, {}, "content");
		});
		await using home = await scripted((request, response) => {
			if (request.headers.authorization === undefined) reply(response, 401, { "www-authenticate": 'Basic realm="x"' });
			else if (request.url?.includes("blobs") === true) reply(response, 307, { location: `${storage.url}/blob` });
			else if (request.url === "/final") reply(response, 200, {}, emptyIndex);
			else if (request.url?.endsWith("near") === true) reply(response, 301, { location: "../../../final" });
			else reply(response, 308, { location: `${storage.url}/back` });
		});
		const credentials = () => Promise.resolve({ username: "u", password: "p", origin: "test" });
		const client = createRegistryClient(testIo(), { credentials });
		const repository = parseReference(`${home.host}/name:tag`);
		expect(String(await bytesOf(await client.getBlob(repository, describing(Buffer.from("content")))))).toBe("content");
		expect((await client.getManifest(repository))?.bytes).toEqual(emptyIndex);
		expect((await client.getManifest({ ...repository, tag: "near" }))?.bytes).toEqual(emptyIndex);
		expect(storage.requests).toEqual(["GET /blob", "GET /back"]);
		expect(storage.headers.map(({ authorization }) => authorization)).toEqual([undefined, undefined]);
	});

	test("a 401 from another host asks for nothing of ours", async () => {
		await using elsewhere = await scripted((_, response) =>
			reply(response, 401, { "www-authenticate": 'Basic realm="x"' }),
		);
		await using home = await scripted((_, response) => reply(response, 302, { location: elsewhere.url }));
		const credentials = () => Promise.resolve({ username: "u", password: "p", origin: "test" });
		const client = createRegistryClient(testIo(), { credentials });
		await expect(client.getManifest(parseReference(`${home.host}/name`))).rejects.toMatchObject({
			code: "registry",
			message: expect.stringContaining(`${elsewhere.host}, where ${home.host} sends us`),
		});
		expect(elsewhere.headers.map(({ authorization }) => authorization)).toEqual([undefined]);
	});

	test.each([401, 403])(
		"a %i from another host hides nothing of the registry's, and is no fault of a login",
		async (status) => {
			await using storage = await scripted((_, response) => reply(response, status, {}, "Request has expired"));
			await using home = await scripted((request, response) => {
				const { url } = storage;
				if (request.headers.authorization === undefined)
					reply(response, 401, { "www-authenticate": 'Basic realm="x"' });
				else if (request.method === "POST") reply(response, 202, { location: `${url}/upload` });
				else reply(response, 307, { location: `${url}/blob` });
			});
			const credentials = () => Promise.resolve({ username: "u", password: "p", origin: "config.json" });
			const client = createRegistryClient(testIo(), { credentials, hides: () => true });
			const repository = parseReference(`${home.host}/name`);
			const content = Buffer.from("content");
			const failure = {
				code: "registry",
				message: expect.stringMatching(
					new RegExp(`${storage.host}, where ${home.host} sends us.*HTTP ${status} .*expired`),
				),
				hint: expect.not.stringContaining("docker login"),
			};
			await expect(client.getBlob(repository, describing(content))).rejects.toMatchObject(failure);
			await expect(client.hasBlob(repository, describing(content).digest)).rejects.toMatchObject({ code: "registry" });
			await expect(client.putBlob(repository, describing(content), sourceOf(content))).rejects.toMatchObject(failure);
		},
	);

	test("not without end, and not without an address", async () => {
		await using server = await scripted((request, response) =>
			reply(response, 302, request.url?.endsWith("none") === true ? {} : { location: "/again" }),
		);
		const client = createRegistryClient(testIo());
		await expect(client.getManifest(parseReference(`${server.host}/name`))).rejects.toThrow("more than 5 times");
		await expect(client.getManifest(parseReference(`${server.host}/name:none`))).rejects.toThrow("HTTP 302");
	});

	test("never from HTTPS to HTTP, and never from elsewhere to this machine", async () => {
		for (const location of [
			"http://example.org/",
			"https://127.0.0.1/",
			"https://[::1]:5000/",
			"https://0x7f.1/",
			"https://a.localhost/",
			"https://[::ffff:127.0.0.1]/",
		]) {
			const asked: string[] = [];
			const client = createRegistryClient({
				...testIo(),
				http: ({ url }) => {
					asked.push(url.href);
					return Promise.resolve({ status: 307, headers: { location }, body: Readable.from([]) });
				},
			});
			await expect(client.getManifest(parseReference("ghcr.io/org/name:tag"))).rejects.toThrow("where we do not go");
			expect(asked).toEqual(["https://ghcr.io/v2/org/name/manifests/tag"]);
		}
	});

	test("are not followed when something is written", async () => {
		await using server = await scripted((_, response) => reply(response, 307, { location: "/again" }));
		const client = createRegistryClient(testIo());
		const putting = client.putManifest(parseReference(`${server.host}/name:tag`), "x/y", emptyIndex);
		await expect(putting).rejects.toThrow("HTTP 307");
	});
});
