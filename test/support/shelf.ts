import { createHash } from "node:crypto";
import { memoryFiles, type Files } from "../../src/registry/server/files.ts";
import { createStore } from "../../src/registry/server/store.ts";
import type { Content } from "./published-samples.ts";

/** Where an embedded registry of a test keeps things: it can be put back, and is looked at whenever a tag moves. */
export interface Shelf {
	readonly files: Files;
	readonly content: Content;
	/** Called after a tag was written, before that is answered. */
	onTag: ((tag: { repository: string; tag: string; digest: string; before?: string }) => Promise<void>) | undefined;
	/** What was taken away, of links and tags. */
	readonly removed: string[];
	/** A copy of all that is there. */
	save(): ReadonlyMap<string, readonly Uint8Array[]>;
	putBack(saved: ReadonlyMap<string, readonly Uint8Array[]>): void;
	/** Every tag and link by its path with what it says, and every blob, whose content is checked. */
	all(): readonly string[];
}

export function createShelf(): Shelf {
	const map = new Map<string, readonly Uint8Array[]>();
	const inner = memoryFiles(map);
	const store = createStore(inner);
	const textOf = (file: string): string | undefined =>
		map.has(file) ? Buffer.concat([...map.get(file)!]).toString() : undefined;
	const shelf: Shelf = {
		files: {
			...inner,
			write: async (file, bytes) => {
				const before = textOf(file);
				await inner.write(file, bytes);
				const [, repository, tag] = /^repositories\/(.+)\/_tags\/([^/]+)$/.exec(file) ?? [];
				if (repository === undefined || tag === undefined) return;
				const digest = Buffer.from(bytes).toString();
				await shelf.onTag?.({ repository, tag, digest, ...(before === undefined ? {} : { before }) });
			},
			remove: async (file) => {
				if (file.startsWith("repositories/")) shelf.removed.push(file);
				await inner.remove(file);
			},
		},
		content: {
			manifest: async (repository, digest) => (await store.manifest(repository, digest))?.bytes,
			blobSize: (repository, digest) => store.blobSize(repository, digest),
			blob: async (_, digest) => Buffer.concat([...map.get(`blobs/${digest.replace(":", "/")}`)!]),
		},
		onTag: undefined,
		removed: [],
		save: () => new Map([...map].filter(([file]) => !file.startsWith("uploads/"))),
		putBack: (saved) => {
			map.clear();
			for (const [file, content] of saved) map.set(file, content);
			shelf.removed.length = 0;
		},
		all: () =>
			[...map.keys()]
				.flatMap((file) => {
					if (file.startsWith("uploads/")) return [];
					if (!file.startsWith("blobs/sha256/")) return [`${file}: ${textOf(file)}`];
					const hash = createHash("sha256");
					for (const piece of map.get(file)!) hash.update(piece);
					return [`${file}${hash.digest("hex") === file.slice("blobs/sha256/".length) ? "" : " is damaged"}`];
				})
				.sort(),
	};
	return shelf;
}
