import * as fc from "fast-check";
import { expect, test } from "vitest";
import { planWorld } from "../../test/support/plan-world.ts";
import { programAt, sourcesOf, stageImage, world } from "../../test/support/publishing.ts";
import { builds as buildsOf, registryLookup } from "../builds/index.ts";
import type { PolicyRule, Program } from "../config/index.ts";
import { parseReference, printReference } from "../oci/index.ts";
import { type Leg, pairOf } from "../plan/index.ts";
import { publish, type PublishedTag, waitingRule } from "../publish/index.ts";
import { predictTags } from "./predict.ts";

const tested = ["amd64", "arm64v8", "s390x"];

/** What is there before, and what becomes of the build of one architecture. */
interface Case {
	readonly published: boolean;
	readonly fate: "present" | "to-build" | "never";
	readonly platforms: NonNullable<PolicyRule["platforms"]>;
	readonly overdue: boolean;
	readonly served: boolean;
}

/** The tag of a dry run, as it is predicted, and what a real run leaves. */
async function bothOf(cases: Readonly<Record<string, Case>>): Promise<Record<"predicted" | "real", PublishedTag>> {
	await using at = await world();
	const program: Program = {
		...programAt(at),
		policies: tested.map((arch) => ({
			architectures: [arch],
			platforms: cases[arch]!.platforms,
			...(cases[arch]!.served ? {} : { runner: null }),
		})),
	};
	const lookup = registryLookup(at.client, program);
	const version = (number: string, arches: readonly string[]) =>
		sourcesOf(program, [
			{ name: "x", version: number, arches: Object.fromEntries(arches.map((arch) => [arch, ["x:1"]])) },
		]);
	const stage = async (sources: ReturnType<typeof version>, arches: readonly string[]) => {
		const found = (await buildsOf({ sources }, at.io, { program, lookup })).builds;
		for (const { build, source } of Object.values(found)) {
			if (!arches.includes(build.arch)) continue;
			const { platform } = program.architectures[build.arch]!;
			await stageImage(at.client, build.img, platform, `${source.reproducibleGitChecksum} ${build.arch}`);
		}
	};
	const published = tested.filter((arch) => cases[arch]!.published);
	if (published.length > 0) {
		const old = version("1", published);
		await stage(old, published);
		const found = (await buildsOf({ sources: old }, at.io, { program, lookup })).builds;
		await publish({ sources: old, builds: found }, at.io, { program, client: at.client, lookup });
	}
	const having = (fate: Case["fate"]) => tested.filter((arch) => cases[arch]!.fate === fate);
	const sources = version("2", tested);
	await stage(sources, having("present"));
	const [source] = Object.keys(sources) as [string];
	const overdue = tested.filter((arch) => cases[arch]!.overdue).map((arch) => ({ source, arch }));
	const mustWait = waitingRule(program, new Set(overdue.map(({ arch }) => pairOf(source, arch))));
	const publishNow = async (dryRun: boolean) => {
		const output = await buildsOf({ sources }, at.io, { program, lookup });
		const input = { sources, builds: output.builds };
		const { tags } = await publish(input, at.io, { program, client: at.client, lookup, mustWait, dryRun });
		return { output, tags };
	};
	const dry = await publishNow(true);
	const legs = Object.values(dry.output.builds)
		.filter(({ build }) => having("to-build").includes(build.arch))
		.map(({ buildId }) => ({ builds: [{ buildId }] }) as unknown as Leg);
	const [predicted] = predictTags(dry.tags, sources, { ...dry.output, legs, plan: { overdue, waiting: [] } }, program);
	await stage(sources, having("to-build"));
	const { tags } = await publishNow(false);
	return { predicted: predicted!, real: tags[0]! };
}

const usual: Case = { published: true, fate: "to-build", platforms: "best-effort", overdue: false, served: true };

test("a tag that waits for what is built in this run is not held by what nobody waits for", async () => {
	const { predicted } = await bothOf({
		amd64: { ...usual, platforms: "required" },
		arm64v8: usual,
		s390x: { ...usual, fate: "never" },
	});
	expect(predicted).toMatchObject({ change: "updated", notes: ["s390x: kept as it was: not built yet"] });
	expect(predicted.platforms).toEqual(["linux/amd64", "linux/arm64/v8", "linux/s390x"]);
});

test("what waits for a parent is not built where nothing builds it, or another parent does not come", async () => {
	const at = planWorld({
		program: {
			architectures: { amd64: {}, s390x: { runner: null } },
			policies: [{ images: ["base"], architectures: ["s390x"], runner: "big" }],
		},
	});
	const define = (content: string) => {
		at.define([
			{ name: "slow", tags: ["1"], arches: ["amd64"] },
			{ name: "base", tags: ["1"], arches: ["amd64", "s390x"], content },
			{ name: "app", tags: ["1"], arches: ["amd64", "s390x"], froms: ["base:1"] },
			{ name: "both", tags: ["1"], arches: ["amd64"], froms: ["base:1", "slow:1"] },
		]);
	};
	define("1");
	for (let tries = 0; tries < 2; tries++) await at.carryOut(await at.plan(), () => false);
	// Now slow backs off, and base is another build.
	define("2");
	const planned = await at.plan();
	const held = (name: string): PublishedTag => ({
		reference: printReference(parseReference(`library/${name}:1`)),
		digest: null,
		platforms: [],
		change: "held",
		notes: ["amd64: missing: not built yet", "s390x: missing: not built yet"],
	});
	const tags = predictTags([held("app"), held("both")], planned.sources, planned, at.program);
	expect(tags.map(({ change, platforms }) => [change, platforms])).toEqual([
		["created", ["linux/amd64"]],
		["held", []],
	]);
});

test("a tag stays held by what is not built in this run, and says that alone", async () => {
	const { predicted } = await bothOf({
		amd64: { ...usual, platforms: "required" },
		arm64v8: { ...usual, platforms: "optional" },
		s390x: { ...usual, platforms: "optional", fate: "never" },
	});
	expect(predicted).toMatchObject({
		change: "held",
		notes: ["s390x: kept as it was: not built yet", "held: s390x is optional, and its deadline of 24h is not over"],
	});
});

test("what is predicted comes true, whatever is required, optional, overdue, built before or never", async () => {
	const one = fc.record<Case>({
		published: fc.boolean(),
		fate: fc.constantFrom("present", "to-build", "to-build", "never"),
		platforms: fc.constantFrom("required", "optional", "best-effort"),
		overdue: fc.boolean(),
		served: fc.constantFrom(true, true, true, false),
	});
	const cases = fc.record(Object.fromEntries(tested.map((arch) => [arch, one]))).map((drawn) =>
		Object.fromEntries(
			// What nothing builds is never built.
			Object.entries(drawn).map(([arch, item]): [string, Case] => [
				arch,
				item.served || item.fate === "present" ? item : { ...item, fate: "never" },
			]),
		),
	);
	await fc.assert(
		fc.asyncProperty(cases, async (drawn) => {
			const { predicted, real } = await bothOf(drawn);
			// The digest of what is not built yet is not known.
			const { from: _made, ...is } = real;
			const { from: _known, ...was } = predicted;
			expect({ ...is, digest: was.digest === null ? null : is.digest }).toEqual(was);
			const never = Object.values(drawn).filter(({ fate }) => fate === "never");
			const waits = never.some(
				({ platforms, overdue, served }) =>
					platforms === "required" || (platforms === "optional" && !overdue && served),
			);
			const nothing = never.length === tested.length && !never.some((item) => item.published);
			expect(real.change === "held").toBe(waits || nothing);
		}),
		{ seed: Number(process.env["FC_SEED"] ?? 1), numRuns: Number(process.env["FC_RUNS"] ?? 40), endOnFailure: true },
	);
});
