import { describe, expect, test } from "vitest";
import { buildIdOf, type Build, type Builds } from "../builds/index.ts";
import { dockerProgram } from "../config/index.ts";
import { orderedEntries, orderedObject } from "../json/index.ts";
import { sha256Of, type Index } from "../oci/index.ts";
import { assembleSources, type SourceCandidate, type SourceFacts } from "../sources/index.ts";
import { allRecords, emptyState, joinState, readStateFile, recordsByImage, splitState, type State } from "./index.ts";

const { architectures, annotations } = dockerProgram;

function index(of: string, arch = "amd64"): Index {
	return {
		schemaVersion: 2,
		mediaType: "application/vnd.oci.image.index.v1+json",
		manifests: [
			{
				mediaType: "application/vnd.oci.image.manifest.v1+json",
				digest: sha256Of(of),
				size: 100,
				annotations: { [annotations.architecture]: arch },
				platform: { architecture: "amd64", os: "linux" },
			},
		],
	};
}

/** `name:1`, on amd64. */
function candidate(name: string, froms: readonly string[], content = name): readonly [SourceCandidate, SourceFacts] {
	const place = {
		GitRepo: "https://example.org/x.git",
		GitFetch: "refs/heads/main",
		GitCommit: "0".repeat(40),
		Directory: ".",
		File: "Dockerfile",
		Builder: "buildkit",
	};
	const checksum = sha256Of(content).slice("sha256:".length);
	return [
		{ name, tags: ["1"], arch: "amd64", place, at: { file: name } },
		{ checksum, epoch: 0, froms, lastStageFrom: froms.at(-1)! },
	];
}

/** A base on something from outside, a middle and a leaf, the leaf not built; in build order, which is not that of names. */
function chain(): State {
	const sources = assembleSources(
		[candidate("zoo", ["debian:12"]), candidate("middle", ["zoo:1"]), candidate("app", ["middle:1", "debian:12"])],
		{ architectures, pins: new Map([["debian:12", sha256Of("debian")]]) },
	);
	const outside = index("debian");
	const builds: [string, Build][] = [];
	const held = new Map<string, Index>();
	for (const [sourceId, source] of orderedEntries(sources)) {
		const ofArch = source.arches["amd64"]!;
		const resolvedParents = orderedObject(
			orderedEntries(ofArch.parents).map(([from, { sourceId }]) => [
				from,
				sourceId === null ? outside : held.get(sourceId)!,
			]),
		);
		const parents = orderedObject(
			orderedEntries(resolvedParents).map(([from, { manifests }]) => [from, manifests[0]!.digest]),
		);
		const buildId = buildIdOf({ sourceId, arch: "amd64", parents });
		const resolved = ofArch.tags[0] === "app:1" ? null : index(buildId);
		if (resolved !== null) held.set(sourceId, resolved);
		const img = `staging/amd64:${buildId}`;
		builds.push([
			buildId,
			{ buildId, build: { img, resolved, sourceId, arch: "amd64", parents, resolvedParents }, source },
		]);
	}
	const whole: Builds = orderedObject(builds);
	const lookups = Object.values(whole).flatMap(({ build }) =>
		build.resolved === null ? [] : [[build.img, build.resolved]],
	);
	const reference = `debian@${sha256Of("debian")}`;
	const indexes = { ...(Object.fromEntries(lookups) as Record<string, Index>), [reference]: outside };
	return { ...emptyState, sources, builds: whole, cache: { indexes } };
}

type Files = Map<string, unknown>;
const filesOf = (state: State): Files =>
	new Map([...splitState(state)].map(([path, text]) => [path, readStateFile(path, text)]));

interface Image {
	moved?: { first: string; after: { image: string; part: number } | null }[];
	sources: Record<string, unknown>;
	builds: Record<
		string,
		{ resolved: unknown; parents: unknown; sourceId: string; resolvedParents: Record<string, unknown> }
	>;
	outside: Record<string, Record<string, unknown>>;
	lookups: Record<string, unknown>;
}

describe("the files of a chain of images", () => {
	test("hold what is their own, and words for what stands elsewhere", () => {
		const files = filesOf(chain());
		const app = files.get("images/app.json") as Image;
		const zoo = files.get("images/zoo.json") as Image;
		expect(Object.values(app.builds)).toMatchObject([
			{ resolved: null, resolvedParents: { "middle:1": "build", "debian:12": "outside" } },
		]);
		expect(Object.values(zoo.builds)).toMatchObject([{ resolved: "lookup" }]);
		expect(Object.keys(app.lookups)).toEqual([`debian@${sha256Of("debian")}`]);
		expect(Object.keys(zoo.lookups)).toHaveLength(2);
		expect(JSON.stringify(app)).not.toContain("moved");
		expect(joinState(files)).toEqual(chain());
	});

	test("what nobody asks for stands by itself; what is known not to be there is not kept", () => {
		const state = chain();
		const other = index("other");
		const indexes = { ...state.cache.indexes, "other:1": other, "none:1": null };
		const files = filesOf({ ...state, cache: { indexes } });
		expect(files.get("lookups.json")).toMatchObject({ lookups: { "other:1": other } });
		expect(joinState(files).cache.indexes).toEqual({ ...state.cache.indexes, "other:1": other });
	});

	test("what differs from what stands elsewhere is kept as it is", () => {
		const state = chain();
		const builds = orderedObject(
			orderedEntries(state.builds).map(([id, each]) => {
				const parents = Object.entries(each.build.resolvedParents).map(
					([from, found]) => [from, { ...found, annotations: { of: id } }] as const,
				);
				return [id, { ...each, build: { ...each.build, resolvedParents: orderedObject(parents) } }];
			}),
		);
		expect(joinState(filesOf({ ...state, builds }))).toEqual({ ...state, builds });
		expect(joinState(filesOf({ ...state, cache: { indexes: {} } }))).toEqual({ ...state, cache: { indexes: {} } });
	});

	test("a build that is not what its id says is not written", () => {
		const state = chain();
		const [id, build] = orderedEntries(state.builds)[0]!;
		const builds = { ...state.builds, [id]: { ...build, build: { ...build.build, parents: {} } } };
		expect(() => splitState({ ...state, builds })).toThrow(expect.objectContaining({ code: "handover" }));
	});

	test("records stand with the image of their build, and go when it is built or gone", () => {
		const { builds } = chain();
		const records = orderedObject(Object.keys(builds).map((id) => [id, { count: 2, lastTime: 1 }]));
		const kept = recordsByImage({ ...records, ["0".repeat(64)]: { count: 1 } }, builds);
		const last = Object.keys(builds).at(-1)!;
		expect(kept).toEqual({ app: { [last]: records[last] } });
		expect(allRecords(kept)).toEqual({ [last]: records[last] });
	});

	const damages: Readonly<Record<string, (app: Image, zoo: Image) => void>> = {
		"a source in another image's file": (app, zoo) => {
			Object.assign(app.sources, zoo.sources);
		},
		"a build of a source of another file": (app, zoo) => {
			Object.assign(app.builds, zoo.builds);
		},
		"a build under another id": (app) => {
			app.builds = { ["0".repeat(64)]: Object.values(app.builds)[0]! };
		},
		"a lookup that is not there": (_, zoo) => {
			zoo.lookups = {};
		},
		"an image from outside that is not there": (app) => {
			app.outside = {};
		},
		"a parent's build that is not there": (_, zoo) => {
			zoo.builds = {};
		},
		"two indexes for one reference": (app) => {
			for (const reference of Object.keys(app.lookups)) app.lookups[reference] = index("another");
		},
		"moved behind something that is not there": (app) => {
			app.moved = [{ first: Object.keys(app.sources)[0]!, after: { image: "none", part: 0 } }];
		},
		"moved behind itself": (app) => {
			app.moved = [{ first: Object.keys(app.sources)[0]!, after: { image: "app", part: 0 } }];
		},
		"two moved to one place": (app, zoo) => {
			for (const image of [app, zoo]) image.moved = [{ first: Object.keys(image.sources)[0]!, after: null }];
		},
		"moved, but not there": (app) => {
			app.moved = [{ first: "0".repeat(64), after: null }];
		},
	};

	test.each(Object.keys(damages))("%s is refused", (name) => {
		const files = filesOf(chain());
		damages[name]!(files.get("images/app.json") as Image, files.get("images/zoo.json") as Image);
		expect(() => joinState(files)).toThrow(
			expect.objectContaining({ code: "handover", message: expect.stringMatching(/contradicts itself/) as unknown }),
		);
	});
});

describe("single files", () => {
	const good = {
		format: "brewline-state-published",
		version: 1,
		tags: { "library/tool:1": { digest: sha256Of("x"), platforms: ["linux/amd64"], when: "2026-01-31T12:00:00Z" } },
	};

	test("what was published, by tag", () => {
		const value = readStateFile("published/tool.json", JSON.stringify(good));
		const published = { tool: good.tags };
		expect(value).toEqual(good);
		const files = filesOf({ ...emptyState, published });
		expect([...files.keys()]).toEqual(["format.json", "decisions.json", "published/tool.json"]);
		expect(joinState(files)).toEqual({ ...emptyState, published });
	});

	test("an image may be called as what every object has", () => {
		const queue = { constructor: { [sha256Of("a").slice("sha256:".length)]: { count: 1 } } };
		const files = filesOf({ ...emptyState, queue });
		expect([...files.keys()]).toEqual(["format.json", "decisions.json", "queue/constructor.json"]);
		expect(joinState(files).queue).toEqual(queue);
	});

	test.each([
		["an unknown version", { ...good, version: 2 }],
		["another format", { ...good, format: "brewline-state-queue" }],
		["an unknown key", { ...good, more: 1 }],
		["a digest that is none", { ...good, tags: { "a:1": { ...good.tags["library/tool:1"], digest: "sha256:0" } } }],
		["a time that is none", { ...good, tags: { "a:1": { ...good.tags["library/tool:1"], when: "yesterday" } } }],
		["a tag that is an option", { ...good, tags: { "-a:1": good.tags["library/tool:1"] } }],
	])("%s is refused", (_, value) => {
		expect(() => readStateFile("published/tool.json", JSON.stringify(value))).toThrow(
			expect.objectContaining({ code: "handover" }),
		);
	});

	const record = { count: 2, lastTime: 1 };
	test.each<[string, string, string, object]>([
		[
			"a tag that is no reference",
			"published/a.json",
			"published",
			{ tags: { "a//B:1": good.tags["library/tool:1"] } },
		],
		["a look-up of what is no reference", "lookups.json", "lookups", { lookups: { "a//B:1": index("a") } }],
		[
			"a time before all",
			"queue/a.json",
			"queue",
			{ records: { [sha256Of("a").slice(7)]: { ...record, lastTime: -9e15 } } },
		],
		[
			"a time after all",
			"queue/a.json",
			"queue",
			{ records: { [sha256Of("a").slice(7)]: { ...record, lastTime: 9e15 } } },
		],
		[
			"a first time after all",
			"queue/a.json",
			"queue",
			{ records: { [sha256Of("a").slice(7)]: { ...record, firstTime: 9e15 } } },
		],
	])("%s is refused", (_, file, kind, value) => {
		const text = JSON.stringify({ format: `brewline-state-${kind}`, version: 1, ...value });
		expect(() => readStateFile(file, text)).toThrow(expect.objectContaining({ code: "handover" }));
	});

	test.each([
		"x.json",
		"images/x",
		"images/../x.json",
		"published/a/b.json",
		"queue/.json",
		"other/x.json",
		"constructor",
	])("%s is no path of a state", (path) => {
		expect(() => readStateFile(path, JSON.stringify(good))).toThrow("no file of a state");
	});

	test("what is larger than its kind may be is not written", () => {
		const why = "x".repeat(4000);
		const holds = Object.fromEntries(
			Array.from({ length: 1100 }, (_, number) => [`a:${number}`, { by: "x", when: "2026-01-31T12:00:00Z", why }]),
		);
		const decisions = { ...emptyState.decisions, holds };
		expect(() => splitState({ ...emptyState, decisions })).toThrow("decisions.json would have");
	});
});
