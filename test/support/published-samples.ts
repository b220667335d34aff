import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { pushLayout } from "../../src/build/index.ts";
import { builds as buildsOf, registryLookup, type Builds } from "../../src/builds/index.ts";
import { dockerProgram, type Program } from "../../src/config/index.ts";
import { loadLibrary } from "../../src/definition/index.ts";
import type { Io } from "../../src/io/index.ts";
import { isAttestation, parseReference, readLayout, referenceDigest, samePlatform } from "../../src/oci/index.ts";
import type { Descriptor, Index, Platform } from "../../src/oci/index.ts";
import { publish, type PublishResult } from "../../src/publish/index.ts";
import type { RegistryClient } from "../../src/registry/index.ts";
import type { Sources } from "../../src/sources/index.ts";
import { layoutKinds, makeLayout } from "../fixtures/layouts/make-layout.ts";
import { sampleArchitectures, type SampleName } from "../fixtures/samples/make.ts";
import { type Image, programUnder, sourcesOf, stageImage } from "./publishing.ts";

const library = path.resolve(import.meta.dirname, "../../library");

/** What a publish run of samples works on: their definitions, with content of the test's own that is staged. */
export interface StagedSamples {
	readonly program: Program;
	readonly sources: Sources;
	readonly builds: Builds;
	/** By `NAME:TAG ARCH`: the digests of the images that may ever stand there. */
	readonly images: ReadonlyMap<string, ReadonlySet<string>>;
}

export interface SamplesAt {
	/** `HOST:PORT` */
	readonly staging: string;
	readonly published: string;
	/** Before the names of what is published, as `at-17/`; default: nothing. */
	readonly prefix?: string;
}

/** Its own tags are in the registry where it is staged: blobs are mounted there, and copied for all others. */
const near = sampleArchitectures[1];

/** The program of the samples in these registries. */
function samplesProgram({ staging, published, prefix = "" }: SamplesAt): Program {
	const { architectures, registries, ...program } = programUnder(`${published}/${prefix}`);
	return {
		...program,
		architectures: {
			...architectures,
			[near]: { ...architectures[near]!, namespace: `${staging}/${prefix}${near}` },
		},
		registries: { ...registries, staging: `${staging}/staging-ARCH:BUILD` },
	};
}

/** The samples' definitions, as sources of a version, without parents. */
async function sampleImages(names: readonly SampleName[], version: string): Promise<readonly Image[]> {
	const architectures = Object.keys(dockerProgram.architectures);
	const { defaultArchitecture } = dockerProgram;
	const selections = await loadLibrary(library, { architectures, defaultArchitecture });
	return selections
		.filter(({ name }) => (names as readonly string[]).includes(name))
		.flatMap(({ name, entries }) =>
			entries.map(({ Tags, SharedTags, Architectures }): Image => {
				const tags = [...Tags, ...SharedTags].map((tag) => `${name}:${tag}`);
				return { name: tags[0]!, version, arches: Object.fromEntries(Architectures.map((arch) => [arch, tags])) };
			}),
		);
}

/** The second version of this one is late: its tags keep what they had. It has no tags of its architecture's own. */
const late = { name: "tool", arch: sampleArchitectures[2] };
const isLate = (image: Image): boolean =>
	image.name.startsWith(`${late.name}:`) && Object.keys(image.arches).join() === late.arch;

/**
 * Stages two versions of samples and publishes the first by way of `client`. The second is what is to be published: one of
 * its builds is late, layers are large, small and shared, and attestations are of every shape, or missing. `before`: the first.
 */
export async function stageSamples(
	io: Io,
	client: RegistryClient,
	names: readonly SampleName[],
	at: SamplesAt,
): Promise<StagedSamples & { readonly before: StagedSamples }> {
	const program = samplesProgram(at);
	const folder = await mkdtemp(path.join(tmpdir(), "brewline-samples-"));
	const images = new Map<string, Set<string>>();
	const find = async (sources: Sources): Promise<Builds> =>
		(await buildsOf({ sources }, io, { program, lookup: registryLookup(client, program) })).builds;
	const stage = async (version: string): Promise<{ readonly sources: Sources; readonly builds: Builds }> => {
		const all = await sampleImages(names, version);
		const others = all.filter((image) => !isLate(image));
		const sources = { ...sourcesOf(program, others), ...sourcesOf(program, all.filter(isLate), false) };
		for (const [number, { build, source }] of Object.values(await find(sources)).entries()) {
			const { tags } = source.arches[build.arch]!;
			if (version === "2" && build.arch === late.arch && tags[0]!.startsWith(`${late.name}:`)) continue;
			const layout = path.join(folder, `${version}-${number}`);
			const digest = await stageOne(client, build.img, number, `${version} ${tags[0]} ${build.arch}`, {
				layout,
				platform: program.architectures[build.arch]!.platform,
			});
			for (const tag of tags) {
				const key = `${tag} ${build.arch}`;
				images.set(key, (images.get(key) ?? new Set()).add(digest));
			}
		}
		return { sources, builds: await find(sources) };
	};
	try {
		const before = { program, ...(await stage("1")), images };
		await publishSamples(before, io, client);
		return { program, ...(await stage("2")), images, before };
	} finally {
		await rm(folder, { recursive: true });
	}
}

/** Stages an image of its own content, of the shape that comes to its number; its digest. */
async function stageOne(
	client: RegistryClient,
	reference: string,
	number: number,
	content: string,
	{ layout, platform }: { readonly layout: string; readonly platform: Platform },
): Promise<string> {
	const kind = layoutKinds.toReversed()[number % 5];
	if (kind === undefined) {
		const attested = number % 5 === 3;
		return (await stageImage(client, reference, platform, content, undefined, attested ? "image" : "none")).image
			.digest;
	}
	const large = { "large.txt": Array.from({ length: 20_000 }, (_, line) => `${content} ${line ** 3}\n`).join("") };
	const layers = [{ "shared.txt": "the same in all\n" }, { "own.txt": content }, ...(number === 0 ? [large] : [])];
	const { image } = await makeLayout(kind, layout, { platform, layers, sbom: number % 2 === 0 });
	await pushLayout(client, await readLayout(layout, { attestations: "current" }), parseReference(reference));
	return image.digest;
}

/** One run of the publish stage over what is staged, one request after the other, so that they can be numbered. */
export function publishSamples(
	{ program, sources, builds }: StagedSamples,
	io: Io,
	client: RegistryClient,
	concurrency = 1,
): Promise<PublishResult> {
	return publish({ sources, builds }, io, { program, client, lookup: registryLookup(client, program), concurrency });
}

/** As much of a registry's content as is looked at, by repository; undefined: it is not there. */
export interface Content {
	manifest(repository: string, digest: string): Promise<Uint8Array | undefined>;
	/** Bytes. */
	blobSize(repository: string, digest: string): Promise<number | undefined>;
	/** Of a small one. */
	blob(repository: string, digest: string): Promise<Uint8Array>;
}

/**
 * What is wrong with a tag that points at this: something below it is missing, or stands for another architecture, or is
 * not what was staged for this tag; or an architecture, or of a list of artifacts one, is gone that `before` had.
 */
export async function faultsOfTag(
	samples: StagedSamples,
	content: Content,
	tag: { readonly repository: string; readonly tag: string; readonly digest: string; readonly before?: string },
): Promise<readonly string[]> {
	const { architectures, annotations } = samples.program;
	const { repository, digest } = tag;
	const faults: string[] = [];
	const read = async (wanted: string): Promise<Partial<Index> & { readonly [key: string]: unknown }> => {
		const bytes = await content.manifest(repository, wanted);
		if (bytes !== undefined) return JSON.parse(Buffer.from(bytes).toString()) as Partial<Index> & {};
		faults.push(`${wanted} is missing`);
		return {};
	};
	const parts = repository.split("/");
	const [namespace, name] = [parts.at(-2)!, parts.at(-1)!];
	// Where a registry does not list what refers to an image, this tag does.
	const image = /^sha256-[0-9a-f]{64}$/.test(tag.tag) ? tag.tag.replace("-", ":") : undefined;
	const { manifests = [] } = await read(digest);
	if (manifests.length === 0) faults.push("it holds nothing");
	for (const item of manifests) {
		const manifest = await read(item.digest);
		const { config, layers, subject } = manifest as {
			config?: Descriptor;
			layers?: readonly Descriptor[];
			subject?: Descriptor;
		};
		for (const blob of [...(config === undefined ? [] : [config]), ...(layers ?? [])]) {
			if ((await content.blobSize(repository, blob.digest)) !== blob.size) faults.push(`${blob.digest} is missing`);
		}
		if (image !== undefined) {
			if (subject?.digest !== image) faults.push(`${item.digest} does not refer to it`);
			continue;
		}
		const arch = item.annotations?.[annotations.architecture] ?? "";
		const of = subject?.digest ?? item.annotations?.[referenceDigest];
		if (namespace !== "library" && namespace !== arch) faults.push(`${item.digest} is for ${arch}`);
		if (isAttestation(item)) {
			const about = manifests.find((other) => other.digest === of);
			if (about?.annotations?.[annotations.architecture] !== arch) faults.push(`${item.digest} is of no image here`);
			continue;
		}
		if (samples.images.get(`${name}:${tag.tag} ${arch}`)?.has(item.digest) !== true) {
			faults.push(`${item.digest} was not staged for it on ${arch}`);
		}
		if (config === undefined || faults.length > 0) continue;
		const says = JSON.parse(Buffer.from(await content.blob(repository, config.digest)).toString()) as Platform;
		if (!samePlatform(says, architectures[arch]!.platform)) faults.push(`${item.digest} says that it is for others`);
	}
	if (tag.before !== undefined) {
		const kept = (one: Descriptor) => (image === undefined ? one.annotations?.[annotations.architecture] : one.digest);
		const now = new Set(manifests.map(kept));
		const gone = ((await read(tag.before)).manifests ?? []).map(kept).filter((one) => !now.has(one));
		if (gone.length > 0) faults.push(`it has lost ${[...new Set(gone)].join(", ")}`);
	}
	return faults.map((fault) => `${repository}:${tag.tag}: ${fault}`);
}
