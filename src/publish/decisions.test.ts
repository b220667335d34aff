import { describe, expect, test } from "vitest";
import { pipeline, sourcesOf } from "../../test/support/publishing.ts";
import { parseReference } from "../oci/index.ts";
import type { RegistryClient } from "../registry/index.ts";
import type { Decided } from "../state/index.ts";
import { undecided, type PublishDecisions } from "./decisions.ts";
import { sampleOf, type Ledger } from "./ledger.ts";
import { waitingRule, type PublishResult } from "./index.ts";

// What keeps tags from being made from what is staged: what people decided, what is known to be the same, what is older.

const decided: Decided = { by: "Somebody", when: "2026-01-01T00:00:00Z", why: "it crashes" };
const decisions = (some: Partial<PublishDecisions>): PublishDecisions => ({ ...undecided, ...some });
const arches = ["amd64", "arm64v8"] as const;
const everywhere = (...tags: readonly string[]) => ({ amd64: tags, arm64v8: tags });
type At = Awaited<ReturnType<typeof pipeline>>;

/** The sources of a version of `x`, of which it says what its name is, staged on both architectures. */
async function staged(at: At, version: string, tags: readonly string[] = ["x:1"], says?: string) {
	const sources = sourcesOf(at.program, [{ name: "x", version, arches: everywhere(...tags) }]);
	for (const arch of arches) await at.stage(sources, arch, says === undefined ? {} : { version: says });
	return sources;
}

/** What the state keeps of a result: by full tag. */
function ledgerOf(at: At, { tags }: PublishResult, when = "2020-01-01T00:00:00Z"): Ledger {
	return Object.fromEntries(
		tags.map(({ reference, digest, platforms, from }) => [
			reference.replace(`${at.registry.host}/library/`, ""),
			{ digest: digest!, platforms, when, ...(from === undefined ? {} : { from }) },
		]),
	);
}

const digestOf = async (at: At, name: string) =>
	(await at.client.headManifest(parseReference(`${at.registry.host}/${name}`)))?.digest;

describe("decisions", () => {
	test("what is decided while images are published is obeyed by those that have not moved yet", async () => {
		await using at = await pipeline();
		const names = ["x", "y", "z"];
		const of = async (version: string) => {
			const images = names.map((name) => ({ name, version, arches: everywhere(`${name}:1`) }));
			const sources = sourcesOf(at.program, images);
			for (const arch of arches) await at.stage(sources, arch);
			return sources;
		};
		await at.publish(await of("1"));
		const before = await digestOf(at, "library/x:1");
		const next = await of("2");
		// x is held before it is begun, y after its architectures' own tags moved; z is not.
		const first = decisions({});
		let asked = 0;
		const [one, both] = [decisions({ holds: { x: decided } }), decisions({ holds: { x: decided, y: decided } })];
		const byNow = () => Promise.resolve(++asked <= names.length ? one : both);
		at.requests.length = 0;
		const { tags, archTags } = await at.publish(next, { decisions: first, decided: byNow });
		expect(tags.map(({ change, decision }) => [change, decision])).toEqual([
			["held", "hold"],
			["held", "hold"],
			["updated", undefined],
		]);
		expect(await digestOf(at, "library/x:1")).toBe(before);
		expect(archTags.map(({ reference }) => reference.replace(`${at.registry.host}/`, ""))).toEqual([
			...arches.map((arch) => `${arch}/y:1`),
			...arches.map((arch) => `${arch}/z:1`),
		]);
		expect(at.writes().filter((request) => request.includes("/library/x/"))).toEqual([]);
		// Nothing new is the same object, and costs nothing.
		const same = await at.publish(next, { decisions: first, decided: () => Promise.resolve(first) });
		expect(same.counts).toMatchObject({ updated: 2, unchanged: 1 });
	});

	test("each image's tags move together: one that is killed leaves no image half done but a few", async () => {
		await using at = await pipeline();
		const names = Array.from({ length: 30 }, (_, number) => `image${number}`);
		const images = names.map((name) => ({ name, version: "1", arches: everywhere(`${name}:1`) }));
		const sources = sourcesOf(at.program, images);
		for (const arch of arches) await at.stage(sources, arch);
		at.requests.length = 0;
		await at.publish(sources);
		const moves = at
			.writes()
			.flatMap((request) => /^PUT \/v2\/(\w+)\/(\w+)\/manifests\/1$/.exec(request)?.slice(1) ?? []);
		const begun = new Set<string>();
		let most = 0;
		for (let at = 0; at < moves.length; at += 2) {
			const [namespace, name] = [moves[at]!, moves[at + 1]!];
			if (namespace === "library") begun.delete(name);
			else begun.add(name);
			most = Math.max(most, begun.size);
		}
		expect(begun.size).toBe(0);
		expect(most).toBeLessThanOrEqual(8);
	});

	test("a tag that is held, or whose image is, stays as it is, and so do its architectures' own", async () => {
		await using at = await pipeline();
		await at.publish(await staged(at, "1", ["x:1", "x:latest"]));
		const before = await digestOf(at, "library/x:1");
		const next = await staged(at, "2", ["x:1", "x:latest"]);
		at.requests.length = 0;
		const one = await at.publish(next, { decisions: decisions({ holds: { "x:1": decided } }) });
		expect(one.tags).toMatchObject([
			{
				change: "held",
				digest: before,
				decision: "hold",
				notes: ["held by Somebody, 2026-01-01T00:00:00Z: it crashes"],
				platforms: ["linux/amd64", "linux/arm64/v8"],
			},
			{ change: "updated", notes: [] },
		]);
		expect(at.writes().filter((request) => request.endsWith("/manifests/1"))).toEqual([]);
		at.requests.length = 0;
		const third = await staged(at, "3", ["x:1", "x:latest"]);
		at.requests.length = 0;
		const all = await at.publish(third, { decisions: decisions({ holds: { x: decided } }) });
		expect(all.tags.map(({ change, decision }) => [change, decision])).toEqual([
			["held", "hold"],
			["held", "hold"],
		]);
		expect(at.writes()).toEqual([]);
		// What was decided of another image is nothing to this one.
		const others = decisions({ holds: { y: decided, "x:2": decided, toString: decided } });
		expect((await at.publish(third, { decisions: others })).counts).toMatchObject({ updated: 2 });
	});

	test("with everything stopped, no registry is asked", async () => {
		await using at = await pipeline();
		const first = await at.publish(await staged(at, "1"));
		const next = await staged(at, "2");
		const builds = await at.find(next);
		at.requests.length = 0;
		const options = { decisions: decisions({ stop: decided }), ledger: ledgerOf(at, first) };
		const { tags, archTags, changes } = await at.publish(next, options, builds);
		expect(at.requests).toEqual([]);
		expect({ archTags, changes }).toEqual({ archTags: [], changes: [] });
		expect(tags).toMatchObject([
			{
				change: "held",
				decision: "stop",
				digest: first.tags[0]!.digest,
				notes: ["publishing is stopped by Somebody, 2026-01-01T00:00:00Z: it crashes"],
			},
		]);
	});

	test("a tag that is taken back holds what it held, and stays there; a dry run says so", async () => {
		await using at = await pipeline();
		const first = await at.publish(await staged(at, "1"));
		const { digest } = first.tags[0]!;
		const next = await staged(at, "2");
		await at.publish(next);
		expect(await digestOf(at, "library/x:1")).not.toBe(digest);
		const back = { decisions: decisions({ rollbacks: { "x:1": { ...decided, digest: digest! } } }) };
		const dry = await at.publish(next, { ...back, dryRun: true });
		expect(dry.tags).toMatchObject([{ change: "updated", digest, decision: "rollback" }]);
		expect(await digestOf(at, "library/x:1")).not.toBe(digest);
		const wet = await at.publish(next, back);
		expect(wet).toEqual(dry);
		expect(await digestOf(at, "library/x:1")).toBe(digest);
		at.requests.length = 0;
		const again = await at.publish(await staged(at, "3"), back);
		expect(again.tags).toMatchObject([
			{ change: "unchanged", digest, notes: ["taken back by Somebody, 2026-01-01T00:00:00Z: it crashes"] },
		]);
		expect(at.writes().filter((request) => /\/(?:library|amd64)\//.test(request))).toEqual([]);
	});

	test("a tag cannot be taken back to what is not there", async () => {
		await using at = await pipeline();
		const sources = await staged(at, "1");
		const first = await at.publish(sources);
		const gone = `sha256:${"0".repeat(64)}`;
		const { tags } = await at.publish(sources, {
			decisions: decisions({ rollbacks: { "x:1": { ...decided, digest: gone } } }),
		});
		expect(tags).toMatchObject([{ change: "failed", error: { code: "registry" } }]);
		expect(await digestOf(at, "library/x:1")).toBe(first.tags[0]!.digest);
	});

	test("a tag goes without a platform where that was decided, until that is built", async () => {
		await using at = await pipeline();
		await at.publish(await staged(at, "1"));
		const next = sourcesOf(at.program, [{ name: "x", version: "2", arches: everywhere("x:1") }]);
		await at.stage(next, "amd64");
		const required = waitingRule({ ...at.program, policies: [{ platforms: "required" }] }, new Set());
		expect((await at.publish(next, { mustWait: required })).tags).toMatchObject([{ change: "held" }]);
		const shrink = { "x:1": { ...decided, platforms: ["linux/arm64/v8"] } };
		const options = { mustWait: required, decisions: decisions({ shrink }) };
		expect((await at.publish(next, options)).tags).toMatchObject([
			{
				change: "updated",
				decision: "shrink",
				platforms: ["linux/amd64"],
				removed: ["linux/arm64/v8"],
				notes: ["arm64v8: left out, as decided by Somebody, 2026-01-01T00:00:00Z: it crashes"],
			},
		]);
		await at.stage(next, "arm64v8");
		const whole = await at.publish(next, options);
		expect(whole.tags).toMatchObject([{ change: "updated", platforms: ["linux/amd64", "linux/arm64/v8"], notes: [] }]);
		expect(whole.tags[0]).not.toHaveProperty("decision");
	});
});

test("a platform that is built stays, whatever it may go without, where the registry fails for once", async () => {
	await using at = await pipeline();
	const sources = await staged(at, "1");
	await at.publish(sources);
	const next = await staged(at, "2");
	const shrink = { "x:1": { ...decided, platforms: ["linux/arm64/v8"] } };
	const client: RegistryClient = {
		...at.client,
		putManifest: async (reference, mediaType, bytes) => {
			if (reference.repository === "arm64v8/x" && reference.tag === "1") throw new Error("503");
			return await at.client.putManifest(reference, mediaType, bytes);
		},
	};
	const { tags } = await at.publish(next, { client, decisions: decisions({ shrink }) });
	expect(tags).toMatchObject([{ platforms: ["linux/amd64", "linux/arm64/v8"] }]);
	expect(tags[0]).not.toHaveProperty("decision");
});

describe("what is known to be the same", () => {
	test("is not asked for, but for a sample; an audit asks for everything", async () => {
		await using at = await pipeline();
		const names = Array.from({ length: 50 }, (_, number) => `x:${number}`);
		const sources = await staged(at, "1", names);
		const first = await at.publish(sources);
		const builds = await at.find(sources);
		const ledger = ledgerOf(at, first);
		at.requests.length = 0;
		const second = await at.publish(sources, { ledger }, builds);
		expect(at.requests.length).toBeLessThanOrEqual(1);
		expect(second.counts).toMatchObject({ unchanged: 50 });
		expect(second.tags.filter(({ remembered }) => remembered).length).toBe(50 - at.requests.length);
		expect(second.tags.map(({ digest, from }) => [digest, from])).toEqual(
			first.tags.map(({ digest, from }) => [digest, from]),
		);
		at.requests.length = 0;
		const audit = await at.publish(sources, { ledger, audit: true }, builds);
		expect(at.requests.length).toBeGreaterThan(150);
		expect(audit.tags.some(({ remembered }) => remembered)).toBe(false);
	});

	test("is what the same builds were, and lacked nothing", async () => {
		await using at = await pipeline();
		const sources = await staged(at, "1");
		const whole = await at.publish(sources);
		expect(whole.tags[0]!.from).toMatch(/^[0-9a-f]{64}$/);
		// Another version has another.
		const next = await at.publish(await staged(at, "2"), { ledger: ledgerOf(at, whole) });
		expect(next.tags).toMatchObject([{ change: "updated" }]);
		expect(next.tags[0]!.from).not.toBe(whole.tags[0]!.from);
		// One that lacks something has none, and so is looked at in each run.
		const third = sourcesOf(at.program, [{ name: "x", version: "3", arches: everywhere("x:1") }]);
		await at.stage(third, "amd64");
		const some = await at.publish(third, { ledger: ledgerOf(at, next) });
		expect(some.tags).toMatchObject([{ change: "updated", notes: ["arm64v8: kept as it was: not built yet"] }]);
		expect(some.tags[0]).not.toHaveProperty("from");
		await at.stage(third, "arm64v8");
		expect((await at.publish(third, { ledger: ledgerOf(at, some) })).tags).toMatchObject([{ change: "updated" }]);
	});

	test("a tag in the sample that somebody moved is mended", async () => {
		await using at = await pipeline();
		const old = (await at.publish(await staged(at, "1"))).tags[0]!;
		const sources = await staged(at, "2");
		const now = await at.publish(sources);
		const stale = await at.client.getManifest(parseReference(`${at.registry.host}/library/x@${old.digest}`));
		const put = () =>
			at.client.putManifest(parseReference(`${at.registry.host}/library/x:1`), stale!.mediaType, stale!.bytes);
		await put();
		const ledger = ledgerOf(at, now);
		const hour = [...Array(401).keys()].find((at) => sampleOf(["x:1"], ledger, at * 3_600_000).size > 0)!;
		const clock = (now: number) => ({ io: { ...at.io, clock: { ...at.io.clock, now: () => now } } });
		const { tags } = await at.publish(sources, { ledger, ...clock((hour + 1) * 3_600_000) });
		expect(tags).toMatchObject([{ remembered: true }]);
		expect(await digestOf(at, "library/x:1")).toBe(old.digest);
		expect((await at.publish(sources, { ledger, ...clock(hour * 3_600_000) })).tags).toMatchObject([
			{ change: "updated" },
		]);
		expect(await digestOf(at, "library/x:1")).toBe(now.tags[0]!.digest);
	});

	test("all of it comes round, a bounded part at a time", () => {
		const tags = Array.from({ length: 3700 }, (_, number) => `x:${number}`);
		const when = (number: number) => new Date(number < 100 ? 400.5 * 3_600_000 : -1e12).toISOString();
		const ledger = Object.fromEntries(
			tags.map((tag, number) => [tag, { digest: "", platforms: [], when: when(number) }]),
		);
		const seen = new Set<string>();
		for (let hour = 0; hour < 401; hour++) {
			const sample = sampleOf(tags, ledger, hour * 3_600_000);
			expect(sample.size).toBeLessThanOrEqual(19);
			for (const tag of sample) seen.add(tag);
		}
		expect(seen.size).toBe(3700);
	});
});

describe("versions", () => {
	test.each([
		["8.3.10-fpm", "8.3.9-fpm", false],
		["8.3.9-fpm", "8.3.10-fpm", true],
		["8.3.9-alpine3.20", "8.3.9-alpine3.19", false],
		["1.16", "1.16rc1", true],
		["8.3-bookworm", "8.2-trixie", true],
		["latest", "latest", true],
	])("a tag that holds %s moves to %s: %s", async (before, after, moves) => {
		await using at = await pipeline();
		const old = await at.publish(await staged(at, "1", ["x:1"], before));
		const sources = await staged(at, "2", ["x:1"], after);
		const { tags } = await at.publish(sources);
		const why = (arch: string, platform: string) =>
			`${arch}: kept as it was: it would go back from ${before} to ${after} (${platform}); --allow-older lets it`;
		const notes = moves ? [] : [why("amd64", "linux/amd64"), why("arm64v8", "linux/arm64/v8")];
		expect(tags).toMatchObject([{ change: moves ? "updated" : "unchanged", notes }]);
		expect((await digestOf(at, "library/x:1")) === old.tags[0]!.digest).toBe(!moves);
		// Neither do the architectures' own.
		expect((await digestOf(at, "amd64/x:1")) === old.archTags[0]!.digest).toBe(!moves);
		expect((await at.publish(sources, { allowOlder: true })).counts).toMatchObject({
			[moves ? "unchanged" : "updated"]: 1,
		});
	});
});

test("a tag of architectures without tags of their own is held before it goes back", async () => {
	await using at = await pipeline();
	const of = (version: string) => sourcesOf(at.program, [{ name: "x", version, arches: { amd64: ["x:1"] } }], false);
	await at.stage(of("1"), "amd64", { version: "8.3.10" });
	const old = await at.publish(of("1"));
	await at.stage(of("2"), "amd64", { version: "8.3.9" });
	expect((await at.publish(of("2"))).tags).toMatchObject([
		{
			change: "held",
			digest: old.tags[0]!.digest,
			notes: ["held: it would go back from 8.3.10 to 8.3.9 (linux/amd64); --allow-older lets it"],
		},
	]);
	expect((await at.publish(of("2"), { allowOlder: true })).tags).toMatchObject([{ change: "updated" }]);
});

describe("others who write", () => {
	/** A client with which something happens before the tag of the index is put, or asked for again. */
	function client(at: At, change: Partial<RegistryClient>): RegistryClient {
		return { ...at.client, ...change };
	}

	test("a tag that was moved meanwhile is not moved", async () => {
		await using at = await pipeline();
		const first = (await at.publish(await staged(at, "1"))).tags[0]!;
		const second = (await at.publish(await staged(at, "2"))).tags[0]!;
		const sources = await staged(at, "3");
		const bytes = await at.client.getManifest(parseReference(`${at.registry.host}/library/x@${first.digest}`));
		let asked = 0;
		const result = await at.publish(sources, {
			client: client(at, {
				headManifest: async (reference) => {
					const ours = reference.repository === "library/x" && reference.tag === "1";
					if (ours && ++asked === 2) await at.client.putManifest(reference, bytes!.mediaType, bytes!.bytes);
					return await at.client.headManifest(reference);
				},
			}),
		});
		expect(result.tags).toMatchObject([
			{
				change: "failed",
				error: {
					message: expect.stringContaining(`it held ${second.digest} when this was decided, and now ${first.digest}`),
				},
			},
		]);
		expect(await digestOf(at, "library/x:1")).toBe(first.digest);
		expect((await at.publish(sources)).tags).toMatchObject([{ change: "updated" }]);
	});

	test.each([
		["shows it late", 4, []],
		[
			"never shows it",
			Infinity,
			[expect.stringMatching(/^could not be read back: .*later the registry has nothing there$/)],
		],
	])("a registry that %s", async (_, late, notes) => {
		await using at = await pipeline();
		const sources = await staged(at, "1");
		let put = false;
		let asked = 0;
		let now = 0;
		const sleep = (time: number) => Promise.resolve(void (now += time));
		const { tags } = await at.publish(sources, {
			io: { ...at.io, clock: { now: () => now, sleep } },
			client: client(at, {
				headManifest: async (reference) => {
					const ours = put && reference.repository === "library/x" && reference.tag === "1";
					return ours && ++asked <= late ? undefined : await at.client.headManifest(reference);
				},
				putManifest: async (reference, mediaType, content) => {
					if (reference.repository === "library/x" && reference.tag === "1") put = true;
					return await at.client.putManifest(reference, mediaType, content);
				},
			}),
		});
		expect(tags).toMatchObject([{ change: "created", notes }]);
		expect(now).toBeGreaterThan(500);
	});
});
