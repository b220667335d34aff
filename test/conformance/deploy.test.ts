import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { readBuilds } from "../../src/builds/index.ts";
import { dockerProgram } from "../../src/config/index.ts";
import { parseJson, tabJson } from "../../src/json/index.ts";
import { deployObjects, type DeployedBuild, type DeployOptions } from "../../src/publish/index.ts";
import { conformance, describeConformance } from "../support/conformance.ts";

const architectureAnnotation = dockerProgram.annotations.architecture;

function read(...parts: readonly string[]): Buffer {
	const bytes = readFileSync(conformance(...parts));
	return parts.at(-1)!.endsWith(".gz") ? gunzipSync(bytes) : bytes;
}

describeConformance("pipeline", () => {
	const deploy = (tags: DeployOptions["tags"]) =>
		tabJson(
			deployObjects(readBuilds(read("pipeline", "builds.json"), { file: "builds.json" }), {
				tags,
				architectureAnnotation,
			}),
		);

	test("deploy-amd64: the arch tags of amd64", () => {
		expect(deploy({ arch: "amd64" })).toBe(read("pipeline", "deploy-amd64", "out.json").toString());
	});

	test("deploy-all: every tag and arch tag", () => {
		expect(deploy("all")).toBe(read("pipeline", "deploy-all", "out.json").toString());
	});

	const { deploy: cases } = JSON.parse(read("pipeline", "normalize.json").toString()) as {
		deploy: { name: string; input: DeployedBuild[]; output: unknown }[];
	};
	test.each(cases)("normalize.json, deploy: $name", ({ input, output }) => {
		expect(tabJson(deployObjects(input, { tags: "all", architectureAnnotation }))).toBe(tabJson(output));
	});
});

describeConformance("production-2024-06-20", () => {
	const builds = () =>
		parseJson(read("production-2024-06-20", "replay", "builds.json.gz"), { what: "builds.json", maxBytes: 2 ** 28 });

	test.each([
		["deploy-amd64.json.gz", { arch: "amd64" }, 738],
		["deploy-all.json.gz", "tags", 884],
	] as const)("%s", (file, tags, count) => {
		const objects = deployObjects(builds() as never, { tags, architectureAnnotation });
		expect(objects).toHaveLength(count);
		expect(JSON.stringify(objects)).toBe(read("production-2024-06-20", "replay", file).toString().trimEnd());
	});
});
