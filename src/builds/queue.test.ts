import { describe, expect, test } from "vitest";
import { mediaTypes } from "../oci/index.ts";
import { queue, type Build, type Builds } from "./index.ts";

const hour = 3600;

function build(buildId: string, arch = "amd64", osVersion?: string): Build {
	const manifest = { mediaType: mediaTypes.ociManifest, digest: `sha256:${"1".repeat(64)}`, size: 5 };
	const platform = {
		os: "windows",
		architecture: "amd64",
		...(osVersion === undefined ? {} : { "os.version": osVersion }),
	};
	const parent = {
		schemaVersion: 2 as const,
		mediaType: mediaTypes.ociIndex,
		manifests: [manifest, { ...manifest, platform }],
	};
	return {
		buildId,
		build: { img: "s:1", resolved: null, sourceId: "", arch, parents: {}, resolvedParents: { "p:1": parent } },
		source: {
			sourceId: "",
			reproducibleGitChecksum: "",
			entries: [],
			arches: {
				[arch]: {
					tags: [`x:${buildId}`],
					archTags: [],
					froms: [],
					lastStageFrom: "",
					platformString: "",
					platform,
					parents: {},
				},
			},
		},
	};
}

const buildsOf = (...list: readonly Build[]): Builds => Object.fromEntries(list.map((item) => [item.buildId, item]));

describe("queue", () => {
	test("what has no record is tried, and gets one", () => {
		const { queue: due, records, skipped } = queue(buildsOf(build("a")), {}, "amd64", 0);
		expect(due.map(({ identifier }) => identifier)).toEqual(["x:a"]);
		expect(records).toEqual({ a: { count: 1, identifier: "x:a", skip: false } });
		expect(skipped).toBe(0);
	});

	test("two tries without a time do not wait for ever", () => {
		expect(queue(buildsOf(build("a")), { a: { count: 2 } }, "amd64", 10 * hour).queue).toHaveLength(1);
		expect(queue(buildsOf(build("a")), { a: { count: 2, lastTime: null } }, "amd64", 0).queue).toHaveLength(1);
	});

	const afterTries = (count: number, now: number) =>
		queue(buildsOf(build("a")), { a: { count, lastTime: 1000 } }, "amd64", now);

	test("after one try the second runs at once", () => {
		expect(afterTries(1, 1000).queue).toHaveLength(1);
	});

	test.each([
		[2, 1],
		[7, 32],
		[100, 32],
	])("after %i tries it waits %i hours", (count, hours) => {
		expect(afterTries(count, 1000 + hours * hour).queue).toHaveLength(1);
		expect(afterTries(count, 1000 + hours * hour - 1)).toEqual({
			queue: [],
			skipped: 1,
			records: { a: { count, lastTime: 1000, identifier: "x:a", skip: true } },
		});
	});

	test("what failed less often comes first, ties in their order; others' and built ones' records are dropped", () => {
		const done = build("d");
		const builds = buildsOf(build("a"), build("b"), build("c"), build("e", "s390x"), {
			...done,
			build: { ...done.build, resolved: done.build.resolvedParents["p:1"]! },
		});
		const past = { a: { count: 1 }, d: { count: 1 }, gone: { count: 1 }, e: { count: 1 } };
		const { queue: due, records } = queue(builds, past, "amd64", 0);
		expect(due.map(({ buildId }) => buildId)).toEqual(["b", "c", "a"]);
		expect(Object.keys(records)).toEqual(["a", "b", "c"]);
	});

	test.each([
		["10.0.26100.1742", "2025"],
		["10.0.20348.2700", "2022"],
		["10.0.17763.6293", "2019"],
		["10.0.14393", "unknown"],
		[undefined, undefined],
	])("os.version %s: Windows %s", (osVersion, expected) => {
		const [due] = queue(buildsOf(build("a", "windows-amd64", osVersion)), {}, "windows-amd64", 0).queue;
		expect(due!.windowsVersion).toBe(expected);
	});

	test("only Windows has a version", () => {
		expect(queue(buildsOf(build("a", "amd64", "10.0.20348.1")), {}, "amd64", 0).queue[0]).not.toHaveProperty(
			"windowsVersion",
		);
	});
});
