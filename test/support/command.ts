import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import {
	existsSync,
	mkdirSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
	readlinkSync,
	rmSync,
	writeFileSync,
} from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import type { Program } from "../../src/config/index.ts";
import { nodeIo } from "../../src/io/index.ts";
import type { Platform } from "../../src/oci/index.ts";
import { startRegistry, type RegistryServerOptions, type RunningRegistry } from "../../src/registry/index.ts";
import { type Report, reportSchema } from "../../src/report/index.ts";
import { makeLayout } from "../fixtures/layouts/make-layout.ts";
import type { TestEntry, TestRepository } from "./git-repository.ts";
import type { GitServer } from "./git-server.ts";
import { openSampleWorld, writeSampleConfig } from "./sample-world.ts";

export const mainFile = path.join(import.meta.dirname, "../../src/cli/main.ts");

export interface CommandOptions {
	/** The working folder. */
	readonly cwd: string;
	readonly env?: Readonly<Record<string, string | undefined>>;
	readonly input?: string | Buffer;
	/** Is given the process as soon as it is there. */
	readonly started?: (child: ChildProcess) => void;
}

export interface Ended {
	/** Null where a signal ended it. */
	readonly code: number | null;
	readonly stdout: string;
	readonly stderr: string;
}

/** Starts the command line from the sources, as a user does, in an environment of its own: no engine, no credentials. */
export function brewline(args: readonly string[], options: CommandOptions): Promise<Ended> {
	return runProgram(process.execPath, [mainFile, ...args], options);
}

/** The report on standard output, where nothing else may stand. */
export function reportOf({ stdout }: Pick<Ended, "stdout">): Report {
	return reportSchema.parse(JSON.parse(stdout));
}

/** Any program, to its end, with what it wrote. */
export async function runProgram(file: string, args: readonly string[], options: CommandOptions): Promise<Ended> {
	const child = spawn(file, args, {
		cwd: options.cwd,
		env: {
			PATH: process.env["PATH"],
			HOME: options.cwd,
			DOCKER_HOST: "unix:///nonexistent/docker.sock",
			DOCKER_CONFIG: path.join(options.cwd, ".docker"),
			...options.env,
		},
		stdio: ["pipe", "pipe", "pipe"],
	});
	const chunks: Record<"stdout" | "stderr", Buffer[]> = { stdout: [], stderr: [] };
	for (const stream of ["stdout", "stderr"] as const) {
		child[stream].on("data", (chunk: Buffer) => chunks[stream].push(chunk));
	}
	child.stdin.on("error", () => {});
	child.stdin.end(options.input ?? "");
	options.started?.(child);
	const [code] = (await once(child, "close")) as [number | null];
	const text = (stream: "stdout" | "stderr"): string => Buffer.concat(chunks[stream]).toString("utf8");
	return { code, stdout: text("stdout"), stderr: text("stderr") };
}

/** The sample that needs no engine, with git over HTTP; commands are started in places. */
export interface CommandWorld extends AsyncDisposable {
	readonly folder: string;
	/** The bare repositories are in here. */
	readonly repositories: string;
	readonly git: GitServer;
	/** Makes a place with a registry of its own, which is closed with the world. */
	place(options?: Pick<RegistryServerOptions, "auth">): Promise<Place>;
}

/** A folder with a `brewline.yaml` to start commands in, and an empty registry to publish to. */
export interface Place {
	readonly folder: string;
	readonly program: Program;
	readonly registry: RunningRegistry;
	/** `METHOD PATH` of each request since it was last emptied. */
	readonly requests: string[];
	/** Those of them that change something. */
	readonly writes: () => readonly string[];
	/** From now on: what goes wrong with a request; the number counts from 1 and from now. */
	readonly fail: (fault: NonNullable<RegistryServerOptions["fault"]>) => void;
	/** Every file that the registry holds, but for unfinished uploads: equal for equal content. */
	readonly content: () => Readonly<Record<string, string>>;
	/** Hand-over files and logs below the work folder, by name; git objects are a cache, and left out. */
	readonly workFiles: () => Readonly<Record<string, string>>;
	/** Has the place's program read these definitions, and no others. */
	readonly define: (definitions: Readonly<Record<string, string>>) => Promise<void>;
	/** Writes `brewline.yaml` anew, with these values in place of the sample's. */
	readonly configure: (change: Partial<Program>) => Promise<void>;
	/** Starts `brewline` with these arguments, separated by blanks where they are one text. */
	readonly brewline: (args: string | readonly string[], options?: Partial<CommandOptions>) => Promise<Ended>;
	/** The same, where it has to end with 0. */
	readonly succeed: (args: string | readonly string[]) => Promise<Ended>;
	/** A file below the work folder. */
	readonly file: (name: string) => string;
}

const placeholder = "registry.invalid:1";

export async function openCommandWorld(): Promise<CommandWorld> {
	const folder = mkdtempSync(path.join(os.tmpdir(), "brewline-command-"));
	const world = await openSampleWorld(nodeIo(), { directory: folder, registry: placeholder, withoutEngine: true });
	const registries: RunningRegistry[] = [];
	let count = 0;
	return {
		folder,
		repositories: path.join(folder, "git"),
		git: world.git,
		place: async (options = {}) => {
			const place = await openPlace(path.join(folder, `place-${++count}`), world.program, options);
			registries.push(place.registry);
			return place;
		},
		[Symbol.asyncDispose]: async () => {
			for (const registry of registries) await registry.close();
			await world[Symbol.asyncDispose]();
			rmSync(folder, { recursive: true, force: true });
		},
	};
}

async function openPlace(
	folder: string,
	sample: Program,
	options: Pick<RegistryServerOptions, "auth">,
): Promise<Place> {
	mkdirSync(folder);
	const requests: string[] = [];
	const storage = path.join(folder, "registry");
	let fault: Parameters<Place["fail"]>[0] | undefined;
	let number = 0;
	const registry = await startRegistry({
		...options,
		directory: storage,
		fault: (request) => {
			requests.push(`${request.method} ${request.path}`);
			return fault?.({ ...request, number: ++number });
		},
	});
	const program = JSON.parse(JSON.stringify(sample).replaceAll(placeholder, registry.host)) as Program;
	const configure = (change: Partial<Program>): Promise<void> =>
		writeSampleConfig(path.join(folder, "brewline.yaml"), { ...program, ...change });
	await configure({});
	const start: Place["brewline"] = (args, given = {}) =>
		brewline(typeof args === "string" ? args.split(" ") : args, { cwd: folder, ...given });
	return {
		folder,
		program,
		registry,
		requests,
		writes: () => requests.filter((request) => !/^(?:GET|HEAD) /.test(request)),
		fail: (next) => {
			fault = next;
			number = 0;
		},
		content: () => contentOf(storage),
		workFiles: () => workFilesOf(path.join(folder, ".brewline")),
		define: async (definitions) => {
			const library = path.join(folder, "library");
			rmSync(library, { recursive: true, force: true });
			mkdirSync(library);
			for (const [name, text] of Object.entries(definitions)) writeFileSync(path.join(library, name), text);
			await configure({ library });
		},
		configure,
		brewline: start,
		succeed: async (args) => {
			const ended = await start(args);
			if (ended.code !== 0) throw new Error(`${String(args)}: ${ended.code}: ${ended.stderr}`);
			return ended;
		},
		file: (name) => path.join(folder, ".brewline", name),
	};
}

function contentOf(storage: string): Record<string, string> {
	const files = readdirSync(storage, { recursive: true, withFileTypes: true })
		.filter((entry) => entry.isFile())
		.map((entry) => path.join(entry.parentPath, entry.name))
		.filter((file) => !file.startsWith(path.join(storage, "uploads")))
		.sort();
	return Object.fromEntries(
		files.map((file) => [path.relative(storage, file), createHash("sha256").update(readFileSync(file)).digest("hex")]),
	);
}

function workFilesOf(work: string): Record<string, string> {
	if (!existsSync(work)) return {};
	const files = readdirSync(work, { recursive: true, withFileTypes: true })
		.filter((entry) => entry.isFile())
		.map((entry) => path.join(entry.parentPath, entry.name))
		.filter((file) => !file.startsWith(path.join(work, "git") + path.sep))
		.sort();
	return Object.fromEntries(files.map((file) => [path.relative(work, file), readFileSync(file, "utf8")]));
}

/** A file's definition: the fields of an `oci-import` of one repository, for an architecture. */
export function definition(repository: string, fields: Readonly<Record<string, string>>): string {
	const all = {
		GitRepo: repository,
		GitFetch: "refs/heads/main",
		Builder: "oci-import",
		File: "index.json",
		...fields,
	};
	const lines = Object.entries(all).map(([key, value]) => `${key}: ${value}\n`);
	return `Maintainers: Test <test@example.com> (@test)\n\nTags: 1, latest\n${lines.join("")}`;
}

/**
 * Commits a version of an image, by architecture in a folder of that name, as an `oci-import` takes it; of another version, the
 * content is another. Gives back the fields of its definition.
 */
export async function commitVersion(
	repository: TestRepository,
	folder: string,
	platforms: Readonly<Record<string, Platform>>,
	version: string,
): Promise<Readonly<Record<string, string>>> {
	for (const [arch, platform] of Object.entries(platforms)) {
		const layout = path.join(folder, arch);
		const { image } = await makeLayout("provenance-v1", layout, { platform, tags: ["hello:1"], layers: [{ version }] });
		// An import is of one image.
		writeFileSync(path.join(layout, "index.json"), JSON.stringify({ schemaVersion: 2, manifests: [image] }));
	}
	const arches = Object.keys(platforms);
	return {
		Architectures: arches.join(", "),
		GitCommit: commitFolder(repository, folder),
		Directory: arches[0]!,
		...Object.fromEntries(arches.slice(1).map((arch) => [`${arch}-Directory`, arch])),
	};
}

/** Commits a folder, with its symbolic links, as the branch `main`. */
export function commitFolder(repository: TestRepository, folder: string): string {
	const treeOf = (directory: string): string => {
		const entries = readdirSync(directory, { withFileTypes: true })
			// git sorts a folder as if its name ended with a slash.
			.map((entry) => ({ entry, key: entry.isDirectory() ? `${entry.name}/` : entry.name }))
			.sort((a, b) => (a.key < b.key ? -1 : 1))
			.map(({ entry }): TestEntry => {
				const file = path.join(directory, entry.name);
				if (entry.isDirectory()) return ["40000", entry.name, treeOf(file)];
				if (entry.isSymbolicLink()) return ["120000", entry.name, repository.object("blob", readlinkSync(file))];
				return ["100644", entry.name, repository.object("blob", readFileSync(file))];
			});
		return repository.tree(entries);
	};
	const commit = repository.commit(treeOf(folder));
	repository.ref("refs/heads/main", commit);
	return commit;
}

/**
 * Waits for the clock's next second: a laptop's tries of a build have no log, and are told apart by the second in which they end,
 * as the records of the existing system have it.
 */
export async function nextSecond(): Promise<void> {
	// Timers and the clock of the day differ by a little.
	await wait(1010 - (Date.now() % 1000));
}
