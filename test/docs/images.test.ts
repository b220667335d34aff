import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { Ajv } from "ajv";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { schemaFiles } from "../../scripts/config-schema.ts";
import { BrewlineError } from "../../src/errors.ts";
import { parseFile } from "../../src/config/index.ts";
import { entryNames, versionNames } from "../../src/config/names.ts";

const root = path.join(import.meta.dirname, "../..");
const schema = JSON.parse(await readFile(path.join(root, "schemas/brewline.schema.json"), "utf8")) as object;
const validate = new Ajv({ allErrors: true, formats: { uri: (text: string) => URL.canParse(text) } }).compile(schema);
const page = await readFile(path.join(root, "docs/images.md"), "utf8");

function problemsOf(text: string): readonly string[] {
	return validate(parse(text)) ? [] : validate.errors!.map(({ instancePath, message }) => `${instancePath} ${message}`);
}

describe("what is written from the schema", async () => {
	it.each([...(await schemaFiles())])(
		"%s is up to date: otherwise run node scripts/config-schema.ts",
		async (file, wanted) => {
			expect(await readFile(file, "utf8")).toBe(wanted);
		},
	);

	it("says of every key what it means", () => {
		const rows = [...page.matchAll(/^\| `([^`]+)` \| (.*?) \| (.*) \|$/gm)];
		expect(rows.length).toBeGreaterThan(90);
		expect(rows.filter(([, , , meaning]) => meaning!.trim().length < 5).map(([, key]) => key)).toEqual([]);
	});
});

describe("docs/images.md", () => {
	const blocks = [...page.matchAll(/^```yaml\n(.*?)^```$/gms)].map(([, text]) => text!);

	it("has examples that are read as they stand there", () => {
		const [described, scripted] = blocks.map((text) => parseFile(text, "brewline.yaml"));
		expect(described!.images.map(({ image }) => image)).toEqual(["app"]);
		expect(scripted).toMatchObject({
			images: [],
			scripts: [{ image: "app", script: "generate-stackbrew-library.sh" }],
		});
		expect(blocks.flatMap(problemsOf)).toEqual([]);
	});

	it("has all names that there are without a configuration's own", () => {
		const section = page.split("\n# Names\n")[1]!.split("\n# ")[0]!;
		const names = [...section.matchAll(/^\| `(\w+)(?:\.KEY)?` \|/gm)].map(([, name]) => name);
		expect(new Set(names)).toEqual(new Set([...versionNames, "doc", ...entryNames, "arch"]));
	});
});

describe("the JSON Schema", () => {
	const examples = path.join(root, "examples");
	const folders = existsSync(examples) ? [examples] : [];
	it.each(folders)("takes all of %s, and those name it for editors", async (folder) => {
		for (const name of await readdir(folder)) {
			const text = await readFile(path.join(folder, name, "brewline.yaml"), "utf8");
			expect([name, ...problemsOf(text)]).toEqual([name]);
			expect(text).toMatch(/^# yaml-language-server: \$schema=https:\/\/\S+\/schemas\/brewline\.schema\.json\n/);
		}
	});

	it.each([
		["a key that is none", "images: { image: a, tags: [''], aliases: { list: [a] }, tgs: [] }"],
		[
			"no tags",
			"images: { image: a, header: { repository: http://a.b/c, self: x, maintainers: [a] }, aliases: { list: [] } }",
		],
		[
			"a condition that compares with two",
			"images: { image: a, tags: [{ suffix: a, if: { version: { le: a, ge: b } } }] }",
		],
		["a text where a list must be", "program: { policies: all }"],
	])("refuses %s, as the parser does", (_name, text) => {
		expect(problemsOf(text)).not.toEqual([]);
		expect(() => parseFile(text, "brewline.yaml")).toThrow(BrewlineError);
	});
});
