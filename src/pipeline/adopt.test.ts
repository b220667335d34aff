import { describe, expect, it } from "vitest";
import type { Index } from "../oci/index.ts";
import { mismatch } from "./adopt.ts";
import { noProof } from "./proof.ts";

const commit = "1".repeat(40);
const digest = (digit: string): string => `sha256:${digit.repeat(64)}`;
const here = `https://example.org/x.git#${commit}:2.0`;

/** Built from a directory, on `base:1`. */
const build = (more: { readonly file?: string; readonly parents?: Readonly<Record<string, string>> } = {}) =>
	({
		build: { arch: "amd64", parents: more.parents ?? { "base:1": digest("b") } },
		source: {
			entries: [{ GitCommit: commit, Directory: "2.0", File: more.file ?? "Dockerfile" }],
			arches: { amd64: { lastStageFrom: "base:1" } },
		},
	}) as unknown as Parameters<typeof mismatch>[0];

const complete = { revision: commit, source: here, "base.digest": digest("b") };

/** Images with these annotations. */
const published = (...images: readonly Readonly<Record<string, string>>[]) =>
	({
		manifests: images.map((own, number) => ({
			mediaType: "x",
			digest: digest(`${number + 2}`),
			size: 1,
			annotations: Object.fromEntries(
				Object.entries(own).map(([key, value]) => [`org.opencontainers.image.${key}`, value]),
			),
		})),
	}) as unknown as Index;

const without = (key: keyof typeof complete): Readonly<Record<string, string>> => {
	const { [key]: _, ...rest } = complete;
	return rest;
};

const usual = { unverified: false, oneOfSeveral: false, imported: undefined, proof: noProof };

describe("an image that says something else than is defined is never taken", () => {
	it.each<[string, Readonly<Record<string, string>>, string]>([
		["another commit", { ...complete, revision: "2".repeat(40) }, `is of another commit: ${"2".repeat(40)}`],
		["another directory", { ...complete, source: here.replace("2.0", "1.0") }, "is of another directory: 1.0"],
		["another base", { ...complete, "base.digest": digest("c") }, `stands on an older base:1: ${digest("c")}`],
	])("%s", (_, annotations, expected) => {
		for (const unverified of [false, true]) {
			const problem = mismatch(build(), published(complete, annotations), { ...usual, unverified });
			expect(problem).toEqual(expect.stringMatching(expected));
		}
	});

	it("nothing at all", () => {
		expect(mismatch(build(), published(), { ...usual, unverified: true })).toBe("holds no image");
	});
});

describe("an image that does not say enough is taken only where that is accepted", () => {
	it.each<[string, Parameters<typeof mismatch>[0], Index, Partial<typeof usual>, string]>([
		["of which commit", build(), published(without("revision")), {}, "does not say of which commit it is"],
		[
			"of which commit one of two is",
			build(),
			published(complete, { source: here }),
			{},
			"does not say of which commit",
		],
		[
			"of which file",
			build({ file: "Dockerfile.x" }),
			published(complete),
			{},
			"does not say of which file it is, and",
		],
		[
			"of which file of several",
			build(),
			published(complete),
			{ oneOfSeveral: true },
			"does not say of which file it is",
		],
		["on what it stands", build(), published(without("base.digest")), {}, "does not say on which base:1 it stands"],
		[
			"from what else it copies",
			build({ parents: { "base:1": digest("b"), "tool:1": digest("d") } }),
			published(complete),
			{},
			"does not say with which tool:1 it was built",
		],
	])("%s", (_, defined, index, options, expected) => {
		expect(mismatch(defined, index, { ...usual, ...options })).toEqual(expect.stringContaining(expected));
		expect(mismatch(defined, index, { ...usual, ...options, unverified: true })).toBeUndefined();
	});

	it("or where its provenance says it", () => {
		const defined = build({ file: "./Dockerfile.x", parents: { "base:1": digest("b"), "tool:1": digest("d") } });
		const proof = { digests: new Set([digest("b"), digest("d"), digest("e")]), file: "Dockerfile.x" };
		expect(mismatch(defined, published(without("base.digest")), { ...usual, proof })).toBeUndefined();
		const other = { ...proof, file: "Dockerfile" };
		expect(mismatch(defined, published(complete), { ...usual, proof: other })).toContain("does not say of which file");
		const older = { ...proof, digests: new Set([digest("b"), digest("e")]) };
		expect(mismatch(defined, published(complete), { ...usual, proof: older })).toContain(
			"does not say with which tool:1",
		);
	});

	it("but one that says all of it always", () => {
		expect(mismatch(build(), published(complete), usual)).toBeUndefined();
		expect(mismatch(build({ file: "./Dockerfile" }), published(complete, complete), usual)).toBeUndefined();
	});
});

it("an image that is imported is proved by what is in git, and by nothing else", () => {
	const imported = build({ file: "index.json", parents: {} });
	const index = published({ revision: commit, source: "https://example.org/x.git" });
	expect(mismatch(imported, index, { ...usual, imported: digest("2") })).toBeUndefined();
	expect(mismatch(imported, published({}), { ...usual, imported: digest("2") })).toBeUndefined();
	const other = mismatch(imported, index, { ...usual, imported: digest("3"), unverified: true });
	expect(other).toBe(`is not what is in git: ${digest("2")}, and there ${digest("3")}`);
});
