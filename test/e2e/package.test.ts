import { existsSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { defineProgram } from "../../src/config/index.ts";
import { nodeIo } from "../../src/io/index.ts";
import { parseReference } from "../../src/oci/index.ts";
import { createRegistryClient, startRegistry, synthesize } from "../../src/registry/index.ts";
import { runProgram, type Ended } from "../support/command.ts";
import { openSampleWorld } from "../support/sample-world.ts";

const root = path.join(import.meta.dirname, "../..");

interface PackageFile {
	readonly version: string;
	readonly exports: Readonly<Record<string, string | { readonly types: string; readonly default: string }>>;
	readonly devDependencies: Readonly<Record<string, string>>;
}

const own = JSON.parse(await readFile(path.join(root, "package.json"), "utf8")) as PackageFile;
/** `brewline`, `brewline/definition` and so on: all that can be imported as code. */
const subpaths = Object.keys(own.exports)
	.filter((name) => name !== "./package.json")
	.map((name) => name.replace(/^\./, "brewline"));

/** What a subpath may load of Node beyond files, paths, streams and hashes, and of other packages. */
const loads: Readonly<Record<string, readonly string[]>> = {
	"brewline/definition": [],
	"brewline/dockerfile": [],
	"brewline/git": ["modern-tar"],
	"brewline/oci": [],
	// The embedded registry is a server.
	"brewline/registry": ["node:http"],
	"brewline/sources": ["zod"],
	"brewline/builds": ["zod"],
	"brewline/plan": ["modern-tar", "zod"],
	"brewline/state": ["modern-tar", "zod"],
	"brewline/build": ["modern-tar", "zod"],
	"brewline/publish": ["zod"],
	"brewline/suite": ["zod"],
	"brewline/template": ["modern-tar", "node:module", "node:worker_threads"],
	"brewline/generate": ["modern-tar", "node:module", "node:worker_threads"],
	"brewline/check": ["diff", "node:url", "zod"],
	"brewline/propose": ["modern-tar", "yaml", "zod"],
	"brewline/config": ["yaml", "zod"],
	"brewline/report": ["zod"],
	"brewline/engine": ["node:http", "node:net", "yaml", "zod"],
	brewline: ["modern-tar", "node:child_process", "node:http", "node:net", "node:timers", "yaml", "zod"],
};
const light =
	/^node:(?:buffer|crypto|events|fs|fs\/promises|os|path|path\/posix|process|stream|stream\/promises|string_decoder)$/;

let folder: string;
let project: string;

beforeAll(async () => {
	if (!existsSync(path.join(root, "lib/index.js"))) throw new Error("the package is not built: npm run build");
	folder = await mkdtemp(path.join(os.tmpdir(), "brewline-package-"));
	project = path.join(folder, "project");
	await mkdir(project);
	await succeed(npm(["pack", "--ignore-scripts", "--pack-destination", folder, root], folder));
	await writeFile(
		path.join(project, "package.json"),
		JSON.stringify({ name: "somebodys", private: true, type: "module" }),
	);
	const { "@types/node": types, typescript } = own.devDependencies;
	const tarball = path.join(folder, `brewline-${own.version}.tgz`);
	const packages = [tarball, `@types/node@${types}`, `typescript@${typescript}`];
	await succeed(npm(["install", "--prefer-offline", "--no-audit", "--no-fund", ...packages], project));
	await writeFile(
		path.join(project, "tsconfig.json"),
		JSON.stringify({
			compilerOptions: {
				target: "esnext",
				module: "nodenext",
				types: ["node"],
				strict: true,
				noUncheckedIndexedAccess: true,
				exactOptionalPropertyTypes: true,
				// The declarations are compiled too, with all that they import.
				skipLibCheck: false,
				outDir: "out",
			},
			include: ["*.ts"],
		}),
	);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("the tarball", () => {
	it("holds what is exported, the licence and the README, and no test, fixture or source", async () => {
		const { stdout } = await succeed(runProgram("tar", ["-tzf", `brewline-${own.version}.tgz`], { cwd: folder }));
		const names = stdout.trim().split("\n");
		expect(names.filter((name) => !/^package\/lib\/[\w/.-]+\.(?:js|d\.ts)$/.test(name)).sort()).toEqual([
			"package/LICENSE",
			"package/README.md",
			// The command line is CommonJS.
			"package/lib/cli/package.json",
			"package/package.json",
		]);
		expect(names.filter((name) => /\.test\.|\/test\/|fixture|support|actions/i.test(name))).toEqual([]);
		for (const target of Object.values(own.exports)) {
			for (const file of typeof target === "string" ? [target] : Object.values(target)) {
				expect(names).toContain(path.posix.join("package", file));
			}
		}
	});
});

describe("the installed package", () => {
	it("compiles and runs the README's program, to tags for several architectures", { timeout: 120_000 }, async () => {
		const readme = await readFile(path.join(root, "README.md"), "utf8");
		const programs = [...readme.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, text]) => text!);
		expect(programs).toHaveLength(1);
		const [program] = programs as [string];
		expect(program.trim().split("\n").length).toBeLessThanOrEqual(22);
		await writeFile(path.join(project, "publish.ts"), program);
		await writeFile(path.join(project, "all.ts"), importAll());
		await succeed(tsc(project));

		await using world = await openSampleWorld(nodeIo(), {
			directory: project,
			registry: "registry.invalid:1",
			withoutEngine: true,
		});
		const environment = { SAMPLES: `${world.git.url}/` };
		const run = () => runProgram(process.execPath, ["out/publish.js"], { cwd: project, env: environment });
		const first = await succeed(run());
		const second = await succeed(run());

		await using stored = await openRegistry(path.join(project, "registry"));
		const digests = new Map<string, string>();
		for (const tag of ["1.0", "1", "latest"]) {
			const found = await stored.look(`library/imported:${tag}`);
			expect(found.architectures).toEqual(["amd64", "arm64v8", "s390x"]);
			digests.set(tag, found.digest);
		}
		const lines = (change: string): RegExp[] =>
			[...digests].map(
				([tag, digest]) =>
					new RegExp(
						`^127\\.0\\.0\\.1:\\d+/library/imported:${tag} ${change} ${digest} linux/amd64 linux/arm64/v8 linux/s390x$`,
					),
			);
		expectLines(first.stdout, lines("created"));
		expectLines(second.stdout, lines("unchanged"));
		for (const arch of ["amd64", "arm64v8", "s390x"]) {
			expect((await stored.look(`${arch}/imported:latest`)).architectures).toEqual([arch]);
		}
	});

	it("refuses what its types forbid", async () => {
		const strict = path.join(folder, "strict");
		await mkdir(strict);
		await copyFile(path.join(project, "tsconfig.json"), path.join(strict, "tsconfig.json"));
		await writeFile(
			path.join(strict, "wrong.ts"),
			'import { defineProgram } from "brewline";\ndefineProgram({ libary: "library" });\n',
		);
		await writeFile(path.join(strict, "package.json"), '{ "type": "module" }');
		await symlink(path.join(project, "node_modules"), path.join(strict, "node_modules"));
		const { code, stdout } = await tsc(strict);
		expect(code).not.toBe(0);
		expect(stdout).toContain("'libary' does not exist in type");
		expect(
			stdout
				.trim()
				.split("\n")
				.filter((line) => line.includes("error TS")),
		).toHaveLength(1);
	});

	it("names every subpath in the table of what it may load", () => {
		expect(Object.keys(loads).sort()).toEqual([...subpaths].sort());
	});

	it.each(subpaths)("%s starts nothing and loads no more than it needs", async (subpath) => {
		await writeFile(path.join(project, "load.mjs"), loader);
		const { stdout, stderr } = await succeed(runProgram(process.execPath, ["load.mjs", subpath], { cwd: project }));
		expect(stderr).toBe("");
		const { loaded, names, resources, handlers } = JSON.parse(stdout) as Loaded;
		expect(names.length).toBeGreaterThan(0);
		expect(resources).toEqual([]);
		expect(handlers).toEqual([]);
		expect(loaded.filter((name) => !light.test(name)).sort()).toEqual([...loads[subpath]!].sort());
	});

	it("lets nothing be imported that is no subpath", async () => {
		for (const hidden of ["brewline/io", "brewline/lib/index.js", "brewline/pipeline"]) {
			const { code, stderr } = await runProgram(process.execPath, ["load.mjs", hidden], { cwd: project });
			expect(code).toBe(1);
			expect(stderr).toContain("ERR_PACKAGE_PATH_NOT_EXPORTED");
		}
	});

	it("brings the command", async () => {
		const { stdout } = await succeed(npm(["exec", "--offline", "--", "brewline", "--version"], project));
		expect(stdout).toBe(`${own.version}\n`);
	});

	it("renders templates, by its function and by the command, with the jq that it brings", async () => {
		const repository = path.join(folder, "image");
		await mkdir(repository);
		await writeFile(
			path.join(repository, "brewline.yaml"),
			`images:
  image: demo
  header: { repository: https://example.com/demo, self: generate.sh, maintainers: ["A <a@example.com> (@a)"] }
  aliases: { list: ["{version}"] }
  tags: [""]
  templates: { header: "", rules: [ { template: Dockerfile.template } ] }
`,
		);
		await writeFile(path.join(repository, "versions.json"), '{ "1": { "version": "1.2" } }');
		await writeFile(path.join(repository, "Dockerfile.template"), "FROM a:{{ .version }}\n");
		await succeed(runProgram("git", ["init", "--quiet", "."], { cwd: repository }));
		await writeFile(
			path.join(project, "render.mjs"),
			`import { nodeIo } from "brewline";
import { loadImages } from "brewline/config";
import { render } from "brewline/template";
const [folder] = process.argv.slice(2);
const { changes } = await render(await loadImages(folder + "/brewline.yaml"), folder, nodeIo());
process.stdout.write(JSON.stringify(changes.map(({ path, kind }) => [path, kind])));
`,
		);
		const { stdout } = await succeed(runProgram(process.execPath, ["render.mjs", repository], { cwd: project }));
		expect(JSON.parse(stdout)).toEqual([["1/Dockerfile", "created"]]);
		expect(await readFile(path.join(repository, "1/Dockerfile"), "utf8")).toBe("FROM a:1.2\n");
		const command = path.join(project, "node_modules/brewline/lib/cli/main.js");
		const check = await succeed(runProgram(process.execPath, [command, "render", "--check"], { cwd: repository }));
		expect(check.stdout).toBe("1 file of demo: all as rendered\n");
	});

	it("takes the defaults that the sources have", async () => {
		await writeFile(
			path.join(project, "defaults.mjs"),
			'import { defineProgram } from "brewline";\nprocess.stdout.write(JSON.stringify(defineProgram()));\n',
		);
		const { stdout } = await succeed(runProgram(process.execPath, ["defaults.mjs"], { cwd: project }));
		expect(JSON.parse(stdout)).toEqual(defineProgram());
	});
});

interface Loaded {
	/** Modules of Node, and names of other packages. */
	readonly loaded: readonly string[];
	/** What the subpath exports. */
	readonly names: readonly string[];
	readonly resources: readonly string[];
	/** Events of the process that somebody listens to now. */
	readonly handlers: readonly string[];
}

/** Imports what its argument names, and prints what came of it. */
const loader = `
import { registerHooks } from "node:module";
const resolved = new Set();
registerHooks({
	resolve(specifier, context, next) {
		const result = next(specifier, context);
		resolved.add(result.url);
		return result;
	},
});
// The streams are opened when they are first looked at, and count from then on.
const streams = [process.stdout, process.stderr];
const before = process.getActiveResourcesInfo();
const events = new Set(process.eventNames());
const exported = await import(process.argv[2]);
const loaded = [...resolved].map((url) =>
	url.startsWith("node:") ? url : /.*\\/node_modules\\/((?:@[^/]+\\/)?[^/]+)/.exec(url)[1],
);
process.stdout.write(
	JSON.stringify({
		loaded: [...new Set(loaded)].filter((name) => name !== "brewline"),
		names: Object.keys(exported),
		resources: process.getActiveResourcesInfo().slice(before.length),
		handlers: process.eventNames().filter((name) => !events.has(name)).map(String),
	}),
);
`;

/** A program that imports every subpath, so that the compiler needs the declarations of each. */
function importAll(): string {
	const names = subpaths.map((subpath, number) => `import * as module${number} from ${JSON.stringify(subpath)};`);
	return `${names.join("\n")}\nexport const all: readonly object[] = [${subpaths.map((_, number) => `module${number}`).join(", ")}];\n`;
}

/** npm with all of the user's settings: registry, certificates, proxy and cache may stand anywhere in the environment. */
function npm(args: readonly string[], cwd: string): Promise<Ended> {
	return runProgram("npm", args, { cwd, env: process.env });
}

function tsc(directory: string): Promise<Ended> {
	const file = path.join(project, "node_modules/typescript/bin/tsc");
	return runProgram(process.execPath, [file, "--project", directory], { cwd: directory });
}

/** The end of a program that must succeed. */
async function succeed(running: Promise<Ended>): Promise<Ended> {
	const ended = await running;
	if (ended.code !== 0) throw new Error(`exit code ${ended.code}\n${ended.stdout}\n${ended.stderr}`);
	return ended;
}

function expectLines(text: string, patterns: readonly RegExp[]): void {
	const lines = text.trim().split("\n");
	expect(lines).toHaveLength(patterns.length);
	for (const [number, pattern] of patterns.entries()) expect(lines[number]).toMatch(pattern);
}

/** What a registry's folder holds, read through the API by a server of our own. */
async function openRegistry(directory: string) {
	const registry = await startRegistry({ directory });
	const client = createRegistryClient(nodeIo());
	const { architectures, annotations } = defineProgram();
	return {
		look: async (name: string) => {
			const reference = parseReference(`${registry.host}/${name}`);
			const index = await synthesize(client, reference, {
				architectures,
				architectureAnnotation: annotations.architecture,
			});
			const head = await client.headManifest(reference);
			return {
				digest: head?.digest ?? "",
				architectures: index?.manifests.map((manifest) => manifest.annotations?.[annotations.architecture]) ?? [],
			};
		},
		[Symbol.asyncDispose]: () => registry.close(),
	};
}
