import path from "node:path";
import { describe, expect, it } from "vitest";
import { readFile } from "node:fs/promises";
import { actionPages } from "../../scripts/action-docs.ts";

const root = path.join(import.meta.dirname, "../..");
const pages = await actionPages();
// Steps that several jobs share are written once, under a name.
const workflow = (await readFile(path.join(root, "workflows/publish.yml"), "utf8"))
	.replace(/: &\w+$/gm, ":")
	.split("\n");

describe.each([...pages])("%s", (_, { is, wanted }) => {
	it("has the inputs and outputs of action.yml: otherwise run node scripts/action-docs.ts", () => {
		expect(is).toBe(wanted);
		expect(is).toMatch(
			/^\| `(?:registry|state)` \| {2}\| The (?:registry that the log-in below|git repository whose branch)/m,
		);
	});

	it("shows what the workflow says, line by line", () => {
		expect(strayLines(is)).toEqual([]);
	});
});

it("the README's excerpt of the workflow is one", async () => {
	expect(strayLines(await readFile(path.join(root, "README.md"), "utf8"))).toEqual([]);
});

/** Of the one excerpt of a workflow on a page, what is not in the workflow, or not in that order: lines may be left out only. */
function strayLines(page: string): string[] {
	const blocks = [...page.matchAll(/^```yaml\n(.*?)^```$/gms)].map(([, text]) => text!);
	const excerpts = blocks.filter((text) => text.includes("uses:"));
	if (excerpts.length !== 1) throw new Error(`there are ${excerpts.length} excerpts of a workflow, not one`);
	let from = 0;
	return excerpts[0]!
		.trimEnd()
		.split("\n")
		.filter((line) => {
			const at = workflow.indexOf(line, from);
			if (at >= 0) from = at + 1;
			return at < 0;
		});
}
