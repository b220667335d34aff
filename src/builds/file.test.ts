import { describe, expect, test } from "vitest";
import { mediaTypes, sha256Of, type Index } from "../oci/index.ts";
import { buildIdOf, readBuilds, readLookupCache, writeBuilds, writeLookupCache, type Build } from "./index.ts";

const hex = (character: string) => character.repeat(64);
const index: Index = {
	schemaVersion: 2,
	mediaType: mediaTypes.ociIndex,
	manifests: [{ mediaType: mediaTypes.ociManifest, digest: `sha256:${hex("1")}`, size: 5 }],
};

function build(): Build {
	const identity = { sourceId: hex("a"), arch: "amd64", parents: {} };
	const buildId = buildIdOf(identity);
	return {
		buildId,
		build: { img: `o/staging-amd64:${buildId}`, resolved: index, ...identity, resolvedParents: {} },
		source: {
			sourceId: hex("a"),
			reproducibleGitChecksum: hex("b"),
			entries: [
				{
					GitRepo: "https://example.com/x.git",
					GitFetch: "refs/heads/main",
					GitCommit: "c".repeat(40),
					Directory: ".",
					File: "Dockerfile",
					Builder: "",
					SOURCE_DATE_EPOCH: 0,
				},
			],
			arches: {
				amd64: {
					tags: ["x:1"],
					archTags: [],
					froms: [],
					lastStageFrom: "scratch",
					platformString: "linux/amd64",
					platform: { architecture: "amd64", os: "linux" },
					parents: {},
				},
			},
		},
	};
}

const good = () => ({ [build().buildId]: build() });
const file = "builds.json";

/** A copy of the value with the member at a path replaced. */
function changed(value: unknown, [key, ...rest]: readonly string[], to: unknown): unknown {
	const copy: Record<string, unknown> = { ...(value as object) };
	copy[key!] = rest.length === 0 ? to : changed(copy[key!], rest, to);
	return copy;
}

describe("builds.json", () => {
	test("what is written is read", () => {
		expect(readBuilds(writeBuilds(good()), { file })).toEqual(good());
	});

	test.each([
		["build.img", "not a reference!", "reference"],
		["build.resolved.schemaVersion", 1, "resolved.schemaVersion"],
		["build.resolved.manifests", [], "must have a manifest"],
		["build.arch", "AMD64", "architecture"],
		["build.parents", { "x:1": "sha256:1" }, "digest"],
		["build.sourceId", hex("d"), "source that it holds"],
		["source.arches", {}, "its own architecture alone"],
		["source.entries", [], "entries"],
		["build.parents", { "x:1": `sha256:${hex("1")}` }, "is not the id of the build"],
		["buildId", hex("e"), "under its own id"],
	])("%s: %j is refused", (path, to, why) => {
		const { buildId } = build();
		const text = JSON.stringify(changed(good(), [buildId, ...path.split(".")], to));
		expect(() => readBuilds(text, { file })).toThrow(
			expect.objectContaining({ code: "handover", message: expect.stringContaining(why) as string }) as Error,
		);
	});

	test.each(["", "[]", "{", '{"a":1}', "\u{feff}{}"])("%j is refused", (text) => {
		expect(() => readBuilds(text, { file })).toThrow(expect.objectContaining({ code: "handover" }) as Error);
	});

	test("a file whose digest is known is held to it, and not checked again", () => {
		const text = writeBuilds(good()).replace("linux/amd64", "anything");
		expect(readBuilds(text, { file, digest: sha256Of(text) })).toBeDefined();
		expect(() => readBuilds(`${text} `, { file, digest: sha256Of(text) })).toThrow("SHA-256");
	});

	test("text from outside is shown escaped", () => {
		const escape = String.fromCharCode(27);
		const text = JSON.stringify({ [`${escape}[31m`]: build() });
		expect(() => readBuilds(text, { file })).toThrow(String.raw`\u{1b}`);
	});
});

describe("the cache of lookups", () => {
	test("is written sorted, without what is not there", () => {
		const text = writeLookupCache({ indexes: { "x:2": index, "x:1": index, "x:3": null } });
		expect(Object.keys(readLookupCache(text, { file }).indexes)).toEqual(["x:1", "x:2"]);
	});

	test("null is read: looked up, and not there", () => {
		expect(readLookupCache('{"indexes":{"x:1":null}}', { file })).toEqual({ indexes: { "x:1": null } });
	});

	test.each(['{"indexes":{"x:1":{}}}', '{"indexes":[]}', "{}", '{"indexes":{"X!":null}}'])("%s is refused", (text) => {
		expect(() => readLookupCache(text, { file })).toThrow(expect.objectContaining({ code: "handover" }) as Error);
	});
});
