import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { dockerProgram, loadImages } from "../../src/config/index.ts";
import { generate } from "../../src/generate/index.ts";
import { nodeIo } from "../../src/io/index.ts";
import { makeWorkTree, parentDefinition, versionsFile, type WorkTree } from "../support/image-repository.ts";

// The acceptance over copies of a library and of one image repository: what each change of a definition is counted as.

const script = path.join(import.meta.dirname, "../../scripts/acceptance.ts");
const configuration = `images:
  image: app
  header:
    repository: https://git.example.com/example/docker-app
    self: generate.sh
    maintainers: [A <a@example.com> (@a)]
  aliases: { list: ["{full}", "{version}"] }
  tags: [""]
  templates: { rules: [ { template: Dockerfile.template } ] }
`;
const rendered = (version: string): string =>
	`#\n# NOTE: THIS DOCKERFILE IS GENERATED VIA "apply-templates.sh"\n#\n# PLEASE DO NOT EDIT IT DIRECTLY.\n#\n\nFROM os:1\nENV APP ${version}\n`;

let root: string;
let copies: string;
let examples: string;
let library: WorkTree;
let app: WorkTree;

beforeAll(async () => {
	root = mkdtempSync(path.join(tmpdir(), "acceptance-"));
	copies = path.join(root, "copies");
	examples = path.join(root, "examples");
	mkdirSync(path.join(examples, "app"), { recursive: true });
	writeFileSync(path.join(examples, "app/brewline.yaml"), configuration);
	library = makeWorkTree(path.join(copies, "docker-library+official-images/repo"));
	library.commit({ "library/os": parentDefinition(["1", "amd64, s390x"]) });
	app = makeWorkTree(path.join(copies, "docker-app"));
	// With another script: nothing is known of that one.
	app.commit({
		"generate.sh": "old\n",
		"Dockerfile.template": "FROM os:1\nENV APP {{ .version }}\n",
		...release("1.0"),
	});
	await publish();
	app.commit({ "generate.sh": "new\n", ...release("1.1") });
	await publish();
	app.commit(release("1.2"));
	// Changed by hand, and put right with the next one.
	await publish((made) => made.replace("Tags: 1.2, 1\n", "Tags: 1.2\n"));
	await publish();
	// Of a commit that no copy has.
	await publish((made) => made.replaceAll(/^GitCommit: .*$/gm, `GitCommit: ${"d".repeat(40)}`));
});
afterAll(() => rmSync(root, { recursive: true }));

function release(version: string): Record<string, string> {
	return { "versions.json": versionsFile([["1", version]]), "1/Dockerfile": rendered(version) };
}

async function publish(edited: (text: string) => string = (made) => made): Promise<void> {
	const [config] = await loadImages(path.join(examples, "app/brewline.yaml"));
	const { text: made } = await generate(
		{
			config: config!,
			repository: { folder: app.folder },
			definitions: async () => await Promise.resolve(parentDefinition(["1", "amd64, s390x"])),
			architectures: Object.keys(dockerProgram.architectures),
			today: "2026-01-02",
		},
		nodeIo(),
	);
	library.commit({ "library/app": edited(made) });
}

async function accept(...args: readonly string[]): Promise<{ code: number; stdout: string }> {
	const child = spawn(process.execPath, [script, copies, "--examples", examples, ...args], {
		stdio: ["ignore", "pipe", "ignore"],
	});
	const [stdout, [code]] = await Promise.all([text(child.stdout), once(child, "close") as Promise<[number]>]);
	return { code, stdout };
}

describe("npm run acceptance", () => {
	it("renders everything, and counts what became of each change", async () => {
		const { code, stdout } = await accept("--json");
		const { rows, missing } = JSON.parse(stdout) as {
			rows: { image: string; rendered: object; moments: { outcome: string }[] }[];
			missing: string[];
		};
		expect(missing).toEqual([]);
		expect(rows[0]).toMatchObject({ image: "app", rendered: { files: 1, equal: 1, differences: [] } });
		expect(rows[0]!.moments.map(({ outcome }) => outcome)).toEqual(["older", "equal", "hand", "equal", "script"]);
		expect(code).toBe(0);
	});

	it("fails with a diff where a description is not right any more", async () => {
		writeFileSync(
			path.join(examples, "app/brewline.yaml"),
			configuration.replace('["{full}", "{version}"]', '["{full}"]'),
		);
		const { code, stdout } = await accept("--diff");
		expect(stdout).toMatch(/^example\/docker-app +1 +1 +1 +3 +5 +1 +1 +0 /m);
		expect(stdout).toMatch(/^-Tags: 1\.2, 1\n\+Tags: 1\.2$/m);
		expect(code).toBe(1);
	});

	it("says of what there is no copy", async () => {
		mkdirSync(path.join(examples, "none"), { recursive: true });
		const none = configuration.replace("docker-app", "docker-none").replace("image: app", "image: none");
		writeFileSync(path.join(examples, "none/brewline.yaml"), none);
		expect((await accept("--only", "none")).stdout).toContain("Not there: https://git.example.com/example/docker-none");
	});
});
