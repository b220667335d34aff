import * as fc from "fast-check";
import { expect, test } from "vitest";
import { testIo } from "../../test/support/scripted.ts";
import { dockerProgram } from "../config/index.ts";
import { forArchitecture, parseDefinition, type Selection } from "../definition/index.ts";
import { BrewlineError } from "../errors.ts";
import { assembleSources, sources, writeSources, type Sources } from "../sources/index.ts";
import { emptyState, joinState, readStateFile, splitState } from "./index.ts";

const seed = Number(process.env["FC_SEED"] ?? 1);
const { architectures, defaultArchitecture } = dockerProgram;
const names = ["e", "d", "c", "b", "a"];
const tags = ["1", "2", "3"];

/** What is said of one entry: its tag is its place in the list; its content is its own, or that of one of three. */
interface AnyEntry {
	readonly froms: readonly string[];
	readonly shared: number | null;
	readonly arches: string;
}
const anyEntry: fc.Arbitrary<AnyEntry> = fc.record({
	froms: fc.array(
		fc.tuple(fc.constantFrom(...names), fc.constantFrom(...tags)).map((parts) => parts.join(":")),
		{
			maxLength: 2,
		},
	),
	shared: fc.option(fc.nat(2), { freq: 6 }),
	arches: fc.constantFrom("amd64", "arm64v8", "arm64v8, amd64"),
});
const anyLibrary = fc.array(fc.array(anyEntry, { minLength: 1, maxLength: 3 }), {
	minLength: 1,
	maxLength: names.length,
});

/** The sources of a whole library, in its build order; undefined where its FROMs make no sense. */
async function sourcesOf(library: readonly (readonly AnyEntry[])[]): Promise<Sources | undefined> {
	const froms = new Map<string, readonly string[]>();
	const selections = library.map((entries, index): Selection => {
		const name = names[index]!;
		const text = entries.map((entry, at) => {
			const directory = entry.shared === null ? `${name}/${at}` : `shared/${entry.shared}`;
			if (!froms.has(directory)) froms.set(directory, entry.froms.length === 0 ? ["scratch"] : entry.froms);
			const commit = `GitCommit: ${"0".repeat(40)}\nDirectory: ${directory}`;
			return `Tags: ${tags[at]}\nArchitectures: ${entry.arches}\nGitFetch: refs/heads/main\n${commit}\n`;
		});
		const head = "Maintainers: A <a@example.org> (@a)\nGitRepo: https://example.org/x.git\n";
		const options = { file: name, architectures: Object.keys(architectures), defaultArchitecture };
		const definition = parseDefinition([head, ...text].join("\n"), options);
		return { reference: name, name, tag: null, definition, entries: definition.entries };
	});
	const sorted = selections.toSorted((a, b) => (a.name < b.name ? -1 : 1));
	try {
		const candidates = sorted.flatMap(({ name, entries }) =>
			entries.flatMap((entry) =>
				entry.Architectures.map((arch) => {
					const place = forArchitecture(entry, arch);
					const own = froms.get(place.Directory)!;
					const checksum = Buffer.from(place.Directory).toString("hex").padEnd(64, "0");
					const facts = { checksum, epoch: 0, froms: own, lastStageFrom: own.at(-1)! };
					return [{ name, tags: entry.Tags, arch, place, at: entry.at }, facts] as const;
				}),
			),
		);
		const previous = assembleSources(candidates, { architectures, pins: new Map() });
		return await sources({ selections: sorted, pins: new Map(), previous }, testIo(), { program: dockerProgram });
	} catch (error) {
		if (error instanceof BrewlineError && (error.code === "cycle" || error.code === "definition")) return undefined;
		throw error;
	}
}

test("the order of a whole library is computed from names and FROMs, and never written down", async () => {
	let unsorted = 0;
	await fc.assert(
		fc.asyncProperty(anyLibrary, async (library) => {
			const whole = await sourcesOf(library);
			fc.pre(whole !== undefined);
			const files = splitState({ ...emptyState, sources: whole });
			expect([...files.values()].filter((text) => text.includes('"moved"'))).toEqual([]);
			const back = joinState(new Map([...files].map(([path, text]) => [path, readStateFile(path, text)])));
			expect(writeSources(back.sources)).toBe(writeSources(whole));
			const paths = [...files.keys()].filter((path) => path.startsWith("images/"));
			if (paths.join() !== paths.toSorted().join()) unsorted++;
		}),
		{ seed, numRuns: 300 },
	);
	// Not only orders that the names give.
	expect(unsorted).toBeGreaterThan(20);
});
