import { Readable } from "node:stream";
import { builds as buildsOf, registryLookup, type Builds } from "../../src/builds/index.ts";
import { dockerProgram, type Program } from "../../src/config/index.ts";
import { nodeIo, type HttpRequest, type Io } from "../../src/io/index.ts";
import { tabJson } from "../../src/json/index.ts";
import {
	mediaTypes,
	parseReference,
	sha256Of,
	type Descriptor,
	type Index,
	type Platform,
	type Reference,
} from "../../src/oci/index.ts";
import { publish, type PublishOptions, type PublishResult } from "../../src/publish/index.ts";
import {
	createRegistryClient,
	startRegistry,
	type RegistryClient,
	type RegistryServerOptions,
	type RunningRegistry,
} from "../../src/registry/index.ts";
import { virtualClock } from "./scripted.ts";
import { sourceIdOf, type Source, type Sources } from "../../src/sources/index.ts";

export interface World extends AsyncDisposable {
	readonly registry: RunningRegistry;
	readonly io: Io;
	readonly client: RegistryClient;
	/** `METHOD PATH` of every request since it was last emptied. */
	readonly requests: string[];
	/** Those of them that change something. */
	readonly writes: () => string[];
	/** A client that is killed at its n-th request, counted from 0: that one is still `done`, or not. */
	readonly killedAt: (request: number, done: boolean) => RegistryClient;
}

class Killed extends Error {}

/** An embedded registry, and clients for it; without `referrers` it does not list them. */
export async function world(options: Pick<RegistryServerOptions, "referrers"> = {}): Promise<World> {
	const requests: string[] = [];
	const registry = await startRegistry({
		...options,
		fault: ({ method, path }) => {
			requests.push(`${method} ${path}`);
			return undefined;
		},
	});
	// Without its list, one that is kept in a tag takes time to settle.
	const io = options.referrers === false ? { ...nodeIo(), clock: virtualClock() } : nodeIo();
	return {
		registry,
		io,
		client: createRegistryClient(io),
		requests,
		writes: () => requests.filter((request) => !/^(?:GET|HEAD) /.test(request)),
		killedAt: (at, done) => {
			let count = 0;
			const http = async (request: HttpRequest) => {
				const number = count++;
				if (number > at || (number === at && !done)) {
					throw new Killed(`killed at request ${at}`);
				}
				const response = await io.http(request);
				if (number === at) {
					response.body.resume();
					throw new Killed(`killed after request ${at}`);
				}
				return response;
			};
			return createRegistryClient({ ...io, http });
		},
		[Symbol.asyncDispose]: () => registry.close(),
	};
}

const predicate = { "in-toto.io/predicate-type": "https://slsa.dev/provenance/v1" };

/** An attestation is a manifest in the index, there as an artifact with a subject (BuildKit 0.32), or there is none. */
export type AttestationShape = "image" | "artifact" | "none";

/** Puts content below a repository. */
export function contentAt(client: RegistryClient, target: Reference) {
	const blob = async (mediaType: string, content: string | Buffer): Promise<Descriptor> => {
		const bytes = Buffer.from(content);
		const descriptor = { mediaType, digest: sha256Of(bytes), size: bytes.length };
		await client.putBlob(target, descriptor, () => Readable.from([bytes], { objectMode: false }));
		return descriptor;
	};
	const manifest = async (value: object): Promise<Descriptor> => {
		const text = tabJson({ schemaVersion: 2, mediaType: mediaTypes.ociManifest, ...value });
		const descriptor = { mediaType: mediaTypes.ociManifest, digest: sha256Of(text), size: Buffer.byteLength(text) };
		await client.putManifest(byDigest(target, descriptor.digest), descriptor.mediaType, Buffer.from(text));
		return descriptor;
	};
	/** An artifact about another manifest, as signers make them; `name` makes it differ from others. */
	const artifact = async ({ mediaType, digest, size }: Descriptor, name: string): Promise<Descriptor> => {
		const artifactType = "application/vnd.example.signature";
		const layers = [await blob("text/plain", `signature ${name}`)];
		const config = await blob(mediaTypes.ociEmpty, "{}");
		return manifest({ artifactType, config, layers, subject: { mediaType, digest, size } });
	};
	return { blob, manifest, artifact };
}

/**
 * A small image with its attestation, as an index under a reference; `content` makes it differ from others, `version` is what it
 * says of itself.
 */
export async function stageImage(
	client: RegistryClient,
	reference: string,
	platform: Platform,
	content: string,
	version?: string,
	shape: AttestationShape = "image",
): Promise<{ readonly image: Descriptor; readonly attestation: Descriptor }> {
	const target = parseReference(reference);
	const { blob, manifest } = contentAt(client, target);
	const layer = await blob("application/vnd.oci.image.layer.v1.tar+gzip", `layer of ${content}`);
	const config = await blob(mediaTypes.ociConfig, JSON.stringify({ ...platform, content }));
	const annotations = version === undefined ? {} : { annotations: { "org.opencontainers.image.version": version } };
	const image = { ...(await manifest({ config, layers: [layer] })), platform, ...annotations };
	const statement = { ...(await blob(mediaTypes.inToto, `statement of ${content}`)), annotations: predicate };
	const { mediaType, digest, size } = image;
	const about =
		shape === "artifact"
			? {
					artifactType: mediaTypes.attestation,
					config: await blob(mediaTypes.ociEmpty, "{}"),
					subject: { mediaType, digest, size },
				}
			: { config: await blob(mediaTypes.ociConfig, `{"content":"${content}"}`) };
	const attestation = {
		...(await manifest({ ...about, layers: [statement] })),
		annotations: { "vnd.docker.reference.digest": image.digest, "vnd.docker.reference.type": "attestation-manifest" },
		platform: { architecture: "unknown", os: "unknown" },
	};
	const manifests = shape === "none" ? [image] : [image, attestation];
	const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests };
	await client.putManifest(target, mediaTypes.ociIndex, Buffer.from(JSON.stringify(index)));
	return { image, attestation };
}

function byDigest({ host, repository }: Reference, digest: string): Reference & { readonly digest: string } {
	return { host, repository, digest };
}

/** What a source of a test defines. */
export interface Image {
	readonly name: string;
	/** Another version is another source, hence another build. */
	readonly version: string;
	/** Tags by architecture. */
	readonly arches: Readonly<Record<string, readonly string[]>>;
}

/** Docker's program in a registry of a test. */
export function programAt({ registry: { host } }: Pick<World, "registry">): Program {
	return programUnder(`${host}/`);
}

/** Docker's program with all names beginning with `at`, as `127.0.0.1:PORT/`. */
export function programUnder(at: string): Program {
	const architectures = Object.fromEntries(
		Object.entries(dockerProgram.architectures).map(([arch, architecture]) => [
			arch,
			{ ...architecture, namespace: `${at}${architecture.namespace}` },
		]),
	);
	const registries = {
		...dockerProgram.registries,
		staging: `${at}staging-ARCH:BUILD`,
		namespace: `${at}library`,
	};
	return { ...dockerProgram, architectures, registries };
}

/** The sources of these images, without parents. */
export function sourcesOf(program: Pick<Program, "architectures">, images: readonly Image[], archTags = true): Sources {
	const list = images.map(({ name, version, arches }): [string, Source] => {
		const checksum = sha256Of(`${name} ${version}`).slice("sha256:".length);
		const sourceId = sourceIdOf(checksum, "Dockerfile", "");
		const of = Object.entries(arches).map(([arch, tags]) => [
			arch,
			{
				tags,
				archTags: archTags ? tags.map((tag) => `${program.architectures[arch]!.namespace}/${tag}`) : [],
				froms: ["scratch"],
				lastStageFrom: "scratch",
				platformString: "",
				platform: program.architectures[arch]!.platform,
				parents: { scratch: { sourceId: null, pin: null } },
			},
		]);
		return [sourceId, { sourceId, reproducibleGitChecksum: checksum, entries: [], arches: Object.fromEntries(of) }];
	});
	return Object.fromEntries(list);
}

/** The world with a program, and what a test does in it again and again. */
export async function pipeline(options: Parameters<typeof world>[0] = {}) {
	const at = await world(options);
	const program = programAt(at);
	const find = async (sources: Sources, client: RegistryClient = at.client): Promise<Builds> =>
		(await buildsOf({ sources }, at.io, { program, lookup: registryLookup(client, program) })).builds;
	return {
		...at,
		program,
		find,
		/** Stages what is defined for an architecture; `osVersion` and `as` make its platform another one. */
		stage: async (
			sources: Sources,
			arch: string,
			change: { osVersion?: string; as?: string; only?: string; version?: string; shape?: AttestationShape } = {},
		) => {
			for (const { build, source } of Object.values(await find(sources))) {
				if (
					build.arch !== arch ||
					(change.only !== undefined && !source.arches[arch]!.tags[0]!.includes(change.only))
				) {
					continue;
				}
				const { platform } = program.architectures[change.as ?? arch]!;
				const full = { ...platform, ...(change.osVersion === undefined ? {} : { "os.version": change.osVersion }) };
				const content = `${source.reproducibleGitChecksum} ${arch}`;
				await stageImage(at.client, build.img, full, content, change.version, change.shape);
			}
		},
		/** Stages the one build whose first tag this is. */
		stageOne: async (sources: Sources, tag: string, arch: string): Promise<void> => {
			for (const { build, source } of Object.values(await find(sources))) {
				if (build.arch !== arch || source.arches[arch]!.tags[0] !== tag) continue;
				const { platform } = program.architectures[arch]!;
				await stageImage(at.client, build.img, platform, `${source.reproducibleGitChecksum} ${arch}`);
			}
		},
		publish: async (
			sources: Sources,
			{ io = at.io, ...options }: Partial<PublishOptions> & { readonly io?: Io } = {},
			builds?: Builds,
		): Promise<PublishResult> => {
			const client = options.client ?? at.client;
			return publish({ sources, builds: builds ?? (await find(sources)) }, io, {
				program,
				client,
				lookup: registryLookup(client, program),
				...options,
			});
		},
		index: async (reference: string): Promise<Index | undefined> => {
			const found = await at.client.getManifest(parseReference(`${at.registry.host}/${reference}`));
			return found && (JSON.parse(Buffer.from(found.bytes).toString()) as Index);
		},
		[Symbol.asyncDispose]: () => at[Symbol.asyncDispose](),
	};
}
