import { createHash } from "node:crypto";
import { mkdtemp, open, readFile, rm, type FileHandle } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { Readable } from "node:stream";
import { expect, test, vi } from "vitest";
import { folderFiles, memoryFiles, unfinishedFile, type Files, type Growing } from "./files.ts";
import { createStore } from "./store.ts";

const digestOf = (text: string) => `sha256:${createHash("sha256").update(text).digest("hex")}`;
const full = Object.assign(new Error("no space left"), { code: "ENOSPC" });
const content = (text: string) => Readable.from([Buffer.from(text)], { objectMode: false });

/** Files in memory whose growing ones fail as said. */
function failing(change: (growing: Growing) => Partial<Growing>): {
	readonly files: Files;
	readonly left: Map<string, unknown>;
} {
	const left = new Map<string, readonly Uint8Array[]>();
	const inner = memoryFiles(left);
	return {
		left,
		files: {
			...inner,
			create: async (file) => {
				const growing = await inner.create(file);
				return { ...growing, ...change(growing) };
			},
		},
	};
}

test("an upload of which a piece could not be written is over, so that nothing goes on behind a gap", async () => {
	let pieces = 0;
	const { files, left } = failing((growing) => ({
		append: (chunk) => (++pieces === 2 ? Promise.reject(full) : growing.append(chunk)),
	}));
	const store = createStore(files);
	const upload = await store.startUpload("name");
	await store.append(upload, content("aaaa"));
	await expect(store.append(upload, content("bbbb"))).rejects.toBe(full);
	expect(store.upload(upload.id)).toBeUndefined();
	expect(left.size).toBe(0);
	await store.close();
	// Another one may do better.
	const again = await store.startUpload("name");
	await store.append(again, content("aaaabbbb"));
	expect(await store.finishUpload(again, digestOf("aaaabbbb"))).toBe(true);
	expect(await store.blobSize("name", digestOf("aaaabbbb"))).toBe(8);
});

test("an upload that cannot be synced is no blob, and leaves nothing behind", async () => {
	const { files, left } = failing(() => ({ close: (keep) => (keep ? Promise.reject(full) : Promise.resolve()) }));
	const store = createStore(files);
	const upload = await store.startUpload("name");
	await store.append(upload, content("aaaa"));
	await expect(store.finishUpload(upload, digestOf("aaaa"))).rejects.toBe(full);
	expect(await store.blobSize("name", digestOf("aaaa"))).toBeUndefined();
	expect(left.size).toBe(0);
});

test("an upload whose connection breaks stays, with what came in before", async () => {
	const store = createStore(memoryFiles());
	const upload = await store.startUpload("name");
	const breaking = Readable.from(
		(function* () {
			yield Buffer.from("aaaa");
			throw new Error("reset");
		})(),
		{ objectMode: false },
	);
	await expect(store.append(upload, breaking)).rejects.toThrow("reset");
	expect(store.upload(upload.id)).toMatchObject({ size: 4 });
	await store.append(upload, content("bbbb"));
	expect(await store.finishUpload(upload, digestOf("aaaabbbb"))).toBe(true);
});

test("a piece that cannot be written once the upload was given up is nobody's", async () => {
	const writing = Promise.withResolvers<void>();
	const store = createStore(failing(() => ({ append: () => writing.promise })).files);
	const upload = await store.startUpload("name");
	const appended = store.append(upload, content("aaaa"));
	await store.close();
	writing.reject(full);
	await expect(appended).rejects.toBe(full);
});

test("a growing file is synced on the way, and what went wrong then is told of, at the next piece or at its end", async () => {
	const root = await mkdtemp(path.join(os.tmpdir(), "brewline-store-"));
	const prototype = await (async (): Promise<FileHandle> => {
		await using handle = await open(root);
		return Object.getPrototypeOf(handle) as FileHandle;
	})();
	const datasync = vi.spyOn(prototype, "datasync");
	try {
		const files = folderFiles(root, 8);
		const file = unfinishedFile("a");
		const growing = await files.create(file);
		for (const piece of ["aaaa", "bbbb", "cccc"]) await growing.append(Buffer.from(piece));
		await growing.close(true);
		expect(datasync).toHaveBeenCalledTimes(1);
		expect(await readFile(path.join(root, file), "utf8")).toBe("aaaabbbbcccc");

		datasync.mockRejectedValueOnce(full);
		const failing = await files.create(unfinishedFile("b"));
		await failing.append(Buffer.from("aaaabbbb"));
		await vi.waitFor(() => expect(failing.append(Buffer.from("cccc"))).rejects.toBe(full));
		await expect(failing.close(true)).rejects.toBe(full);
		await rm(path.join(root, unfinishedFile("b")));

		datasync.mockRejectedValueOnce(full);
		const givenUp = await files.create(unfinishedFile("b"));
		await givenUp.append(Buffer.from("aaaabbbb"));
		await givenUp.close(false);
	} finally {
		datasync.mockRestore();
		await rm(root, { recursive: true });
	}
});
