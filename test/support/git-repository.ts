import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import path from "node:path";

/** A bare repository that is written object by object, also such as git itself would not write. */
export interface TestRepository {
	readonly directory: string;
	object(type: "blob" | "tree" | "commit" | "tag", content: string | Buffer): string;
	/** Entries are written as they are given, in that order; a name may be any bytes. */
	tree(entries: readonly TestEntry[]): string;
	commit(
		tree: string,
		options?: { readonly parents?: readonly string[]; readonly date?: number; readonly message?: string },
	): string;
	ref(name: string, id: string): void;
	git(...args: readonly string[]): string;
}

export type TestEntry = readonly [mode: string, name: string | Buffer, id: string];

const env = { PATH: process.env["PATH"], GIT_CONFIG_NOSYSTEM: "1", GIT_CONFIG_GLOBAL: "/dev/null" };

export function makeRepository(
	directory: string,
	options: { readonly format?: "sha1" | "sha256" } = {},
): TestRepository {
	mkdirSync(directory, { recursive: true });
	const run = (args: readonly string[], input: string | Buffer = "") =>
		execFileSync("git", ["--git-dir", directory, ...args], {
			env,
			input,
			stdio: ["pipe", "pipe", "pipe"],
			maxBuffer: 1 << 28,
		})
			.toString()
			.trim();
	execFileSync("git", ["init", "--quiet", "--bare", `--object-format=${options.format ?? "sha1"}`, directory], { env });

	const object: TestRepository["object"] = (type, content) =>
		run(["hash-object", "-w", "--literally", "-t", type, "--stdin"], content);
	return {
		directory,
		object,
		tree: (entries) =>
			object(
				"tree",
				Buffer.concat(
					entries.flatMap(([mode, name, id]) => [
						Buffer.from(`${mode} `),
						Buffer.from(name),
						Buffer.from([0]),
						Buffer.from(id, "hex"),
					]),
				),
			),
		commit: (tree, { parents = [], date = 1_700_000_000, message = "message\n" } = {}) => {
			const lines = parents.map((parent) => `parent ${parent}\n`).join("");
			const person = `Test <test@example.com> ${date} +0000`;
			return object("commit", `tree ${tree}\n${lines}author ${person}\ncommitter ${person}\n\n${message}`);
		},
		ref: (name, id) => {
			run(["update-ref", name, id]);
		},
		git: (...args) => run(args),
	};
}

/** A commit with changed files on top of one in a bare repository; the branches stay where they are. */
export function commitOnTop(
	directory: string,
	parent: string,
	changes: Readonly<Record<string, (text: string) => string>>,
): string {
	const run = (args: readonly string[], input = "") =>
		execFileSync("git", ["--git-dir", directory, ...args], {
			env: { ...env, GIT_INDEX_FILE: path.join(directory, "index-of-a-test") },
			input,
		}).toString();
	run(["read-tree", parent]);
	for (const [file, change] of Object.entries(changes)) {
		const blob = run(["hash-object", "-w", "--stdin"], change(run(["show", `${parent}:${file}`]))).trim();
		const mode = run(["ls-files", "--stage", "--", file]).split(" ")[0]!;
		run(["update-index", "--cacheinfo", `${mode},${blob},${file}`]);
	}
	const identity = ["-c", "user.name=Test", "-c", "user.email=test@example.com"];
	return run([...identity, "commit-tree", run(["write-tree"]).trim(), "-p", parent, "-m", "Change"]).trim();
}
