import { builds as buildsOf, registryLookup, type Builds } from "../../src/builds/index.ts";
import { nodeIo } from "../../src/io/index.ts";
import { publish, type Ledger, type PublishResult } from "../../src/publish/index.ts";
import { createRegistryClient, startRegistry } from "../../src/registry/index.ts";
import type { Sources } from "../../src/sources/index.ts";
import { programAt, sourcesOf, stageImage } from "./publishing.ts";

const tagsOfEach = 10;
const auth = { kind: "bearer", username: "somebody", password: "secret" } as const;

export interface PublishedLibrary extends AsyncDisposable {
	/** Stages another version of so many images. */
	change(images: number): Promise<void>;
	/** Publishes all tags, by a client of its own that has no token yet. */
	publish(): Promise<{
		readonly result: PublishResult;
		readonly requests: readonly string[];
		readonly seconds: number;
	}>;
}

/**
 * So many images of ten tags each, on one architecture, staged in a registry that asks for tokens; what was published is
 * remembered. While it is published to, the registry takes `latency` milliseconds for each answer.
 */
export async function publishedLibrary(images: number, latency = 0): Promise<PublishedLibrary> {
	const requests: string[] = [];
	let slow = false;
	const registry = await startRegistry({
		auth,
		fault: ({ method, path }) => {
			requests.push(`${method} ${path}`);
			const until = new Promise((resolve) => setTimeout(resolve, latency));
			return slow && latency > 0 ? { kind: "wait", until } : undefined;
		},
	});
	const io = nodeIo();
	const newClient = () =>
		createRegistryClient(io, { credentials: () => Promise.resolve({ ...auth, origin: "the test" }) });
	const program = programAt({ registry });
	const versions = Array.from({ length: images }, () => 1);
	let known: { readonly sources: Sources; readonly builds: Builds };
	let ledger: Ledger = {};

	async function stage(numbers: readonly number[]): Promise<void> {
		const client = newClient();
		const sources = sourcesOf(
			program,
			versions.map((version, number) => ({
				name: `image-${number}`,
				version: String(version),
				arches: { amd64: Array.from({ length: tagsOfEach }, (_, tag) => `image-${number}:${tag}`) },
			})),
			false,
		);
		const names = new Set(numbers.map((number) => `image-${number}:0`));
		const lookup = registryLookup(client, program);
		const { builds } = await buildsOf({ sources }, io, { program, lookup });
		for (const { build, source } of Object.values(builds)) {
			if (!names.has(source.arches["amd64"]!.tags[0]!)) continue;
			await stageImage(client, build.img, program.architectures["amd64"]!.platform, source.reproducibleGitChecksum);
		}
		known = { sources, builds: (await buildsOf({ sources }, io, { program, lookup })).builds };
	}

	await stage(versions.map((_, number) => number));
	return {
		change: async (count) => {
			const numbers = Array.from({ length: count }, (_, number) => number);
			for (const number of numbers) versions[number]! += 1;
			await stage(numbers);
		},
		publish: async () => {
			const client = newClient();
			requests.length = 0;
			slow = true;
			const start = performance.now();
			const result = await publish(known, io, { program, client, lookup: registryLookup(client, program), ledger });
			const seconds = (performance.now() - start) / 1000;
			slow = false;
			ledger = Object.fromEntries(
				result.tags.map(({ reference, digest, platforms, from }) => [
					reference.slice(`${registry.host}/library/`.length),
					{ digest: digest!, platforms, when: new Date().toISOString(), ...(from === undefined ? {} : { from }) },
				]),
			);
			return { result, requests: [...requests], seconds };
		},
		[Symbol.asyncDispose]: () => registry.close(),
	};
}
