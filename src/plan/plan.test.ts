import { mkdtemp, readFile, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { assert, constantFrom, property, string, stringMatching } from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { planWorld } from "../../test/support/plan-world.ts";
import type { Build, Waiting } from "../builds/types.ts";
import { dockerProgram, type Program } from "../config/index.ts";
import { nodeIo } from "../io/index.ts";
import { sha256Of } from "../oci/index.ts";
import { writeSources } from "../sources/index.ts";
import type { Sources } from "../sources/types.ts";
import {
	type Capacity,
	legIdOf,
	plan,
	printLeg,
	printPlan,
	readLeg,
	readPlan,
	withCreated,
	writePlan,
} from "./index.ts";

const seed = Number(process.env["FC_SEED"] ?? 1);
const commit = "0123456789abcdef0123456789abcdef01234567";
const hex = (digit: string) => digit.repeat(64);
const io = nodeIo();

interface Wanted {
	readonly id?: string;
	readonly tags?: readonly string[];
	readonly arch?: string;
	readonly builder?: string;
	readonly repository?: string;
	readonly directory?: string;
	readonly resolved?: boolean;
}

function buildOf(wanted: Wanted = {}): Build {
	const { id = hex("a"), tags = ["foo:1.0"], arch = "amd64" } = wanted;
	const platform = dockerProgram.architectures[arch]?.platform ?? { os: "linux", architecture: "loong64" };
	const digest = `sha256:${hex("1")}`;
	const index = {
		schemaVersion: 2,
		mediaType: "application/vnd.oci.image.index.v1+json",
		manifests: [
			{
				mediaType: "application/vnd.oci.image.manifest.v1+json",
				digest,
				size: 1000,
				annotations: { "org.opencontainers.image.ref.name": `alpine:3.20@${digest}` },
				platform,
			},
		],
	} as const;
	return {
		buildId: id,
		build: {
			img: `oisupport/staging-${arch}:${id}`,
			resolved: wanted.resolved === true ? index : null,
			sourceId: hex("b"),
			arch,
			parents: { "alpine:3.20": digest },
			resolvedParents: { "alpine:3.20": index },
		},
		source: {
			sourceId: hex("b"),
			reproducibleGitChecksum: hex("c"),
			entries: [
				{
					GitRepo: wanted.repository ?? "https://github.com/example/foo.git",
					GitFetch: "refs/heads/main",
					GitCommit: commit,
					Directory: wanted.directory ?? "dir",
					File: "Dockerfile",
					Builder: wanted.builder ?? "",
					SOURCE_DATE_EPOCH: 1234567890,
				},
			],
			arches: {
				[arch]: {
					tags,
					archTags: tags.map((tag) => `${arch}/${tag}`),
					froms: ["alpine:3.20"],
					lastStageFrom: "alpine:3.20",
					platformString: [platform.os, platform.architecture, platform.variant].filter(Boolean).join("/"),
					platform,
					parents: { "alpine:3.20": { sourceId: null, pin: null } },
				},
			},
		},
	};
}

function planOf(
	builds: readonly Build[],
	more: {
		waiting?: readonly Waiting[];
		sources?: Sources;
		program?: Partial<Program>;
		library?: string;
		capacity?: Capacity;
	} = {},
) {
	return plan(
		{
			builds: Object.fromEntries(builds.map((build) => [build.buildId, build])),
			waiting: more.waiting ?? [],
			sources: more.sources ?? {},
		},
		io,
		{
			program: { ...dockerProgram, ...more.program },
			...(more.library === undefined ? {} : { library: more.library }),
			...(more.capacity === undefined ? {} : { capacity: more.capacity }),
		},
	);
}

describe("plan", () => {
	it("gives a leg to each build that is not there, and to no other", async () => {
		const { plan, legs } = await planOf(
			[buildOf(), buildOf({ id: hex("d"), resolved: true }), buildOf({ id: hex("e"), arch: "arm64v8" })],
			{ library: commit },
		);
		expect(plan).toEqual({
			format: "brewline-plan",
			version: 1,
			library: commit,
			program: "docker-official-images",
			sources: sha256Of(writeSources({})),
			builds: null,
			cache: null,
			read: [],
			forced: {},
			legs: [
				{
					id: "foo-1-0-amd64-aaaaaaaa",
					arch: "amd64",
					runner: "ubuntu-24.04",
					wave: 0,
					digest: sha256Of(printLeg(legs[0]!)),
					builds: [{ id: hex("a"), reason: "this content was never built on what alpine:3.20 is now" }],
				},
				{
					id: "foo-1-0-arm64v8-eeeeeeee",
					arch: "arm64v8",
					runner: "ubuntu-24.04-arm",
					wave: 0,
					digest: sha256Of(printLeg(legs[1]!)),
					builds: [{ id: hex("e"), reason: "this content was never built on what alpine:3.20 is now" }],
				},
			],
			waiting: [],
			overdue: [],
		});
		expect(legs.map(({ builds }) => builds.map((build) => [build.builder, build.staging]))).toEqual([
			[["buildkit", { reference: `oisupport/staging-amd64:${hex("a")}`, read: true }]],
			[["buildkit", { reference: `oisupport/staging-arm64v8:${hex("e")}`, read: false }]],
		]);
	});

	it("rewrites the fetch address alone", async () => {
		const { legs } = await planOf([buildOf()], {
			program: {
				git: {
					credentials: {},
					rewrite: {
						"https://github.com/": "https://no.example/",
						"https://github.com/example/": "http://127.0.0.1:80/",
					},
				},
			},
		});
		const { git, annotations } = legs[0]!.builds[0]!;
		expect(git.repository).toBe("https://github.com/example/foo.git");
		expect(git.fetchFrom).toBe("http://127.0.0.1:80/foo.git");
		expect(annotations["org.opencontainers.image.source"]).toBe(`https://github.com/example/foo.git#${commit}:dir`);
	});

	it("says in words why a source waits, and that nothing serves an architecture", async () => {
		const source = buildOf().source;
		const other = buildOf({ arch: "s390x", tags: ["bar:2"] });
		const { plan, legs } = await planOf([{ ...other, build: { ...other.build, sourceId: hex("0") } }], {
			sources: { [source.sourceId]: source },
			waiting: [
				{
					sourceId: source.sourceId,
					arch: "amd64",
					parent: "base:1",
					parentSourceId: hex("9"),
					reason: "parent-not-built",
				},
			],
			program: {
				architectures: {
					...dockerProgram.architectures,
					s390x: { ...dockerProgram.architectures["s390x"]!, runner: null },
				},
			},
		});
		expect(legs).toEqual([]);
		expect(plan.waiting).toEqual([
			{
				source: source.sourceId,
				arch: "amd64",
				why: "parent",
				wave: null,
				reason: "foo:1.0 waits for base:1, which is not built yet",
			},
			{
				source: hex("0"),
				arch: "s390x",
				why: "unserved",
				wave: null,
				reason: "bar:2: nothing builds s390x here (it has no runner in the configuration)",
			},
		]);
	});

	it("says of what waits for a parent that nothing builds it, whatever becomes of the parent", async () => {
		const at = planWorld({
			program: {
				architectures: { amd64: {}, s390x: { runner: null } },
				policies: [{ images: ["base"], architectures: ["s390x"], runner: "big" }],
			},
		});
		at.define([
			{ name: "base", tags: ["1"], arches: ["s390x"] },
			{ name: "app", tags: ["1"], arches: ["s390x"], froms: ["base:1"] },
			{ name: "top", tags: ["1"], arches: ["s390x"], froms: ["app:1"] },
			{ name: "lost", tags: ["1"], arches: ["s390x"], froms: ["nowhere:1"] },
		]);
		const planned = await at.plan();
		expect(planned.legs.map(({ builds }) => builds[0]!.tags)).toEqual([["base:1"]]);
		expect(planned.plan.waiting.map(({ why, wave, reason }) => [why, wave, reason])).toEqual(
			["app", "top", "lost"].map((name) => [
				"unserved",
				null,
				`${name}:1: nothing builds s390x here (it has no runner in the configuration)`,
			]),
		);
	});

	it("reports all that cannot be planned at once", async () => {
		const planning = planOf([
			buildOf({ builder: "kaniko" }),
			buildOf({ id: hex("d"), repository: "https://git.example.org/foo" }),
			buildOf({ id: hex("e"), directory: "../up" }),
			buildOf({ id: hex("f") }),
		]);
		await expect(planning).rejects.toMatchObject({
			code: "definition",
			errors: [
				{ message: expect.stringContaining('unknown builder "kaniko"') },
				{ message: expect.stringContaining("does not end in .git") },
				{ message: expect.stringContaining("must stay below its folder") },
			],
		});
	});

	it("says so where builds that are sound do not fit into one leg: none is left out", async () => {
		const all = Array.from({ length: 257 }, (_, number) => buildOf({ id: number.toString(16).padStart(64, "0") }));
		await expect(planOf(all, { capacity: { legs: 1, buildsPerLeg: 300 } })).rejects.toMatchObject({
			code: "handover",
			message: expect.stringContaining("builds: "),
		});
		const { legs } = await planOf(all.slice(0, 256), { capacity: { legs: 1, buildsPerLeg: 300 } });
		expect(legs[0]!.builds).toHaveLength(256);
	});

	it("gives longer ids to legs that would have the same", async () => {
		const { plan } = await planOf([
			buildOf({ id: `${"1".repeat(8)}${"2".repeat(56)}` }),
			buildOf({ id: `${"1".repeat(8)}${"3".repeat(56)}` }),
		]);
		expect(plan.legs.map(({ id }) => id)).toEqual(["foo-1-0-amd64-11111111", "foo-1-0-amd64-1111111133333333"]);
	});

	it("makes ids that fit any artifact's name, whatever the tag", () => {
		assert(
			property(
				string({ unit: "grapheme", maxLength: 300 }),
				constantFrom(...Object.keys(dockerProgram.architectures)),
				stringMatching(/^[0-9a-f]{8}$/),
				(tag, arch, digits) => {
					const id = legIdOf(tag, arch, digits);
					expect(id).toMatch(/^[a-z0-9][a-z0-9-]{0,62}$/);
					expect(id.endsWith(`${arch}-${digits}`)).toBe(true);
				},
			),
			{ seed },
		);
	});
});

describe("hand-over files", () => {
	const folders: string[] = [];
	afterEach(async () => {
		await Promise.all(folders.splice(0).map((folder) => rm(folder, { recursive: true })));
	});

	async function written() {
		const folder = await mkdtemp(path.join(os.tmpdir(), "plan-"));
		folders.push(folder);
		const output = await planOf([buildOf()]);
		await writePlan(folder, output);
		const planText = await readFile(path.join(folder, "plan.json"), "utf8");
		const { id, digest } = output.plan.legs[0]!;
		return { output, planText, digest, legText: await readFile(path.join(folder, "legs", `${id}.json`), "utf8") };
	}

	it("are read back as they were written, with and without their digest", async () => {
		const { output, planText, legText, digest } = await written();
		expect(readPlan(planText, { file: "plan.json" })).toEqual(output.plan);
		expect(readLeg(legText, { file: "legs/x.json" })).toEqual(output.legs[0]);
		expect(readLeg(legText, { file: "legs/x.json", digest })).toEqual(output.legs[0]);
		expect(printPlan(readPlan(planText, { file: "plan.json" }))).toBe(planText);
		expect(planText).toMatch(/^\{\n\t"format": "brewline-plan",\n\t"version": 1,\n.*\}\n$/s);
	});

	it("are refused where their digest is another one", async () => {
		const { legText, digest } = await written();
		expect(() => readLeg(`${legText} `, { file: "legs/x.json", digest })).toThrow(/its SHA-256 differs/);
	});

	it.each([
		["another format", { format: "brewline-plan" }, /is no brewline-leg file: its "format" is "brewline-plan"/],
		["no format", { format: undefined }, /its "format" is missing/],
		["another version", { version: 2 }, /has version 2 of the format brewline-leg; this program knows version 1/],
		["a version in words", { version: "1" }, /has version "1"/],
		["an unknown key", { more: 1 }, /more/],
		["an id with a path", { id: "../x" }, /id: must be a leg's id/],
		["an address for an option", { git: { fetchFrom: "--upload-pack=x" } }, /fetchFrom/],
		["a transport that runs programs", { git: { fetchFrom: "ext::sh -c id" } }, /fetchFrom/],
		["a directory that climbs", { git: { directory: "a/../../b" } }, /directory: must stay below its folder/],
		["an absolute file", { git: { file: "/etc/passwd" } }, /file: must stay below its folder/],
		["an option for a ref", { git: { ref: "--foo" } }, /ref: must be a git ref/],
		["an option for a reference", { staging: { reference: "--help", read: true } }, /reference: must be an image/],
		["a short digest", { parents: [{ from: "a", reference: "a", digest: "sha256:12" }] }, /digest: must be a sha256/],
		["an annotation with a new line", { annotations: { a: "b\nc" } }, /must have no control characters/],
		["an unknown builder", { builder: "shell" }, /builder/],
	])("are refused with %s", async (_, change: Readonly<Record<string, unknown>>, message) => {
		const { output } = await written();
		const leg = output.legs[0]!;
		const build = leg.builds[0]!;
		const git = { ...build.git, ...(change["git"] as object | undefined) };
		const inBuild = Object.keys(change).some((key) => key in build);
		const damaged = inBuild ? { ...leg, builds: [{ ...build, ...change, git }] } : { ...leg, ...change };
		expect(() => readLeg(JSON.stringify(damaged), { file: "legs/x.json" })).toThrow(
			expect.objectContaining({ code: "handover", message: expect.stringMatching(message) }),
		);
	});

	it("are refused when they are too large, or no JSON", () => {
		expect(() => readLeg(" ".repeat(5_000_000), { file: "legs/x.json" })).toThrow(/more than the/);
		expect(() => readPlan("{", { file: "plan.json" })).toThrow(/plan.json is not JSON/);
	});
});

describe("withCreated", () => {
	it("puts the date behind the revision, in whole seconds", () => {
		const annotations = withCreated({ "org.opencontainers.image.revision": "x", z: "y" }, 1_700_000_000);
		expect(Object.entries(annotations)).toEqual([
			["org.opencontainers.image.revision", "x"],
			["org.opencontainers.image.created", "2023-11-14T22:13:20Z"],
			["z", "y"],
		]);
	});
});
