import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { dockerProgram, parseFile } from "../../src/config/index.ts";
import { definitionsInFolder, generate } from "../../src/generate/index.ts";
import { nodeIo } from "../../src/io/index.ts";
import { brewline, type Ended } from "../support/command.ts";
import { makeWorkTree, parentDefinition, versionsFile, type WorkTree } from "../support/image-repository.ts";

// A repository as it is before it has a brewline.yaml: a script, templates, and a definition that somebody published.

const meant = `images:
  image: app
  header:
    repository: https://git.example.com/app
    self: generate-stackbrew-library.sh
    maintainers: [A <a@example.com> (@a), B <b@example.com> (@b)]
    fields: { Builder: buildkit }
  aliases:
    list:
      - "{full}"
      - "{version}"
      - { alias: "{seriesMajor}", once: true, if: { stable: "true" } }
      - { alias: latest, once: true, if: { stable: "true" } }
  matrix: { variant: [ { path: variants } ] }
  vars:
    debian: { axis: variant, first: "*", except: ["alpine*", "slim-*"] }
    alpine: { axis: variant, first: "alpine*" }
  tags:
    - "{variant}"
    - { suffix: "", if: { variant: "{debian}" } }
    - { suffix: slim, if: { variant: "slim-{debian}" } }
    - { suffix: alpine, if: { variant: "{alpine}" } }
  architectures: [ { parents: [from], intersect: [ { path: arches } ] } ]
`;

const variants = ["trixie", "slim-trixie", "bookworm", "slim-bookworm", "alpine3.24", "alpine3.23"];
const header =
	'#\n# NOTE: THIS DOCKERFILE IS GENERATED VIA "apply-templates.sh"\n#\n# PLEASE DO NOT EDIT IT DIRECTLY.\n#\n\n';
const template = `FROM {{ if env.variant | startswith("alpine") then "small:" + (env.variant | ltrimstr("alpine")) else "os:" + (env.variant | ltrimstr("slim-")) end }}\nENV APP_VERSION {{ .version }}\nCOPY start.sh /\n`;

let root: string;
let library: string;
let tree: WorkTree;
let published: string;
let place = 0;

function data(version: string): object {
	return { version, variants, arches: { amd64: {}, arm64v8: {}, s390x: {} } };
}

function dockerfilesOf(key: string, version: string): Record<string, string> {
	return Object.fromEntries(
		variants.flatMap((variant) => {
			const from = variant.startsWith("alpine") ? `small:${variant.slice(6)}` : `os:${variant.replace("slim-", "")}`;
			const text = `${header}FROM ${from}\nENV APP_VERSION ${version}\nCOPY start.sh /\n`;
			return [
				[`${key}/${variant}/Dockerfile`, text],
				[`${key}/${variant}/start.sh`, "#!/bin/sh\n"],
			];
		}),
	);
}

beforeAll(() => {
	root = mkdtempSync(path.join(tmpdir(), "init-"));
	library = path.join(root, "library");
	mkdirSync(library);
	writeFileSync(
		path.join(library, "os"),
		parentDefinition(["trixie", "amd64, arm64v8, riscv64"], ["bookworm", "amd64, s390x"]),
	);
	writeFileSync(path.join(library, "small"), parentDefinition(["3.24", "amd64, arm32v6, arm64v8"], ["3.23", "amd64"]));
});
afterAll(() => rmSync(root, { recursive: true }));

beforeEach(async () => {
	tree = makeWorkTree(path.join(root, String(place++)));
	tree.write({ "generate-stackbrew-library.sh": script() });
	chmodSync(path.join(tree.folder, "generate-stackbrew-library.sh"), 0o755);
	tree.commit({
		"versions.json": versionsFile([
			["2.0-rc", data("2.0.0-rc1")],
			["1.3", data("1.3.0")],
			["1.2", data("1.2.9")],
		]),
		"Dockerfile.template": template,
		"start.sh": "#!/bin/sh\n",
		...dockerfilesOf("2.0-rc", "2.0.0-rc1"),
		...dockerfilesOf("1.3", "1.3.0"),
		...dockerfilesOf("1.2", "1.2.9"),
	});
	published = await definitionBy(meant);
	writeFileSync(path.join(root, "printed"), published);
});

/** Prints what a test gives it, where it finds no secret. */
function script(): string {
	return `#!/bin/sh\ngetArches() { :; }\ngetArches 'app'\n[ -z "$SOME_TOKEN" ] || exit 9\n[ "$HOME" != "${root}" ] || exit 8\ncat "${root}/printed"\n`;
}

async function definitionBy(text: string): Promise<string> {
	const [config] = parseFile(text, "brewline.yaml").images;
	const input = {
		config: config!,
		repository: { folder: tree.folder },
		definitions: definitionsInFolder(library),
		architectures: Object.keys(dockerProgram.architectures),
		today: "2026-01-02",
	};
	return (await generate(input, nodeIo())).text;
}

function init(...args: string[]): Promise<Ended> {
	const env = { ...process.env, SOME_TOKEN: "secret", HOME: root };
	return brewline(["--library", library, "init", ...args], { cwd: tree.folder, env });
}

const written = (): string => readFileSync(path.join(tree.folder, "brewline.yaml"), "utf8");

describe("brewline init", () => {
	it("writes a description that gives the published definition and the committed files", async () => {
		writeFileSync(path.join(root, "app"), published);
		const ended = await init("--published", path.join(root, "app"));
		expect(ended.stdout).toContain("to the byte.");
		expect(ended.stdout).toContain("templates: all 36 files come out as they are committed.");
		expect(ended).toMatchObject({ code: 0 });
		expect(await definitionBy(written())).toBe(published);
		expect(await brewline(["render", "--check"], { cwd: tree.folder })).toMatchObject({ code: 0 });
		// It goes on being right when a version comes, and the suites of today are others.
		tree.commit({
			"versions.json": versionsFile([
				["2.0", data("2.0.0")],
				["1.3", data("1.3.1")],
			]),
			...dockerfilesOf("2.0", "2.0.0"),
			...dockerfilesOf("1.3", "1.3.1"),
		});
		expect(await definitionBy(written())).toBe(await definitionBy(meant));
	});

	it("learns from the commit that the definition is of, also when others came after it", async () => {
		writeFileSync(path.join(root, "app"), published);
		tree.commit({
			"versions.json": versionsFile([
				["1.3", data("1.3.7")],
				["1.2", data("1.2.9")],
			]),
			...dockerfilesOf("1.3", "1.3.7"),
		});
		// A script prints what it makes of them now.
		writeFileSync(path.join(root, "printed"), await definitionBy(meant));
		expect(await init("--published", path.join(root, "app"), "--dry-run", "--run-scripts")).toMatchObject({
			code: 0,
			stdout: expect.stringContaining("generate-stackbrew-library.sh prints the same bytes.") as string,
		});
	});

	it("goes back to the newest definition that the repository has all commits of, and to the parents of then", async () => {
		const clone = makeWorkTree(path.join(root, String(place++)));
		const names = ["os", "small"];
		const parents = Object.fromEntries(
			names.map((name) => [`l/${name}`, readFileSync(path.join(library, name), "utf8")]),
		);
		clone.commit(parents);
		clone.commit({ "l/app": published });
		const newest = published
			.replaceAll(/^GitCommit: .*$/gm, `GitCommit: ${"1".repeat(40)}`)
			.replaceAll("1.3.0", "1.3.1");
		clone.commit({ "l/app": newest, "l/os": parentDefinition(["trixie", "amd64"], ["bookworm", "amd64"]) });
		const at = (...args: string[]): Promise<Ended> =>
			brewline(["--library", path.join(clone.folder, "l"), "init", ...args], { cwd: tree.folder });
		const ended = await at();
		expect(ended).toMatchObject({ code: 0, stdout: expect.stringContaining("to the byte.") as string });
		expect(ended.stdout).toContain(`does not have ${"1".repeat(12)}, which the library's app names`);
		expect(await definitionBy(written())).toBe(published);
		expect(written()).not.toMatch(/static|excludeArchitectures/);
		// The same from the file itself.
		const own = await at("--published", path.join(clone.folder, "l", "app"), "--dry-run");
		expect(own).toMatchObject({ code: 0 });
	});

	it("says that a clone without its history has to be a whole one", async () => {
		tree.commit({ later: "" });
		const shallow = path.join(root, String(place++));
		execFileSync("git", ["clone", "-q", "--depth", "1", `file://${tree.folder}`, shallow]);
		writeFileSync(path.join(root, "app"), published);
		expect(await init(shallow, "--published", path.join(root, "app"))).toMatchObject({
			code: 4,
			stderr: expect.stringContaining("git fetch --unshallow") as string,
		});
	});

	it("says what to fetch where no definition is of commits that are here", async () => {
		writeFileSync(path.join(root, "app"), published.replaceAll(/^GitCommit: .*$/gm, `GitCommit: ${"1".repeat(40)}`));
		const { code, stdout } = await init("--published", path.join(root, "app"), "--dry-run");
		expect(code).toBe(7);
		expect(stdout).toContain(`does not have ${"1".repeat(12)}`);
		expect(stdout).toContain("Pull, or check out the branch that has it");
	});

	it("leaves out templates that nothing it finds can render, and says so", async () => {
		tree.commit({ "Dockerfile.template": `${template}{{ env.unknown | startswith("x") }}\n` });
		writeFileSync(path.join(root, "app"), published);
		expect(await init("--published", path.join(root, "app"))).toMatchObject({
			code: 7,
			stdout: expect.stringMatching(/to the byte\.[^]*unknown[^]*templates: left out/) as string,
		});
		expect(written()).not.toContain("  templates:");
	});

	it("says tag by tag what no rule gives", async () => {
		const odd = published.replace("Tags: 1.2.9-bookworm, ", "Tags: 1.2.9-bookworm, odd-one, ");
		writeFileSync(path.join(root, "app"), odd);
		const { code, stdout } = await init("--published", path.join(root, "app"), "--dry-run", "--diff");
		expect(code).toBe(7);
		expect(stdout).toMatch(/1\.2\/bookworm: (?:.*; )?tags missing: .*odd-one/);
		expect(stdout).toMatch(/^-Tags: 1\.2\.9-bookworm, odd-one/m);
	});

	it("runs the script only when it is told to, without secrets, and shows how both differ", async () => {
		writeFileSync(path.join(root, "app"), published);
		writeFileSync(path.join(root, "printed"), published.replace("Tags: 1.2.9-trixie, ", "Tags: other, 1.2.9-trixie, "));
		expect((await init("--published", path.join(root, "app"), "--dry-run")).stdout).toContain("was not run");
		const { stdout } = await init("--published", path.join(root, "app"), "--dry-run", "--run-scripts");
		expect(stdout).toContain("generate-stackbrew-library.sh prints something else, in 1 place:");
		expect(stdout).toContain("1.2/trixie: tags missing: other");
	});

	it("learns from what the script prints, where nothing is published", async () => {
		expect(await init("--dry-run")).toMatchObject({
			code: 3,
			stderr: expect.stringContaining("--run-scripts") as string,
		});
		expect(await init("--run-scripts")).toMatchObject({ code: 0 });
		expect(await definitionBy(written())).toBe(published);
	});

	it("finds the image of a repository that is called otherwise in the library, and asks where there are several", async () => {
		tree.write({ "generate-stackbrew-library.sh": "#!/bin/sh\n" });
		tree.git("remote", "add", "origin", "git@git.example.com:some/containers.git");
		expect(await init("--dry-run")).toMatchObject({
			code: 3,
			stderr: expect.stringMatching(/no definition of containers .*\n.*--image/) as string,
		});
		const own = published.replace(/^GitRepo: .*/m, "GitRepo: https://git.example.com/Some/containers.git");
		const names = ["first", "second"].map((name) => path.join(library, name));
		try {
			writeFileSync(names[0]!, own);
			expect((await init("--dry-run")).stdout).toContain("image: first\n");
			writeFileSync(names[1]!, own);
			expect(await init("--dry-run")).toMatchObject({
				code: 2,
				stderr: expect.stringMatching(/several images .*: first, second\n.*--image/) as string,
			});
			expect((await init("--dry-run", "--image", "second")).stdout).toContain("image: second\n");
		} finally {
			for (const name of names) rmSync(name, { force: true });
		}
	});

	it("says how to go on where no description can be found and there is no script", async () => {
		rmSync(path.join(tree.folder, "generate-stackbrew-library.sh"));
		tree.commit({});
		writeFileSync(path.join(root, "app"), published.replaceAll(/^Directory: .*\n/gm, ""));
		expect(await init("--published", path.join(root, "app"))).toMatchObject({
			code: 2,
			stderr: expect.stringMatching(/no description of app was found: .*\n.*examples\/.*script: FILE/) as string,
		});
	});

	it("replaces no file unless it is told to", async () => {
		tree.write({ "brewline.yaml": meant });
		expect(await init("--run-scripts")).toMatchObject({
			code: 2,
			stderr: expect.stringContaining("--force") as string,
		});
		expect(written()).toBe(meant);
		expect(await init("--run-scripts", "--force")).toMatchObject({ code: 0 });
		expect(written()).not.toBe(meant);
		expect(existsSync(path.join(tree.folder, "brewline.yaml.old"))).toBe(false);
	});

	it("replaces a file that cannot be read, and keeps it", async () => {
		const broken = "images: [ {\n";
		tree.write({ "brewline.yaml": broken });
		expect(await init("--run-scripts")).toMatchObject({
			code: 2,
			stderr: expect.stringContaining("is there already") as string,
		});
		expect(await init("--run-scripts", "--force")).toMatchObject({
			code: 0,
			stdout: expect.stringContaining("kept as brewline.yaml.old") as string,
			stderr: expect.stringContaining("is passed over") as string,
		});
		expect(readFileSync(path.join(tree.folder, "brewline.yaml.old"), "utf8")).toBe(broken);
		expect(await definitionBy(written())).toBe(published);
		// A second one is not kept in its place.
		tree.write({ "brewline.yaml": "images: {" });
		expect(await init("--run-scripts", "--force")).toMatchObject({
			code: 2,
			stderr: expect.stringContaining("Move brewline.yaml.old away") as string,
		});
	});

	it("replaces nothing that says more than images, and no folder", async () => {
		tree.write({ "brewline.yaml": "program: { name: mine, odd: 1 }\nimages: {}\n" });
		expect(await init("--run-scripts", "--force")).toMatchObject({
			code: 2,
			stderr: expect.stringContaining("says more than images: program") as string,
		});
		rmSync(path.join(tree.folder, "brewline.yaml"));
		mkdirSync(path.join(tree.folder, "brewline.yaml"));
		expect(await init("--run-scripts", "--force")).toMatchObject({
			code: 2,
			stderr: expect.stringContaining("is no file") as string,
		});
	});

	it("shows nothing of a definition as the terminal would take it", async () => {
		writeFileSync(path.join(root, "app"), published.replace("\n\nTags:", "\n\n# \u001b[31mred\u202e\nTags: odd-one,"));
		const { stdout } = await init("--published", path.join(root, "app"), "--dry-run", "--diff");
		expect(stdout).toContain("odd-one");
		expect(stdout).toContain("-# \\u{1b}[31mred\\u{202e}");
		expect(stdout).not.toMatch(/(?![\n\t])[\p{Cc}\p{Cf}]/u);
	});
});

describe("a script that is kept", () => {
	it("is what is proposed where entries have no place in the repository", async () => {
		const flat = published.replaceAll(/^Directory: .*\n/gm, "");
		writeFileSync(path.join(root, "app"), flat);
		writeFileSync(path.join(root, "printed"), flat);
		expect(await init("--published", path.join(root, "app"))).toMatchObject({ code: 7 });
		expect(written()).toContain("images:\n  image: app\n  script: generate-stackbrew-library.sh\n");
		const run = (...args: string[]): Promise<Ended> =>
			brewline(["--library", library, "generate", ...args], {
				cwd: tree.folder,
				env: { ...process.env, SOME_TOKEN: "secret" },
			});
		expect(await run()).toMatchObject({ code: 2, stderr: expect.stringContaining("--allow-script") as string });
		expect(await run("--allow-script")).toMatchObject({ code: 0, stdout: flat });
		expect(await run("--allow-script", "--explain", "latest")).toMatchObject({ code: 2 });
		writeFileSync(path.join(root, "printed"), "no definition\n");
		expect(await run("--allow-script")).toMatchObject({ code: 3 });
	});
});
