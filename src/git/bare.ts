import { createHash, randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Io } from "../io/types.ts";
import { withLock } from "./lock.ts";
import { damaged } from "./reader.ts";

/**
 * One bare repository of the cache. Each commit that is there completely (the commit, its tree, all below it) has a ref
 * of its own: git writes it last, and a fetch that was interrupted leaves none.
 */
const commitRefs = "refs/brewline/commits/";

export function commitRef(commit: string): string {
	return commitRefs + commit;
}

/** A name that a person recognises, and that no two addresses share. */
export function bareName(address: string, format: "sha1" | "sha256"): string {
	const last = /([\w.-]+?)(?:\.git)?\/*$/.exec(address)?.[1] ?? "repository";
	const id = createHash("sha256").update(`${format} ${address}`).digest("hex").slice(0, 16);
	return `${last.replace(/^\.+/, "").slice(0, 60)}-${id}.git`;
}

/** Makes the repository if it is not there: complete or not at all, without a template or a process. */
export async function makeBare(directory: string, format: "sha1" | "sha256"): Promise<void> {
	if (existsSync(directory)) return;
	const draft = `${directory}.${randomUUID()}`;
	for (const folder of ["objects/info", "objects/pack", "refs/heads"])
		await mkdir(join(draft, folder), { recursive: true });
	await writeFile(join(draft, "HEAD"), "ref: refs/heads/none\n");
	const extension = format === "sha256" ? "[extensions]\n\tobjectformat = sha256\n" : "";
	const version = format === "sha256" ? 1 : 0;
	await writeFile(join(draft, "config"), `[core]\n\trepositoryformatversion = ${version}\n\tbare = true\n${extension}`);
	try {
		await rename(draft, directory);
	} catch (error) {
		await rm(draft, { recursive: true, force: true });
		// Another process was faster.
		if (!existsSync(directory)) throw error;
	}
}

/**
 * Runs `action` as the only one that writes into a repository: whatever git locked in it was left by a killed process, and so was
 * what it had of a pack, which may be as large as a server likes.
 */
export async function writing<T>(io: Io, directory: string, action: () => Promise<T>): Promise<T> {
	return await withLock(io, `${directory}.lock`, async () => {
		const refs = await readdir(join(directory, "refs"), { recursive: true }).catch(() => []);
		const locks = refs.filter((name) => name.endsWith(".lock")).map((name) => join("refs", name));
		for (const name of ["shallow.lock", "packed-refs.lock", "config.lock", ...locks])
			await rm(join(directory, name), { force: true });
		await removeParts(directory);
		try {
			return await action();
		} finally {
			await removeParts(directory);
		}
	});
}

/** Git leaves a pack that did not come in whole, under a name of its own. */
async function removeParts(directory: string): Promise<void> {
	const packs = join(directory, "objects/pack");
	for (const name of await readdir(packs).catch(() => [])) {
		if (name.startsWith("tmp_")) await rm(join(packs, name), { force: true });
	}
}

/** The commits that are there completely. */
export async function readCommits(directory: string): Promise<Set<string>> {
	const commits = new Set<string>();
	if (!existsSync(directory)) return commits;
	if (!existsSync(join(directory, "HEAD")) || !existsSync(join(directory, "objects")))
		throw damaged(directory, "it is no repository any more");
	for (const name of await readdir(join(directory, commitRefs)).catch(() => []))
		if (/^[0-9a-f]+$/.test(name)) commits.add(name);
	const packed = await readFile(join(directory, "packed-refs"), "utf8").catch(() => "");
	for (const line of packed.split("\n")) {
		const ref = line.split(" ")[1] ?? "";
		if (ref.startsWith(commitRefs)) commits.add(ref.slice(commitRefs.length));
	}
	return commits;
}
