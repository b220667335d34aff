import { mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { Readable } from "node:stream";
import { packTar } from "modern-tar";
import { afterAll, beforeAll, expect, test } from "vitest";
import { layoutKinds, layoutTar, makeLayout } from "../../test/fixtures/layouts/make-layout.ts";
import { readLayout } from "../oci/index.ts";
import { unpackTar, type UnpackOptions } from "./unpack.ts";

type Entry = Parameters<typeof packTar>[0][number];

let scratch = "";
beforeAll(async () => {
	scratch = await mkdtemp(path.join(tmpdir(), "brewline-unpack-"));
});
afterAll(() => rm(scratch, { recursive: true }));

function file(name: string, body = ""): Entry {
	return { header: { name, type: "file", size: Buffer.byteLength(body), mode: 0o4777 }, body };
}

function folder(name: string): Entry {
	return { header: { name, type: "directory", size: 0 } };
}

/** In chunks of odd sizes, as they come from a pipe. */
function stream(bytes: Uint8Array, size = 700): Readable {
	const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
		bytes.slice(i * size, (i + 1) * size),
	);
	return Readable.from(chunks, { objectMode: false });
}

async function unpack(bytes: Uint8Array, options?: UnpackOptions): Promise<string> {
	const target = path.join(await mkdtemp(path.join(scratch, "tar-")), "new");
	await unpackTar(stream(bytes), target, options);
	return target;
}

test.each(layoutKinds)("a tarball as BuildKit writes it: %s", async (kind) => {
	const source = await mkdtemp(path.join(scratch, "source-"));
	const { root } = await makeLayout(kind, source, { layers: [{ big: "0123456789".repeat(100_000) }] });
	const target = await unpack(await layoutTar(source));
	await expect(readLayout(target, { attestations: "current" })).resolves.toMatchObject({ root });
});

test("files come out with their content, and with no rights that the archive gives", async () => {
	const target = await unpack(
		await packTar([folder("a/"), file("a/b", "content"), file("c/d/e", "x"), folder("f"), file("..g", "")]),
	);
	expect((await readdir(target, { recursive: true })).toSorted()).toStrictEqual([
		"..g",
		"a",
		"a/b",
		"c",
		"c/d",
		"c/d/e",
		"f",
	]);
	expect(await readFile(path.join(target, "a/b"), "utf8")).toBe("content");
	expect((await stat(path.join(target, "a/b"))).mode & 0o7733).toBe(0o600);
});

test.each([
	["/etc/passwd"],
	["../outside"],
	["a/../../outside"],
	["a/.."],
	["./a"],
	["a//b"],
	["."],
	["a\\..\\b"],
	["c:/b"],
	["a\u001bb"],
	["x".repeat(256)],
	["a/".repeat(16) + "b"],
])("the name %j is refused", async (name) => {
	await expect(packTar([file(name, "x")]).then((bytes) => unpack(bytes))).rejects.toMatchObject({
		name: "BrewlineError",
		code: "layout",
		message: expect.stringContaining("in the archive"),
	});
	expect(await readdir(scratch)).not.toContain("outside");
});

test.each(["symlink", "link", "character-device", "block-device", "fifo"] as const)("a %s is refused", async (type) => {
	const bytes = await packTar([{ header: { name: "a", type, size: 0, linkname: "/etc/passwd" } }]);
	await expect(unpack(bytes)).rejects.toThrow(`"a" in the archive is a ${type}`);
});

test("a file that comes twice, and one that is a folder too, are refused", async () => {
	await expect(packTar([file("a"), file("a")]).then((bytes) => unpack(bytes))).rejects.toThrow("EEXIST");
	await expect(packTar([file("a"), file("a/b")]).then((bytes) => unpack(bytes))).rejects.toThrow("EEXIST");
	await expect(packTar([file("a/b"), file("a")]).then((bytes) => unpack(bytes))).rejects.toThrow("EEXIST");
});

test("what is larger than allowed is refused before it is written", async () => {
	const bytes = await packTar([file("a", "12345"), file("b", "12345")]);
	await expect(unpack(bytes, { maxBytes: 9 })).rejects.toThrow("the archive holds more than 9 bytes");
	await expect(unpack(bytes, { maxEntries: 1 })).rejects.toThrow("the archive holds more than 1 files");
	await expect(unpack(bytes, { maxBytes: 10, maxEntries: 2 })).resolves.toBeDefined();
});

test("an archive that is cut anywhere is refused", async () => {
	const bytes = await packTar([file("a", "x".repeat(600)), file("b", "y")]);
	for (let length = 0; length < bytes.length; length += 128) {
		await expect(unpack(bytes.slice(0, length))).rejects.toMatchObject({ code: "layout" });
	}
});

test("an archive with a changed header is refused", async () => {
	const bytes = await packTar([file("a", "x")]);
	bytes[0]! ^= 3;
	await expect(unpack(bytes)).rejects.toThrow("the archive cannot be unpacked: Invalid tar header checksum.");
	await expect(unpack(Buffer.from("this is no archive".repeat(100)))).rejects.toMatchObject({ code: "layout" });
});

test("only into a folder that is empty", async () => {
	const target = await mkdtemp(path.join(scratch, "full-"));
	await mkdir(path.join(target, "a"));
	await expect(unpackTar(stream(await packTar([file("b")])), target)).rejects.toThrow("into an empty folder");
	await writeFile(path.join(scratch, "file"), "");
	await expect(unpackTar(stream(await packTar([file("b")])), path.join(scratch, "file"))).rejects.toThrow("EEXIST");
});

test("an input that fails, and an end of the run, are heard", async () => {
	const target = path.join(scratch, "failing");
	const failing = Readable.from(
		(function* () {
			yield Buffer.alloc(100);
			throw new Error("the pipe broke");
		})(),
	);
	await expect(unpackTar(failing, target)).rejects.toThrow("the pipe broke");
	const bytes = await packTar([file("a", "x")]);
	await expect(unpack(bytes, { signal: AbortSignal.abort(new Error("over")) })).rejects.toThrow("over");
});
