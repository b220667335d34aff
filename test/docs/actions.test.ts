import path from "node:path";
import { describe, expect, it } from "vitest";
import { readFile } from "node:fs/promises";
import { actionPages } from "../../scripts/action-docs.ts";

const root = path.join(import.meta.dirname, "../..");
const pages = await actionPages();
const workflow = (await readFile(path.join(root, "workflows/publish.yml"), "utf8")).split("\n");

describe.each([...pages])("%s", (_, { is, wanted }) => {
	it("has the inputs and outputs of action.yml: otherwise run node scripts/action-docs.ts", () => {
		expect(is).toBe(wanted);
		expect(is).toContain("| `registry` |  | The registry that the log-in below is for.");
	});

	it("shows what the workflow says, line by line", () => {
		expectExcerpt(is);
	});
});

it("the README's excerpt of the workflow is one", async () => {
	expectExcerpt(await readFile(path.join(root, "README.md"), "utf8"));
});

/** The one excerpt of a workflow on a page: lines may be left out of it, but none changed, added or moved. */
function expectExcerpt(page: string): void {
	const excerpts = [...page.matchAll(/^```yaml\n(.*?)^```$/gms)]
		.map(([, text]) => text!)
		.filter((text) => text.includes("uses:"));
	expect(excerpts).toHaveLength(1);
	let from = 0;
	for (const line of excerpts[0]!.trimEnd().split("\n")) {
		const at = workflow.indexOf(line, from);
		expect(at, `not in workflows/publish.yml, or not there: ${line}`).toBeGreaterThanOrEqual(0);
		from = at + 1;
	}
}
