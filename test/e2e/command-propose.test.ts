import { execFileSync } from "node:child_process";
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Proposal } from "../../src/propose/index.ts";
import { brewline, type Ended } from "../support/command.ts";
import { branch, libraryWorld, token, type LibraryWorld } from "../support/library-world.ts";

/** The image's repository as somebody has it on a laptop, with a configuration and the definition of its last commit. */
async function laptop(auth = true) {
	const w = await libraryWorld({ auth });
	const text = w.definition(w.change("Update to 1 @everybody"));
	const folder = join(dirname(w.image.directory), "laptop");
	const git = (...args: string[]) => execFileSync("git", args, { cwd: folder, stdio: "pipe" });
	mkdirSync(join(folder, "out"), { recursive: true });
	git("init", "--quiet");
	git("fetch", "--quiet", w.image.directory, "refs/heads/main");
	git("reset", "--quiet", "--hard", "FETCH_HEAD");
	writeFileSync(join(folder, "out/tool"), text);
	writeFileSync(join(folder, "brewline.yaml"), configuration(w));
	const propose = (...args: readonly string[]): Promise<Ended> =>
		brewline(["propose", ...args], { cwd: folder, env: { GITHUB_TOKEN: token } });
	const run = (args: readonly string[]): Promise<Ended> => propose("--definitions", "out", ...args);
	return { w, folder, text, propose, run, define: (next: string) => writeFileSync(join(folder, "out/tool"), next) };
}

function configuration(w: LibraryWorld, names: readonly string[] = ["tool"]): string {
	const images = names.map(
		(name) => `
  - image: ${name}
    header: { repository: https://github.com/somebody/tool, self: 1/Dockerfile, maintainers: ["Ada (@ada)"] }
    versions: { list: ["1"] }
    aliases: { list: ["{version}", latest] }
    tags: [""]
    architectures: [{ static: [amd64, s390x] }]
    propose:
      library: ${w.git.url}/official/images.git
      api: ${w.api.url}
      minAge: 0m
      author: { name: Tool Robot, email: robot@example.org }
`,
	);
	return `images:${images.join("")}`;
}

describe("brewline propose", () => {
	test("says what it would do, does it, and has nothing to do the next time", async () => {
		const { w, folder, run } = await laptop();
		await using _ = w;
		const dry = await run(["--dry-run"]);
		expect(dry).toMatchObject({ code: 0, stdout: expect.stringContaining("tool: proposed (dry run): it is new") });
		expect(w.at(branch)).toBeUndefined();
		const done = await run(["--json"]);
		expect(done.code).toBe(0);
		const [proposal] = JSON.parse(done.stdout) as [Proposal];
		expect(proposal).toMatchObject({ outcome: "proposed", title: "Add tool", commit: w.at(branch) });
		expect(w.library.git("log", "-1", "--format=%an %s %b", branch)).toContain("Tool Robot Add tool");
		expect(w.library.git("log", "-1", "--format=%B", branch)).toContain("Update to 1 at everybody");
		expect((await run(["tool"])).stdout).toContain("tool: unchanged");
		execFileSync("git", ["fsck", "--strict"], { cwd: w.library.directory });
		expect(execFileSync("git", ["config", "--list", "--local"], { cwd: folder, encoding: "utf8" })).not.toContain(
			token,
		);
		for (const { stdout, stderr } of [dry, done]) expect(stdout + stderr).not.toContain(token);
	});

	test("a dry run says that the token is missing which the real one fails for, and one that needs none does not", async () => {
		const { w, folder } = await laptop(false);
		await using _ = w;
		writeFileSync(join(folder, "out/extra"), "Maintainers: A (@a)\n");
		writeFileSync(join(folder, "brewline.yaml"), configuration(w, ["tool", "extra"]));
		const run = (...args: readonly string[]): Promise<Ended> =>
			brewline(["propose", "--definitions", "out", ...args], { cwd: folder, env: { GITHUB_TOKEN: "" } });
		const missing = "there is no token to open a pull request with";
		expect(await run()).toMatchObject({ code: 5, stderr: expect.stringContaining(missing) });
		const dry = await run("--dry-run");
		expect(dry).toMatchObject({ code: 0, stdout: expect.stringContaining("tool: proposed (dry run)") });
		expect(dry.stderr).toContain(`${missing}: without the dry run this would fail`);
		expect(dry.stderr).toContain("GITHUB_TOKEN is not set");
		expect(dry.stderr.split(missing)).toHaveLength(2);
		expect((await run("--dry-run", "--branch-only")).stderr).not.toContain("token");
	});

	test("generates what it proposes", async () => {
		const { w, propose } = await laptop();
		await using _ = w;
		expect(await propose()).toMatchObject({ code: 0, stdout: expect.stringContaining("tool: proposed: it is new") });
		expect(w.show(branch, "library/tool")).toMatch(/^Tags: 1, latest\nArchitectures: amd64, s390x$/m);
		expect((await propose()).stdout).toContain("tool: unchanged");
	});

	test("warns of a commit that nobody else has yet", async () => {
		const { w, folder, propose } = await laptop();
		await using _ = w;
		const by = ["-c", "user.name=A", "-c", "user.email=a@example.org"];
		const git = (...args: string[]) => execFileSync("git", [...by, ...args], { cwd: folder, stdio: "pipe" });
		git("remote", "add", "origin", w.image.directory);
		git("fetch", "--quiet", "origin");
		expect((await propose("--dry-run")).stderr).not.toContain("on no branch");
		appendFileSync(join(folder, "1/Dockerfile"), "# more\n");
		git("commit", "--quiet", "--all", "--message", "More");
		const ended = await propose("--dry-run");
		expect(ended).toMatchObject({
			code: 0,
			stderr: expect.stringMatching(/tool: commit [0-9a-f]{12} is on no branch of a remote/),
		});
	});

	test("what a script printed is proposed from a folder, and the script is not run for it", async () => {
		const { w, folder, propose } = await laptop();
		await using _ = w;
		const [, own] = readFileSync(join(folder, "brewline.yaml"), "utf8").split("  propose:\n");
		const script = `images:\n  image: tool\n  script: generate.sh\n  propose:\n${own}`;
		writeFileSync(join(folder, "brewline.yaml"), script);
		const refused = await propose();
		expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining("--allow-script") });
		expect((await propose("--definitions", "out", "tool")).stdout).toContain("tool: proposed");
		expect(w.at(branch)).toBeDefined();
	});

	test("what others committed ends with 7; a branch alone needs no API", async () => {
		const { w, run, define } = await laptop();
		await using _ = w;
		expect((await run(["--branch-only"])).code).toBe(0);
		expect(w.api.requests).toEqual([]);
		w.commit({ "library/tool": "theirs\n" }, { branch });
		define(w.definition(w.change("More")));
		const left = await run([]);
		expect(left).toMatchObject({ code: 7, stdout: expect.stringContaining("its last commit is by A Person") });
		expect((await run(["--overwrite"])).code).toBe(0);
		expect(w.api.pulls).toHaveLength(1);
	});

	test("one that fails keeps no other from being proposed, and what became of each is told", async () => {
		const { w, folder, text, run } = await laptop();
		await using _ = w;
		writeFileSync(join(folder, "brewline.yaml"), configuration(w, ["tool", "extra", "third"]));
		writeFileSync(join(folder, "out/third"), text);
		w.fail.api = ({ body }) => (body?.["head"] === `official:${branch}` ? { status: 403 } : undefined);
		const refused =
			/tool: cannot open a pull request: HTTP 403.*\n.*Pull requests: write.*; the token is that of GITHUB_TOKEN/;
		const ended = await run([]);
		expect(ended.code).toBe(5);
		expect(ended.stderr).toMatch(refused);
		expect(ended.stderr).toContain("extra: cannot read the definition out/extra");
		expect(ended.stdout).toContain("tool: failed: cannot open a pull request: HTTP 403");
		expect(ended.stdout).toContain("extra: failed: cannot read the definition out/extra");
		expect(ended.stdout).toContain("third: proposed: it is new");
		expect(w.api.pulls).toMatchObject([{ branch: "brewline/third", state: "open" }]);
		const again = await run(["--json"]);
		expect(again.code).toBe(5);
		expect(again.stderr).toMatch(refused);
		expect(JSON.parse(again.stdout)).toMatchObject([
			{ outcome: "failed", images: ["tool"], errors: [{ code: "credentials" }] },
			{ outcome: "failed", images: ["extra"], errors: [{ code: "definition" }] },
			{ outcome: "unchanged", images: ["third"] },
		]);
	});

	test.each([
		[["nothing"], 3, "has no image nothing"],
		[["--min-age", "soon"], 2, "write minutes, hours or days"],
		[["--token-variable", "NONE"], 5, "or push a branch alone; NONE is not set (--token-variable names another one)"],
		[["--token-variable", "NONE", "--branch-only"], 5, "give a token for it; NONE is not set (--token-variable"],
		[["--token-variable", "HOME"], 5, "the token is that of HOME"],
		[["--definitions", "nowhere"], 3, "cannot read the definition nowhere/tool"],
	] as const)("%j is refused", async (args, code, message) => {
		const { w, run } = await laptop();
		await using _ = w;
		expect(await run(args)).toMatchObject({ code, stderr: expect.stringContaining(message) });
		expect(w.pushes()).toBe(0);
	});
});
