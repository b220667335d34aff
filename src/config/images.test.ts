import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it, test } from "vitest";
import { BrewlineError } from "../errors.ts";
import { parseFile } from "./index.ts";
import { groupNames } from "./text.ts";

const examples = path.join(import.meta.dirname, "../../examples");

/** An image as small as it can be, with more lines where they are given. */
function image(...more: readonly string[]): string {
	return [
		"images:",
		"  image: x",
		"  header: { repository: https://example.com/x, self: brewline.yaml, maintainers: [A <a@example.com> (@a)] }",
		'  aliases: { list: ["{full}"] }',
		...(more.some((line) => line.startsWith("tags:")) ? [] : ['  tags: [""]']),
		...more.map((line) => `  ${line}`),
		"",
	].join("\n");
}

function failures(text: string): readonly BrewlineError[] {
	try {
		parseFile(text, "brewline.yaml");
	} catch (error) {
		if (error instanceof BrewlineError) return error.errors.length > 0 ? error.errors : [error];
		throw error;
	}
	throw new Error("it was accepted");
}

describe("the images block", () => {
	it("is one image or a list, and both blocks may stand in one file", () => {
		const one = parseFile(`program: { name: x }\n${image()}`, "brewline.yaml");
		expect([one.program.name, one.images.map((each) => each.image)]).toEqual(["x", ["x"]]);
		const lines = image().split("\n").slice(1, -1);
		const item = (name: string): string =>
			lines.map((line, index) => (index === 0 ? `  - image: ${name}` : `  ${line}`)).join("\n");
		const two = parseFile(`images:\n${item("a")}\n${item("b")}\n`, "brewline.yaml");
		expect(two.images.map((each) => each.image)).toEqual(["a", "b"]);
		expect(parseFile("program: {}\n", "brewline.yaml").images).toEqual([]);
	});

	test.each(readdirSync(examples))("describes %s", (name) => {
		const [config] = parseFile(readFileSync(path.join(examples, name, "brewline.yaml"), "utf8"), name).images;
		expect(config!.image).toBe(name);
	});
});

describe("what is wrong is named with its place and the nearest name", () => {
	test.each<readonly [what: string, lines: readonly string[], message: RegExp, line: number, hint: RegExp]>([
		["an unknown key", ["tagPrefx: x"], /^images\.tagPrefx: no such key$/, 6, /did you mean tagPrefix/],
		[
			"an unknown key of one of several forms",
			["tags:", "  - { sufix: a, if: { version: x } }"],
			/^images\.tags\.0\.sufix: no such key$/,
			6,
			/did you mean suffix/,
		],
		[
			"an unknown key of a variable",
			["vars:", "  a: { path: [x], captur: y }"],
			/^images\.vars\.a\.captur: no such key$/,
			7,
			/did you mean capture/,
		],
		[
			"an unknown name in a condition",
			["sharedTags:", "  - { suffix: a, if: { not: { any: [{ verson: x }] } } }"],
			/^images\.sharedTags\.0\.if\.not\.any\.0\.verson: there is no name verson$/,
			7,
			/Did you mean version\?/,
		],
		[
			"an unknown name in a glob",
			["excludeArchitectures:", '  - { arches: [i386], if: { version: ["a", "{serie}"] } }'],
			/if\.version\.1: there is no name serie$/,
			7,
			/known here are: version/i,
		],
		[
			"a name of an entry where there are only versions",
			["vars: { suite: a }", "versionVars: { b: '{suite}' }"],
			/^images\.versionVars\.b: there is no name suite$/,
			7,
			/known here are/i,
		],
		[
			"a mistyped axis",
			["matrix: { variant: [a] }", "vars: { d: { first: '*', axis: varian } }"],
			/no axis varian/,
			7,
			/variant/,
		],
		[
			"a split of no axis",
			["split: { path: '^(?<a>.)' }"],
			/^images\.split\.path: there is no axis path$/,
			6,
			/None is known/,
		],
		[
			"a boolean where a text belongs",
			["sharedTags:", "  - { suffix: a, if: { stable: true } }"],
			/^images\.sharedTags\.0\.if\.stable: expected string or array or object$/,
			7,
			/^Quote it: "true"\.$/,
		],
		["a number where a text belongs", ["tagPrefix: 1.10"], /^images\.tagPrefix: .*string/, 6, /^Quote it: "1\.10"\.$/],
		["an open brace", ['tagPrefix: "a{"'], /images\.tagPrefix: a \{ without a name/, 6, /^$/],
		[
			"a regular expression",
			["split: { a: '(' }", "matrix: { a: [b] }"],
			/images\.split\.a: .*regular expression/i,
			6,
			/^$/,
		],
		["a path out of the repository", ["file: ../x"], /images\.file: must be a path inside/, 6, /^$/],
		[
			"a name in a template's environment",
			["templates: { env: { a: '{nothing}' }, rules: [] }"],
			/templates\.env\.a: there is no name/,
			6,
			/known/i,
		],
		[
			"a rule of no form",
			["architectures: [{ parens: [from] }]"],
			/^images\.architectures\.0\.parens: no such key$/,
			6,
			/did you mean parents/,
		],
		[
			"a name that means something",
			["vars: { directory: x }"],
			/^images\.vars\.directory: directory has a meaning/,
			6,
			/another name/,
		],
		["the same of an axis", ["matrix: { any: [x] }"], /^images\.matrix\.any: any has a meaning already$/, 6, /another/],
		[
			"the same of a group",
			["matrix: { a: [x] }", "split: { a: '(?<file>.)' }"],
			/^images\.split\.a: file has a meaning already$/,
			7,
			/another name/,
		],
		[
			"a text with names where a key is meant",
			["versions: { full: '{version}' }"],
			/^images\.versions\.full: a text is the key in the version's data here$/,
			6,
			/^Write \{ value: "\{version\}" \} for/,
		],
		["two lines in one", ['tagPrefix: "a\\nb"'], /images\.tagPrefix: must be one line/, 6, /^$/],
	])("%s", (_what, lines, message, line, hint) => {
		const [first] = failures(image(...lines));
		expect(first).toMatchObject({ code: "config", at: { file: "brewline.yaml" } });
		expect(first!.message).toMatch(message);
		expect(first!.at!.line).toBe(line);
		expect(first!.hint ?? "").toMatch(hint);
	});

	test.each<readonly [path: string, from: string, to: string]>([
		["header.comment", "self: brewline.yaml", "self: brewline.yaml, comment: '{nowhere}'"],
		["header.branchFields", "self: brewline.yaml", "self: brewline.yaml, branchFields: '{nowhere}'"],
		["header.fields.File", "self: brewline.yaml", "self: brewline.yaml, fields: { File: '{nowhere}' }"],
		["aliases.list.0", '"{full}"', '"{nowhere}"'],
		["aliases.list.0.if.nowhere", '"{full}"', "{ alias: a, if: { nowhere: a } }"],
		["aliases.list.0.until", '"{full}"', "{ truncate: a, until: '{nowhere}' }"],
		["tags.0", '""', '"{nowhere}"'],
		...[
			["versions.full.value", "versions: { full: { value: '{nowhere}' } }"],
			["versions.entryFull", "versions: { entryFull: '{nowhere}' }"],
			["versions.drop.0.if.nowhere", "versions: { drop: [ { if: { nowhere: x } } ] }"],
			["versionVars.a.key", "versionVars: { a: { map: {}, key: '{nowhere}' } }"],
			["versionVars.a.map.b", "versionVars: { a: { map: { b: '{nowhere}' } } }"],
			["matrix.a.0.path.0", "matrix: { a: [ { path: ['{nowhere}'] } ] }"],
			["directory", "directory: '{nowhere}'"],
			["file", "file: '{nowhere}'"],
			["vars.a.default", "vars: { a: { path: x, default: '{nowhere}' } }"],
			["tagPrefix", "tagPrefix: '{nowhere}'"],
			["sharedTags.0.aliases.0", "sharedTags: [ { suffix: a, aliases: ['{nowhere}'] } ]"],
			["sharedTags.0.if.version.le", "sharedTags: [ { suffix: a, if: { version: { le: '{nowhere}' } } } ]"],
			["sharedTags.0.if.version.ge", "sharedTags: [ { suffix: a, if: { version: { ge: '{nowhere}' } } } ]"],
			["architectures.0.glob", "architectures: [ { glob: '{arch}/{nowhere}' } ]"],
			[
				"architectures.0.intersect.0.version",
				"architectures: [ { static: [], intersect: [ { path: a, version: '{nowhere}' } ] } ]",
			],
			["excludeArchitectures.0.if.nowhere", "excludeArchitectures: [ { arches: [i386], if: { nowhere: x } } ]"],
			["constraints.0.value", "constraints: [ { value: '{nowhere}' } ]"],
			["builder.0.value", "builder: [ { value: '{nowhere}' } ]"],
			["archFields.0.value", "archFields: [ { field: Directory, value: '{arch}/{nowhere}' } ]"],
			["templates.vars.a", "templates: { rules: [], vars: { a: '{nowhere}' } }"],
			["templates.if.nowhere", "templates: { rules: [], if: { nowhere: x } }"],
			["templates.exists.path", "templates: { rules: [], exists: { path: '{nowhere}' } }"],
			["templates.rules.0.output", "templates: { rules: [ { template: a, output: '{nowhere}' } ] }"],
			["templates.copy.0.as", "templates: { rules: [], copy: [ { files: [a], as: '{nowhere}' } ] }"],
			[
				"templates.copy.0.replace.0.to",
				"templates: { rules: [], copy: [ { files: [a], replace: [ { from: '{x}', to: '{nowhere}' } ] } ] }",
			],
		].map(([path, line]) => [path!, "image: x", `image: x\n  ${line!}`] as const),
	])("no name that is unknown is overlooked in %s", (path, from, to) => {
		expect(failures(image().replace(from, to)).map(({ message }) => message)).toEqual([
			`images.${path}: there is no name nowhere`,
		]);
	});

	test.each([
		["self: brewline.yaml", "self: brewline.yaml, comment: '{doc.x}'", "images.header.comment: there is no name doc.x"],
		["image: x", "image: x\n  directory: '{arch}'", "images.directory: there is no name arch"],
		['"{full}"', '"{directory}"', "images.aliases.list.0: there is no name directory"],
	])("names are known only where they mean something: %s as %s", (from, to, message) => {
		expect(failures(image().replace(from, to))[0]!.message).toBe(message);
	});

	it("takes no brace for a name in what is text as it stands", () => {
		const lines = [
			"vars: { a: { dockerfile: Dockerfile, env: '{x}' }, b: { value: b, capture: '[0-9]{2}' } }",
			"templates: { header: '{x}', rules: [], copy: [ { files: [a], replace: [ { from: '{x}', to: y } ] } ] }",
		];
		expect(() => parseFile(image(...lines), "brewline.yaml")).not.toThrow();
	});

	test.each(["https://example.com/x.git", "https://example.com/x/"])("the address %s of a repository", (address) => {
		const text = image().replace("https://example.com/x", address);
		expect(failures(text)[0]).toMatchObject({
			message: "images.header.repository: must be the address without .git or / at its end",
			at: { line: 3 },
		});
	});

	it("names an image that stands twice, also where one of both has a script", () => {
		const one = image()
			.replace("images:\n  image", "images:\n  - image")
			.replaceAll(/^ {2}(?=[^-])/gm, "    ");
		const [first, ...more] = failures(`${one}  - { image: y, script: a.sh }\n  - { image: x, script: b.sh }\n`);
		expect(first).toMatchObject({ message: "images.2.image: another image has this name", at: { line: 7 } });
		expect(more).toEqual([]);
	});

	it("names all of them, in the order of the file", () => {
		const found = failures(image("tagPrefix: '{a}'", "directory: '{b}'", "vars: { c: { from: '{d}' } }"));
		expect(found.map(({ message, at }) => [at?.line, message.split(":")[0]])).toEqual([
			[6, "images.tagPrefix"],
			[7, "images.directory"],
			[8, "images.vars.c.from"],
		]);
	});

	it("takes names that the language itself has for what they are", () => {
		const text = image(
			"matrix: { order: [a], prefix: [b] }",
			"vars: { if: { value: '{order}' }, constructor: { map: { axis: '{prefix}', toString: x }, key: '{if}' } }",
		);
		expect(parseFile(text, "brewline.yaml").images).toHaveLength(1);
		expect(failures(image("tagPrefix: '{toString}'"))[0]!.message).toMatch(/no name toString/);
	});
});

describe("a text made to take very long", () => {
	const many = (count: number, line: (index: number) => string): string =>
		Array.from({ length: count }, (_, index) => line(index)).join("\n");
	test.each([
		["unknown keys", `images:\n${many(60_000, (index) => `  k${index}: 1`)}`, /^images\.k0: /],
		[
			"keys that stand twice",
			`program:\n${many(60_000, (index) => `  k${index >> 1}: 1`)}`,
			/^k0: keys must be unique/,
		],
		[
			"aliases",
			`${many(20_000, (index) => `k${index}: &a${index} x`)}\n${many(20_000, (index) => `l${index}: *a${index}`)}`,
			/^there are more than 100 aliases/,
		],
		["lists in lists", `images: ${"[".repeat(400)}${"]".repeat(400)}`, /^it is nested too deeply/],
		["conditions in conditions", image(`vars: ${"{ a: ".repeat(300)}x${" }".repeat(300)}`), /^it is nested too deeply/],
	])("by %s is refused at once", { timeout: 20_000 }, (_, text, message) => {
		const errors = failures(text);
		expect(errors[0]!.message).toMatch(message);
		expect(errors.length).toBeLessThanOrEqual(100);
	});

	it("by a regular expression is not run while it is read", { timeout: 10_000 }, () => {
		const endless = `^(?<kind>${"(?:^|$)".repeat(60)}[^])$`;
		const text = image("matrix: { path: [a] }", `split: { path: "${endless}" }`, 'directory: "{kind}"');
		expect(parseFile(text, "brewline.yaml").images[0]!.split).toEqual({ path: endless });
	});

	test.each([
		["(?<a>x)(?<b>y)|(?<c>z)", ["a", "b", "c"]],
		["(?<a>x)|(?<a>y)", ["a"]],
		["\\(?<a>|[(?<b>]|[\\](?<c>]|(?<=d>)|(?<!e>)|(?:f>)", []],
		["\\\\(?<a>x[^)](?<b>))", ["a", "b"]],
	])("the groups of %s are known without that", (source, names) => {
		expect(groupNames(source)).toEqual(names);
	});
});

test("a maintainer that no definition can have is told where it stands", () => {
	const header = ["A <a@example.com> (@a)", "B <b@example.com>", "C (@c), D (@d)", "E (@e)"];
	const text = JSON.stringify({
		image: "x",
		header: { repository: "https://example.com/x", self: "x", maintainers: header },
		aliases: { list: ["{full}"] },
		tags: [""],
	}).replaceAll(',"', ',\n"');
	expect(failures(`{"images": ${text}}`)).toMatchObject([
		{
			code: "config",
			message: 'images.header.maintainers.1: "B <b@example.com>" is no maintainer',
			at: { file: "brewline.yaml", line: 5 },
			hint: expect.stringMatching(/^Write Name <email-or-url> \(@github-handle\)/) as string,
		},
		{ message: 'images.header.maintainers.2: "C (@c), D (@d)" is no maintainer', at: { line: 6 } },
	]);
});

test("an architecture that there is not is told with the nearest that there is", () => {
	expect(failures(image("architectures: [ { static: [amd64, arm64] } ]"))).toMatchObject([
		{
			message: "images.architectures.0.static.1: there is no architecture arm64",
			at: { line: 6 },
			hint: expect.stringMatching(/^Did you mean (?:amd64|arm64v8)\? Known are: amd64,/) as string,
		},
	]);
	expect(failures(image("excludeArchitectures: [ { only: [amd64] }, { arches: [s390] } ]"))).toMatchObject([
		{
			message: "images.excludeArchitectures.1.arches.0: there is no architecture s390",
			hint: expect.stringContaining("Did you mean s390x?") as string,
		},
	]);
	const prefixed = image("architectures: [ { static: [amd64], prefix: windows- } ]");
	expect(parseFile(prefixed, "brewline.yaml").images).toHaveLength(1);
	const own = `${image("excludeArchitectures: [ { arches: [loong64] } ]")}program: { architectures: { loong64: { platform: linux/loong64, runner: big } } }\n`;
	expect(parseFile(own, "brewline.yaml").images).toHaveLength(1);
});
