import path from "node:path";
import { describe, expect, it } from "vitest";
import { readFile } from "node:fs/promises";
import { actionPages } from "../../scripts/action-docs.ts";

const root = path.join(import.meta.dirname, "../..");
const pages = await actionPages();
const workflows = {
	// Steps that several jobs share are written once, under a name.
	publish: (await readFile(path.join(root, "workflows/publish.yml"), "utf8")).replace(/: &\w+$/gm, ":").split("\n"),
	library: (await readFile(path.join(root, "workflows/generate-library.yml"), "utf8")).split("\n"),
};
const isLibrary = (text: string): boolean => text.includes("actions/generate-library@");

/** The jobs that it is for are the user's own: the workflow has none. */
const isExtra = (name: string): boolean => name.includes("/tested/");

describe.each([...pages])("%s", (name, { is, wanted }) => {
	it("has the inputs and outputs of action.yml: otherwise run node scripts/action-docs.ts", () => {
		expect(is).toBe(wanted);
		expect(is).toMatch(
			isExtra(name)
				? /^\| `digest` \| required \|/m
				: isLibrary(is)
					? /^\| `token` \| {2}\| A token that may push/m
					: /^\| `(?:registry|state)` \| {2}\| The (?:registry that the log-in below|git repository whose branch)/m,
		);
	});

	it("names each action by the commit that the workflow does", () => {
		const used = (text: string): string[] =>
			[...text.matchAll(/uses: (\S+?@[0-9a-f]{40})/g)].map(([, action]) => action!);
		const ours = used(is).map((action) => action.replace("/tested@", "/plan@"));
		expect(ours.length).toBeGreaterThan(0);
		expect(
			ours.filter(
				(action) => !used((isLibrary(is) ? workflows.library : workflows.publish).join("\n")).includes(action),
			),
		).toEqual([]);
	});
});

it.each([...pages].filter(([name]) => !isExtra(name)))("%s shows what the workflow says, line by line", (_, { is }) => {
	expect(excerptsOf(is)).toHaveLength(1);
	expect(excerptsOf(is).flatMap(strayLines)).toEqual([]);
});

it("the README's excerpts of the workflows are some", async () => {
	const excerpts = excerptsOf(await readFile(path.join(root, "README.md"), "utf8"));
	expect(excerpts.map(isLibrary)).toEqual([false, true]);
	expect(excerpts.flatMap(strayLines)).toEqual([]);
});

it("all of the workflow of an image's repository is shown", async () => {
	const whole = workflows.library.filter((line) => !line.startsWith("#")).join("\n");
	for (const page of ["README.md", "actions/generate-library/README.md"])
		expect(excerptsOf(await readFile(path.join(root, page), "utf8")).filter(isLibrary)).toEqual([whole]);
});

function excerptsOf(page: string): readonly string[] {
	return [...page.matchAll(/^```yaml\n(.*?)^```$/gms)]
		.map(([, text]) => text!)
		.filter((text) => text.includes("uses:"));
}

/** Of an excerpt, what is not in its workflow, or not in that order: lines may be left out only. */
function strayLines(excerpt: string): string[] {
	const workflow = isLibrary(excerpt) ? workflows.library : workflows.publish;
	let from = 0;
	return excerpt
		.trimEnd()
		.split("\n")
		.filter((line) => {
			const at = workflow.indexOf(line, from);
			if (at >= 0) from = at + 1;
			return at < 0;
		});
}
