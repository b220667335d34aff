import { describe, expect, it } from "vitest";
import { nodeIo } from "../io/index.ts";
import type { PublishedTag } from "../publish/index.ts";
import { plainStyle, renderMarkdown, renderText, reportSchema } from "../report/index.ts";
import { finishReport, startReport, tagReports } from "./report.ts";

const digest = `sha256:${"a".repeat(64)}`;
const tag: PublishedTag = { reference: "x:1", digest, platforms: ["linux/amd64"], change: "updated", notes: [] };

async function reportOf(...tags: readonly PublishedTag[]) {
	const io = nodeIo();
	const counts = { created: 0, updated: 0, unchanged: 0, held: 0, failed: 0 };
	const draft = startReport("samples", io);
	Object.assign(draft, tagReports({ archTags: [], tags, counts, changes: [] }));
	return await finishReport(undefined, io, draft);
}

describe("the outcome", () => {
	it("is complete where a platform went because nothing defines it any more, and the report names it", async () => {
		const report = await reportOf({ ...tag, removed: ["linux/s390x"] });
		expect(report.outcome).toBe("complete");
		expect(reportSchema.parse(report).tags).toMatchObject([{ notes: [], removed: ["linux/s390x"] }]);
		expect(renderText(report, plainStyle)).toContain("    no longer defined for linux/s390x\n");
		expect(renderMarkdown(report)).toContain("no longer defined for linux/s390x");
	});

	it("is incomplete where an architecture is kept as it was", async () => {
		const report = await reportOf({ ...tag, notes: ["s390x: kept as it was: not built yet"] });
		expect(report.outcome).toBe("incomplete");
	});
});
