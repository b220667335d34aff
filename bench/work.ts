/**
 * The work of one case, in a process of its own: `node work.js CASE ARGUMENT…`, bundled as the command line is, so that nothing is
 * loaded but what the case needs.
 */
import { readFileSync } from "node:fs";
import { enableCompileCache } from "node:module";
import { gunzipSync } from "node:zlib";

const io = { signal: new AbortController().signal, log: () => {} };

const cases: Readonly<Record<string, (...args: string[]) => Promise<string>>> = {
	builds: async (folder) => {
		const { builds, readLookupCache, writeBuilds } = await import("../src/builds/index.ts");
		const { dockerProgram: program } = await import("../src/config/index.ts");
		const { readSources } = await import("../src/sources/index.ts");
		const input = {
			sources: readSources(readFileSync(`${folder}/sources.json`), "sources.json"),
			cache: readLookupCache(readFileSync(`${folder}/lookups.json`), { file: "lookups.json" }),
		};
		const lookup = (reference: string) => Promise.reject(new Error(`${reference} is not cached`));
		return writeBuilds((await builds(input, io, { program, lookup })).builds);
	},
	deploy: async (file, digest) => {
		if (file === undefined || digest === undefined) throw new Error("deploy FILE DIGEST");
		const { readBuilds } = await import("../src/builds/index.ts");
		const { deployObjects, writeDeployObjects } = await import("../src/publish/index.ts");
		const { dockerProgram } = await import("../src/config/index.ts");
		const all = readBuilds(readFileSync(file), { file: "builds.json", digest });
		const architectureAnnotation = dockerProgram.annotations.architecture;
		return writeDeployObjects(deployObjects(all, { tags: "tags", architectureAnnotation }));
	},
	plan: async (folder) => {
		const { builds, readLookupCache } = await import("../src/builds/index.ts");
		const { dockerProgram: program } = await import("../src/config/index.ts");
		const { plan, printPlan } = await import("../src/plan/index.ts");
		const { readSources } = await import("../src/sources/index.ts");
		const state = await import("../src/state/index.ts");
		const sources = readSources(readFileSync(`${folder}/sources.json`), "sources.json");
		const cache = readLookupCache(readFileSync(`${folder}/lookups.json`), { file: "lookups.json" });
		const nothing = { program, lookup: () => Promise.resolve(undefined) };
		const known = await builds({ sources, cache }, io, nothing);
		const when = "2026-01-01T00:00:00Z";
		const happened = { sources, ...known, tries: [], built: new Set<string>(), tags: {}, when };
		const files = [...state.splitState(state.remember(state.emptyState, happened))];
		const { queue, ...read } = state.joinState(
			new Map(files.map(([path, text]) => [path, state.readStateFile(path, text)])),
		);
		// Staging was emptied: all that stands on images from outside alone is built again.
		const outside = Object.entries(cache.indexes).filter(([reference]) => !reference.includes("staging"));
		const output = await builds({ sources, cache: { indexes: Object.fromEntries(outside) } }, io, nothing);
		const planned = await plan(
			{ ...output, sources, previous: state.predecessors({ ...read }), queue: state.allRecords(queue) },
			{ ...io, clock: { now: () => Date.parse(when) } } as never,
			{ program, capacity: { legs: 1024, buildsPerLeg: 8 } },
		);
		return printPlan(planned.plan);
	},
	sources: async (folder) => {
		const { loadLibrary } = await import("../src/definition/index.ts");
		const { readExternalPins, readSources, sources, writeSources } = await import("../src/sources/index.ts");
		const { architectureOptions, dockerProgram: program } = await import("../src/config/index.ts");
		const selections = await loadLibrary(`${folder}/library`, architectureOptions(program));
		const previous = readSources(gunzipSync(readFileSync(`${folder}/sources.json.gz`)), "sources.json.gz");
		const pins = await readExternalPins(`${folder}/external-pins`);
		return writeSources(await sources({ selections, pins, previous }, io as never, { program }));
	},
};

const [name = "", ...args] = process.argv.slice(2);
const work = cases[name];
if (work === undefined) throw new Error(`no case ${name}: ${Object.keys(cases).join(", ")}`);
// As the command line does it: what was compiled once is not compiled again, and a large text is not copied as a whole.
enableCompileCache();
void print(work(...args));

async function print(result: Promise<string>): Promise<void> {
	const text = await result;
	const piece = 1 << 20;
	for (let at = 0; at < text.length; at += piece) process.stdout.write(text.slice(at, at + piece));
}
