import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { layoutKinds, makeLayout, type LayoutKind, type MadeLayout } from "../../test/fixtures/layouts/make-layout.ts";
import { type Image, pipeline, sourcesOf, stageImage, type World } from "../../test/support/publishing.ts";
import { checkLayout } from "../build/platforms.ts";
import { pushLayout } from "../build/push.ts";
import type { Builds } from "../builds/index.ts";
import { dockerProgram, type PolicyRule, type Program } from "../config/index.ts";
import {
	blobFile,
	isAttestation,
	parseReference,
	readLayout,
	sha256Of,
	subjectOf,
	type Descriptor,
	type Index,
} from "../oci/index.ts";
import type { RegistryClient } from "../registry/index.ts";
import type { Sources } from "../sources/index.ts";
import { waitingRule } from "./index.ts";

const annotation = dockerProgram.annotations.architecture;

/** What a program with these policies makes tags wait for. */
function rule(program: Program, policies: readonly PolicyRule[], overdue: ReadonlySet<string> = new Set()) {
	return waitingRule({ ...program, policies }, overdue);
}

/** All pairs of an architecture, as the plan names those whose deadline is over. */
function overdueOf(sources: Sources, arch: string): ReadonlySet<string> {
	return new Set(Object.keys(sources).map((id) => `${id} ${arch}`));
}

/** The architectures of an index by their annotation, attestations with a `+`. */
function arches(index: Index | undefined): string {
	return (index?.manifests ?? [])
		.map((item) => `${isAttestation(item) ? "+" : ""}${item.annotations?.[annotation]}`)
		.join(" ");
}

const everywhere = (...tags: readonly string[]) => ({ amd64: tags, arm32v7: tags, arm64v8: tags });

describe("publish", () => {
	test("arch tags first, then one index for each tag; a second run writes nothing", async () => {
		await using at = await pipeline();
		const sources = sourcesOf(at.program, [{ name: "x", version: "1", arches: everywhere("x:1", "x:latest") }]);
		for (const arch of ["amd64", "arm32v7", "arm64v8"]) {
			await at.stage(sources, arch);
		}
		at.requests.length = 0;
		const first = await at.publish(sources);
		expect(first.counts).toEqual({ created: 2, updated: 0, unchanged: 0, held: 0, failed: 0 });
		expect(first.tags[0]).toMatchObject({
			reference: `${at.registry.host}/library/x:1`,
			platforms: ["linux/amd64", "linux/arm64/v8", "linux/arm/v7"],
			notes: [],
		});
		expect(
			first.archTags.map(({ reference, change }) => `${reference.split("/").slice(1).join("/")} ${change}`),
		).toEqual([
			...["amd64", "arm32v7", "arm64v8"].map((arch) => `${arch}/x:1 created`),
			...["amd64", "arm32v7", "arm64v8"].map((arch) => `${arch}/x:latest created`),
		]);
		const index = await at.index("library/x:1");
		expect(arches(index)).toBe("amd64 +amd64 arm64v8 +arm64v8 arm32v7 +arm32v7");
		expect(arches(await at.index("arm32v7/x:latest"))).toBe("arm32v7 +arm32v7");
		const tagged = at.writes().filter((request) => /\/manifests\/(?:1|latest)$/.test(request));
		expect(tagged.findIndex((request) => request.includes("/library/"))).toBeGreaterThan(
			tagged.findLastIndex((request) => !request.includes("/library/")),
		);
		at.requests.length = 0;
		const second = await at.publish(sources);
		expect(second.counts).toMatchObject({ unchanged: 2 });
		expect(second.changes).toEqual([]);
		expect(at.writes()).toEqual([]);
	});

	test("a dry run changes nothing and says all that a run changes", async () => {
		await using at = await pipeline();
		const sources = sourcesOf(at.program, [{ name: "x", version: "1", arches: everywhere("x:1") }]);
		await at.stage(sources, "amd64");
		await at.stage(sources, "arm64v8");
		at.requests.length = 0;
		const dry = await at.publish(sources, { dryRun: true });
		expect(at.writes()).toEqual([]);
		const wet = await at.publish(sources);
		expect({ ...dry, tags: dry.tags }).toEqual(wet);
		expect(wet.changes.flatMap(({ refs }) => refs.map((ref) => ref.replace(`${at.registry.host}/`, "")))).toEqual([
			"amd64/x:1",
			"arm64v8/x:1",
			"library/x:1",
		]);
		expect((await at.publish(sources, { dryRun: true })).changes).toEqual([]);
	});

	test.each(layoutKinds)("an attestation as %s gets from staging to the index", async (kind) => {
		await using at = await pipeline();
		const folder = await mkdtemp(path.join(tmpdir(), "brewline-publish-"));
		const sources = sourcesOf(at.program, [{ name: "x", version: "1", arches: { amd64: ["x:1"] } }]);
		const made = await makeLayout(kind, folder, { tags: ["x:1"] });
		const [build] = Object.values(await at.find(sources));
		await pushLayout(
			at.client,
			await readLayout(folder, { attestations: "current" }),
			parseReference(build!.build.img),
		);
		const { tags } = await at.publish(sources);
		expect(tags.map(({ change }) => change)).toEqual(["created"]);
		for (const name of ["amd64/x:1", "library/x:1"]) {
			const { manifests } = (await at.index(name))!;
			expect(manifests.map(({ digest }) => digest)).toEqual([made.image.digest, made.attestation.digest]);
			expect(subjectOf(manifests[1]!)).toBe(made.image.digest);
			const attestation = await at.index(`${name.split(":")[0]}@${made.attestation.digest}`);
			expect(attestation).toBeDefined();
		}
		await rm(folder, { recursive: true });
	});

	test("layouts of all three kinds get from validation to one index", async () => {
		await using at = await pipeline();
		const sources = sourcesOf(at.program, [{ name: "x", version: "1", arches: everywhere("x:1") }]);
		const folder = await mkdtemp(path.join(tmpdir(), "brewline-publish-"));
		const kinds: Record<string, LayoutKind> = {
			amd64: "buildkit-0.13",
			arm64v8: "provenance-v1",
			arm32v7: "oci-artifact",
		};
		const made: MadeLayout[] = [];
		for (const arch of Object.keys(kinds)) {
			const { build } = Object.values(await at.find(sources)).find((one) => one.build.arch === arch)!;
			const { platform } = at.program.architectures[arch]!;
			const layout = path.join(folder, arch);
			const one = await makeLayout(kinds[arch]!, layout, { platform, sbom: true });
			made.push(one);
			const valid = await checkLayout(layout, platform, { attestations: "current" });
			expect(await pushLayout(at.client, valid, parseReference(build.img))).toBe(one.root.digest);
		}
		const { tags } = await at.publish(sources);
		expect(tags).toMatchObject([{ change: "created", notes: [] }]);
		expect(arches(await at.index("library/x:1"))).toBe("amd64 +amd64 arm64v8 +arm64v8 arm32v7 +arm32v7");

		const digests = made.map(({ image, attestation }) => [image.digest, attestation.digest]);
		const digestsAt = async (name: string) => (await at.index(name))!.manifests.map(({ digest }) => digest);
		expect(await digestsAt("library/x:1")).toEqual(digests.flat());
		for (const [position, [arch, kind]] of Object.entries(kinds).entries()) {
			expect(await digestsAt(`${arch}/x:1`)).toEqual(digests[position]);
			// Whoever has the index has all of the attestation, byte by byte.
			for (const repository of [`${arch}/x`, "library/x"]) {
				const { image, attestation } = made[position]!;
				const reference = parseReference(`${at.registry.host}/${repository}@${attestation.digest}`);
				const bytes = Buffer.from((await at.client.getManifest(reference))!.bytes);
				expect(bytes).toEqual(await readFile(blobFile(path.join(folder, arch), attestation.digest)));
				const manifest = JSON.parse(bytes.toString()) as { subject?: Descriptor; layers: readonly Descriptor[] };
				expect(manifest.subject?.digest).toBe(kind === "oci-artifact" ? image.digest : undefined);
				expect(manifest.layers.map(({ annotations }) => annotations?.["in-toto.io/predicate-type"])).toEqual([
					"https://spdx.dev/Document",
					`https://slsa.dev/provenance/${kind === "buildkit-0.13" ? "v0.2" : "v1"}`,
				]);
				for (const layer of manifest.layers) {
					const blob = await at.client.getBlob(reference, layer);
					expect(Buffer.concat(await blob!.toArray())).toHaveLength(layer.size);
				}
			}
		}
		await rm(folder, { recursive: true });
	});
});

describe("what is not built", () => {
	/** A tag that was published for three architectures, and its next version, built for all but amd64. */
	async function amd64Failed() {
		const at = await pipeline();
		const before = sourcesOf(at.program, [{ name: "x", version: "1", arches: everywhere("x:1") }]);
		for (const arch of ["amd64", "arm32v7", "arm64v8"]) {
			await at.stage(before, arch);
		}
		await at.publish(before);
		const old = (await at.index("library/x:1"))!;
		const now = sourcesOf(at.program, [{ name: "x", version: "2", arches: everywhere("x:1") }]);
		await at.stage(now, "arm32v7");
		await at.stage(now, "arm64v8");
		return { at, old, now };
	}

	test("an architecture that failed keeps what the tag had; when it is built the index is whole", async () => {
		const { at, old, now } = await amd64Failed();
		await using _ = at;
		const { tags, archTags } = await at.publish(now);
		const index = (await at.index("library/x:1"))!;
		expect(arches(index)).toBe("amd64 +amd64 arm64v8 +arm64v8 arm32v7 +arm32v7");
		expect(index.manifests.slice(0, 2)).toEqual(old.manifests.slice(0, 2));
		expect(index.manifests.slice(2)).not.toEqual(old.manifests.slice(2));
		expect(tags).toMatchObject([{ change: "updated", notes: ["amd64: kept as it was: not built yet"] }]);
		expect(archTags.map(({ change }) => change)).toEqual(["held", "updated", "updated"]);
		await at.stage(now, "amd64");
		expect((await at.publish(now)).tags).toMatchObject([{ change: "updated", notes: [] }]);
		expect(
			(await at.index("library/x:1"))!.manifests.every(
				({ digest }) => !old.manifests.some((item) => item.digest === digest),
			),
		).toBe(true);
	});

	test("amd64 is required and fails: no tag moves; a re-run of that leg alone completes the index", async () => {
		const { at, old, now } = await amd64Failed();
		await using _ = at;
		const mustWait = rule(at.program, [{ platforms: "required", architectures: ["amd64"] }]);
		at.requests.length = 0;
		const { tags, counts, archTags } = await at.publish(now, { mustWait });
		expect(counts).toMatchObject({ held: 1, updated: 0 });
		expect(tags[0]!.platforms).toHaveLength(3);
		expect(tags[0]!.notes).toEqual([
			"amd64: kept as it was: not built yet",
			"held: amd64 is required, and what is defined for it is not there",
		]);
		expect(await at.index("library/x:1")).toEqual(old);
		expect(at.writes().filter((request) => request.includes("/library/"))).toEqual([]);
		// An architecture's own tags are nobody else's business.
		expect(archTags.map(({ change }) => change)).toEqual(["held", "updated", "updated"]);
		await at.stage(now, "amd64");
		expect((await at.publish(now, { mustWait })).tags).toMatchObject([{ change: "updated", notes: [] }]);
		const index = (await at.index("library/x:1"))!;
		expect(arches(index)).toBe(arches(old));
		expect(index.manifests.some(({ digest }) => old.manifests.some((item) => item.digest === digest))).toBe(false);
	});

	test.each([
		["once", 1, { change: "updated" }],
		["always", Infinity, { change: "failed", error: { code: "registry" } }],
	] as const)("a registry that %s does not find what it has does not have a tag shrunk", async (_, times, expected) => {
		const { at, old } = await amd64Failed();
		await using _at = at;
		const now = sourcesOf(at.program, [{ name: "x", version: "2", arches: everywhere("x:1") }], false);
		let left: number = times;
		const getManifest: RegistryClient["getManifest"] = async (reference) =>
			reference.tag === "1" && left-- > 0 ? undefined : at.client.getManifest(reference);
		const { tags } = await at.publish(now, { client: { ...at.client, getManifest } }, await at.find(now));
		expect(tags).toMatchObject([expected]);
		expect(arches(await at.index("library/x:1"))).toBe(arches(old));
	});

	test("what is optional holds the tag until its deadline is over", async () => {
		const { at, old, now } = await amd64Failed();
		await using _ = at;
		const optional: PolicyRule = { platforms: "optional", deadline: "48h", architectures: ["amd64"] };
		const held = await at.publish(now, { mustWait: rule(at.program, [optional]) });
		expect(held.tags).toMatchObject([
			{
				change: "held",
				notes: ["amd64: kept as it was: not built yet", "held: amd64 is optional, and its deadline of 48h is not over"],
			},
		]);
		expect(await at.index("library/x:1")).toEqual(old);
		const overdue = overdueOf(now, "amd64");
		const { tags } = await at.publish(now, { mustWait: rule(at.program, [optional], overdue) });
		expect(tags).toMatchObject([{ change: "updated", notes: ["amd64: kept as it was: not built yet"] }]);
		expect((await at.index("library/x:1"))!.manifests.slice(0, 2)).toEqual(old.manifests.slice(0, 2));
	});

	test.each([
		["10d", "10d"],
		["24h", "24h"],
		["90m", "90m"],
		["120m", "2h"],
	])("a deadline of %s is told as %s", async (deadline, text) => {
		await using at = await pipeline();
		const sources = sourcesOf(at.program, [{ name: "x", version: "1", arches: everywhere("x:1") }]);
		const { tags } = await at.publish(sources, { mustWait: rule(at.program, [{ platforms: "optional", deadline }]) });
		expect(tags[0]!.notes.slice(-3)).toEqual(
			["amd64", "arm32v7", "arm64v8"].map(
				(arch) => `held: ${arch} is optional, and its deadline of ${text} is not over`,
			),
		);
	});

	test("what is best-effort keeps no tag waiting", async () => {
		const { at, now } = await amd64Failed();
		await using _ = at;
		const policies: PolicyRule[] = [
			{ platforms: "required" },
			{ platforms: "best-effort", images: ["x:*"], architectures: ["amd64"] },
		];
		const { tags } = await at.publish(now, { mustWait: rule(at.program, policies) });
		expect(tags).toMatchObject([{ change: "updated", notes: ["amd64: kept as it was: not built yet"] }]);
	});

	test("node has three majors, one lacks musl for amd64: Debian is published, that Alpine is held and reported", async () => {
		await using at = await pipeline();
		const arches3 = (...tags: readonly string[]) => ({ amd64: tags, arm64v8: tags, s390x: tags });
		const node = (version: string) =>
			sourcesOf(at.program, [
				...["20", "22", "24"].map((major) => ({ name: major, version, arches: arches3(`node:${major}`) })),
				...["20", "22"].map((major) => ({ name: `${major}-a`, version, arches: arches3(`node:${major}-alpine`) })),
				{ name: "24-a", version, arches: arches3("node:24-alpine", "node:alpine") },
			]);
		for (const arch of ["amd64", "arm64v8", "s390x"]) await at.stage(node("1"), arch);
		await at.publish(node("1"));
		const before = { 24: await at.index("library/node:24-alpine"), s390x: await at.index("s390x/node:22-alpine") };

		const now = node("2");
		for (const arch of ["arm64v8", "s390x"]) await at.stage(now, arch);
		for (const only of ["node:20", "node:22"]) await at.stage(now, "amd64", { only });
		await at.stageOne(now, "node:24", "amd64");
		const mustWait = rule(at.program, [
			{ platforms: "required", architectures: ["amd64", "arm64v8"] },
			{ platforms: "optional", architectures: ["s390x"] },
		]);
		const { tags, counts } = await at.publish(now, { mustWait });
		expect(tags.map(({ reference, change }) => `${reference.split("/").at(-1)} ${change}`)).toEqual([
			...["node:20", "node:22", "node:24", "node:20-alpine", "node:22-alpine"].map((tag) => `${tag} updated`),
			"node:24-alpine held",
			"node:alpine held",
		]);
		expect(counts).toMatchObject({ updated: 5, held: 2, failed: 0 });
		expect(tags.flatMap(({ notes }) => notes)).toEqual(
			[1, 2].flatMap(() => [
				"amd64: kept as it was: not built yet",
				"held: amd64 is required, and what is defined for it is not there",
			]),
		);
		expect(await at.index("library/node:24-alpine")).toEqual(before[24]);
		expect(await at.index("s390x/node:22-alpine")).not.toEqual(before.s390x);
		await at.stage(now, "amd64");
		expect((await at.publish(now, { mustWait })).counts).toMatchObject({ updated: 2, unchanged: 5, held: 0 });
	});

	test("an arch tag that vanished is made up for by the published tag", async () => {
		const { at, old, now } = await amd64Failed();
		await using _ = at;
		const gone: RegistryClient = {
			...at.client,
			getManifest: async (reference) =>
				reference.repository === "amd64/x" ? undefined : at.client.getManifest(reference),
		};
		await at.publish(now, { client: gone });
		expect((await at.index("library/x:1"))!.manifests.slice(0, 2)).toEqual(old.manifests.slice(0, 2));
	});

	test("where an architecture's tag cannot be read nothing is published", async () => {
		const { at, old, now } = await amd64Failed();
		await using _ = at;
		const broken: RegistryClient = {
			...at.client,
			getManifest: async (reference) => {
				if (reference.repository === "amd64/x") {
					throw new Error("out of order");
				}
				return at.client.getManifest(reference);
			},
		};
		const { tags } = await at.publish(now, { client: broken });
		expect(tags).toMatchObject([{ change: "failed", error: { message: "out of order" } }]);
		expect(await at.index("library/x:1")).toEqual(old);
	});

	test("a source that waits for its parent keeps its architecture, too", async () => {
		const { at, old, now } = await amd64Failed();
		await using _ = at;
		const builds = Object.fromEntries(
			Object.entries(await at.find(now)).filter(([, { build }]) => build.arch !== "amd64"),
		);
		const { tags } = await at.publish(now, {}, builds);
		expect(tags[0]!.notes).toEqual(["amd64: kept as it was: waits for an image that it is built from"]);
		expect((await at.index("library/x:1"))!.manifests.slice(0, 2)).toEqual(old.manifests.slice(0, 2));
	});

	test("a new tag goes without what is not built, and says so; not without what is required", async () => {
		await using at = await pipeline();
		const sources = sourcesOf(at.program, [{ name: "x", version: "1", arches: everywhere("x:1") }]);
		await at.stage(sources, "arm64v8");
		const held = await at.publish(sources, {
			mustWait: rule(at.program, [{ platforms: "required", architectures: ["amd64", "s390x"] }]),
		});
		expect(held.tags).toMatchObject([{ change: "held", digest: null, platforms: [] }]);
		expect(held.tags[0]!.notes.at(-1)).toBe("held: amd64 is required, and what is defined for it is not there");
		expect(await at.index("library/x:1")).toBeUndefined();
		const { tags } = await at.publish(sources, {
			mustWait: rule(at.program, [{ platforms: "required", architectures: ["arm64v8"] }]),
		});
		expect(tags).toMatchObject([
			{ change: "created", notes: ["amd64: missing: not built yet", "arm32v7: missing: not built yet"] },
		]);
		expect(arches(await at.index("library/x:1"))).toBe("arm64v8 +arm64v8");
	});

	test("nobody waits for an architecture without a runner, and what a tag had for it stays", async () => {
		const { at, old, now } = await amd64Failed();
		await using _ = at;
		const architectures = { ...at.program.architectures };
		architectures["amd64"] = { ...architectures["amd64"]!, runner: null };
		const program = { ...at.program, architectures };
		const { tags } = await at.publish(now, { program, mustWait: rule(at.program, []) });
		expect(tags).toMatchObject([{ change: "updated", notes: [], unserved: ["amd64"] }]);
		expect((await at.index("library/x:1"))!.manifests.slice(0, 2)).toEqual(old.manifests.slice(0, 2));
		const onlyThere = sourcesOf(at.program, [{ name: "y", version: "1", arches: { amd64: ["y:1"] } }]);
		expect((await at.publish(onlyThere, { program })).tags).toMatchObject([
			{ change: "held", notes: [], unserved: ["amd64"], digest: null },
		]);
	});

	test("a policy's runner has images waited for on an architecture without one, and no runner ends the wait", async () => {
		await using at = await pipeline();
		const architectures = { ...at.program.architectures };
		architectures["s390x"] = { ...architectures["s390x"]!, runner: null };
		const policies: PolicyRule[] = [
			{ images: ["x"], architectures: ["s390x"], runner: "big" },
			{ images: ["z"], architectures: ["amd64"], runner: null },
		];
		const program = { ...at.program, architectures, policies };
		const sources = sourcesOf(
			program,
			["x", "y", "z"].map((name) => ({ name, version: "1", arches: { amd64: [`${name}:1`], s390x: [`${name}:1`] } })),
		);
		await at.stage(sources, "amd64", { only: "x" });
		await at.stage(sources, "amd64", { only: "y" });
		const { tags } = await at.publish(sources, { program });
		expect(tags).toMatchObject([
			{ change: "created", notes: ["s390x: missing: not built yet"] },
			{ change: "created", notes: [], unserved: ["s390x"] },
			{ change: "held", notes: [], unserved: ["amd64", "s390x"] },
		]);
		expect(tags[0]!.unserved).toBeUndefined();
	});

	test("a build is served if one of its tags is, whatever tag is asked for", async () => {
		await using at = await pipeline();
		const policies: PolicyRule[] = [{ images: ["x:1"], architectures: ["amd64"], runner: null }];
		const program = { ...at.program, policies };
		const tags = ["x:1", "x:latest"];
		const sources = sourcesOf(program, [{ name: "x", version: "1", arches: { amd64: tags, arm64v8: tags } }]);
		await at.stage(sources, "arm64v8");
		expect((await at.publish(sources, { program })).tags).toMatchObject([
			{ notes: [], unserved: ["amd64"] },
			{ notes: [], unserved: ["amd64"] },
		]);
	});

	test("what is required is waited for even if nothing here builds it; what is optional is not", async () => {
		const { at, old, now } = await amd64Failed();
		await using _ = at;
		const unserved: PolicyRule = { architectures: ["amd64"], runner: null };
		const publish = async (platforms: "required" | "optional") => {
			const policies = [{ ...unserved, platforms }];
			return at.publish(now, { program: { ...at.program, policies }, mustWait: rule(at.program, policies) });
		};
		expect((await publish("required")).tags).toMatchObject([
			{
				change: "held",
				notes: ["held: amd64 is required, and what is defined for it is not there, and nothing here builds it"],
				unserved: ["amd64"],
			},
		]);
		expect(await at.index("library/x:1")).toEqual(old);
		expect((await publish("optional")).tags).toMatchObject([{ change: "updated", notes: [], unserved: ["amd64"] }]);
	});

	test("a tag that only what is required and unserved defines is held with a reason, not passed over", async () => {
		await using at = await pipeline();
		const policies: PolicyRule[] = [{ architectures: ["s390x"], runner: null, platforms: "required" }];
		const sources = sourcesOf(at.program, [{ name: "x", version: "1", arches: { s390x: ["x:1"] } }]);
		const program = { ...at.program, policies };
		expect((await at.publish(sources, { program, mustWait: rule(program, policies) })).tags).toMatchObject([
			{ change: "held", digest: null, notes: [expect.stringContaining("nothing here builds it")] },
		]);
	});

	test("of two optional Windows releases that lack, the tag waits for the one whose deadline is not over", async () => {
		await using at = await pipeline();
		const releases = ["ltsc2019", "ltsc2022", "ltsc2025"];
		const sources = sourcesOf(at.program, [
			...releases.map((name) => ({ name, version: "1", arches: { "windows-amd64": [`x:${name}`, "x:1"] } })),
			{ name: "x", version: "1", arches: { amd64: ["x:1"] } },
		]);
		await at.stage(sources, "amd64");
		await at.stage(sources, "windows-amd64", { only: "ltsc2025", osVersion: "10.0.26100.1" });
		const [first, second, third] = Object.keys(sources).map((id) => `${id} windows-amd64`) as [string, string, string];
		const changeOf = async (...overdue: readonly string[]) => {
			const mustWait = rule(
				at.program,
				[{ platforms: "optional", architectures: ["windows-amd64"] }],
				new Set(overdue),
			);
			const { tags } = await at.publish(sources, { mustWait, dryRun: true });
			return tags.find(({ reference }) => reference.endsWith("/x:1"))!.change;
		};
		expect(await changeOf()).toBe("held");
		expect(await changeOf(first)).toBe("held");
		// What is built is no question of the deadline.
		expect(await changeOf(first, third)).toBe("held");
		expect(await changeOf(first, second)).toBe("created");
	});

	test("what is built and cannot be brought to its architecture's tag is waited for, too", async () => {
		const { at, old, now } = await amd64Failed();
		await using _ = at;
		await at.stage(now, "amd64");
		const readOnly: RegistryClient = {
			...at.client,
			putManifest: async (reference, ...rest) => {
				if (reference.repository === "amd64/x") throw new Error("read only");
				return at.client.putManifest(reference, ...rest);
			},
		};
		const mustWait = rule(at.program, [{ platforms: "optional" }], overdueOf(now, "amd64"));
		const { tags } = await at.publish(now, { client: readOnly, mustWait });
		expect(tags).toMatchObject([
			{
				change: "held",
				notes: [
					"amd64: kept as it was: read only",
					"held: amd64 is optional, and what is built for it could not be published",
				],
			},
		]);
		expect(await at.index("library/x:1")).toEqual(old);
	});

	test("a tag of which nothing is built is held", async () => {
		await using at = await pipeline();
		const sources = sourcesOf(at.program, [{ name: "x", version: "1", arches: everywhere("x:1") }]);
		const { tags } = await at.publish(sources);
		expect(tags).toMatchObject([{ change: "held", digest: null }]);
		expect(at.writes()).toEqual([]);
	});

	test("of two Windows releases the one that is not built is not lost", async () => {
		await using at = await pipeline();
		const at2 = (version: string) =>
			sourcesOf(at.program, [
				{ name: "x-2025", version, arches: { "windows-amd64": [`x:ltsc2025`, "x:1"] } },
				{ name: "x-2022", version, arches: { "windows-amd64": [`x:ltsc2022`, "x:1"] } },
			]);
		const before = at2("1");
		await at.stage(before, "windows-amd64", { only: "ltsc2025", osVersion: "10.0.26100.1" });
		// The first time it goes without the other.
		expect((await at.publish(before)).tags.map(({ change }) => change)).toEqual(["created", "created", "held"]);
		await at.stage(before, "windows-amd64", { only: "ltsc2022", osVersion: "10.0.20348.1" });
		await at.publish(before);
		const old = (await at.index("library/x:1"))!;
		expect(old.manifests).toHaveLength(4);
		const now = at2("2");
		await at.stage(now, "windows-amd64", { only: "ltsc2025", osVersion: "10.0.26100.2" });
		const { tags, archTags } = await at.publish(now);
		expect(tags.map(({ reference, change }) => `${reference.split(":").at(-1)} ${change}`)).toEqual([
			"ltsc2025 updated",
			"1 unchanged",
			"ltsc2022 unchanged",
		]);
		expect(archTags[1]).toMatchObject({
			change: "held",
			notes: [expect.stringContaining("it would lose windows/amd64 10.0.20348")],
		});
		expect(await at.index("library/x:1")).toEqual(old);
	});

	test("of two sources for one tag and platform the one that is not built is not lost", async () => {
		await using at = await pipeline();
		const both = (version: string) =>
			sourcesOf(at.program, [
				{ name: "a", version, arches: { amd64: ["x:a", "x:1"] } },
				{ name: "b", version, arches: { amd64: ["x:b", "x:1"] } },
			]);
		await at.stage(both("1"), "amd64");
		await at.publish(both("1"));
		const old = (await at.index("library/x:1"))!;
		expect(arches(old)).toBe("amd64 +amd64 amd64 +amd64");
		await at.stage(both("2"), "amd64", { only: "x:b" });
		const { tags, archTags } = await at.publish(both("2"));
		expect(archTags[1]).toMatchObject({
			change: "held",
			notes: [expect.stringContaining("it would lose linux/amd64")],
		});
		expect(tags.map(({ change }) => change)).toEqual(["unchanged", "unchanged", "updated"]);
		expect(await at.index("library/x:1")).toEqual(old);
	});
});

describe("what is published", () => {
	test("the same index in other bytes and order is left as it is", async () => {
		await using at = await pipeline();
		const sources = sourcesOf(at.program, [{ name: "x", version: "1", arches: everywhere("x:1") }]);
		for (const arch of ["amd64", "arm32v7", "arm64v8"]) {
			await at.stage(sources, arch);
		}
		await at.publish(sources);
		const index = (await at.index("library/x:1"))!;
		const [amd64, arm64, arm] = [0, 2, 4].map((from) => index.manifests.slice(from, from + 2));
		const old = JSON.stringify({ ...index, manifests: [...amd64!, ...arm!, ...arm64!] });
		const target = parseReference(`${at.registry.host}/library/x:1`);
		await at.client.putManifest(target, index.mediaType, Buffer.from(old));
		at.requests.length = 0;
		expect((await at.publish(sources)).tags).toMatchObject([{ change: "unchanged", digest: sha256Of(old) }]);
		expect(at.writes()).toEqual([]);
	});

	test("a tag that is an image becomes an index; a platform that is no longer defined goes, and is named", async () => {
		await using at = await pipeline();
		const both = sourcesOf(at.program, [
			{ name: "x", version: "1", arches: { amd64: ["x:1", "x:2"], s390x: ["x:1"] } },
		]);
		await at.stage(both, "amd64");
		await at.stage(both, "s390x");
		await at.publish(both);
		const child = (await at.index("library/x:2"))!.manifests[0]!;
		const bytes = (await at.client.getManifest(parseReference(`${at.registry.host}/library/x@${child.digest}`)))!.bytes;
		await at.client.putManifest(parseReference(`${at.registry.host}/library/x:2`), child.mediaType, bytes);
		const one = sourcesOf(at.program, [{ name: "x", version: "1", arches: { amd64: ["x:1", "x:2"] } }]);
		expect((await at.publish(one)).tags).toMatchObject([
			{ change: "updated", notes: [], removed: ["linux/s390x"] },
			{ change: "updated" },
		]);
		expect(arches(await at.index("library/x:2"))).toBe("amd64 +amd64");
	});

	test("tags of one architecture do not leak to the others of the same source", async () => {
		await using at = await pipeline();
		const sources = sourcesOf(at.program, [
			{ name: "moby", version: "1", arches: { amd64: ["moby:1"], s390x: ["moby:1", "moby:s390x"] } },
		]);
		await at.stage(sources, "amd64");
		await at.stage(sources, "s390x");
		await at.publish(sources);
		expect(arches(await at.index("library/moby:1"))).toBe("amd64 +amd64 s390x +s390x");
		expect(arches(await at.index("library/moby:s390x"))).toBe("s390x +s390x");
		expect(await at.index("amd64/moby:s390x")).toBeUndefined();
	});

	test("without architecture namespaces what is staged is joined, and what is not is kept", async () => {
		await using at = await pipeline();
		const versions = (version: string) =>
			sourcesOf(at.program, [{ name: "x", version, arches: everywhere("x:1") }], false);
		for (const arch of ["amd64", "arm32v7", "arm64v8"]) {
			await at.stage(versions("1"), arch);
		}
		const first = await at.publish(versions("1"));
		expect(first.archTags).toEqual([]);
		const old = (await at.index("library/x:1"))!;
		expect(arches(old)).toBe("amd64 +amd64 arm64v8 +arm64v8 arm32v7 +arm32v7");
		await at.stage(versions("2"), "arm32v7");
		await at.publish(versions("2"));
		const now = (await at.index("library/x:1"))!;
		expect(now.manifests.slice(0, 4)).toEqual(old.manifests.slice(0, 4));
		expect(now.manifests.slice(4)).not.toEqual(old.manifests.slice(4));
	});

	test("a build of whose reference another repository was made is not published", async () => {
		await using at = await pipeline();
		const sources = sourcesOf(at.program, [{ name: "x", version: "1", arches: { amd64: ["x:1"] } }]);
		const evil = `${at.registry.host}/evil/x:1`;
		const { image } = await stageImage(at.client, evil, at.program.architectures["amd64"]!.platform, "evil");
		const forged = Object.fromEntries(
			Object.entries(await at.find(sources)).map(([id, item]) => [
				id,
				{ ...item, build: { ...item.build, img: evil } },
			]),
		);
		const { archTags } = await at.publish(sources, {}, forged);
		expect(archTags).toMatchObject([{ change: "failed", error: { code: "handover" } }]);
		expect(await at.index(`library/x@${image.digest}`)).toBeUndefined();
	});

	test("what builds.json says is resolved counts for nothing if the registry does not have it", async () => {
		await using at = await pipeline();
		const sources = sourcesOf(at.program, [{ name: "x", version: "1", arches: { amd64: ["x:1"] } }]);
		await at.stage(sources, "amd64");
		const builds = await at.find(sources);
		const other = await pipeline();
		const moved = JSON.parse(JSON.stringify(builds).replaceAll(at.registry.host, other.registry.host)) as Builds;
		const { tags } = await other.publish(
			sourcesOf(other.program, [{ name: "x", version: "1", arches: { amd64: ["x:1"] } }]),
			{},
			moved,
		);
		expect(tags).toMatchObject([{ change: "held" }]);
		await other[Symbol.asyncDispose]();
	});

	test("200 tags on three architectures, then again", async () => {
		await using at = await pipeline();
		const images = Array.from({ length: 8 }, (_, number): Image => {
			const tags = Array.from({ length: 25 }, (_, tag) => `image${number % 4}:${number}.${tag}`);
			return { name: `image${number}`, version: "1", arches: everywhere(...tags) };
		});
		const sources = sourcesOf(at.program, images);
		for (const arch of ["amd64", "arm32v7", "arm64v8"]) {
			await at.stage(sources, arch);
		}
		expect((await at.publish(sources)).counts).toMatchObject({ created: 200 });
		at.requests.length = 0;
		expect((await at.publish(sources)).counts).toMatchObject({ unchanged: 200 });
		expect(at.writes()).toEqual([]);
	});
});

describe("properties", () => {
	const tested = ["amd64", "arm32v6", "arm32v7", "arm64v8"];
	const perArch = <T>(value: fc.Arbitrary<T>) => fc.record(Object.fromEntries(tested.map((arch) => [arch, value])));
	/** What is staged for an architecture: its own, nothing, or by mistake another architecture's. */
	const staging = perArch(fc.constantFrom("own", "own", "nothing", ...tested));
	const scenario = fc.record({
		tags: perArch(fc.subarray(["x:1", "x:2"], { minLength: 1 })),
		before: staging,
		after: staging,
		kill: fc.nat(150),
		done: fc.boolean(),
	});

	async function tagsOf(at: World): Promise<Record<string, Index>> {
		const found: Record<string, Index> = {};
		for (const repository of ["library/x", ...tested.map((arch) => `${arch}/x`)]) {
			const reference = parseReference(`${at.registry.host}/${repository}`);
			for await (const tag of at.client.listTags(reference)) {
				const { bytes } = (await at.client.getManifest({ ...reference, tag }))!;
				found[`${repository}:${tag}`] = JSON.parse(Buffer.from(bytes).toString()) as Index;
			}
		}
		return found;
	}

	/** Every image in every index is what its annotation says, by its own config, and all that is listed is there. */
	async function checkTags(at: World, tags: Record<string, Index>): Promise<void> {
		for (const [name, { manifests }] of Object.entries(tags)) {
			const repository = parseReference(`${at.registry.host}/${name.split(":")[0]}`);
			let last: Descriptor | undefined;
			for (const item of manifests) {
				const { bytes } = (await at.client.getManifest({ ...repository, digest: item.digest }))!;
				const arch = item.annotations![annotation]!;
				const subject = isAttestation(item) ? last : undefined;
				expect([subjectOf(item), arch]).toEqual([subject?.digest, subject?.annotations![annotation] ?? arch]);
				if (isAttestation(item)) {
					continue;
				}
				last = item;
				expect([`${arch}/x`, "library/x"]).toContain(name.split(":")[0]);
				const { config } = JSON.parse(Buffer.from(bytes).toString()) as { config: Descriptor };
				const blob = await (await at.client.getBlob(repository, config))!.toArray();
				const { platform } = dockerProgram.architectures[arch]!;
				expect(JSON.parse(Buffer.concat(blob as Buffer[]).toString())).toMatchObject(platform);
				expect(item.platform).toEqual(platform);
			}
			expect(new Set(manifests.map(({ digest }) => digest)).size).toBe(manifests.length);
		}
	}

	test("killed after any request, the next run ends in the same content", async () => {
		const killedAfter = async (request: number) => {
			await using at = await pipeline();
			const sources = sourcesOf(at.program, [
				{ name: "x", version: "1", arches: { amd64: ["x:1"], arm64v8: ["x:1"] } },
			]);
			await at.stage(sources, "amd64");
			await at.stage(sources, "arm64v8");
			const builds = await at.find(sources);
			at.requests.length = 0;
			await at.publish(sources, { client: at.killedAt(request, true), concurrency: 1 }, builds);
			const made = at.requests.length;
			await checkTags(at, await tagsOf(at));
			const { counts } = await at.publish(sources, {}, builds);
			expect(counts.failed).toBe(0);
			return { made, tags: await tagsOf(at) };
		};
		const whole = await killedAfter(Infinity);
		expect(Object.keys(whole.tags)).toEqual(["library/x:1", "amd64/x:1", "arm64v8/x:1"]);
		expect(whole.made).toBeGreaterThan(30);
		for (let request = 0; request < whole.made; request++) {
			expect((await killedAfter(request)).tags).toEqual(whole.tags);
		}
	});

	test("no index holds a manifest under another architecture, none loses one, and a killed run is made good by the next", async () => {
		await fc.assert(
			fc.asyncProperty(scenario, async ({ tags, before, after, kill, done }) => {
				const run = async (killed: boolean) => {
					await using at = await pipeline();
					for (const [version, staged] of [
						["1", before],
						["2", after],
					] as const) {
						const sources = sourcesOf(at.program, [{ name: "x", version, arches: tags }]);
						for (const arch of tested.filter((name) => staged[name] !== "nothing")) {
							await at.stage(sources, arch, staged[arch] === "own" ? {} : { as: staged[arch]! });
						}
						const builds = await at.find(sources);
						const had = await tagsOf(at);
						if (killed && version === "2") {
							await at.publish(sources, { client: at.killedAt(kill, done) }, builds);
							await checkTags(at, await tagsOf(at));
						}
						await at.publish(sources, {}, builds);
						const has = await tagsOf(at);
						await checkTags(at, has);
						for (const [name, index] of Object.entries(had)) {
							for (const arch of arches(index).split(" ")) {
								expect(arches(has[name]).split(" ")).toContain(arch);
							}
						}
						at.requests.length = 0;
						await at.publish(sources, {}, builds);
						expect(at.writes()).toEqual([]);
					}
					// Before the registry ends.
					return await tagsOf(at);
				};
				expect(await run(true)).toEqual(await run(false));
			}),
			// Shrinking would take minutes, and the scenarios are small.
			{ seed: Number(process.env["FC_SEED"] ?? 1), numRuns: Number(process.env["FC_RUNS"] ?? 6), endOnFailure: true },
		);
	});
});
