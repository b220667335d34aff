import { execFileSync } from "node:child_process";
import {
	chmodSync,
	cpSync,
	existsSync,
	lstatSync,
	mkdirSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
	rmSync,
	statSync,
	symlinkSync,
	writeFileSync,
} from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseFile, type ImageConfig } from "../config/index.ts";
import { messageOf } from "../errors.ts";
import { nodeIo } from "../io/index.ts";
import { readWorkTree } from "../matrix/index.ts";
import { changesTo, type Change } from "./changes.ts";
import { openJq } from "../sandbox/jq.ts";
import { render, type RenderOptions } from "./index.ts";
import { renderAll } from "./rendering.ts";
import { writeChanges } from "./write.ts";

const io = nodeIo();
let folder: string;
beforeAll(() => {
	folder = mkdtempSync(path.join(os.tmpdir(), "brewline-render-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const config: readonly ImageConfig[] = parseFile(
	`images:
  image: demo
  header: { repository: https://example.com/demo, self: generate.sh, maintainers: ["A <a@example.com> (@a)"] }
  aliases: { list: ["{version}"] }
  matrix: { variant: [ { path: [variants] } ] }
  tags: [""]
  templates:
    rules: [ { template: Dockerfile.template } ]
    copy: [ { files: [entry.sh] } ]
`,
	"brewline.yaml",
).images;

/** A repository with two versions, whose files are those of an earlier time; a third version is gone. */
function makeWorkTree(): string {
	const root = mkdtempSync(path.join(folder, "repository-"));
	const write = (name: string, text: string): void => {
		mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
		writeFileSync(path.join(root, name), text);
	};
	const data = { "2": { version: "2.1", variants: ["a", "b"] }, "1": { version: "1.9", variants: ["a"] }, "0": null };
	write("versions.json", JSON.stringify(data));
	write("Dockerfile.template", '{{ include "shared" -}}\nFROM {{ env.variant }}\nENV V {{ shown }}\n');
	write("shared.jq", 'def shown: "v" + .version;\n');
	write("entry.sh", "#!/bin/sh\n");
	chmodSync(path.join(root, "entry.sh"), 0o755);
	write("1/a/Dockerfile", "old\n");
	write("1/a/entry.sh", "#!/bin/sh\n");
	write("1/c/Dockerfile", "old\n");
	write("0/a/Dockerfile", "old\n");
	write("README.md", "mine\n");
	execFileSync("git", ["init", "--quiet", root]);
	execFileSync("git", ["-C", root, "add", "--all"]);
	return root;
}

/** Paths below a folder, but for git's own, with what they are. */
function treeOf(root: string): Readonly<Record<string, string>> {
	const tree: Record<string, string> = {};
	for (const name of readdirSync(root, { recursive: true, encoding: "utf8" })) {
		if (name === ".git" || name.startsWith(".git/")) continue;
		const file = path.join(root, name);
		const stats = lstatSync(file);
		if (stats.isDirectory()) tree[name] = "folder";
		else if (stats.isSymbolicLink()) tree[name] = "link";
		else tree[name] = `${(stats.mode & 0o100) === 0 ? "" : "executable "}${readFileSync(file, "utf8")}`;
	}
	return tree;
}

const header =
	'#\n# NOTE: THIS DOCKERFILE IS GENERATED VIA "apply-templates.sh"\n#\n# PLEASE DO NOT EDIT IT DIRECTLY.\n#\n\n';

/** What comes of `makeWorkTree`, besides what stays. */
const expected = {
	"1": "folder",
	"1/a": "folder",
	"1/a/Dockerfile": `${header}FROM a\nENV V v1.9\n`,
	"1/a/entry.sh": "executable #!/bin/sh\n",
	"2": "folder",
	"2/a": "folder",
	"2/a/Dockerfile": `${header}FROM a\nENV V v2.1\n`,
	"2/a/entry.sh": "executable #!/bin/sh\n",
	"2/b": "folder",
	"2/b/Dockerfile": `${header}FROM b\nENV V v2.1\n`,
	"2/b/entry.sh": "executable #!/bin/sh\n",
};

function versionFolders(root: string): Readonly<Record<string, string>> {
	return Object.fromEntries(Object.entries(treeOf(root)).filter(([name]) => /^[0-9]/.test(name)));
}

async function run(root: string, options: RenderOptions = {}): Promise<readonly string[]> {
	const { changes } = await render(config, root, io, options);
	return changes.map(({ kind, path: name }) => `${kind} ${name}`);
}

describe("a work tree", () => {
	const all = [
		"deleted 0/a/Dockerfile",
		"updated 1/a/Dockerfile",
		"mode 1/a/entry.sh",
		"deleted 1/c/Dockerfile",
		"created 2/a/Dockerfile",
		"created 2/a/entry.sh",
		"created 2/b/Dockerfile",
		"created 2/b/entry.sh",
	];

	test("becomes what is rendered, and is left alone then", async () => {
		const root = makeWorkTree();
		const before = treeOf(root);
		expect(await run(root, { write: false })).toEqual(all);
		expect(treeOf(root)).toEqual(before);
		expect(await run(root)).toEqual(all);
		expect(versionFolders(root)).toEqual(expected);
		expect(treeOf(root)["README.md"]).toBe("mine\n");
		const written = statSync(path.join(root, "2/b/Dockerfile"), { bigint: true });
		expect(await run(root)).toEqual([]);
		const still = statSync(path.join(root, "2/b/Dockerfile"), { bigint: true });
		expect([still.ino, still.mtimeNs]).toEqual([written.ino, written.mtimeNs]);
	});

	test("may be rendered for some versions only", async () => {
		const root = makeWorkTree();
		expect(await run(root, { versions: ["2"] })).toEqual(all.filter((change) => change.includes(" 2/")));
		expect(await run(root, { versions: ["0", "1"] })).toEqual(all.filter((change) => !change.includes(" 2/")));
		expect(versionFolders(root)).toEqual(expected);
	});

	test("is not rendered for a day that is none", async () => {
		const root = makeWorkTree();
		for (const today of ["tomorrow", "2026-13-01", "2026-1-2", ""]) {
			await expect(run(root, { today })).rejects.toMatchObject({
				code: "usage",
				message: `today must be a day, YYYY-MM-DD, and not ${today}`,
			});
		}
	});

	test("keeps what git ignores, and takes what is new as it is", async () => {
		const root = makeWorkTree();
		writeFileSync(path.join(root, ".gitignore"), "*.log\n");
		writeFileSync(path.join(root, "1/a/build.log"), "x");
		writeFileSync(path.join(root, "1/a/new"), "x");
		expect(await run(root)).toContain("deleted 1/a/new");
		expect(versionFolders(root)).toEqual({ ...expected, "1/a/build.log": "x" });
	});

	test("has nothing changed when a template fails, or a limit is reached", async () => {
		const root = makeWorkTree();
		const before = treeOf(root);
		const template = path.join(root, "Dockerfile.template");
		writeFileSync(template, 'FROM a\n{{ if env.version == "2" then error("no") else "" end }}\n');
		await expect(run(root)).rejects.toMatchObject({
			code: "template",
			message: "for 2/a/Dockerfile: no",
			at: { file: "Dockerfile.template", line: 2 },
		});
		writeFileSync(template, "{{ def f: f; -}}\n{{ f }}\n");
		// Long enough for the thread to get there.
		await expect(run(root, { timeLimit: 5000 })).rejects.toMatchObject({
			code: "limit",
			at: { file: "Dockerfile.template" },
		});
		writeFileSync(template, "FROM a\n");
		const [first] = config;
		const slow: ImageConfig = {
			...first!,
			templates: { ...first!.templates!, exists: { value: `${"a".repeat(60)}!`, capture: "^(a|a)*$" } },
		};
		await expect(render([slow], root, io, { timeLimit: 2000 })).rejects.toMatchObject({ code: "limit" });
		writeFileSync(path.join(root, "versions.json"), "{");
		await expect(run(root)).rejects.toMatchObject({ code: "config" });
		const after = { ...treeOf(root), "versions.json": before["versions.json"] };
		expect({ ...after, "Dockerfile.template": before["Dockerfile.template"] }).toEqual(before);
	});
});

describe("a run that is ended", () => {
	const jq = openJq({ memoryLimit: 256 * 1024 * 1024 });
	const context = { jq: async () => jq, at: () => undefined };
	/** What `render` does, in this thread. */
	const completed = async (root: string): Promise<void> => {
		const files = await readWorkTree(io, root);
		const rendering = await renderAll({ config: config[0]!, files, today: "2026-01-02" }, context);
		await writeChanges(root, changesTo(files, [rendering]));
	};

	test("at any file leaves what the next one completes", async () => {
		const original = makeWorkTree();
		const { changes } = await render(config, original, io, { write: false });
		for (let writes = 0; writes <= 6; writes++) {
			const root = path.join(folder, `ended-${writes}`);
			cpSync(original, root, { recursive: true });
			let left = writes;
			const ending = {
				throwIfAborted: () => {
					if (left-- === 0) throw new Error("ended");
				},
			} as AbortSignal;
			const outcome = await writeChanges(root, changes, ending).then(() => "done", messageOf);
			expect(outcome).toBe(writes < 6 ? "ended" : "done");
			// What it was about to write may be half written.
			const next = changes.filter(({ after }) => after !== undefined)[writes];
			if (next !== undefined && existsSync(path.dirname(path.join(root, next.path)))) {
				writeFileSync(path.join(root, `${next.path}.brewline-unfinished`), "hal");
			}
			await completed(root);
			expect(versionFolders(root)).toEqual(expected);
		}
	});
});

describe("links", () => {
	test("in a version's folder are deleted, not followed", async () => {
		const root = makeWorkTree();
		const outside = mkdtempSync(path.join(folder, "outside-"));
		writeFileSync(path.join(outside, "Dockerfile"), "safe\n");
		rmSync(path.join(root, "1"), { recursive: true });
		symlinkSync(outside, path.join(root, "1"));
		mkdirSync(path.join(root, "2/b"), { recursive: true });
		symlinkSync(outside, path.join(root, "2/a"));
		symlinkSync(path.join(outside, "Dockerfile"), path.join(root, "2/b/Dockerfile"));
		await run(root);
		expect(versionFolders(root)).toEqual(expected);
		expect(treeOf(outside)).toEqual({ Dockerfile: "safe\n" });
	});

	test("that are put there after the files were read are not followed either", async () => {
		const root = makeWorkTree();
		const outside = mkdtempSync(path.join(folder, "outside-"));
		mkdirSync(path.join(outside, "a"));
		writeFileSync(path.join(outside, "a/Dockerfile"), "safe\n");
		const { changes } = await render(config, root, io, { write: false });
		for (const version of ["0", "1"]) {
			rmSync(path.join(root, version), { recursive: true });
			symlinkSync(outside, path.join(root, version));
		}
		await expect(writeChanges(root, changes)).rejects.toMatchObject({
			code: "template",
			message: "1/a/Dockerfile cannot be written: 1 is no folder",
		});
		await writeChanges(
			root,
			changes.filter(({ kind }) => kind === "deleted"),
		);
		expect(treeOf(outside)).toEqual({ a: "folder", "a/Dockerfile": "safe\n" });
	});

	test("under the name of an unfinished file are replaced", async () => {
		const root = makeWorkTree();
		const outside = path.join(mkdtempSync(path.join(folder, "outside-")), "x");
		writeFileSync(outside, "safe\n");
		symlinkSync(outside, path.join(root, "1/a/Dockerfile.brewline-unfinished"));
		await run(root);
		expect(versionFolders(root)).toEqual(expected);
		expect(readFileSync(outside, "utf8")).toBe("safe\n");
	});
});

describe("what is in the way", () => {
	test("a repository of its own: a submodule, also one that is not checked out, or one that git does not have", async () => {
		const commit = (repository: string): void => {
			const by = ["-c", "user.name=A", "-c", "user.email=a@example.org"];
			execFileSync("git", ["-C", repository, ...by, "commit", "--quiet", "--allow-empty", "--message=x"]);
		};
		for (const make of [
			(root: string, inner: string) => execFileSync("git", ["-C", root, "add", inner], { stdio: "pipe" }),
			(root: string, inner: string) => {
				execFileSync("git", ["-C", root, "add", inner], { stdio: "pipe" });
				rmSync(path.join(root, inner, ".git"), { recursive: true });
			},
			() => {},
		]) {
			const root = makeWorkTree();
			execFileSync("git", ["init", "--quiet", path.join(root, "2")]);
			commit(path.join(root, "2"));
			make(root, "2");
			for (const write of [false, true]) {
				await expect(run(root, { write })).rejects.toMatchObject({
					code: "template",
					message: "2/a/Dockerfile cannot be written: 2 is a repository of its own",
				});
			}
			expect(readdirSync(path.join(root, "2")).filter((name) => name !== ".git")).toEqual([]);
			expect(readFileSync(path.join(root, "1/a/Dockerfile"), "utf8")).toBe("old\n");
		}
	});

	test("a link that git ignores", async () => {
		const root = makeWorkTree();
		const outside = mkdtempSync(path.join(folder, "outside-"));
		writeFileSync(path.join(root, ".gitignore"), "2\n");
		symlinkSync(outside, path.join(root, "2"));
		await expect(run(root)).rejects.toMatchObject({
			code: "template",
			message: "2/a/Dockerfile cannot be written: 2 is no folder",
		});
		expect(treeOf(outside)).toEqual({});
	});

	test("a file where a folder must be, and a folder where a file must be", async () => {
		const root = makeWorkTree();
		mkdirSync(path.join(root, "2/b/Dockerfile"), { recursive: true });
		writeFileSync(path.join(root, "2/b/Dockerfile/x"), "");
		writeFileSync(path.join(root, "2/a"), "");
		await run(root);
		expect(versionFolders(root)).toEqual(expected);
	});

	test("what nobody may delete: a folder that is not empty", async () => {
		const root = makeWorkTree();
		writeFileSync(path.join(root, ".gitignore"), "*.log\n");
		mkdirSync(path.join(root, "2/b/Dockerfile"), { recursive: true });
		writeFileSync(path.join(root, "2/b/Dockerfile/x.log"), "");
		const files = await readWorkTree(io, root);
		const file = { path: "2/b/Dockerfile", text: "a", executable: false, source: "t" };
		const changes: readonly Change[] = changesTo(files, [{ files: [file], deleted: [] }]);
		await expect(writeChanges(root, changes)).rejects.toMatchObject({
			code: "template",
			message: "2/b/Dockerfile cannot be written: it is a folder",
		});
	});
});

test("a key that stands twice is told, and its last value is taken", async () => {
	const root = makeWorkTree();
	const versions =
		'{\n"2": { "version": "2.1", "variants": ["a"] },\n"2": { "version": "2.2", "variants": ["a"] }\n}\n';
	writeFileSync(path.join(root, "versions.json"), versions);
	const { changes, warnings } = await render(config, root, io);
	expect(warnings).toMatchObject([{ at: { file: "versions.json", line: 3, column: 1 } }]);
	expect(warnings[0]!.message).toBe('the key "2" stands twice in one object: what it has in line 2 is not read');
	expect(changes.find((change) => change.path === "2/a/Dockerfile")?.after?.text).toContain("ENV V v2.2\n");
});
