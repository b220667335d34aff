import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { lstat, mkdir, mkdtemp, readFile, readdir, readlink, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { promisify } from "node:util";
import { unpackTar } from "modern-tar";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeRepository, type TestEntry, type TestRepository } from "../../test/support/git-repository.ts";
import { nodeIo } from "../io/index.ts";
import { openGitStore, type GitRepository, type GitStore } from "./index.ts";

const address = "https://example.org/content.git";
const fetch = "refs/heads/main";
let root: string;
let repository: TestRepository;
let store: GitStore;
let git: GitRepository;
let blob: string;
let count = 0;

beforeAll(async () => {
	root = await mkdtemp(join(tmpdir(), "brewline-content-"));
	repository = makeRepository(join(root, "repository"));
	store = openGitStore(nodeIo(), { directory: join(root, "cache"), rewrite: { [address]: repository.directory } });
	git = store.repository(address);
	blob = repository.object("blob", "x\n");
});

afterAll(async () => {
	await store.close();
	await rm(root, { recursive: true, force: true });
});

/** Makes a commit of a tree, and has it in the cache. */
async function committed(tree: string): Promise<string> {
	const commit = repository.commit(tree);
	repository.ref(`refs/heads/${commit}`, commit);
	await git.ensure([{ commit, fetch }]);
	return commit;
}

const link = (target: string) => repository.object("blob", target);
const into = () => join(root, `export-${count++}`);

async function bytes(stream: Readable): Promise<Buffer> {
	const chunks: Buffer[] = [];
	for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
	return Buffer.concat(chunks);
}

/** A tree like a real one: files, a program, links, directories, a submodule. */
function usual(): string {
	const script = repository.object("blob", "#!/bin/sh\necho\n");
	return repository.tree([
		["100644", "Dockerfile", blob],
		["120000", "again", link("./sub/../Dockerfile")],
		["100755", "run.sh", script],
		[
			"40000",
			"sub",
			repository.tree([
				["100644", "é", blob],
				["120000", "up", link("../run.sh")],
				["100644", "\\".repeat(120), blob],
			]),
		],
		["160000", "submodule", "1".repeat(40)],
	]);
}

describe("writing a tree into a folder", () => {
	test("files, programs, links and empty directories", async () => {
		const commit = await committed(usual());
		const folder = into();
		await git.exportTree(commit, ".", folder);
		expect((await readdir(folder)).sort()).toEqual(["Dockerfile", "again", "run.sh", "sub", "submodule"]);
		expect(await readFile(join(folder, "sub/é"), "utf8")).toBe("x\n");
		expect((await lstat(join(folder, "run.sh"))).mode & 0o111).toBe(0o111 & ~process.umask());
		expect((await lstat(join(folder, "Dockerfile"))).mode & 0o111).toBe(0);
		expect(await readlink(join(folder, "again"))).toBe("Dockerfile");
		expect(await readFile(join(folder, "sub/up"), "utf8")).toContain("#!/bin/sh");
		expect(await readdir(join(folder, "submodule"))).toEqual([]);
	});

	test("a folder that is not empty is left as it is", async () => {
		const commit = await committed(usual());
		const folder = into();
		await mkdir(folder);
		await writeFile(join(folder, "mine"), "");
		await expect(git.exportTree(commit, ".", folder)).rejects.toThrow(/not empty/);
		expect(await readdir(folder)).toEqual(["mine"]);
	});

	test.each([
		["an absolute one", "/etc/passwd", "."],
		["up from the root", "../x", "."],
		["far up", "a/../../../x", "."],
		["up out of a directory that is exported alone", "../Dockerfile", "sub"],
	])("a link that leads out is an error: %s", async (_, target, directory) => {
		const inner = repository.tree([["120000", "l", link(target)]]);
		const commit = await committed(
			repository.tree(directory === "." ? [["120000", "l", link(target)]] : [["40000", "sub", inner]]),
		);
		const folder = into();
		await expect(git.exportTree(commit, directory, folder)).rejects.toThrow(/leads out of the directory/);
		expect(await readdir(folder)).toEqual([]);
	});

	test("links that only together lead out stay inside", async () => {
		// `a/b` is the folder itself; as a file system reads it, `a/b/../..` would be two levels above that.
		const commit = await committed(
			repository.tree([
				["40000", "a", repository.tree([["120000", "b", link("..")]])],
				["120000", "out", link("a/b/../../secret")],
			]),
		);
		const folder = join(into(), "deep/folder");
		await mkdir(folder, { recursive: true });
		await writeFile(join(folder, "../../secret"), "secret");
		await git.exportTree(commit, ".", folder);
		await expect(readFile(join(folder, "out"), "utf8")).rejects.toThrow(/ENOENT/);
		expect(await readlink(join(folder, "out"))).toBe("secret");
	});

	const evil: readonly (readonly [string, () => readonly TestEntry[]])[] = [
		["..", () => [["100644", "..", blob]]],
		["a slash in a name", () => [["100644", "../x", blob]]],
		[
			"a link and a directory of one name",
			() => [
				["120000", "a", link("/tmp")],
				["40000", "a", repository.tree([["100644", "x", blob]])],
			],
		],
	];
	test.each(evil)("a name that none may have: %s", async (_, entries) => {
		const commit = await committed(repository.tree(entries()));
		await expect(git.exportTree(commit, ".", into())).rejects.toThrow(/name that none may have/);
		await expect(git.checksum(commit, ".")).rejects.toThrow(/name that none may have/);
		await expect(bytes(git.contextTar(commit, "."))).rejects.toThrow(/name that none may have/);
	});

	test.each([".git", ".GIT", ".git.", "git~1"])("git's own directory is not written: %s", async (name) => {
		const inner = repository.tree([["100644", "config", blob]]);
		const commit = await committed(repository.tree([["40000", name, inner]]));
		await expect(git.exportTree(commit, ".", into())).rejects.toThrow(/a directory of git itself/);
	});
});

describe("a build context", () => {
	test("is a closed archive that another reader understands, the same each time", async () => {
		const commit = await committed(usual());
		const first = await bytes(git.contextTar(commit, "."));
		expect(await bytes(git.contextTar(commit, "."))).toEqual(first);
		const entries = await unpackTar(first, { strict: true });
		expect(
			entries.map(({ header }) => [header.name, header.type, (header.mode ?? 0).toString(8), header.linkname ?? ""]),
		).toEqual([
			["Dockerfile", "file", "644", ""],
			["again", "symlink", "777", "./sub/../Dockerfile"],
			["run.sh", "file", "755", ""],
			["sub/", "directory", "755", ""],
			[`sub/${"\\".repeat(120)}`, "file", "644", ""],
			["sub/up", "symlink", "777", "../run.sh"],
			["sub/é", "file", "644", ""],
			["submodule/", "directory", "755", ""],
		]);
		expect(entries.every(({ header }) => header.mtime?.getTime() === 1_700_000_000_000)).toBe(true);
	});

	test("of a directory that is a submodule is empty", async () => {
		const commit = await committed(usual());
		expect(await bytes(git.contextTar(commit, "submodule"))).toEqual(Buffer.alloc(1024));
		expect(await git.checksum(commit, "submodule")).toBe(createHash("sha256").digest("hex"));
	});

	test("an error comes out of the stream and names the place", async () => {
		const commit = await committed(usual());
		await expect(bytes(git.contextTar(commit, "nowhere"))).rejects.toThrow(
			`${address}#${commit}:nowhere: there is no nowhere`,
		);
	});

	test("a reader that stops in the middle holds up nobody", async () => {
		const large = repository.object("blob", Buffer.alloc(4 << 20, 1));
		const commit = await committed(
			repository.tree([
				["100644", "large", large],
				["100644", "small", blob],
			]),
		);
		const stream = git.contextTar(commit, ".");
		await new Promise((resolve) => stream.once("readable", resolve));
		expect(Buffer.from(await git.readFile(commit, ".", "small")).toString()).toBe("x\n");
		stream.destroy();
		await new Promise((resolve) => stream.once("close", resolve));
		expect(await git.checksum(commit, ".")).toMatch(/^[0-9a-f]{64}$/);
	});
});

describe("large and many", () => {
	test("a large file passes through in pieces: checksum, context and stream", async () => {
		const size = 48 << 20;
		const content = Buffer.alloc(size, "content that repeats itself, ");
		const commit = await committed(repository.tree([["100644", "large", repository.object("blob", content)]]));
		// A program of its own, where all that is no longer needed can be thrown away before the rest is counted.
		const script = join(root, "large.mjs");
		await writeFile(
			script,
			`import { createHash } from "node:crypto";
			import { nodeIo } from ${JSON.stringify(join(import.meta.dirname, "../io/index.ts"))};
			import { openGitStore } from ${JSON.stringify(join(import.meta.dirname, "index.ts"))};
			await using store = openGitStore(nodeIo(), { directory: ${JSON.stringify(join(root, "cache"))} });
			const git = store.repository(${JSON.stringify(address)});
			let held = 0;
			let looks = 0;
			const watch = setInterval(() => {
				gc();
				looks++;
				held = Math.max(held, process.memoryUsage().arrayBuffers);
			}, 5);
			const sha256 = async (stream) => {
				const hash = createHash("sha256");
				for await (const chunk of stream) hash.update(chunk);
				return hash.digest("hex");
			};
			const checksum = await git.checksum("${commit}", ".");
			const file = await git.openFile("${commit}", ".", "large");
			const large = await sha256(file.content);
			const context = await sha256(git.contextTar("${commit}", "."));
			clearInterval(watch);
			console.log(JSON.stringify({ held, looks, checksum, large, context, size: file.size }));
			`,
		);
		const { stdout } = await promisify(execFile)(process.execPath, ["--expose-gc", script]);
		const told = JSON.parse(stdout) as Record<string, unknown>;
		expect(told).toMatchObject({ size, large: createHash("sha256").update(content).digest("hex") });
		expect(told["checksum"]).toBe(await git.checksum(commit, "."));
		expect(told["looks"]).toBeGreaterThan(5);
		expect(told["held"]).toBeLessThan(8 << 20);
		await expect(git.readFile(commit, ".", "large")).rejects.toThrow(/at most/);
	});

	test("a tree of few objects and endless entries is an error, not the end of the memory", async () => {
		let tree = repository.tree([["100644", "x", blob]]);
		for (let level = 0; level < 12; level++)
			tree = repository.tree(
				Array.from({ length: 20 }, (_, index) => ["40000", String.fromCharCode(97 + index), tree] as const),
			);
		const commit = repository.commit(tree);
		repository.ref("refs/heads/bomb", commit);
		await git.ensure([{ commit, fetch: "refs/heads/bomb" }]);
		await expect(git.checksum(commit, ".")).rejects.toThrow(/more than 1000000 entries/);
	});

	test("questions of all kinds at the same time are answered each with its own", async () => {
		const trees = Array.from({ length: 12 }, (_, index) =>
			repository.tree([
				["100644", "number", repository.object("blob", `${index}\n`)],
				["40000", "same", repository.tree([["100644", "x", blob]])],
			]),
		);
		const ids = trees.map((tree) => repository.commit(tree));
		await git.ensure(ids.map((commit) => ({ commit, fetch })));
		const alone = await Promise.all(
			ids.map(async (id) => [await git.checksum(id, "."), await git.checksum(id, "same")]),
		);
		await using other = openGitStore(nodeIo(), { directory: join(root, "cache") });
		const all = other.repository(address);
		const together = await Promise.all(ids.map((id) => Promise.all([all.checksum(id, "."), all.checksum(id, "same")])));
		expect(together).toEqual(alone);
		const numbers = await Promise.all(
			ids.map(async (id) => Buffer.from(await all.readFile(id, ".", "number")).toString()),
		);
		expect(numbers).toEqual(ids.map((_, index) => `${index}\n`));
	});
});

test("the checksum is that of an archive written from its rules", async () => {
	const commit = await committed(usual());
	const only = await committed(repository.tree([["100644", "f", blob]]));
	const header = Buffer.alloc(512);
	header.write("f", 0);
	header.write("0000664\x000000000\x000000000\x0000000000002\x0000000000000\x00        0", 100, "latin1");
	header.write("ustar\x0000", 257, "latin1");
	header.write("0000000\x000000000\x00", 329, "latin1");
	const sum = header.reduce((sum, byte) => sum + byte, 0);
	header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
	const content = Buffer.alloc(512);
	content.write("x\n");
	expect(await git.checksum(only, ".")).toBe(createHash("sha256").update(header).update(content).digest("hex"));
	expect(await git.checksum(commit, ".")).not.toBe(await git.checksum(commit, "sub"));
});

test("one directory can be listed", async () => {
	const commit = await committed(
		repository.tree([
			["100644", Buffer.from([0xff]), blob],
			["40000", "sub", repository.tree([])],
		]),
	);
	const listed = await git.readTree(commit, ".");
	expect(listed.map(({ name, kind }) => [name, kind])).toEqual([
		["sub", "directory"],
		[null, "file"],
	]);
	expect(await git.readTree(commit, "sub")).toEqual([]);
});

test("the same blob has one id wherever it is read", async () => {
	const commit = await committed(usual());
	expect(await git.blobId(commit, ".", "again")).toBe(blob);
	expect(await git.blobId(commit, "sub", "../Dockerfile")).toBe(blob);
	await expect(git.blobId(commit, "sub", "nothing")).rejects.toThrow(/there is no sub\/nothing/);
});
