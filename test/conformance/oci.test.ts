import { readFileSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { dockerProgram } from "../../src/config/defaults.ts";
import { BrewlineError } from "../../src/errors.ts";
import { parseJson, parseJsonObject, tabJson, type JsonValue } from "../../src/json/index.ts";
import {
	architectureOf,
	blobFile,
	naturalAscending,
	naturalDescending,
	normalizeDescriptor,
	normalizeImportedIndex,
	normalizeManifest,
	normalizeOutsidePlatform,
	normalizePlatform,
	oneDescriptor,
	sha256Of,
	sortManifests,
	validateLayout,
	writeRootIndex,
	type Descriptor,
	type Index,
	type Platform,
} from "../../src/oci/index.ts";
import { conformance, describeConformance } from "../support/conformance.ts";

interface Case<Input, Output = Input> {
	readonly name: string;
	readonly input: Input;
	readonly output?: Output;
	readonly error?: string;
}

interface Cases {
	readonly outsidePlatforms: readonly { input: Platform; output: Platform; arch: string | null }[];
	readonly platforms: readonly Case<object>[];
	readonly descriptors: readonly Case<object>[];
	readonly manifests: readonly (Case<object> & { size?: number; sha256?: string })[];
	readonly sortManifests: readonly Case<readonly (Descriptor & { n?: number })[], readonly string[]>[];
	readonly naturalDescending: readonly Case<readonly string[]>[];
	readonly naturalAscending: readonly Case<readonly string[]>[];
	readonly oneDescriptor: readonly Case<Index>[];
	readonly ociImport: readonly ImportCase[];
}

interface ImportCase {
	readonly name: string;
	readonly file: string;
	readonly files: Readonly<Record<string, string>>;
	readonly build: { readonly platform: Platform };
	readonly index?: Index;
	readonly indexSize?: number;
	readonly indexDigest?: string;
	readonly layout?: Index;
	readonly error?: string;
}

/** Steps 2 to 4 and 6 of an import. The annotations are the build's business, and taken from the expected result. */
async function importInto(folder: string, { file, files, build, index }: ImportCase): Promise<Descriptor> {
	for (const [name, content] of Object.entries(files)) {
		await mkdir(path.dirname(path.join(folder, name)), { recursive: true });
		await writeFile(path.join(folder, name), content);
	}
	const json = parseJsonObject(files[file]!, { what: file, maxBytes: 10_000, code: "layout" });
	const normalized = normalizeImportedIndex(json, {
		lone: file !== "index.json",
		platform: build.platform,
		annotations: index?.manifests[0]?.annotations ?? {},
	});
	const root = await writeRootIndex(folder, normalized);
	await validateLayout(folder, { attestations: "legacy" });
	return root;
}

/** Ours, which keeps the order of keys that look like numbers: JSON.parse would hide a wrong order. */
function load(file: string): JsonValue {
	return parseJson(readFileSync(conformance(file)), { what: file, maxBytes: 10_000_000 });
}

/** What a function makes of a case's input, as bytes; or the code of its error. */
function outcome<Input, Output>(item: Case<Input, Output>, run: (input: Input) => unknown): string {
	try {
		return tabJson(run(item.input));
	} catch (error) {
		return `error: ${error instanceof BrewlineError ? error.code : "unexpected"}`;
	}
}

function expected<Input, Output>(item: Case<Input, Output>): string {
	return item.error === undefined ? tabJson(item.output) : "error: layout";
}

describeConformance("pipeline/normalize.json", () => {
	const cases = load("pipeline/normalize.json") as unknown as Cases;
	const named = <T extends { readonly name: string }>(list: readonly T[]) =>
		list.map((item) => [item.name, item] as const);

	test.each(cases.outsidePlatforms.map((item) => [JSON.stringify(item.input), item] as const))(
		"outside platform: %s",
		(_, { input, output, arch }) => {
			expect(tabJson(normalizeOutsidePlatform(input))).toBe(tabJson(output));
			expect(architectureOf(input, dockerProgram.architectures) ?? null).toBe(arch);
		},
	);

	test.each(named(cases.platforms))("platform: %s", (_, item) => {
		expect(outcome(item, normalizePlatform)).toBe(expected(item));
	});

	test.each(named(cases.descriptors))("descriptor: %s", (_, item) => {
		expect(outcome(item, normalizeDescriptor)).toBe(expected(item));
	});

	test.each(named(cases.manifests))("manifest: %s", (_, item) => {
		expect(outcome(item, normalizeManifest)).toBe(expected(item));
	});

	test.each(named(cases.manifests.filter(({ error }) => error === undefined)))("bytes of a manifest: %s", (_, item) => {
		const bytes = Buffer.from(tabJson(normalizeManifest(item.input)));
		expect(bytes).toHaveLength(item.size!);
		expect(sha256Of(bytes)).toBe(`sha256:${item.sha256}`);
	});

	test.each(named(cases.sortManifests))("sort: %s", (_, item) => {
		const marks = outcome(item, (input) =>
			sortManifests(input).map(({ digest, n }) => digest.charAt(7) + (n === undefined ? "" : `#${n}`)),
		);
		expect(marks).toBe(expected(item));
	});

	test.each(cases.naturalAscending)("natural, ascending: $input", ({ input, output }) => {
		expect(input.toSorted(naturalAscending)).toStrictEqual(output);
	});

	test.each(cases.naturalDescending)("natural, descending: $input", ({ input, output }) => {
		expect(input.toSorted(naturalDescending)).toStrictEqual(output);
	});

	let scratch = "";
	beforeAll(async () => {
		scratch = await mkdtemp(path.join(tmpdir(), "brewline-import-"));
	});
	afterAll(() => rm(scratch, { recursive: true }));

	test.each(named(cases.ociImport.filter(({ error }) => error === undefined)))("import: %s", async (_, item) => {
		const folder = await mkdtemp(path.join(scratch, "layout-"));
		const root = await importInto(folder, item);
		expect(root).toMatchObject({ digest: item.indexDigest, size: item.indexSize });
		expect(await readFile(blobFile(folder, root.digest), "utf8")).toBe(tabJson(item.index));
		expect(await readFile(path.join(folder, "index.json"), "utf8")).toBe(tabJson(item.layout));
	});

	test.each(named(cases.ociImport.filter(({ error }) => error !== undefined)))("import: %s", async (_, item) => {
		const folder = await mkdtemp(path.join(scratch, "layout-"));
		await expect(importInto(folder, item)).rejects.toMatchObject({
			name: "BrewlineError",
			code: expect.stringMatching(/^(?:layout|digest)$/),
		});
	});

	test.each(named(cases.oneDescriptor))("one descriptor: %s", (_, item) => {
		expect(outcome(item, oneDescriptor)).toBe(expected(item));
	});
});

describeConformance("pipeline/oci-sort-manifests", () => {
	test("the manifests of real indexes", () => {
		const input = load("pipeline/oci-sort-manifests/in.json") as unknown as readonly Descriptor[];
		const sorted = sortManifests(input.map((descriptor) => normalizeDescriptor(descriptor)));
		expect(tabJson(sorted)).toBe(tabJson(load("pipeline/oci-sort-manifests/out.json")));
	});
});

describeConformance("pipeline/oci-sort-platforms", () => {
	test("platforms, sorted, sort to themselves, and so does their reverse: no two are equal", () => {
		const platforms = load("pipeline/oci-sort-platforms/out.json") as unknown as readonly Platform[];
		const sort = (list: readonly Platform[]) =>
			sortManifests(list.map((platform) => ({ platform }))).map(({ platform }) => platform);
		expect(new Set(platforms.map((platform) => JSON.stringify(platform))).size).toBe(platforms.length);
		expect(sort(platforms)).toStrictEqual(platforms);
		expect(sort(platforms.toReversed())).toStrictEqual(platforms);
	});
});
