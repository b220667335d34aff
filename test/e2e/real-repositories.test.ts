import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { defineProgram, dockerProgram } from "../../src/config/index.ts";
import { loadLibrary, type Selection } from "../../src/definition/index.ts";
import { BrewlineError } from "../../src/errors.ts";
import { openGitStore } from "../../src/git/index.ts";
import { nodeIo, runCommand } from "../../src/io/index.ts";
import { run } from "../../src/pipeline/index.ts";
import { startRegistry, type RunningRegistry } from "../../src/registry/index.ts";
import { readSources, sources, type Sources } from "../../src/sources/index.ts";
import { conformance } from "../support/conformance.ts";
import { describeEngine, testEngine } from "../support/engine.ts";
import { type GitServer, startGitServer } from "../support/git-server.ts";

/**
 * Copies of public repositories, which this machine must have: `BREWLINE_REPOSITORIES` names a folder of bare
 * repositories as they are called on GitHub, `docker-library/golang.git`. What is not there is not compared.
 */
const repositories = process.env["BREWLINE_REPOSITORIES"];
const production = conformance("production-2024-06-20");
const reason =
	repositories === undefined
		? "BREWLINE_REPOSITORIES names no folder of repositories"
		: existsSync(production)
			? undefined
			: "no conformance data";
const title = `real repositories${reason === undefined ? "" : ` (${reason})`}`;
const github = "https://github.com/";
const io = nodeIo();

async function openRepositories(): Promise<{ server: GitServer; rewrite: Record<string, string> }> {
	const server = await startGitServer({ root: path.resolve(repositories!), allow: "any" });
	return { server, rewrite: { [github]: `${server.url}/` } };
}

/** The definitions of that day, of images whose repository is there. */
async function definitions(): Promise<readonly Selection[]> {
	const known = { architectures: Object.keys(dockerProgram.architectures), defaultArchitecture: "amd64" };
	const all = await loadLibrary(path.join(production, "library"), known);
	return all.filter(
		({ entries }) =>
			entries.length > 0 &&
			entries.every(
				({ GitRepo }) =>
					GitRepo.startsWith(github) && existsSync(path.join(repositories!, GitRepo.slice(github.length))),
			),
	);
}

describe.skipIf(reason !== undefined)(title, () => {
	let scratch: string;
	let git: Awaited<ReturnType<typeof openRepositories>>;
	beforeAll(async () => {
		scratch = await mkdtemp(path.join(tmpdir(), "brewline-repositories-"));
		git = await openRepositories();
	});
	afterAll(async () => {
		await git.server.close();
		await rm(scratch, { recursive: true, force: true });
	});

	it("have the recorded checksums, epochs and FROMs", async () => {
		const recorded = readSources(gunzipSync(readFileSync(path.join(production, "sources.json.gz"))));
		await using store = openGitStore(io, { directory: path.join(scratch, "git"), rewrite: git.rewrite });
		const heavy = (all: Sources, id: string) =>
			Object.entries(all[id]?.arches ?? {}).map(([arch, { tags, froms, lastStageFrom }]) => ({
				id,
				checksum: all[id]!.reproducibleGitChecksum,
				epoch: all[id]!.entries[0]!.SOURCE_DATE_EPOCH,
				arch,
				tags,
				froms,
				lastStageFrom,
			}));
		let compared = 0;
		for (const selection of await definitions()) {
			// Copies may lack commits that no branch has any more, as busybox drops them.
			const missing = await sources({ selections: [selection], pins: new Map() }, io, {
				program: dockerProgram,
				git: store,
			}).then(
				(computed) => {
					for (const id of Object.keys(computed)) {
						expect(heavy(computed, id)).toEqual(heavy(recorded, id));
						compared++;
					}
					return undefined;
				},
				(error: unknown) => {
					if (!(error instanceof BrewlineError) || error.code !== "git") throw error;
					return error.message.split("\n")[0]!;
				},
			);
			console.log(`${selection.name}: ${missing === undefined ? "equal" : `not compared: ${missing}`}`);
		}
		console.log(`${compared} sources are equal to the recorded ones`);
		expect(compared).toBeGreaterThan(0);
	});
});

const engine = reason === undefined ? await testEngine() : { unavailable: reason };

describeEngine("hello-world", engine, (engine) => {
	let scratch: string;
	let git: Awaited<ReturnType<typeof openRepositories>>;
	let registry: RunningRegistry;
	beforeAll(async () => {
		scratch = await mkdtemp(path.join(tmpdir(), "brewline-hello-world-"));
		git = await openRepositories();
		registry = await startRegistry();
	});
	afterAll(async () => {
		await registry.close();
		await git.server.close();
		await rm(scratch, { recursive: true, force: true });
	});

	it("is built for all its Linux architectures and published", async () => {
		const hello = (await definitions()).find(({ name }) => name === "hello-world");
		if (hello === undefined) throw new Error("docker-library/hello-world.git is not there");
		const linux = hello.entries.find(({ Tags }) => Tags.includes("linux"))!.Architectures;
		const library = path.join(scratch, "library");
		await runCommand(io, ["mkdir", library]);
		await runCommand(io, ["cp", path.join(production, "library/hello-world"), library]);
		const program = defineProgram({
			name: "hello-world",
			library,
			externalPins: path.join(scratch, "pins"),
			architectures: Object.fromEntries(
				linux.map((arch) => [arch, { namespace: `${registry.host}/${arch}`, runner: "local", emulate: true }]),
			),
			registries: {
				staging: `${registry.host}/staging-ARCH:BUILD`,
				namespace: `${registry.host}/library`,
				// Windows waits for its bases, which are asked for here and not there.
				mirrors: { "mcr.microsoft.com": `http://${registry.host}` },
			},
			git: { rewrite: git.rewrite },
		});
		const report = await run(program, io, {
			work: path.join(scratch, "work"),
			findBuilder: () => Promise.resolve({ ...engine.builder, env: engine.env }),
		});
		const states = Object.fromEntries(report.builds.map(({ arch, state, error }) => [arch, error ?? state]));
		expect(states).toEqual(Object.fromEntries(linux.map((arch) => [arch, "built"])));
		const tag = report.tags.find(({ reference }) => reference.endsWith("/hello-world:linux"));
		expect(tag?.platforms).toHaveLength(linux.length);
		const { stdout } = await runCommand(io, ["docker", "run", "--rm", "--network", "none", tag!.reference], {
			code: "engine",
			env: engine.env,
		});
		expect(stdout.toString()).toContain("Hello from Docker!");
	});
});
