import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { Command } from "commander";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { commandLine } from "../../src/cli/program.ts";
import { parseConfig, servedArchitectures } from "../../src/config/index.ts";
import { errorCodes } from "../../src/errors.ts";
import {
	brewline,
	type CommandWorld,
	definition,
	mainFile,
	openCommandWorld,
	type Place,
	runProgram,
} from "../support/command.ts";
import { makeRepository } from "../support/git-repository.ts";

// What the program says of itself, and the exit codes that other tests have no reason to reach.

let world: CommandWorld;
let place: Place;
beforeAll(async () => {
	world = await openCommandWorld();
});
afterAll(() => world[Symbol.asyncDispose]());
beforeEach(async () => {
	place = await world.place();
});

it("works, called through npm, in the folder where it is called", async () => {
	const { folder } = place;
	writeFileSync(path.join(folder, "brewline.yaml"), "program: { nme: x }\n");
	const npm = ["--prefix", path.join(import.meta.dirname, "../.."), "run", "--silent", "brewline", "--", "plan"];
	const { status, stderr } = spawnSync("npm", npm, { cwd: folder, encoding: "utf8" });
	expect({ status, stderr }).toEqual({ status: 2, stderr: expect.stringContaining("brewline.yaml:1:12: program.nme") });
});

describe("help", () => {
	const commandsOf = (command: Command, words: readonly string[] = []): (readonly [string[], Command])[] => [
		[[...words], command],
		...command.commands.flatMap((child) => commandsOf(child, [...words, child.name()])),
	];

	it("explains every command, argument and option", async () => {
		for (const [words, command] of commandsOf(commandLine())) {
			const at = `brewline ${words.join(" ")}`.trim();
			const { code, stdout, stderr } = await place.brewline([...words, "--help"]);
			expect({ at, code, stderr }).toEqual({ at, code: 0, stderr: "" });
			// What wraps is one text again.
			const text = stdout.replaceAll(/\s+/g, " ");
			const explained = [
				command.description(),
				...command.options.map(({ flags, description }) => `${flags} ${description}`),
				...command.registeredArguments.map((argument) => `${argument.name()} ${argument.description}`),
				...command.commands.map((child) => child.description()),
			];
			expect({ at, missing: explained.filter((part) => !text.includes(part)) }).toEqual({ at, missing: [] });
			const nothingSaid = [...command.options, ...command.registeredArguments].filter(
				({ description }) => !description,
			);
			expect({ at, nothingSaid }).toEqual({ at, nothingSaid: [] });
			expect(text).toContain("-c, --config <file>");
		}
	});

	it("has every exit code", async () => {
		const { stdout } = await place.brewline("--help");
		const told = [...stdout.matchAll(/^ {2}(\d+)\t(.*)$/gm)].flatMap(([, exit, codes]) =>
			codes!.split(", ").map((code) => [code, Number(exit)]),
		);
		const table = Object.entries(errorCodes).map(([code, { exit }]) => [code, exit]);
		expect(new Map(told as [string, number][])).toEqual(new Map([["all is done", 0], ...table] as [string, number][]));
	});

	it("has an example for every command but the simplest, each of which can be typed", async () => {
		const without: string[] = [];
		for (const [words] of commandsOf(commandLine())) {
			const { stdout } = await place.brewline([...words, "--help"]);
			const examples = stdout.split("\n").filter((line) => /^ {2}(?:source <\()?brewline [a-z]/.test(line));
			if (examples.length === 0) without.push(words.join(" "));
			for (const example of examples) {
				const [line] = example
					.trim()
					.replace("source <(", "")
					.replace(")", " ")
					.split(/ {2,}| && | \| /);
				const [, ...args] = line!.trim().split(" ");
				const { code, stderr } = await place.brewline([...args, "--help"]);
				expect({ example, code, stderr }).toEqual({ example, code: 0, stderr: "" });
				// With --help nobody looks at the options, so that is done here.
				const root = commandLine();
				let command = root;
				for (const word of args) command = command.commands.find((child) => child.name() === word) ?? command;
				const known = [...command.options, ...root.options].map(({ long }) => long);
				const options = args.filter((word) => word.startsWith("--"));
				expect({ example, unknown: options.filter((word) => !known.includes(word)) }).toEqual({ example, unknown: [] });
			}
		}
		expect(without).toEqual(["sources", "doctor"]);
	});

	it("shows a configuration that can be used", async () => {
		const { stdout } = await place.brewline("--help");
		const text = /^ {2}program:\n(?: {4}.*\n)+/m.exec(stdout)![0];
		const program = parseConfig(text, "brewline.yaml");
		expect(program).toMatchObject({ name: "my-images", registries: { namespace: "registry.example.com/library" } });
		expect(servedArchitectures(program)).toEqual(["amd64", "arm64v8"]);
	});

	it("is offered where the command line is wrong, with the code `usage`", async () => {
		for (const [args, message] of [
			["nosuch", "unknown command 'nosuch'"],
			["run --nosuch", "unknown option '--nosuch'"],
			["run --dryrun", "(Did you mean --dry-run?)"],
			["run --parallel 0", "it must be a whole number from 1"],
			["registry --port 99999", "it must be a port"],
			["run --arch ,", "it names no architecture"],
			["run extra", "too many arguments"],
			["inspect reference", "missing required argument"],
			["build --digest sha256:00", "--digest goes with one leg"],
		] as const) {
			const { code, stdout, stderr } = await place.brewline(args);
			expect({ args, code, stdout }).toEqual({ args, code: 2, stdout: "" });
			expect(stderr).toContain(message);
			const json = await place.brewline(`${args} --json`);
			expect({ args, errors: JSON.parse(json.stdout) }).toEqual({
				args,
				errors: { errors: [expect.objectContaining({ code: "usage" })] },
			});
		}
		for (const args of [[], ["inspect"]]) {
			const { code, stderr } = await place.brewline(args);
			expect({ args, code }).toEqual({ args, code: 2 });
			expect(stderr).toMatch(/^Usage: brewline /);
		}
	});
});

describe("the program", () => {
	it("prints its version", async () => {
		const { version } = JSON.parse(readFileSync(path.join(path.dirname(mainFile), "../../package.json"), "utf8"));
		expect(await place.brewline("--version")).toEqual({ code: 0, stdout: `${version}\n`, stderr: "" });
	});

	it("refuses a Node.js that is too old, in one line and with its own exit code", async () => {
		// An older Node cannot be had here: this one says that it is older.
		const older = `Object.defineProperty(process, "versions", { value: { ...process.versions, node: "20.19.0" } })`;
		writeFileSync(path.join(place.folder, "older.cjs"), older);
		const { code, stdout, stderr } = await runProgram(
			process.execPath,
			["--require", path.join(place.folder, "older.cjs"), mainFile, "run"],
			{ cwd: place.folder },
		);
		expect([code, stdout]).toEqual([8, ""]);
		expect(stderr).toMatch(/^brewline needs Node\.js 24\.5 or newer; this is v\S+\n$/);
	});

	it("warns where there is no configuration before anything goes where Docker's own images go", async () => {
		const { code, stdout, stderr } = await brewline(["run", "--dry-run"], { cwd: path.join(place.folder, "registry") });
		expect([code, stdout]).toEqual([3, ""]);
		expect(stderr).toMatch(
			/^warning there is no brewline\.yaml here: .*oisupport\/staging-ARCH:BUILD and library\/NAME\n/,
		);
		expect((await place.brewline("run --dry-run")).stderr).not.toContain("no brewline.yaml");
	});

	it("works without a configuration, for what needs none", async () => {
		const { code, stdout } = await brewline(["inspect", "reference", "alpine:3"], { cwd: world.folder });
		expect([code, stdout]).toEqual([0, expect.stringContaining("canonical  docker.io/library/alpine:3\n")]);
	});

	it("takes folders by options", async () => {
		const { code } = await place.brewline([
			"run",
			"--work",
			"elsewhere",
			"--library",
			path.join(world.folder, "library"),
		]);
		expect(code).toBe(0);
		expect(existsSync(path.join(place.folder, "elsewhere/report.json"))).toBe(true);
		expect(existsSync(path.join(place.folder, ".brewline"))).toBe(false);
	});
});

describe("exit codes", () => {
	it("engine: what has to be built with Docker fails where there is none, and doctor ends with 6", async () => {
		const repository = makeRepository(path.join(world.repositories, "samples-engine.git"));
		const tree = repository.tree([
			["100644", "Dockerfile", repository.object("blob", "FROM scratch\nCOPY Dockerfile /\n")],
		]);
		const commit = repository.commit(tree);
		repository.ref("refs/heads/main", commit);
		const text = definition("https://github.com/brewline/samples-engine.git", {
			Builder: "buildkit",
			File: "Dockerfile",
			GitCommit: commit,
		});
		await place.define({ engine: text });
		const { code, stdout, stderr } = await place.brewline("run --json");
		expect(code).toBe(1);
		expect(JSON.parse(stdout).builds).toEqual([
			expect.objectContaining({ state: "failed", error: expect.objectContaining({ code: "engine" }) }),
		]);
		expect(stderr).toContain("docker");
		expect((await place.brewline("doctor")).code).toBe(errorCodes.engine.exit);
	});

	it("incomplete: what waits for an image that no registry has is said, and nothing fails", async () => {
		const repository = makeRepository(path.join(world.repositories, "samples-waits.git"));
		const from = `FROM ${place.registry.host}/no/such:1\n`;
		const commit = repository.commit(repository.tree([["100644", "Dockerfile", repository.object("blob", from)]]));
		repository.ref("refs/heads/main", commit);
		const text = definition("https://github.com/brewline/samples-waits.git", {
			Builder: "buildkit",
			File: "Dockerfile",
			GitCommit: commit,
		});
		await place.define({ waits: text });
		const { code, stdout, stderr } = await place.brewline("run");
		expect(code).toBe(errorCodes.incomplete.exit);
		expect(stderr).toMatch(/^… waits:1 waits for .*\/no\/such:1, which no registry has \(amd64\)$/m);
		expect(stdout).toMatch(/^Waiting\n {2}waits:1 amd64: waits:1 waits for .*\/no\/such:1, which no registry has$/m);
		expect(stdout).toMatch(/^incomplete: 1 waiting, 2 tags held in /m);
	});

	it("git: that it is not there is said to be what is missing", async () => {
		const { code, stderr } = await place.brewline("run", { env: { PATH: "/nonexistent" } });
		expect(code).toBe(errorCodes.git.exit);
		expect(stderr).toMatch(/cannot start git.*\n {2}install git 2\.36 or later/);
	});
});
