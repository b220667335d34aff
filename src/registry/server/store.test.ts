import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { expect, test } from "vitest";
import { memoryFiles, type Files, type Growing } from "./files.ts";
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
