import { expect, it } from "vitest";
import type { Index } from "../oci/index.ts";
import { mismatch } from "./adopt.ts";

const commit = "1".repeat(40);
const build = {
	build: { arch: "amd64", parents: {} },
	source: { entries: [{ GitCommit: commit, Directory: "2.0" }], arches: { amd64: { lastStageFrom: "scratch" } } },
} as unknown as Parameters<typeof mismatch>[0];

function published(source: string): Index {
	const annotations = { "org.opencontainers.image.revision": commit, "org.opencontainers.image.source": source };
	return {
		manifests: [{ mediaType: "x", digest: `sha256:${"2".repeat(64)}`, size: 1, annotations }],
	} as unknown as Index;
}

it.each([
	["the same directory", `https://example.org/x.git#${commit}:2.0`, undefined],
	["a repository alone, as an imported image has it", "https://example.org/x.git", undefined],
	[
		"another directory of the same commit",
		`https://example.org/x.git#${commit}:1.0`,
		expect.stringMatching(/^is of another directory: .*:1\.0$/),
	],
])("an image of %s", (_, source, expected) => {
	expect(mismatch(build, published(source), {})).toEqual(expected);
});
