import { cp, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { bundleProgram } from "../../scripts/build.ts";
import { runProgram } from "../support/command.ts";

const root = path.join(import.meta.dirname, "../..");
let folder: string;

beforeAll(async () => {
	folder = await mkdtemp(path.join(os.tmpdir(), "brewline-sandbox-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** A program that has jq evaluate something, then something without an end, then something again. */
function program(sandbox: string): string {
	return `import { openSandbox } from ${JSON.stringify(sandbox)};
const sandbox = openSandbox({ timeLimit: 3000 });
const jq = (program) => sandbox.run("jq", { program, input: '{"a": [1, 2]}' });
const say = (value) => process.stdout.write(JSON.stringify(value) + "\\n");
jq(".a | add").then(async ({ lines }) => {
	say(lines);
	say(await jq("def f: f; f").catch(({ code }) => code));
	say((await jq(".a[1]")).lines);
});
`;
}
// The thread that waits for the next task keeps no process alive: the program ends by itself.
const printed = '["3"]\n"limit"\n["2"]\n';

it("runs from the sources", async () => {
	const file = path.join(folder, "sources.mjs");
	await writeFile(file, program(pathToFileURL(path.join(root, "src/sandbox/index.ts")).href));
	const { code, stdout, stderr } = await runProgram(process.execPath, [file], { cwd: folder });
	expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: printed, stderr: "" });
});

it("runs from the package", async () => {
	const file = path.join(folder, "package.mjs");
	await writeFile(file, program(pathToFileURL(path.join(root, "lib/sandbox/index.js")).href));
	const { code, stdout, stderr } = await runProgram(process.execPath, [file], { cwd: folder });
	expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: printed, stderr: "" });
});

it("runs from the bundled command line, with jq from the package beside it", async () => {
	const project = path.join(folder, "project");
	const target = path.join(project, "node_modules/brewline/lib/cli");
	await mkdir(path.join(project, "node_modules"), { recursive: true });
	await cp(path.join(root, "lib/cli"), target, { recursive: true });
	await cp(path.join(root, "node_modules/jq-wasm"), path.join(project, "node_modules/jq-wasm"), { recursive: true });
	const entry = path.join(folder, "command.ts");
	await writeFile(entry, program(path.join(root, "src/sandbox/index.ts")));
	await bundleProgram(entry, target);
	const { code, stdout, stderr } = await runProgram(process.execPath, [path.join(target, "command.js")], {
		cwd: folder,
	});
	expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: printed, stderr: "" });
});

it("runs from the bundles of the actions, with no package anywhere", async () => {
	const alone = path.join(folder, "dist");
	await mkdir(alone);
	for (const name of await readdir(path.join(root, "dist"))) {
		if (name === "jq.wasm" || /^worker\b.*\.js$/.test(name)) {
			await cp(path.join(root, "dist", name), path.join(alone, name));
		}
	}
	await writeFile(path.join(alone, "package.json"), '{ "type": "module" }\n');
	const { rolldown } = await import("rolldown");
	const entry = path.join(folder, "action.ts");
	await writeFile(entry, program(path.join(root, "src/sandbox/index.ts")));
	const bundled = await rolldown({ input: entry, platform: "node", cwd: root, logLevel: "warn" });
	await bundled.write({ dir: alone, format: "esm", minify: true });
	await bundled.close();
	const { code, stdout, stderr } = await runProgram(process.execPath, [path.join(alone, "action.js")], { cwd: folder });
	expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: printed, stderr: "" });
});
