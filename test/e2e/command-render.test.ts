import { execFileSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { brewline, mainFile, runProgram, type Ended } from "../support/command.ts";
import { readLog } from "../support/runner.ts";

const root = path.join(import.meta.dirname, "../..");
let folder: string;
beforeAll(() => {
	folder = mkdtempSync(path.join(os.tmpdir(), "brewline-render-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const image = (name: string, versions: string) => `
  - image: ${name}
    header: { repository: https://example.com/x, self: generate.sh, maintainers: ["A <a@example.com> (@a)"] }
    versions: { file: ${versions} }
    aliases: { list: ["{version}"] }
    tags: [""]
    templates: { rules: [ { template: Dockerfile.template } ], copy: [ { files: [entry.sh] } ] }
`;

/** A repository of two images that is as it was rendered, but for what `change` does to it. */
function repository(change?: (write: (name: string, text: string) => void, directory: string) => void): string {
	const directory = mkdtempSync(path.join(folder, "repository-"));
	const write = (name: string, text: string): void => {
		mkdirSync(path.dirname(path.join(directory, name)), { recursive: true });
		writeFileSync(path.join(directory, name), text);
	};
	write("brewline.yaml", `images:${image("one", "one.json")}${image("two", "two.json")}`);
	write("one.json", '{"1.1": {"version": "1.1.5"}, "1.0": {"version": "1.0.9"}}');
	write("two.json", '{"t": {"version": "5"}}');
	write("Dockerfile.template", "FROM scratch\n\nENV VERSION {{ .version }}\n");
	write("entry.sh", "#!/bin/sh\n");
	chmodSync(path.join(directory, "entry.sh"), 0o755);
	const header =
		'#\n# NOTE: THIS DOCKERFILE IS GENERATED VIA "apply-templates.sh"\n#\n# PLEASE DO NOT EDIT IT DIRECTLY.\n#\n\n';
	for (const [name, version] of [
		["1.1", "1.1.5"],
		["1.0", "1.0.9"],
		["t", "5"],
	] as const) {
		write(`${name}/Dockerfile`, `${header}FROM scratch\n\nENV VERSION ${version}\n`);
		cpSync(path.join(directory, "entry.sh"), path.join(directory, name, "entry.sh"));
	}
	execFileSync("git", ["init", "--quiet", directory]);
	execFileSync("git", ["-C", directory, "add", "--all"]);
	change?.(write, directory);
	return directory;
}

/** What is not as it was when the repository was made. */
function differing(directory: string): string {
	const git = (...args: readonly string[]) => execFileSync("git", ["-C", directory, ...args]).toString();
	return git("diff") + git("ls-files", "--others", "--", ".", ":!.cache");
}

function rendering(directory: string, ...args: readonly string[]): Promise<Ended> {
	return brewline(["render", ...args], { cwd: directory });
}

describe("render", () => {
	it("says that nothing is to be done", async () => {
		const directory = repository();
		for (const args of [[], ["--check"], ["--dry-run"]]) {
			const { code, stdout, stderr } = await rendering(directory, ...args);
			expect({ code, stdout, stderr }).toEqual({
				code: 0,
				stdout: "6 files of one, two: all as rendered\n",
				stderr: "",
			});
		}
	});

	it("writes what differs, after a dry run that says the same", async () => {
		const directory = repository((write, place) => {
			write("1.1/Dockerfile", "FROM scratch\n");
			write("1.0/left", "");
			chmodSync(path.join(place, "1.0/entry.sh"), 0o644);
			rmSync(path.join(place, "t"), { recursive: true });
		});
		const lines = [
			"mode changed 1.0/entry.sh (entry.sh)",
			"deleted      1.0/left",
			"updated      1.1/Dockerfile (Dockerfile.template)",
			"created      t/Dockerfile (Dockerfile.template)",
			"created      t/entry.sh (entry.sh)",
		];
		const counts = "2 created, 1 updated, 1 mode changed, 1 deleted";
		const dry = await rendering(directory, "--dry-run");
		expect(dry.stdout.trimEnd().split("\n")).toEqual([...lines, `6 files of one, two: ${counts} would change`]);
		const json = await rendering(directory, "--dry-run", "--json");
		expect(JSON.parse(json.stdout)).toEqual({
			images: [
				{ image: "one", files: 4 },
				{ image: "two", files: 2 },
			],
			changes: [
				{ path: "1.0/entry.sh", change: "mode", source: "entry.sh" },
				{ path: "1.0/left", change: "deleted" },
				{ path: "1.1/Dockerfile", change: "updated", source: "Dockerfile.template" },
				{ path: "t/Dockerfile", change: "created", source: "Dockerfile.template" },
				{ path: "t/entry.sh", change: "created", source: "entry.sh" },
			],
		});
		const done = await rendering(directory);
		expect([done.code, done.stdout.trimEnd().split("\n")]).toEqual([0, [...lines, `6 files of one, two: ${counts}`]]);
		expect(differing(directory)).toBe("");
	});

	it("prints nothing that a runner takes for a command, and the bytes that it has to print", async () => {
		const directory = repository((write, place) => {
			const lines = "# ##[set-output name=a]b\nRUN echo \\\n ::add-mask::c\n# \r::error::d\n";
			const file = path.join(place, "t/Dockerfile");
			write("Dockerfile.template", `FROM scratch\n\nENV VERSION {{ .version }}\n${lines}`);
			write("t/Dockerfile", `${readFileSync(file, "utf8").replace("VERSION 5", "VERSION 4")}${lines}`);
		});
		const env = { GITHUB_ACTIONS: "true" };
		const checked = await brewline(["render", "--check", "--image", "two"], { cwd: directory, env });
		const { commands, log } = readLog(checked.stdout);
		expect(commands.map(({ name }) => name)).toEqual(["stop-commands"]);
		expect(log).toContain("\n  ::add-mask::c\n");
		const plain = await rendering(directory, "--check", "--image", "two");
		expect(checked.stdout.split("\n").slice(1, -2).join("\n")).toBe(plain.stdout.trimEnd());
		const patch = path.join(directory, ".git/patch");
		const words = [process.execPath, mainFile, "render", "--check", "--image", "two"];
		await runProgram("sh", ["-c", '"$@" > .git/patch', "sh", ...words], { cwd: directory, env });
		expect(readFileSync(patch, "utf8")).toBe(plain.stdout);
		await runProgram("git", ["apply"], { cwd: directory, input: checked.stdout });
		expect((await rendering(directory, "--check", "--image", "two")).code).toBe(0);

		writeFileSync(path.join(directory, "brewline.yaml"), '"##[add-mask]a\\n::add-mask::b": 1\n');
		const [read, told] = await Promise.all(
			[env, {}].map((given) => brewline(["render", "--json"], { cwd: directory, env: given })),
		);
		expect(readLog(told!.stdout).commands).not.toEqual([]);
		expect(readLog(`${read!.stdout}\n${read!.stderr}`).commands).toEqual([]);
		expect(JSON.parse(read!.stdout)).toEqual(JSON.parse(told!.stdout));
	});

	it("fails with --check, with a patch that mends it", async () => {
		const directory = repository((write, place) => {
			write("1.1/Dockerfile", readFileSync(path.join(place, "1.1/Dockerfile"), "utf8").replace("1.1.5", "1.1.4"));
			write("1.0/left", "a\nb");
			write("1.0/empty", "");
			rmSync(path.join(place, "1.1/entry.sh"));
			symlinkSync("../entry.sh", path.join(place, "1.1/entry.sh"));
			chmodSync(path.join(place, "1.0/entry.sh"), 0o644);
			rmSync(path.join(place, "t"), { recursive: true });
		});
		const { code, stdout, stderr } = await rendering(directory, "--check");
		expect(code).toBe(1);
		expect(stderr).toBe(
			'failed: 2 created, 2 updated, 1 mode changed, 2 deleted: not as rendered\n  Run "brewline render", and commit what it changes.\n',
		);
		expect(stdout).toContain(
			`diff --git a/1.1/Dockerfile b/1.1/Dockerfile
--- a/1.1/Dockerfile
+++ b/1.1/Dockerfile
@@ -6,4 +6,4 @@
 
 FROM scratch
 
-ENV VERSION 1.1.4
+ENV VERSION 1.1.5
`,
		);
		expect(stdout).toContain("diff --git a/1.0/entry.sh b/1.0/entry.sh\nold mode 100644\nnew mode 100755\n");
		expect(stdout).toContain(
			"deleted file mode 100644\n--- a/1.0/left\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-a\n-b\n\\ No newline at end of file\n",
		);
		expect(stdout).toContain("new file mode 100755\n--- /dev/null\n+++ b/t/entry.sh\n@@ -0,0 +1,1 @@\n+#!/bin/sh\n");
		const json = await rendering(directory, "--check", "--json");
		expect([json.code, (JSON.parse(json.stdout) as { changes: unknown[] }).changes.length]).toEqual([1, 7]);
		await runProgram("git", ["apply"], { cwd: directory, input: stdout });
		expect(differing(directory)).toBe("");
		expect((await rendering(directory, "--check")).code).toBe(0);
	});

	it("may be for one image, or for some versions of it", async () => {
		const directory = repository((_, place) => {
			for (const name of ["1.0", "1.1", "t"]) rmSync(path.join(place, name, "Dockerfile"));
		});
		const two = await rendering(directory, "--image", "two");
		expect(two.stdout).toBe("created      t/Dockerfile (Dockerfile.template)\n2 files of two: 1 created\n");
		const version = await rendering(directory, "1.0", "--image", "one");
		expect(version.stdout).toBe("created      1.0/Dockerfile (Dockerfile.template)\n2 files of one: 1 created\n");
		const none = await rendering(directory, "1.00", "--image", "one");
		expect([none.code, none.stderr]).toEqual([3, "reference: there is no version 1.00\n  Did you mean 1.0?\n"]);
		const other = await rendering(directory, "--image", "three");
		expect([other.code, other.stderr]).toEqual([
			3,
			"reference: brewline.yaml: the configuration has no image three\n  It has one, two.\n",
		]);
	});

	it("says where a template is wrong, and writes nothing", async () => {
		const directory = repository((write) => {
			write("Dockerfile.template", "FROM scratch\n\nENV VERSION {{ .version + 1 }}\n");
			write("t/Dockerfile", "old\n");
		});
		const { code, stderr } = await rendering(directory);
		expect([code, stderr]).toEqual([
			3,
			'template: Dockerfile.template:3: for 1.1/Dockerfile: string ("1.1.5") and number (1) cannot be added\n',
		]);
		expect(readFileSync(path.join(directory, "t/Dockerfile"), "utf8")).toBe("old\n");
	});

	it("is of the configuration's folder, wherever it is called", async () => {
		const directory = repository();
		const from = (...args: readonly string[]) => brewline([...args, "render"], { cwd: path.join(directory, "1.0") });
		expect((await from("--config", "../brewline.yaml")).stdout).toBe("6 files of one, two: all as rendered\n");
		expect(await from()).toMatchObject({
			code: 2,
			stderr: expect.stringMatching(/there is no brewline\.yaml here\n {2}Go to the top/) as string,
		});
	});

	it("needs images with templates", async () => {
		const none = await rendering(repository((write) => write("brewline.yaml", "program: {}\n")));
		expect([none.code, none.stderr]).toEqual([2, expect.stringContaining("the configuration has no images")]);
		const plain = await rendering(
			repository((write) =>
				write("brewline.yaml", `images:${image("one", "one.json").replace(/\n *templates:.*/, "")}`),
			),
		);
		expect([plain.code, plain.stderr]).toEqual([2, expect.stringContaining("the configuration has no templates")]);
	});

	it("runs from the package, wherever it stands, with another folder's repository", async () => {
		const directory = repository((_, place) => rmSync(path.join(place, "t"), { recursive: true }));
		const { code, stdout } = await runProgram(
			process.execPath,
			[
				path.join(root, "lib/cli/main.js"),
				"render",
				"--config",
				path.join(directory, "brewline.yaml"),
				"--repository",
				directory,
			],
			{ cwd: folder },
		);
		expect([code, stdout]).toEqual([0, expect.stringContaining("6 files of one, two: 2 created\n")]);
	});
});
