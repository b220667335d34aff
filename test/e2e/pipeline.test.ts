import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { defineProgram } from "../../src/config/index.ts";
import type { Engine, Unavailable } from "../../src/engine/index.ts";
import { nodeIo, runCommand, type Io } from "../../src/io/index.ts";
import {
	isAttestation,
	mediaTypes,
	parseReference,
	printReference,
	subjectOf,
	type Descriptor,
	type Index,
	type Reference,
} from "../../src/oci/index.ts";
import { run, type RunOptions } from "../../src/pipeline/index.ts";
import {
	createRegistryClient,
	startRegistry,
	type RegistryClient,
	type RunningRegistry,
} from "../../src/registry/index.ts";
import type { Report } from "../../src/report/index.ts";
import { image, index, layer, ociPlatforms, type Blob, type Image } from "../fixtures/samples/layout.ts";
import { sampleArchitectures, sampleNames } from "../fixtures/samples/make.ts";
import { commitFolder } from "../support/builds.ts";
import { startDockerRegistry } from "../support/docker-registry.ts";
import { describeEngine, testEngine } from "../support/engine.ts";
import { commitOnTop } from "../support/git-repository.ts";
import { startGitServer, type GitServer } from "../support/git-server.ts";
import { openSampleWorld, type SampleWorld } from "../support/sample-world.ts";

const platforms = { amd64: "linux/amd64", arm64v8: "linux/arm64/v8", s390x: "linux/s390x" } as const;
const engine = withAll(await testEngine());
const scratch = await mkdtemp(path.join(tmpdir(), "brewline-pipeline-"));
afterAll(() => rm(scratch, { recursive: true, force: true, maxRetries: 3 }));

const everywhere = Object.values(platforms);
/** Every tag that the samples' definitions name, with its architectures' platforms. */
const expectedTags: Readonly<Record<string, readonly string[]>> = {
	...tagsOf("app", ["3.0.1", "3.0", "3", "latest"], everywhere),
	...tagsOf("base", ["2.1", "2", "stable", "latest"], everywhere),
	...tagsOf("bundle", ["2025.10", "2025", "latest"], everywhere),
	...tagsOf("imported", ["1.0", "1", "latest"], everywhere),
	...tagsOf("tool", ["1.2.3", "1.2", "1", "latest"], everywhere),
	...tagsOf("tool", ["1.2.3-standard", "1.2-standard", "1-standard", "standard"], [platforms.amd64, platforms.arm64v8]),
	...tagsOf("tool", ["1.2.3-mainframe", "1.2-mainframe", "1-mainframe", "mainframe"], [platforms.s390x]),
};

/** An engine that is there may lack what these tests need: emulators, or static binaries. */
function withAll(found: Engine | Unavailable): Engine | Unavailable {
	if ("unavailable" in found) return found;
	const missing = sampleArchitectures.filter(
		(arch) =>
			found.busybox[arch] === undefined || !found.platforms.some((platform) => platforms[arch].startsWith(platform)),
	);
	return missing.length === 0
		? found
		: { unavailable: `the engine that is there has nothing for ${missing.join(", ")}` };
}

function tagsOf(name: string, tags: readonly string[], of: readonly string[]): Record<string, readonly string[]> {
	return Object.fromEntries(tags.map((tag) => [`${name}:${tag}`, of]));
}

/** `NAME ARCH` of each image and architecture. */
function on(names: readonly string[], architectures: readonly string[] = sampleArchitectures): string[] {
	return names.flatMap((name) => architectures.map((arch) => `${name} ${arch}`)).sort();
}

function inState(report: Report, state: Report["builds"][number]["state"]): string[] {
	return report.builds
		.filter((build) => build.state === state)
		.map(({ tags, arch }) => `${tags[0]!.split(":")[0]} ${arch}`)
		.sort();
}

type StartRegistry = (directory: string) => Promise<{ readonly host: string; close(): Promise<void> }>;

describeEngine("the pipeline", engine, (engine) => {
	const { registryBinary } = engine;
	pipelineWith("the embedded registry", engine, (directory) => startRegistry({ directory }));
	if (registryBinary !== undefined)
		pipelineWith("Debian's docker-registry", engine, (directory) => startDockerRegistry(registryBinary, directory));
	// oxlint-disable-next-line vitest/no-disabled-tests -- it is counted and named at the end of every run
	else it.skip("with Debian's docker-registry (it comes with a private engine only)", () => {});
});

/** How BuildKit gets parents and contexts that are on this machine, by whether it sees loopback addresses (docs/design.md). */
const ways = [
	{ name: "network", way: "by reference and by git address", hostNetwork: true },
	{ name: "files", way: "as an OCI layout and as a tar on standard input", hostNetwork: false },
] as const;

describeEngine("parents and contexts", engine, ({ builder, env }) => {
	const directory = path.join(scratch, "parents");
	const architectures = ["amd64", "s390x"] as const;
	const io = nodeIo();
	const client = createRegistryClient(io);
	let registry: RunningRegistry;
	let git: GitServer;
	/** As the Dockerfile names the parent. */
	let from: string;
	let address: string;
	let parents: Readonly<Record<"planned" | "moved", Parent>>;
	/** What each way came to, for comparison. */
	const built: unknown[] = [];

	beforeAll(async () => {
		registry = await startRegistry();
		from = `${registry.host}/outside/parent:1`;
		parents = { planned: makeParent("planned"), moved: makeParent("moved") };
		const context = path.join(directory, "context");
		await mkdir(path.join(context, "image"), { recursive: true });
		await writeFile(path.join(context, "image/Dockerfile"), `FROM ${from}\nCOPY own /own\n`);
		await writeFile(path.join(context, "image/own"), "its own\n");
		const root = path.join(directory, "git");
		await mkdir(root);
		const commit = commitFolder(context, root, "child");
		git = await startGitServer({ root });
		address = `${git.url}/child.git#${commit}:image`;
		await mkdir(path.join(directory, "library"));
		await writeFile(
			path.join(directory, "library/child"),
			`Maintainers: Test <test@example.com> (@test)
Architectures: ${architectures.join(", ")}
GitRepo: ${git.url}/child.git
GitFetch: refs/heads/main
GitCommit: ${commit}
Directory: image

Tags: 1
`,
		);
	});
	afterAll(async () => {
		await git?.close();
		await registry?.close();
	});

	it.each(ways)("are given $way, pinned as they were planned", async ({ name, hostNetwork }) => {
		const program = defineProgram({
			name,
			library: path.join(directory, "library"),
			externalPins: path.join(directory, "pins"),
			architectures: Object.fromEntries(
				architectures.map((arch) => [
					arch,
					{ namespace: `${registry.host}/${name}-${arch}`, runner: "x", emulate: true },
				]),
			),
			registries: {
				staging: `${registry.host}/${name}-staging-ARCH:BUILD`,
				namespace: `${registry.host}/${name}`,
			},
		});
		const commands: (readonly string[])[] = [];
		const recording: Io = {
			...io,
			exec: (argv, options) => {
				commands.push(argv);
				return io.exec(argv, options);
			},
		};
		await pushParent(parents.planned);
		const report = await run(program, recording, {
			work: path.join(directory, name),
			findBuilder: async () => {
				// The plan is made by now, and nothing is built.
				await pushParent(parents.moved);
				return { ...builder, env, hostNetwork };
			},
		});
		expect(report.errors).toEqual([]);
		expect(report.builds.map(({ state, error }) => error ?? state)).toEqual(["built", "built"]);
		expect(
			commands
				.filter(([program]) => program === "docker")
				.map((argv) => [argv[argv.indexOf("--build-context") + 1], argv.at(-1)]),
		).toEqual(
			architectures.map((arch) => {
				const { digest } = parents.planned.images[arch].descriptor;
				return hostNetwork
					? [`${from}=docker-image://${from}@${digest}`, address]
					: [`${from}=oci-layout://parents@${digest}`, "-"];
			}),
		);

		const repository = { host: registry.host, repository: `${name}/child` };
		const { manifests } = await readManifest<Index>(client, { ...repository, tag: "1" });
		const images = manifests.filter((manifest) => !isAttestation(manifest));
		for (const [position, arch] of architectures.entries()) {
			const image = await readManifest<ImageManifest>(client, { ...repository, digest: images[position]!.digest });
			// The parent's layer, and one of its own.
			expect(image.layers).toHaveLength(2);
			expect(image.layers[0]!.digest).toBe(parents.planned.images[arch].layer.digest);
			// The definition's address, and the parent's own name, whichever way they were given.
			expect({ ...image.annotations, "org.opencontainers.image.created": null }).toEqual({
				"com.docker.official-images.bashbrew.arch": arch,
				"org.opencontainers.image.base.digest": parents.planned.images[arch].descriptor.digest,
				"org.opencontainers.image.base.name": from,
				"org.opencontainers.image.created": null,
				"org.opencontainers.image.revision": /#(.*):/.exec(address)![1],
				"org.opencontainers.image.source": address,
				"org.opencontainers.image.url": "https://hub.docker.com/_/child",
				"org.opencontainers.image.version": "1",
			});
			expect(images[position]!.annotations).toMatchObject(image.annotations);

			const attestation = manifests.find((manifest) => subjectOf(manifest) === images[position]!.digest)!;
			const { layers } = await readManifest<ImageManifest>(client, { ...repository, digest: attestation.digest });
			const statement = await readBlob<Statement>(client, repository, layers[0]!);
			const materials = statement.predicate.materials.map((material) => material.digest["sha256"]);
			expect(materials).toContain(parents.planned.images[arch].descriptor.digest.slice("sha256:".length));
		}
		built.push(report.builds.map(({ buildId }) => buildId));
	});

	it("make the same build, whichever way they are given", () => {
		expect(built).toHaveLength(2);
		expect(built[0]).toEqual(built[1]);
	});

	/** Pushes a parent, and moves the tag to it. */
	async function pushParent({ images, index }: Parent): Promise<void> {
		const repository = { host: registry.host, repository: "outside/parent" };
		for (const { layer, config, manifest, descriptor } of Object.values(images)) {
			for (const { content, digest } of [layer, config])
				await client.putBlob(repository, { digest, size: content.length }, () => Readable.from([content]));
			await client.putManifest({ ...repository, digest: descriptor.digest }, descriptor.mediaType, manifest.content);
		}
		await client.putManifest({ ...repository, tag: "1" }, mediaTypes.ociIndex, index.content);
	}
});

interface Parent {
	readonly images: Readonly<Record<keyof typeof ociPlatforms, Image>>;
	readonly index: Blob;
}

interface ImageManifest {
	readonly layers: readonly Descriptor[];
	readonly annotations: Readonly<Record<string, string>>;
}

/** An image for each architecture with one file, which tells it from others. */
function makeParent(content: string): Parent {
	const images = Object.fromEntries(
		sampleArchitectures.map((arch) => [
			arch,
			image(arch, layer([{ name: "parent", mode: 0o644, content: Buffer.from(`${content} ${arch}\n`) }], 0), {}, 0),
		]),
	) as Record<keyof typeof ociPlatforms, Image>;
	const manifests = sampleArchitectures.map((arch) => ({ ...images[arch].descriptor, platform: ociPlatforms[arch] }));
	return { images, index: index(manifests) };
}

/** The tests of one registry stand on each other, in their order: what the next run does is what they are about. */
function pipelineWith(name: string, engine: Engine, start: StartRegistry): void {
	describe(`with ${name}`, () => {
		const directory = path.join(scratch, name.replaceAll(/\W/g, "-"));
		const writes: string[] = [];
		const io = countingIo(writes);
		const client = createRegistryClient(io);
		let registry: Awaited<ReturnType<StartRegistry>>;
		let world: SampleWorld;
		/** What every tag held after the sample `tool` was changed. */
		let changed: Readonly<Record<string, string>>;

		beforeAll(async () => {
			registry = await start(path.join(directory, "registry"));
			world = await openSampleWorld(io, { directory, registry: registry.host, busybox: engine.busybox });
		});
		afterAll(async () => {
			await world?.[Symbol.asyncDispose]();
			await registry?.close();
		});

		const runSamples = async (options: Partial<RunOptions> = {}): Promise<Report> => {
			writes.length = 0;
			return run(world.program, io, {
				work: path.join(directory, "work"),
				findBuilder: () => Promise.resolve({ ...engine.builder, env: engine.env }),
				...options,
			});
		};
		const tagOf = (report: Report, name: string) =>
			report.tags.find(({ reference }) => reference === `${registry.host}/library/${name}`)!;
		const manifest = <T>(reference: string) => readManifest<T>(client, parseReference(`${registry.host}/${reference}`));
		const index = (reference: string) => manifest<Index>(reference);
		/** Digests by tag of all that is published, architectures' own tags too. */
		const published = async (): Promise<Record<string, string>> => {
			const digests: Record<string, string> = {};
			for (const namespace of ["library", ...sampleArchitectures])
				for (const name of sampleNames) {
					const repository = parseReference(`${registry.host}/${namespace}/${name}`);
					for await (const tag of client.listTags(repository))
						digests[`${namespace}/${name}:${tag}`] = (await client.headManifest({ ...repository, tag }))!.digest;
				}
			return digests;
		};
		const differing = (before: Readonly<Record<string, string>>, after: Readonly<Record<string, string>>): string[] => [
			...new Set(
				[...Object.keys(before), ...Object.keys(after)]
					.filter((name) => before[name] !== after[name])
					.map((name) => name.split(":")[0]!),
			),
		];
		const docker = async (reference: string, platform: string): Promise<string> => {
			const options = ["--rm", "--pull", "always", "--quiet", "--network", "none", "--platform", platform];
			const image = `${registry.host}/library/${reference}`;
			const { stdout } = await runCommand(io, ["docker", "run", ...options, image], { env: engine.env });
			if (engine.kind === "present")
				await runCommand(io, ["docker", "image", "rm", "--force", image], { env: engine.env });
			return stdout.toString("utf8");
		};
		/** What the published images print on each architecture. */
		const outputs = async (): Promise<Record<string, string>> => {
			const found: Record<string, string> = {};
			for (const name of ["tool", "app", "bundle"])
				for (const arch of sampleArchitectures)
					found[`${name} ${arch}`] = await docker(`${name}:latest`, platforms[arch]);
			return found;
		};

		it("builds all of it at first, and publishes every tag for exactly its platforms", async () => {
			const report = await runSamples();
			expect(report.errors).toEqual([]);
			expect(inState(report, "built")).toEqual(on(sampleNames));
			expect(report.builds.filter(({ state }) => state !== "built")).toEqual([]);
			expect(report.waiting).toEqual([]);
			expect(report.outcome).toBe("complete");
			expect(writes.length).toBeGreaterThan(0);
			const prefix = `${registry.host}/library/`;
			expect(
				Object.fromEntries(report.tags.map((tag) => [tag.reference.replace(prefix, ""), [...tag.platforms]])),
			).toEqual(expectedTags);
			expect(report.tags.filter(({ change, notes }) => change !== "created" || notes.length > 0)).toEqual([]);
			const foreign = sampleArchitectures.filter((arch) =>
				engine.builder.emulated.some((platform) => platforms[arch].startsWith(platform)),
			);
			// What needs no engine is not emulated either.
			expect(
				report.builds
					.filter(({ emulated }) => emulated)
					.map(({ tags, arch }) => `${tags[0]!.split(":")[0]} ${arch}`)
					.sort(),
			).toEqual(on(["app", "base", "bundle", "tool"], foreign));

			for (const name of Object.keys(expectedTags)) {
				const { manifests } = await index(`library/${name}`);
				const images = manifests.filter((manifest) => !isAttestation(manifest));
				expect(images.map(platformOf)).toEqual(expectedTags[name]);
				// Of each architecture, its own tag has what the index has, and nothing else.
				const own: Descriptor[] = [];
				for (const [arch, platform] of Object.entries(platforms))
					if (expectedTags[name]!.includes(platform)) own.push(...(await index(`${arch}/${name}`)).manifests);
				expect(own).toEqual(manifests);
			}
		});

		it("publishes each image with its attestation, which is about that image", async () => {
			for (const name of sampleNames) {
				const repository = parseReference(`${registry.host}/library/${name}`);
				const { manifests } = await index(`library/${name}:latest`);
				const images = manifests.filter((manifest) => !isAttestation(manifest));
				const attestations = manifests.filter((manifest) => isAttestation(manifest));
				expect(images).toHaveLength(3);
				// Nobody attests what was imported.
				expect(attestations.map((attestation) => subjectOf(attestation))).toEqual(
					name === "imported" ? [] : images.map(({ digest }) => digest),
				);
				for (const attestation of attestations) {
					const { layers } = await manifest<ImageManifest>(`library/${name}@${attestation.digest}`);
					expect(layers).toHaveLength(1);
					expect(layers[0]!.annotations?.["in-toto.io/predicate-type"]).toMatch(/^https:\/\/slsa\.dev\/provenance\//);
					const statement = await readBlob<Statement>(client, repository, layers[0]!);
					const subjects = new Set(statement.subject.map(({ digest }) => `sha256:${digest.sha256}`));
					expect([...subjects]).toEqual([subjectOf(attestation)]);
				}
			}
		});

		it("publishes what runs on every platform", async () => {
			expect(await outputs()).toEqual(expectedOutputs("1.2.3", "2.1"));
		});

		it("builds nothing again and writes nothing, also where nothing is remembered", async () => {
			const before = await published();
			// Each tag is there once more for each of its architectures.
			expect(Object.keys(before)).toHaveLength(Object.values(expectedTags).reduce((sum, of) => sum + 1 + of.length, 0));
			for (const work of ["work", "work-without-memory"]) {
				const report = await runSamples({ work: path.join(directory, work) });
				expect(inState(report, "present")).toEqual(on(sampleNames));
				expect(report.builds).toHaveLength(15);
				expect(report.outcome).toBe("complete");
				expect(new Set(report.tags.map(({ change }) => change))).toEqual(new Set(["unchanged"]));
				expect(writes).toEqual([]);
			}
			expect(await published()).toEqual(before);
		});

		it("builds exactly the descendants of a base that changes", async () => {
			const before = await published();
			await world.change(["base"]);
			const report = await runSamples();
			expect(inState(report, "built")).toEqual(on(["base", "bundle"]));
			expect(inState(report, "present")).toEqual(on(["app", "imported", "tool"]));
			expect(report.builds).toHaveLength(15);
			expect(report.outcome).toBe("complete");
			expect(differing(before, await published()).sort()).toEqual(
				["library", ...sampleArchitectures].flatMap((namespace) => [`${namespace}/base`, `${namespace}/bundle`]).sort(),
			);
			expect(report.tags.filter(({ change }) => change === "updated")).toHaveLength(7);
			expect(report.tags.filter(({ change }) => change === "unchanged")).toHaveLength(19);
		});

		it("builds exactly the descendants of an image in the middle, and they run with it", async () => {
			const before = await published();
			await world.change(["base", "tool"]);
			const report = await runSamples();
			expect(inState(report, "built")).toEqual(on(["app", "bundle", "tool"]));
			expect(inState(report, "present")).toEqual(on(["base", "imported"]));
			expect(report.builds).toHaveLength(15);
			expect(report.outcome).toBe("complete");
			changed = await published();
			expect(differing(before, changed).filter((name) => /\/(?:base|imported)$/.test(name))).toEqual([]);
			expect(report.tags.filter(({ change }) => change === "updated")).toHaveLength(19);
			expect(await outputs()).toEqual(expectedOutputs("1.2.4", "2.1.1"));
		});

		it("keeps what a tag had for an architecture whose build fails", async () => {
			await changeFiles("tool", {
				"standard/tool.sh": (text) => `${text}\n# another version\n`,
				"mainframe/Dockerfile": () => "FROM busybox:1.35\nRUN echo not today && false\n",
			});
			const report = await runSamples();
			const built = ["amd64", "arm64v8"];
			expect(inState(report, "failed")).toEqual(["tool s390x"]);
			expect(report.builds.find(({ state }) => state === "failed")!.error?.message).toContain("not today");
			expect(inState(report, "built")).toEqual(on(["app", "bundle", "tool"], built));
			expect(report.waiting.map(({ tag, arch }) => `${tag.split(":")[0]} ${arch}`).sort()).toEqual(
				on(["app", "bundle"], ["s390x"]),
			);
			expect(report.outcome).toBe("failed");
			for (const name of ["app", "bundle", "tool"]) {
				const tag = tagOf(report, `${name}:latest`);
				expect(tag).toMatchObject({ change: "updated", platforms: everywhere });
				expect(tag.notes).toEqual([expect.stringMatching(/^s390x: kept as it was: /)]);
			}
			expect(tagOf(report, "tool:mainframe")).toMatchObject({
				change: "unchanged",
				digest: changed["library/tool:mainframe"],
				platforms: [platforms.s390x],
				notes: [expect.stringMatching(/^s390x: kept as it was: /)],
			});
			expect(ofMainframes(await published())).toEqual(ofMainframes(changed));
			for (const name of ["tool:latest", "app:latest", "bundle:latest"]) await expectParts(name);
			expect(await docker("app:latest", platforms.s390x)).toBe("app 3.0.1 on top of tool 1.2.4, runs on s390x\n");
		});

		it("goes back without a build where the definitions do", async () => {
			await world.change(["base", "tool"]);
			const report = await runSamples();
			expect(inState(report, "present")).toEqual(on(sampleNames));
			expect(report.outcome).toBe("complete");
			expect(await published()).toEqual(changed);
		});

		it("keeps what a tag had for an architecture that is not built here", async () => {
			await changeFiles("base", {
				"amd64/rootfs/etc/os-release": rename,
				"arm64v8/rootfs/etc/os-release": rename,
				"s390x/rootfs/etc/os-release": rename,
			});
			const built = ["amd64", "arm64v8"];
			const report = await runSamples({ architectures: built });
			expect(inState(report, "built")).toEqual(on(["base", "bundle"], built));
			expect(inState(report, "present")).toEqual([...on(["app", "imported", "tool"])]);
			expect(report.outcome).toBe("incomplete");
			for (const name of ["base", "bundle"]) {
				const tag = tagOf(report, `${name}:latest`);
				expect(tag).toMatchObject({ change: "updated", platforms: everywhere });
				expect(tag.notes).toEqual([expect.stringMatching(/^s390x: kept as it was: /)]);
				await expectParts(`${name}:latest`);
			}
			expect(ofMainframes(await published())).toEqual(ofMainframes(changed));
		});

		/** The index of a tag is made of its architectures' own tags, all three of them. */
		async function expectParts(name: string): Promise<void> {
			const parts = await Promise.all(sampleArchitectures.map((arch) => index(`${arch}/${name}`)));
			expect((await index(`library/${name}`)).manifests).toEqual(parts.flatMap(({ manifests }) => manifests));
		}

		/** Another commit on top of a sample's, which its definition names from then on. */
		async function changeFiles(
			name: string,
			changes: Readonly<Record<string, (text: string) => string>>,
		): Promise<void> {
			const definition = path.join(directory, "library", name);
			const text = await readFile(definition, "utf8");
			const before = /^GitCommit: (.*)$/m.exec(text)![1]!;
			const commit = commitOnTop(path.join(directory, "git", `samples-${name}.git`), before, changes);
			await writeFile(definition, text.replace(before, commit));
		}
	});
}

/** What the images print with a version of the tool and of the base in them. */
function expectedOutputs(tool: string, base: string): Record<string, string> {
	const machines = { amd64: "x86_64", arm64v8: "aarch64", s390x: "s390x" };
	return Object.fromEntries(
		Object.entries(machines).flatMap(([arch, machine]) => {
			const flavour = arch === "s390x" ? "mainframe" : "standard";
			const app = `app 3.0.1 on top of tool ${tool}, runs on ${machine}\n`;
			return [
				[`tool ${arch}`, `tool ${tool} (${flavour}), built on ${machine}, runs on ${machine}\n`],
				[`app ${arch}`, app],
				[
					`bundle ${arch}`,
					`bundle of ${app}with Brewline Sample Base ${base} (${arch}) for ${arch}, ` +
						`and a file of the imported image for ${arch}\n`,
				],
			];
		}),
	);
}

/** The tags that hold s390x alone. */
function ofMainframes(digests: Readonly<Record<string, string>>): [string, string][] {
	const found = Object.entries(digests).filter(([name]) => name.startsWith("s390x/") || name.endsWith("mainframe"));
	expect(found).toHaveLength(22 + 4);
	return found;
}

function rename(text: string): string {
	return text.replaceAll("2.1.1", "2.1.2");
}

function platformOf({ platform }: Descriptor): string {
	return [platform?.os, platform?.architecture, platform?.variant].filter((part) => part !== undefined).join("/");
}

interface Statement {
	readonly subject: readonly { readonly digest: { readonly sha256: string } }[];
	readonly predicate: { readonly materials: readonly { readonly digest: Readonly<Record<string, string>> }[] };
}

async function readManifest<T>(client: RegistryClient, reference: Reference): Promise<T> {
	const found = await client.getManifest(reference);
	if (found === undefined) throw new Error(`${printReference(reference)} is not there`);
	return JSON.parse(Buffer.from(found.bytes).toString()) as T;
}

async function readBlob<T>(client: RegistryClient, repository: Reference, descriptor: Descriptor): Promise<T> {
	const blob = await client.getBlob(repository, descriptor);
	if (blob === undefined) throw new Error(`${descriptor.digest} is not there`);
	return JSON.parse(Buffer.concat(await blob.toArray()).toString()) as T;
}

/** The real world, with a list of all requests that change something in a registry. */
function countingIo(writes: string[]): Io {
	const io = nodeIo();
	return {
		...io,
		http: (request) => {
			if (request.method !== "GET" && request.method !== "HEAD")
				writes.push(`${request.method} ${request.url.pathname}`);
			return io.http(request);
		},
	};
}
