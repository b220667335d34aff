import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { importLayout } from "../../src/build/index.ts";
import type { Build } from "../../src/builds/types.ts";
import { dockerProgram } from "../../src/config/index.ts";
import { BrewlineError } from "../../src/errors.ts";
import { readLayout, type Platform } from "../../src/oci/index.ts";
import { annotationsOf, withCreated } from "../../src/plan/index.ts";
import { conformance, describeConformance } from "../support/conformance.ts";

interface Example {
	readonly name: string;
	readonly file: string;
	readonly directory: string;
	readonly files: Readonly<Record<string, string>>;
	readonly build: {
		readonly arch: string;
		readonly tags: readonly string[];
		readonly platform: Platform;
		readonly GitRepo: string;
		readonly GitCommit: string;
		readonly SOURCE_DATE_EPOCH: number;
	};
	readonly index?: unknown;
	readonly indexSize?: number;
	readonly indexDigest?: string;
	readonly layout?: unknown;
	readonly layoutSha256?: string;
	readonly error?: string;
}

describeConformance("pipeline/normalize.json", () => {
	const { ociImport } = JSON.parse(readFileSync(conformance("pipeline/normalize.json"), "utf8")) as {
		readonly ociImport: readonly Example[];
	};
	let folder: string;
	beforeAll(async () => {
		folder = await mkdtemp(path.join(os.tmpdir(), "import-"));
	});
	afterAll(async () => {
		await rm(folder, { recursive: true });
	});

	function buildOf({ build, file, directory }: Example): Build {
		const { arch, tags, platform, ...entry } = build;
		return {
			buildId: "0".repeat(64),
			build: { img: "", resolved: null, sourceId: "", arch, parents: {}, resolvedParents: {} },
			source: {
				sourceId: "",
				reproducibleGitChecksum: "",
				entries: [{ ...entry, GitFetch: "refs/heads/main", Directory: directory, File: file, Builder: "oci-import" }],
				arches: {
					[arch]: {
						tags,
						archTags: [],
						froms: ["scratch"],
						lastStageFrom: "scratch",
						platformString: "",
						platform,
						parents: {},
					},
				},
			},
		};
	}

	async function imported(example: Example, place: string) {
		const source = path.join(place, "source");
		for (const [name, content] of Object.entries(example.files)) {
			const file = path.join(source, name);
			await mkdir(path.dirname(file), { recursive: true });
			await writeFile(file, content);
		}
		const layout = path.join(place, "layout");
		const build = buildOf(example);
		await importLayout({
			source,
			file: example.file,
			layout,
			platform: example.build.platform,
			annotations: withCreated(annotationsOf(build, dockerProgram), example.build.SOURCE_DATE_EPOCH),
		});
		const { root } = await readLayout(layout, { attestations: "legacy" });
		const top = await readFile(path.join(layout, "index.json"));
		return {
			index: await readFile(path.join(layout, "blobs", root.digest.replace(":", "/")), "utf8"),
			indexDigest: root.digest,
			indexSize: root.size,
			layout: top.toString("utf8"),
			layoutSha256: createHash("sha256").update(top).digest("hex"),
		};
	}

	for (const [position, example] of ociImport.entries()) {
		it(example.name, async () => {
			const outcome = await imported(example, path.join(folder, String(position))).catch((error: unknown) => {
				if (error instanceof BrewlineError) {
					return undefined;
				}
				throw error;
			});
			const { index, indexDigest, indexSize, layout, layoutSha256 } = example;
			expect(outcome).toEqual(
				example.error !== undefined
					? undefined
					: {
							index: `${JSON.stringify(index, undefined, "\t")}\n`,
							indexDigest,
							indexSize,
							layout: `${JSON.stringify(layout, undefined, "\t")}\n`,
							layoutSha256,
						},
			);
		});
	}
});
