import { mkdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { pushLayout } from "../../src/build/index.ts";
import { defineProgram, type Program } from "../../src/config/index.ts";
import type { Io } from "../../src/io/index.ts";
import { parseReference, readLayout } from "../../src/oci/index.ts";
import { createRegistryClient } from "../../src/registry/index.ts";
import { busyboxReference, makeBusyboxLayout, writeExternalPin } from "../fixtures/samples/busybox.ts";
import {
	type ChangeableSample,
	makeSampleRepositories,
	sampleArchitectures,
	sampleNames,
	samplePrefix,
	writeSampleLibrary,
} from "../fixtures/samples/make.ts";
import { type GitServer, startGitServer } from "./git-server.ts";

export interface SampleWorldOptions {
	/** Everything is made in here; what was there is replaced. */
	readonly directory: string;
	/** `HOST:PORT` of the registry that is published to. */
	readonly registry: string;
	/** Static busybox binaries by architecture; without them busybox is Docker Hub's, or, without an engine, not needed. */
	readonly busybox?: Readonly<Record<string, string>>;
	/** Only the samples that need no engine. */
	readonly withoutEngine?: boolean;
	readonly changes?: readonly ChangeableSample[];
	readonly architectures?: readonly (typeof sampleArchitectures)[number][];
}

/** The samples as a user would have them: definitions, external pins, git over HTTP, and a program that publishes them. */
export interface SampleWorld extends AsyncDisposable {
	readonly program: Program;
	readonly git: GitServer;
	/** Replaces the definitions by those with the given changes, which are in the repositories then. */
	change(changes: readonly ChangeableSample[]): Promise<void>;
}

export async function openSampleWorld(io: Io, options: SampleWorldOptions): Promise<SampleWorld> {
	const { directory, registry, busybox = {} } = options;
	const folder = (name: string): string => path.join(directory, name);
	await mkdir(directory, { recursive: true });
	const make = async (changes: readonly ChangeableSample[]): Promise<void> => {
		for (const name of ["git", "library"]) await rm(folder(name), { recursive: true, force: true });
		await writeSampleLibrary(directory, await makeSampleRepositories(folder("git"), { changes }));
		if (options.withoutEngine !== true) return;
		for (const name of sampleNames) if (name !== "imported") await rm(path.join(folder("library"), name));
	};
	await make(options.changes ?? []);

	await rm(folder(".external-pins"), { recursive: true, force: true });
	const own = Object.keys(busybox).length > 0;
	if (own) {
		const layout = folder("busybox");
		await rm(layout, { recursive: true, force: true });
		const { digest } = await makeBusyboxLayout(layout, busybox);
		await pushLayout(
			createRegistryClient(io),
			await readLayout(layout, { attestations: "current" }),
			parseReference(`${registry}/library/${busyboxReference}`),
		);
		await writeExternalPin(directory, busyboxReference, digest);
	}
	// The last thing that can fail: nobody would close the server where something else does after it.
	const git = await startGitServer({ root: folder("git"), allow: "any" });
	const runners = { amd64: "ubuntu-24.04", arm64v8: "ubuntu-24.04-arm", s390x: "ubuntu-24.04" };
	const program = defineProgram({
		name: "brewline-samples",
		library: folder("library"),
		externalPins: folder(".external-pins"),
		architectures: Object.fromEntries(
			(options.architectures ?? sampleArchitectures).map((name) => [
				name,
				// A laptop has one architecture; the others are emulated, which every result says.
				{ namespace: `${registry}/${name}`, runner: runners[name], emulate: true },
			]),
		),
		registries: {
			staging: `${registry}/staging-ARCH:BUILD`,
			namespace: `${registry}/library`,
			...(own ? { mirrors: { "docker.io": `http://${registry}` } } : {}),
		},
		git: { rewrite: { [samplePrefix]: `${git.url}/samples-` } },
	});
	return {
		program,
		git,
		change: make,
		[Symbol.asyncDispose]: () => git.close(),
	};
}

/** The configuration of a sample world as a file, for commands and actions. */
export async function writeSampleConfig(file: string, program: Program): Promise<void> {
	const { name, library, externalPins, architectures, registries, git, policies, state } = program;
	const served = Object.fromEntries(
		Object.entries(architectures)
			.filter(([, { runner }]) => runner !== null)
			.map(([arch, { namespace, runner, emulate }]) => [arch, { namespace, runner, emulate }]),
	);
	// JSON is YAML.
	const program_ = { name, library, externalPins, architectures: served, registries, git, policies, state };
	await writeFile(file, `${JSON.stringify({ program: program_ }, null, 2)}\n`);
}
