import { expect, it } from "vitest";
import { planWorld } from "../../test/support/plan-world.ts";
import { nodeIo } from "../io/index.ts";
import type { TagReport } from "../report/index.ts";
import { type Draft, finishReport, startReport, stillWaiting } from "./report.ts";
import { chosenArchitectures } from "./steps.ts";

const io = nodeIo();
const tag: TagReport = { reference: "a:1", digest: null, platforms: [], change: "created", notes: [] };

it.each<[outcome: string, what: string, change: Partial<Draft>]>([
	["complete", "all is there", { tags: [tag] }],
	["incomplete", "something waits", { waiting: [{ tag: "a:1", arch: "amd64", reason: "", wave: 1 }] }],
	["incomplete", "a tag is held", { tags: [{ ...tag, change: "held" }] }],
	["incomplete", "a tag keeps what it had", { tags: [{ ...tag, notes: ["amd64: kept as it was"] }] }],
	[
		"complete",
		"nobody here waits",
		{ waiting: [{ tag: "a:1", arch: "s390x", reason: "", wave: null, unserved: true }] },
	],
	["complete", "a tag lacks what has no runner", { tags: [{ ...tag, unserved: ["s390x"] }] }],
	["complete", "a tag is only for what has no runner", { tags: [{ ...tag, change: "held", unserved: ["s390x"] }] }],
	["incomplete", "a tag lacks that, and more", { tags: [{ ...tag, notes: ["amd64: missing"], unserved: ["s390x"] }] }],
	[
		"incomplete",
		"a tag is held for what has no runner and is required",
		{ tags: [{ ...tag, change: "held", notes: ["held: s390x is required"], unserved: ["s390x"] }] },
	],
	["failed", "a tag failed", { tags: [{ ...tag, change: "failed" }] }],
])("a run is %s where %s", async (outcome, _, change) => {
	const report = await finishReport(undefined, io, { ...startReport("test", io), ...change });
	expect(report.outcome).toBe(outcome);
});

it("what a plan did not choose, and what stands on it, waits for another plan, while what it chose goes on", async () => {
	const w = planWorld();
	const arches = ["amd64", "arm64v8"];
	w.define([
		{ name: "base", tags: ["1"], arches },
		{ name: "app", tags: ["1"], arches, froms: ["base:1"] },
	]);
	const chosen = await w.plan({ program: chosenArchitectures(w.program, ["amd64"]), wholeProgram: w.program });
	await w.carryOut(chosen);
	// As publishing plans: for all architectures, and without a memory.
	w.state = undefined;
	const { plan, builds, sources } = await w.plan();
	const waiting = stillWaiting(sources, builds, plan, chosen.plan);
	expect(waiting.map(({ tag: first, arch, wave, reason }) => [first, arch, wave, reason])).toEqual([
		["app:1", "arm64v8", null, "app:1 waits for base:1, which is not built yet"],
		["base:1", "arm64v8", null, "base:1: arm64v8 is none of the architectures that this plan is for"],
		["app:1", "amd64", 0, expect.stringContaining("can be built now")],
	]);
	// Another plan has it.
	const without = stillWaiting(sources, builds, plan, undefined);
	expect(without.map(({ wave }) => wave)).toEqual([1, 0, 0]);
});
