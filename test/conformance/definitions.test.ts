import { readdirSync, readFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { expect, test } from "vitest";
import { dockerProgram } from "../../src/config/index.ts";
import {
	type BuildFields,
	type Definition,
	encodeText,
	forArchitecture,
	parseDefinition,
	printDefinition,
	sharedTagGroups,
} from "../../src/definition/index.ts";
import { BrewlineError } from "../../src/errors.ts";
import { conformance, describeConformance } from "../support/conformance.ts";

interface Case {
	readonly name: string;
	readonly input?: string;
	readonly inputBase64?: string;
	readonly error?: true;
	readonly canonical?: string;
	readonly canonicalBase64?: string;
	readonly canonicalAgain?: "differs" | "refused";
	readonly entries?: unknown;
	readonly sharedTagGroups?: unknown;
}

function parse(input: Uint8Array | string, file = "library/app"): Definition {
	return parseDefinition(input, {
		file,
		architectures: Object.keys(dockerProgram.architectures),
		defaultArchitecture: dockerProgram.defaultArchitecture,
	});
}

/** A definition in the words of cases.json. */
function values(definition: Definition): Record<string, unknown> {
	const json = JSON.stringify({
		entries: definition.entries.map((entry) => ({
			maintainers: entry.Maintainers,
			tags: entry.Tags,
			sharedTags: entry.SharedTags,
			architectures: entry.Architectures,
			...buildValues(entry),
			archFields: entry.archFields,
			constraints: entry.Constraints,
			byArch: Object.fromEntries(entry.Architectures.map((arch) => [arch, buildValues(forArchitecture(entry, arch))])),
		})),
		sharedTagGroups: sharedTagGroups(definition.entries).map(({ sharedTags, entries }) => ({
			sharedTags,
			entries: entries.map(({ Tags }) => Tags[0]),
		})),
	});
	return JSON.parse(json.replaceAll(/\\udc[89a-f][0-9a-f]/g, "\ufffd")) as Record<string, unknown>;
}

function buildValues(entry: BuildFields): Readonly<Record<string, string>> {
	return {
		gitRepo: entry.GitRepo,
		gitFetch: entry.GitFetch,
		gitCommit: entry.GitCommit,
		directory: entry.Directory,
		file: entry.File,
		builder: entry.Builder,
	};
}

function refusal(input: Uint8Array | string): BrewlineError | undefined {
	try {
		parse(input);
		return undefined;
	} catch (error) {
		if (error instanceof BrewlineError && error.code === "definition") return error;
		throw error;
	}
}

describeConformance("definitions/cases.json", () => {
	const cases = JSON.parse(readFileSync(conformance("definitions/cases.json"), "utf8")) as readonly Case[];

	test("there are as many cases as there were", () => {
		expect(cases).toHaveLength(315);
	});

	for (const example of cases.filter(({ error }) => error)) {
		test(example.name, () => {
			const error = refusal(inputOf(example));
			expect(error?.errors.map(({ at }) => at)).toEqual(
				error?.errors.map(() => ({ file: "library/app", line: expect.any(Number), column: expect.any(Number) })),
			);
			expect(error?.errors).not.toHaveLength(0);
			expect(error).toBeDefined();
		});
	}

	for (const example of cases.filter(({ error }) => !error)) {
		test(example.name, () => {
			const definition = parse(inputOf(example));
			const canonical = printDefinition(definition);
			expect({ canonical: canonical.toWellFormed(), ...values(definition) }).toEqual({
				canonical: example.canonical,
				entries: example.entries,
				sharedTagGroups: example.sharedTagGroups,
			});
			expect(encodeText(canonical)).toEqual(
				example.canonicalBase64 === undefined
					? Buffer.from(example.canonical!)
					: Buffer.from(example.canonicalBase64, "base64"),
			);
			expect(again(definition)).toBe(example.canonicalAgain);
		});
	}
});

function inputOf({ input, inputBase64 }: Case): Uint8Array | string {
	return input ?? new Uint8Array(Buffer.from(inputBase64!, "base64"));
}

/** What comes of parsing the canonical text once more; where only the global paragraph differs, it shows in the text. */
function again(definition: Definition): Case["canonicalAgain"] {
	const canonical = printDefinition(definition);
	if (refusal(canonical) !== undefined) return "refused";
	const next = parse(canonical);
	const same = isDeepStrictEqual(values(next), values(definition)) && printDefinition(next) === canonical;
	return same ? undefined : "differs";
}

describeConformance("library-2026-08", () => {
	const names = readdirSync(conformance("library-2026-08"));
	const definitions = names.map((name) => parse(readFileSync(conformance("library-2026-08", name)), `library/${name}`));

	test("144 definitions with 2,121 entries, before and after merging", () => {
		expect(names).toHaveLength(144);
		const count = (of: (definition: Definition) => readonly unknown[]) =>
			definitions.reduce((sum, definition) => sum + of(definition).length, 0);
		expect(count(({ entries }) => entries)).toBe(2121);
		expect(count(({ unmerged }) => unmerged)).toBe(2121);
	});

	test("canonical texts are equal to the byte, and parse to the same", () => {
		const canonical = definitions.map((definition) => `${printDefinition(definition)}\n`);
		expect(canonical).toEqual(names.map((name) => readFileSync(conformance("definitions/canonical", name), "utf8")));
		expect(definitions.map(again)).toEqual(definitions.map(() => undefined));
	});

	test("no real definition is warned about", () => {
		expect(definitions.flatMap(({ warnings }) => warnings)).toEqual([]);
	});
});

describeConformance("production-2024-06-20/library", () => {
	test("75 definitions are valid", () => {
		const names = readdirSync(conformance("production-2024-06-20/library"));
		const entries = names.flatMap(
			(name) => parse(readFileSync(conformance("production-2024-06-20/library", name))).entries,
		);
		expect(names).toHaveLength(75);
		expect(entries.length).toBeGreaterThan(500);
	});
});
