import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it, test } from "vitest";
import { dockerProgram, parseFile } from "../../src/config/index.ts";
import { definitionsAt, definitionsInFolder, generate, type Generated } from "../../src/generate/index.ts";
import { nodeIo } from "../../src/io/index.ts";
import { brewline, type Ended } from "../support/command.ts";
import { makeWorkTree, parentDefinition, versionsFile, type WorkTree } from "../support/image-repository.ts";

// Definitions from real work trees: git's history, links, changes that are not committed, parents in folders and at addresses.

const configuration = `images:
  image: app
  header:
    repository: https://git.example.com/app
    self: brewline.yaml
    maintainers: [A <a@example.com> (@a)]
  aliases:
    list: ["{full}", "{version}", { alias: latest, once: true }]
  matrix:
    variant: [debian, alpine]
  tags:
    - { suffix: "", if: { variant: debian } }
    - "{variant}"
`;

let root: string;
let library: string;
let server: http.Server;
let address: string;
let place = 0;
let tree: WorkTree;
const definitions = {
	os: parentDefinition(["13, latest", "amd64, s390x"]),
	small: parentDefinition(["3", "amd64, arm32v6"]),
};

beforeAll(async () => {
	root = mkdtempSync(path.join(tmpdir(), "generate-"));
	library = path.join(root, "library");
	mkdirSync(library);
	for (const [name, text] of Object.entries(definitions)) writeFileSync(path.join(library, name), text);
	server = http.createServer(({ url }, response) => {
		const name = /^\/library\/([a-z]+)$/.exec(url ?? "")?.[1];
		if (url?.startsWith("/moved/") === true) response.writeHead(302, { location: url.replace("/moved/", "/library/") });
		else if (url?.startsWith("/round/") === true) response.writeHead(301, { location: url });
		else if (url?.startsWith("/broken/") === true) response.writeHead(500);
		else if (url?.startsWith("/elsewhere/") === true) response.writeHead(302, { location: "file:///etc/passwd" });
		else if (url?.startsWith("/large/") === true) {
			response.end("x".repeat(3 * 1024 * 1024));
			return;
		} else if (name === undefined || !Object.hasOwn(definitions, name)) response.writeHead(404);
		else {
			response.end(definitions[name as "os"]);
			return;
		}
		response.end();
	});
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
	server.closeAllConnections();
	server.close();
	rmSync(root, { recursive: true });
});

const dockerfiles = {
	"1.2/debian/Dockerfile": "FROM os:13\nCOPY start.sh /\n",
	"1.2/debian/start.sh": "1\n",
	"1.2/alpine/Dockerfile": "FROM small:3\n",
};
let commits: { readonly first: string; readonly start: string; readonly merge: string };
beforeEach(() => {
	tree = makeWorkTree(path.join(root, String(place++)));
	const first = tree.commit({
		"brewline.yaml": configuration,
		"versions.json": versionsFile([["1.2", "1.2.3"]]),
		...dockerfiles,
	});
	tree.git("checkout", "--quiet", "-b", "side");
	const start = tree.commit({ "1.2/debian/start.sh": "2\n" });
	tree.git("checkout", "--quiet", "main");
	tree.commit({ "README.md": "x\n" });
	tree.git("merge", "--quiet", "--no-ff", "--message", "Merge", "side");
	commits = { first, start, merge: tree.git("rev-parse", "HEAD") };
});

const expected =
	(): string => `# this file is generated via https://git.example.com/app/blob/${commits.first}/brewline.yaml

Maintainers: A <a@example.com> (@a)
GitRepo: https://git.example.com/app.git

Tags: 1.2.3, 1.2, latest, 1.2.3-debian, 1.2-debian, debian
Architectures: amd64, s390x
GitCommit: ${commits.start}
Directory: 1.2/debian

Tags: 1.2.3-alpine, 1.2-alpine, alpine
Architectures: amd64, arm32v6
GitCommit: ${commits.first}
Directory: 1.2/alpine
`;

function run(...args: readonly string[]): Promise<Ended> {
	return brewline(["--library", library, "generate", ...args], { cwd: tree.folder });
}

/** What a command ends with that has failed. */
function failure(code: number, message: RegExp): object {
	return { code, stdout: "", stderr: expect.stringMatching(message) as string };
}

describe("brewline generate", () => {
	it("prints the definition, or writes it as a file or into a folder, the same each time", async () => {
		expect(await run()).toEqual({ code: 0, stdout: expected(), stderr: "" });
		expect(await run("--output", "out/app.txt")).toEqual({ code: 0, stdout: "", stderr: "" });
		expect(await run("--output", "folder/")).toMatchObject({ code: 0 });
		expect(await run("--output", "nowhere", "--dry-run")).toEqual({ code: 0, stdout: "", stderr: "" });
		for (const file of ["out/app.txt", "folder/app"]) {
			expect(readFileSync(path.join(tree.folder, file), "utf8")).toBe(expected());
		}
		expect(() => readFileSync(path.join(tree.folder, "nowhere"))).toThrow("ENOENT");
	});

	it("explains a tag, and gives all of it as JSON", async () => {
		const { stdout } = await run("--explain", "1.2-alpine");
		expect(stdout).toContain('app:1.2-alpine is version 1.2, variant "alpine"\n');
		expect(stdout).toContain('  tag           tags.1: "{variant}"\n');
		expect(stdout).toContain("  not for       s390x: small:3 does not have it (architectures)\n");
		const { images } = JSON.parse((await run("--json")).stdout) as { readonly images: readonly Generated[] };
		expect(images).toMatchObject([{ image: "app", text: expected(), parents: ["os:13", "small:3"], left: [] }]);
		expect((await run("--explain", "app:1.2-alpine")).stdout).toBe(stdout);
		expect(await run("--explain", "1.2-alpin")).toMatchObject(
			failure(3, /has no tag 1\.2-alpin\n {2}Did you mean 1\.2-alpine\?/),
		);
	});

	it("is what brewline check looks at, with commits that are here alone, against what is published", async () => {
		const place = path.join(root, `published-${tree.folder.split("/").at(-1)!}`);
		mkdirSync(place);
		for (const [name, text] of Object.entries(definitions)) writeFileSync(path.join(place, name), text);
		const check = async (...args: readonly string[]): Promise<Ended> =>
			await brewline(["check", "--no-progress", "--published", place, ...args], { cwd: tree.folder });
		expect(await check()).toMatchObject({ code: 0, stdout: "nothing found\n" });
		expect(tree.git("status", "--porcelain")).not.toContain(".brewline");
		writeFileSync(path.join(place, "app"), expected().replaceAll("latest", "latest, 1.1"));
		expect(await check("app")).toMatchObject({
			code: 0,
			stdout: expect.stringMatching(/^app:6:1: warning app:1\.1: .*\[tag-vanished\]/m) as string,
		});
		expect(await check("other")).toMatchObject(failure(3, /no definition other\n {2}name images of the configuration/));
	});

	it("takes parents from an address, also where that has moved", async () => {
		for (const folder of ["library", "library/", "moved"]) {
			const ended = await brewline(["--library", `${address}/${folder}`, "generate"], { cwd: tree.folder });
			expect(ended).toEqual({ code: 0, stdout: expected(), stderr: "" });
		}
	});

	it("takes images of the same repository from what it has just made", async () => {
		const block = configuration.replace("images:\n", "").replaceAll(/^ {2}/gm, "");
		const item = (name: string, more: string): string =>
			`- ${`${block.replace("image: app", `image: ${name}`)}${more}`.trimEnd().replaceAll("\n", "\n  ")}\n`;
		tree.commit({
			"brewline.yaml": `images:\n${item("app", "")}${item("second", 'directory: "{version}/second/{variant}"\n')}`,
			"1.2/second/debian/Dockerfile": "FROM app:1.2-alpine\n",
		});
		expect(await run()).toMatchObject(failure(2, /there are 2 images\n {2}Name one with --image/));
		expect((await run("--output", "out/")).stderr).toMatch(
			/^warning second: there is no 1\.2\/second\/alpine\/Docker.*\n.*\n$/,
		);
		expect(readFileSync(path.join(tree.folder, "out/second"), "utf8")).toContain("Architectures: amd64, arm32v6\n");
		expect(await run("--image", "third")).toMatchObject(failure(3, /no image third/));
		expect(await run("--output", "one")).toMatchObject(failure(2, /one is no folder/));
	});
});

describe("a work tree", () => {
	it("is read as it is, but commits are those of what was committed", async () => {
		// What is copied in future does not decide the commit of what is there now.
		tree.write({
			"1.2/debian/Dockerfile": "FROM small:3\nCOPY other.sh /\n",
			"1.2/debian/other.sh": "",
			"1.2/alpine/Dockerfile": "FROM os\n",
		});
		const { stdout } = await run();
		expect(stdout).toContain(`debian\nArchitectures: amd64, arm32v6\nGitCommit: ${commits.start}\n`);
		expect(stdout).toContain(`alpine\nArchitectures: amd64, s390x\nGitCommit: ${commits.first}\n`);
	});

	it("has to have been committed, with all of its history, and from its top", async () => {
		tree.write({ "versions.json": versionsFile([["1.3", "1.3.0"]]), "1.3/debian/Dockerfile": "FROM os\n" });
		expect(await run()).toMatchObject(
			failure(4, /1\.3\/debian: no commit has its Dockerfile\n {2}Commit what was rendered first/),
		);
		const shallow = path.join(root, `shallow-${place}`);
		execFileSync("git", ["clone", "--quiet", "--depth=1", `file://${tree.folder}`, shallow], { stdio: "pipe" });
		expect(await brewline(["--library", library, "generate"], { cwd: shallow })).toMatchObject(
			failure(4, /fetch-depth: 0/),
		);
		tree.commit({ "below/brewline.yaml": configuration });
		expect(await brewline(["--library", library, "generate"], { cwd: path.join(tree.folder, "below") })).toMatchObject(
			failure(2, /not the top/),
		);
		const outside = mkdtempSync(path.join(root, "outside-"));
		writeFileSync(path.join(outside, "brewline.yaml"), configuration);
		const env = { GIT_CEILING_DIRECTORIES: root };
		expect(await brewline(["--library", library, "generate"], { cwd: outside, env })).toMatchObject(
			failure(4, /not a git repository.*\n {2}Begin one with git init/),
		);
		const empty = makeWorkTree(path.join(root, `empty-${place}`));
		empty.write({ "brewline.yaml": configuration, ...dockerfiles });
		expect(await brewline(["--library", library, "generate"], { cwd: empty.folder })).toMatchObject(
			failure(4, /HEAD.*\n {2}Nothing is committed here yet/),
		);
	});

	it("is not left through links", async () => {
		const secret = path.join(root, `secret-${place}`);
		mkdirSync(secret);
		writeFileSync(path.join(secret, "Dockerfile"), "FROM os\n");
		rmSync(path.join(tree.folder, "1.2/alpine"), { recursive: true });
		symlinkSync(secret, path.join(tree.folder, "1.2/alpine"));
		expect((await run()).stdout).not.toContain("alpine");
		rmSync(path.join(tree.folder, "1.2/debian/Dockerfile"));
		symlinkSync(path.join(secret, "Dockerfile"), path.join(tree.folder, "1.2/debian/Dockerfile"));
		expect(await run()).toMatchObject(failure(2, /no entry is left of app/));
		writeFileSync(path.join(secret, "versions.json"), versionsFile([["1.2", "6.6.6"]]));
		rmSync(path.join(tree.folder, "versions.json"));
		symlinkSync(path.join(secret, "versions.json"), path.join(tree.folder, "versions.json"));
		expect(await run()).toMatchObject(failure(2, /versions\.json is a link, which is not followed/));
	});

	it("that is not as it was committed is told once, with the files that matter", async () => {
		tree.write({ "README.md": "y\n", "new.txt": "", "1.2/debian/new.sh": "" });
		expect(await run()).toMatchObject({ code: 0, stderr: "" });
		tree.write({ "versions.json": versionsFile([["1.2", "1.2.4"]]), "1.2/debian/start.sh": "3\n" });
		const ended = await run();
		expect(ended).toMatchObject({ code: 0, stdout: expect.stringContaining("1.2.4") as string });
		expect(ended.stderr).toBe(
			"warning 1.2/debian/start.sh and versions.json are not as in the newest commit: the definition is made from what is here, and names commits that do not have it\n  Commit them, and generate once more.\n",
		);
		const { images } = JSON.parse((await run("--json")).stdout) as { readonly images: readonly Generated[] };
		expect(images).toMatchObject([{ uncommitted: ["1.2/debian/start.sh", "versions.json"], warnings: [] }]);
		tree.git("checkout", "--quiet", ".");
		tree.git("rm", "--quiet", "--cached", "versions.json");
		writeFileSync(path.join(tree.folder, "other.yaml"), configuration);
		const other = await brewline(["--library", library, "--config", "other.yaml", "generate"], { cwd: tree.folder });
		expect(other.stderr).toMatch(/^warning other\.yaml and versions\.json are not as in the newest commit: .*\n.*\n$/);
	});

	it("without some Dockerfiles, or with keys that stand twice, is doubtful too", async () => {
		tree.commit({
			"1.2/alpine/Dockerfile": null,
			"versions.json": '{\n  "1.2": { "version": "1.2.3" },\n  "1.2": { "version": "1.2.5", "x": 1, "x": 2 }\n}\n',
		});
		const { stdout, stderr } = await run();
		expect(stdout).toContain("Tags: 1.2.5, 1.2");
		expect(stderr.split("\n")).toEqual([
			expect.stringMatching(/^warning versions\.json:3:3: the key "1\.2" stands twice .* line 2 is not read$/),
			expect.stringMatching(/^ {2}Take one of the two out/),
			expect.stringMatching(/^warning versions\.json:3:40: the key "x" stands twice .* line 3 is not read$/),
			expect.any(String),
			expect.stringMatching(
				/^warning app: there is no 1\.2\/alpine\/Dockerfile: .* is left out \(requireDockerfile\)$/,
			),
			expect.stringMatching(/^ {2}Add what is missing/),
			"",
		]);
	});

	it("starts no program that its configuration names", async () => {
		const touched = path.join(root, `touched-${place}`);
		tree.git("config", "core.fsmonitor", `touch ${touched}; false`);
		tree.git("config", "diff.external", `touch ${touched}`);
		tree.git("config", "core.pager", `touch ${touched}`);
		tree.write({ "1.2/alpine/Dockerfile": "FROM os\n" });
		expect((await run()).code).toBe(0);
		expect(() => readFileSync(touched)).toThrow("ENOENT");
	});

	test("the same comes of a commit of a bare repository", async () => {
		const bare = path.join(root, `bare-${place}`);
		execFileSync("git", ["clone", "--quiet", "--bare", tree.folder, bare], { stdio: "pipe" });
		const [config] = parseFile(configuration, "brewline.yaml").images;
		const { text } = await generate(
			{
				config: config!,
				repository: { gitDirectory: bare, commit: commits.merge },
				definitions: definitionsInFolder(library),
				architectures: Object.keys(dockerProgram.architectures),
				today: "2026-01-02",
			},
			nodeIo(),
		);
		expect(text).toBe(expected());
	});
});

describe("what goes wrong", () => {
	test.each([
		["versions.json", "{", 2, /versions\.json is not JSON/],
		["versions.json", `{"1.2": {"version": "1.2.3"}, "../x": {"version": "1"}}`, 2, /cannot be the key/],
		[
			"1.2/debian/Dockerfile",
			"FROM nowhere:1\n",
			3,
			/1\.2\/debian is built from nowhere:1: the library has no such image/,
		],
		["1.2/debian/Dockerfile", "FROM os:99\n", 3, /the library's os has no such tag/],
		["1.2/debian/Dockerfile", "FROM app:1.2\n", 3, /circle: 1\.2\/debian → 1\.2\/debian/],
		["1.2/debian/Dockerfile", "RUN x\n", 3, /there is no FROM/],
		[
			"brewline.yaml",
			configuration.replace("variant: debian", "varient: debian"),
			2,
			/brewline\.yaml:12:27: images\.tags\.0\.if\.varient: there is no name varient\n {2}Did you mean variant\?/,
		],
	])("%s: %j", async (file, content, code, message) => {
		tree.commit({ [file]: content });
		expect(await run()).toMatchObject(failure(code, message));
	});

	test("versions that are more than is read", async () => {
		const large = versionsFile([["1.2", { version: "1.2.3", x: "x".repeat(1024 * 1024) }]]);
		tree.commit({ "versions.json": large });
		expect(await run()).toMatchObject(
			failure(2, /versions\.json is larger than the 1048576 bytes that are read of a file\n {2}Take out what/),
		);
		// Nor are they passed over where their names stand in the configuration.
		tree.commit({ "brewline.yaml": `${configuration}  versions: { list: ["1.2"] }\n` });
		expect(await run()).toMatchObject(failure(2, /versions\.json is larger than/));
	});

	test("a place where no file can be", async () => {
		mkdirSync(path.join(tree.folder, "out/app"), { recursive: true });
		expect(await run("--output", "out")).toMatchObject(
			failure(2, /out\/app cannot be written: it is a folder\n {2}Name/),
		);
		expect(await run("--output", "brewline.yaml/app")).toMatchObject(failure(2, /on the way to it is no folder/));
		const inside = async (...args: readonly string[]): Promise<Ended> => await brewline(args, { cwd: tree.folder });
		expect(await inside("init", "nowhere", "--dry-run")).toMatchObject(failure(2, /nowhere is no folder/));
		expect(await inside("--work", "brewline.yaml", "check", "--published", library)).toMatchObject(
			failure(2, /on the way to it is no folder/),
		);
	});

	test("to explain and to write in one", async () => {
		expect(await run("--explain", "1.2", "--output", "x")).toMatchObject(failure(2, /does not go with --output/));
	});

	test("a day that is none", async () => {
		expect(await run("--today", "tomorrow")).toMatchObject(failure(2, /YYYY-MM-DD/));
	});

	test("an expression that has no end is ended", async () => {
		const text = configuration.replace(
			"  tags:",
			`  vars: { x: { value: "${"a".repeat(60)}!", capture: "^(a+)+$" } }\n  tags:\n    - "{x}"`,
		);
		const [config] = parseFile(text, "brewline.yaml").images;
		const running = generate(
			{
				config: config!,
				repository: { folder: tree.folder },
				definitions: definitionsInFolder(library),
				architectures: ["amd64"],
				today: "2026-01-02",
				limits: { timeLimit: 1000 },
			},
			nodeIo(),
		);
		await expect(running).rejects.toMatchObject({
			code: "limit",
			hint: expect.stringContaining("regular expression") as string,
		});
	});

	test.each([
		["round", /is not followed/],
		["elsewhere", /is not followed/],
		["broken", /answered 500/],
		["large", /larger than/],
	])("an address of parents that is %s", async (folder, message) => {
		await expect(definitionsAt(nodeIo(), `${address}/${folder}`)("os")).rejects.toThrow(message);
	});

	test("a folder that is not the library's", async () => {
		await expect(definitionsInFolder(path.join(root, "libary"))("os")).rejects.toThrow(
			/there is no library folder .*libary/,
		);
		await expect(definitionsInFolder(root)("os")).rejects.toMatchObject({
			code: "reference",
			hint: `Name ${library}.`,
		});
		expect(await definitionsInFolder(library)("nothing")).toBeUndefined();
	});

	test("an address of parents that does not answer", async () => {
		const silent = http.createServer(() => {});
		silent.listen(0, "127.0.0.1");
		await once(silent, "listening");
		const clock = { now: () => 0, sleep: async (): Promise<void> => await Promise.resolve() };
		const at = `http://127.0.0.1:${(silent.address() as AddressInfo).port}/`;
		await expect(definitionsAt({ ...nodeIo(), clock }, at)("os")).rejects.toThrow(/did not answer within 30 s/);
		silent.closeAllConnections();
		silent.close();
		// Not the code of a check that found something.
		await expect(definitionsAt(nodeIo(), at)("os")).rejects.toMatchObject({
			code: "git",
			message: expect.stringContaining("cannot be read"),
		});
		await expect(definitionsAt(nodeIo(), at)("../x")).rejects.toThrow(/cannot be the name of an image/);
		expect(await definitionsAt(nodeIo(), `${address}/library`)("nothing")).toBeUndefined();
	});
});
