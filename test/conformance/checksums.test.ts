import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { BrewlineError } from "../../src/errors.ts";
import { openGitStore, type GitRepository, type GitStore } from "../../src/git/index.ts";
import { nodeIo, runCommand } from "../../src/io/index.ts";
import { conformance, describeConformance } from "../support/conformance.ts";

interface ChecksumCase {
	readonly name: string;
	readonly commit: string;
	readonly directory: string;
	readonly directoryAsWritten?: string;
	readonly level?: "may";
	readonly checksum?: string;
	readonly error?: true;
	readonly epoch?: number;
}

interface ReadCase {
	readonly name: string;
	readonly commit: string;
	readonly directory: string;
	readonly file: string;
	readonly builder?: string;
	readonly sha256?: string;
	readonly error?: true;
}

interface Cases {
	readonly repository: { readonly refs: Readonly<Record<string, string>> };
	readonly checksums: readonly ChecksumCase[];
	readonly reads: readonly ReadCase[];
}

describeConformance("checksums", () => {
	const io = nodeIo();
	const address = "https://example.org/checksums.git";
	const fetch = "refs/heads/trees";
	let cases: Cases;
	let objects: readonly { readonly id: string; readonly type: string; readonly base64: string }[];
	const written: string[] = [];
	let folder: string;
	let store: GitStore;
	let repository: GitRepository;

	beforeAll(async () => {
		cases = JSON.parse(await readFile(conformance("checksums/cases.json"), "utf8")) as Cases;
		folder = await mkdtemp(join(tmpdir(), "brewline-checksums-"));
		const bare = join(folder, "repository");
		await runCommand(io, ["git", "init", "--quiet", "--bare", bare]);
		await runCommand(io, ["git", "--git-dir", bare, "fast-import", "--quiet"], {
			input: gunzipSync(await readFile(conformance("checksums/repository.fast-import.gz"))),
		});
		objects = JSON.parse(await readFile(conformance("checksums/objects.json"), "utf8")) as typeof objects;
		for (const { type, base64 } of objects) {
			const { stdout } = await runCommand(
				io,
				["git", "--git-dir", bare, "hash-object", "-w", "--literally", "-t", type, "--stdin"],
				{ input: Buffer.from(base64, "base64") },
			);
			written.push(stdout.toString().trim());
		}
		store = openGitStore(io, { directory: join(folder, "cache"), rewrite: { [address]: bare } });
		repository = store.repository(address);
		const commits = new Set([...cases.checksums, ...cases.reads].map((entry) => entry.commit));
		// What is no commit, or is not there, fails here; all others must be there afterwards all the same.
		await repository.ensure([...commits].map((commit) => ({ commit, fetch }))).catch(() => {});
	});

	afterAll(async () => {
		await store.close();
		await rm(folder, { recursive: true, force: true });
	});

	async function outcome<T>(promise: Promise<T>): Promise<T | "error"> {
		return promise.catch((error: unknown) => {
			if (error instanceof BrewlineError && error.code === "git") return "error";
			throw error;
		});
	}

	test("the repository is what its description says", async () => {
		const bare = join(folder, "repository");
		const refs = await runCommand(io, ["git", "--git-dir", bare, "for-each-ref", "--format=%(refname) %(objectname)"]);
		const lines = refs.stdout.toString().trim().split("\n");
		expect(Object.fromEntries(lines.map((line) => line.split(" ")))).toEqual(cases.repository.refs);
		expect(written).toEqual(objects.map(({ id }) => id));
	});

	test("every checksum that must hold", async () => {
		const must = cases.checksums.filter((entry) => entry.level !== "may");
		expect(must).toHaveLength(237);
		const actual: Record<string, unknown> = {};
		const expected: Record<string, unknown> = {};
		for (const { name, commit, directory, directoryAsWritten, checksum } of must) {
			actual[name] = await outcome(repository.checksum(commit, directoryAsWritten ?? directory));
			expected[name] = checksum ?? "error";
		}
		expect(actual).toEqual(expected);
	});

	test("every epoch that must hold", async () => {
		const must = cases.checksums.filter((entry) => entry.level !== "may");
		const actual: Record<string, unknown> = {};
		const expected: Record<string, unknown> = {};
		for (const { name, commit, epoch, error } of must) {
			// Where only the directory is wrong, the commit has an epoch that the old program never came to.
			if (epoch === undefined && error && !name.startsWith("commit-is-")) continue;
			actual[name] = await outcome(repository.commitEpoch(commit));
			expected[name] = epoch ?? "error";
		}
		expect(actual).toEqual(expected);
	});

	test("every file that is read through links", async () => {
		const actual: Record<string, unknown> = {};
		const expected: Record<string, unknown> = {};
		for (const { name, commit, directory, file, sha256, builder } of cases.reads) {
			// No file is read for the FROMs of oci-import.
			if (builder !== undefined) continue;
			const content = await outcome(repository.readFile(commit, directory, file));
			actual[name] = content === "error" ? content : createHash("sha256").update(content).digest("hex");
			expected[name] = sha256 ?? "error";
		}
		expect(Object.keys(expected)).toHaveLength(64);
		expect(actual).toEqual(expected);
	});
});
