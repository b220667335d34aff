import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { provenanceStatement } from "../../src/build/index.ts";
import type { Build, Builds } from "../../src/builds/types.ts";
import { dispatchInputs } from "../../src/plan/index.ts";
import { conformance, describeConformance } from "../support/conformance.ts";

describeConformance("pipeline/provenance", () => {
	const builds = JSON.parse(readFileSync(conformance("pipeline/builds.json"), "utf8")) as Builds;
	const expected = JSON.parse(readFileSync(conformance("pipeline/provenance/out.json"), "utf8")) as unknown[];
	const sha = "0123456789abcdef0123456789abcdef01234567";

	function statementOf(build: Build, eventName = "workflow_dispatch") {
		const arch = build.source.arches[build.build.arch]!;
		const name = build.build.resolved!.annotations!["org.opencontainers.image.ref.name"]!;
		return provenanceStatement(
			{
				references: [...arch.tags, ...arch.archTags, build.build.img],
				platformString: arch.platformString,
				digest: name.slice(name.indexOf("@") + 1),
			},
			{
				eventName,
				serverUrl: "https://github.com",
				repository: "docker-library/meta",
				repositoryId: "1234",
				repositoryOwnerId: "5678",
				ref: "refs/heads/main",
				sha,
				workflowRef: "docker-library/meta/.github/workflows/build.yml@refs/heads/main",
				workflowSha: sha,
				runId: "9001",
				runAttempt: "2",
				runnerEnvironment: "github-hosted",
				inputs: dispatchInputs(build),
			},
		);
	}

	function firstBuilt(arch: string): Build {
		return Object.values(builds).find(({ build }) => build.arch === arch && build.resolved !== null)!;
	}

	it.each([
		["amd64", 0],
		["windows-amd64", 1],
	])("%s", (arch, position) => {
		expect(JSON.stringify(statementOf(firstBuilt(arch)))).toBe(JSON.stringify(expected[position]));
	});

	it("says nothing for other events", () => {
		expect(statementOf(firstBuilt("amd64"), "push")).toBeNull();
	});
});
