import { readFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { openJq } from "../../src/sandbox/jq.ts";
import { unknownFunctions } from "../../src/template/compile.ts";
import { evaluateTemplate } from "../../src/template/evaluate.ts";

const page = await readFile(path.join(import.meta.dirname, "../../docs/templates.md"), "utf8");
const jq = openJq({ memoryLimit: 256 * 1024 * 1024 });

async function render(text: string): Promise<string> {
	const [, document] = /and `(\{.*?\})` as `versions\.json`/.exec(page)!;
	const [result] = await evaluateTemplate(
		{
			file: "Dockerfile.template",
			text,
			modules: [],
			variables: ["version", "variant"],
			document: document!,
			environments: [{ of: "3.1/trixie/Dockerfile", env: { version: "3.1", variant: "trixie" } }],
		},
		jq,
	);
	return result!;
}

function block(language: string): string {
	return new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, "ms").exec(page)![1]!;
}

describe("docs/templates.md", () => {
	it("has an example that renders as it says", async () => {
		expect(await render(block("template"))).toBe(block("result"));
	});

	it("names all that a template does not know", async () => {
		const rows = [...page.matchAll(/^\| (`.*?) \| /gm)].map(([, names]) => names!);
		const names = rows.flatMap((row) => [...row.matchAll(/`([^`]+)`/g)].map(([, name]) => name!));
		const known = unknownFunctions.map((signature) => signature.replace(/\/.*/, ""));
		expect(names.sort()).toEqual([...known, "$__loc__"].sort());
	});

	it("shows an error as it is", async () => {
		const [, file, line, message] = /^template: (.*?):(\d+): (.*)$/m.exec(block("text"))!;
		await expect(render("FROM a\n\n{{ .version + 1 }}\n")).rejects.toMatchObject({
			message,
			at: { file, line: Number(line) },
		});
	});

	it("states the limits of the code", async () => {
		const source = (name: string) => readFile(path.join(import.meta.dirname, "../../src", name), "utf8");
		expect(await source("sandbox/sandbox.ts")).toContain("timeLimit: 30_000, memoryLimit: 256 * mebibyte");
		expect(await source("template/compile.ts")).toContain("const maxText = 8 * 1024 * 1024;");
		expect(page).toMatch(/30 seconds and 256 MiB .*at most\s+8 million characters/s);
	});
});
