import { expect, it } from "vitest";
import { nodeIo } from "../io/index.ts";
import type { TagReport } from "../report/index.ts";
import { type Draft, finishReport, startReport } from "./report.ts";

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
