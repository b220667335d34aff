/** The work of one case, in a process of its own, by the built package: `node bench/work.ts CASE ARGUMENT…`. */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import type * as builds from "../src/builds/index.ts";
import type * as config from "../src/config/index.ts";
import type * as definition from "../src/definition/index.ts";
import type * as publish from "../src/publish/index.ts";
import type * as sources from "../src/sources/index.ts";

interface Modules {
	readonly builds: typeof builds;
	readonly config: typeof config;
	readonly definition: typeof definition;
	readonly publish: typeof publish;
	readonly sources: typeof sources;
}

/** As users have it: plain JavaScript, and nothing but what the case needs. */
async function load<Name extends keyof Modules>(name: Name): Promise<Modules[Name]> {
	return (await import(new URL(`../lib/${name}/index.js`, import.meta.url).href)) as Modules[Name];
}

const io = { signal: new AbortController().signal, log: () => {} };

const cases: Readonly<Record<string, (...args: string[]) => Promise<string>>> = {
	builds: async (folder) => {
		const { builds, readLookupCache, writeBuilds } = await load("builds");
		const { dockerProgram: program } = await load("config");
		const { readSources } = await load("sources");
		const input = {
			sources: readSources(readFileSync(`${folder}/sources.json`), "sources.json"),
			cache: readLookupCache(readFileSync(`${folder}/lookups.json`), { file: "lookups.json" }),
		};
		const lookup = (reference: string) => Promise.reject(new Error(`${reference} is not cached`));
		return writeBuilds((await builds(input, io, { program, lookup })).builds);
	},
	deploy: async (file) => {
		const { readBuilds } = await load("builds");
		const { deployObjects, writeDeployObjects } = await load("publish");
		const { dockerProgram } = await load("config");
		const all = readBuilds(readFileSync(file), { file: "builds.json" });
		const architectureAnnotation = dockerProgram.annotations.architecture;
		return writeDeployObjects(deployObjects(all, { tags: "tags", architectureAnnotation }));
	},
	sources: async (folder) => {
		const { loadLibrary } = await load("definition");
		const { readExternalPins, readSources, sources, writeSources } = await load("sources");
		const { dockerProgram: program } = await load("config");
		const selections = await loadLibrary(`${folder}/library`, {
			architectures: Object.keys(program.architectures),
			defaultArchitecture: program.defaultArchitecture,
		});
		const previous = readSources(gunzipSync(readFileSync(`${folder}/sources.json.gz`)), "sources.json.gz");
		const pins = await readExternalPins(`${folder}/external-pins`);
		return writeSources(await sources({ selections, pins, previous }, io as never, { program }));
	},
};

const [name = "", ...args] = process.argv.slice(2);
const work = cases[name];
if (work === undefined) throw new Error(`no case ${name}: ${Object.keys(cases).join(", ")}`);
process.stdout.write(await work(...args));
