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

/** The jobs that it is for are the user's own: the workflow has none. */
const isExtra = (name: string): boolean => name.includes("/tested/");

describe.each([...pages])("%s", (name, { is, wanted }) => {
	it("has the inputs and outputs of action.yml: otherwise run node scripts/action-docs.ts", () => {
		expect(is).toBe(wanted);
		expect(is).toMatch(
			isExtra(name)
				? /^\| `digest` \| required \|/m
				: /^\| `(?:registry|state)` \| {2}\| The (?:registry that the log-in below|git repository whose branch)/m,
		);
	});

	it("names each action by the commit that the workflow does", () => {
		const used = (text: string): string[] => [...text.matchAll(/uses: (.*)$/gm)].map(([, action]) => action!);
		const ours = used(is).map((action) => action.replace("/tested@", "/plan@"));
		expect(ours.length).toBeGreaterThan(0);
		expect(ours.filter((action) => !used(workflow.join("\n")).includes(action))).toEqual([]);
	});
});

it.each([...pages].filter(([name]) => !isExtra(name)))("%s shows what the workflow says, line by line", (_, { is }) => {
	expect(strayLines(is)).toEqual([]);
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
