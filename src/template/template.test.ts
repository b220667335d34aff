import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { sandboxed } from "../sandbox/index.ts";
import { openJq } from "../sandbox/jq.ts";
import { compileTemplate, unknownFunctions } from "./compile.ts";
import { evaluateTemplate, type Evaluation } from "./evaluate.ts";

const seed = Number(process.env["FC_SEED"] ?? 1);
const jq = openJq({ memoryLimit: 256 * 1024 * 1024 });

interface Given {
	readonly document?: string;
	readonly env?: Readonly<Record<string, string>>;
	readonly modules?: Readonly<Record<string, string>>;
	readonly variables?: readonly string[];
}

const versions = '{"9": {"version": "9.1", "variants": ["a", "b"]}, "10": {"version": "10.2"}}';

const evaluate = (evaluation: Evaluation) => evaluateTemplate(evaluation, jq);

async function render(text: string, given: Given = {}): Promise<string> {
	const env = given.env ?? { version: "9" };
	const texts = await evaluate({
		file: "Dockerfile.template",
		text,
		modules: Object.entries(given.modules ?? {}),
		variables: given.variables ?? ["version", "variant"],
		document: given.document ?? versions,
		environments: [{ of: "9/Dockerfile", env }],
	});
	expect(texts).toHaveLength(1);
	return texts[0]!;
}

/** What a test expects of an error. */
const error = (line: number | undefined, message: string | RegExp, file = "Dockerfile.template") =>
	expect.objectContaining({
		code: "template",
		message: expect.stringMatching(message),
		at: line === undefined ? { file } : { file, line },
	});

describe("text and expressions", () => {
	test.each([
		["text alone", "FROM a\nRUN b\n", "FROM a\nRUN b\n"],
		["nothing", "", ""],
		["a last line without an end", "FROM a", "FROM a\n"],
		["the version's object", "ENV V {{ .version }}\n", "ENV V 9.1\n"],
		["several in a line", "{{ .version }}-{{ env.version }}\n", "9.1-9\n"],
		["-}} at the end of a line", "a\n{{ .version -}}\nb\n", "a\n9.1b\n"],
		["over several lines", 'a {{\n\t.variants\n\t| join(",")\n}} b\n', "a a,b b\n"],
		["a comment at the end", "{{ .version # of it\n}}\n{{ .version # of it }}\n", "9.1\n9.1\n"],
		["nothing but a comment", "a\n{{ # no -}}\n{{\n# no\n\t# no\n-}}\nb {{ # no }} c\n", "a\nb  c\n"],
		["nothing at all", "a{{ }}b{{}}c\n", "abc\n"],
		["braces within, counted", '{{ "{{ x }}" }} {{ {a: {b: "1"} } | .a.b }}\n', "{{ x }} 1\n"],
		["braces that close early", "${V:-{{ .version }}}\n", "${V:-9.1}\n"],
		["braces that open nothing", "a }} b -}}\n", "a }} b -}}\n"],
		[
			"what jq and JSON escape",
			'\\ \\n \\(1) " \t \u2028 \u007f é \u{1f600}\r\n{{ "\\\\\\t\\"" }}\n',
			'\\ \\n \\(1) " \t \u2028 \u007f é \u{1f600}\r\n\\\t"\n',
		],
		["several values, joined", "{{ .variants[] }},\n", "a,\nb,\n"],
		["no value", "{{ empty }}a\n", ""],
		["values that are no text", "{{ .variants | length | tostring }}\n", "2\n"],
		["a whole that is no text", "{{ 1 -}}\n{{ 2 -}}\n", "3"],
	])("%s", async (_, template, text) => {
		expect(await render(template)).toBe(text);
	});

	test("a template that is one number, object or null gives what jq prints for it", async () => {
		expect(await render("{{ {a: [1, null]} -}}\n")).toBe('{"a":[1,null]}');
		expect(await render("{{ null -}}\n")).toBe("null");
		expect(await render("{{ 1.10 -}}\n")).toBe("1.10");
	});

	test("blocks over text", async () => {
		const template = [
			"{{ if .variants then ( -}}",
			"has {{ .variants | map( -}}",
			"<{{ . }}>",
			'{{ ) | join("") }}',
			"{{ ) else ( -}}",
			"none",
			"{{ ) end -}}",
			"end",
			"",
		].join("\n");
		expect(await render(template)).toBe("has <a>\n<b>\n\nend\n");
		expect(await render(template, { env: { version: "10" } })).toBe("none\nend\n");
	});

	test("definitions move to the front, in their order", async () => {
		expect(await render("{{ f }}{{ def g: 1; -}}\n{{ def f: g + 1 | tostring -}}\n\n")).toBe("2\n");
	});

	test("the whole document where no version is declared, in the order of its keys", async () => {
		expect(await render('{{ keys_unsorted | join(" ") }}\n', { env: {} })).toBe("9 10\n");
		expect(await render('{{ keys_unsorted | join(" ") }}\n', { env: { version: "9" } })).toBe("version variants\n");
	});

	test("each environment of a template gives a text of its own", async () => {
		const texts = await evaluate({
			file: "t",
			text: '{{ env.version }}{{ .version }}{{ env.variant // "-" }}\n',
			modules: [],
			variables: ["version", "variant"],
			document: versions,
			environments: [
				{ of: "a", env: { version: "10", variant: "x" } },
				{ of: "b", env: { version: "9" } },
				{ of: "c", env: { version: "10" } },
			],
		});
		expect(texts).toEqual(["1010.2x\n", "99.1-\n", "1010.2-\n"]);
	});

	test("any text without braces is itself", async () => {
		const lines = fc.array(fc.string({ unit: "binary" }), { maxLength: 4 }).map((all) => `${all.join("\n")}\n`);
		await fc.assert(
			fc.asyncProperty(
				lines.filter((text) => !text.includes("{{")),
				async (text) => {
					expect(await render(text)).toBe(text);
				},
			),
			{ seed },
		);
	});

	test("any text comes through as a literal, and around an expression", async () => {
		const part = fc.array(fc.constantFrom("{", "}", "\\", "(", ")", '"', "#", "-", "$", "a", "\t", "é", "\0"), {
			maxLength: 8,
		});
		const text = part.map((all) => all.join("")).filter((all) => !/\{\{|^\}|\{$/.test(all));
		await fc.assert(
			fc.asyncProperty(text, text, async (before, behind) => {
				expect(await render(`${before}{{ ${JSON.stringify(behind.replace(/\{\{|\}\}/g, ""))} }}x${behind}\n`)).toBe(
					`${before}${behind.replace(/\{\{|\}\}/g, "")}x${behind}\n`,
				);
			}),
			{ seed },
		);
	});
});

describe("modules", () => {
	const modules = {
		"shared.jq": 'include "lib/deep";\n# two\ndef two: one + 1;\ndef both(f; $x): def inner: f; inner + $x;\n',
		"lib/deep.jq": 'module {name: "deep"};\ndef one: 1;',
		"lib/lib.jq": "def of_lib: 7;",
	};

	test("are put in the place of include, also within one another", async () => {
		expect(await render('{{ include "shared" -}}\n{{ two + both(one; 3) | tostring }}\n', { modules })).toBe("6\n");
		expect(
			await render('{{ include "deep" {search: "./lib"}; -}}\n{{ include "lib" }}{{ one + of_lib | @text }}\n', {
				modules,
			}),
		).toBe("8\n");
	});

	test("are seen only under their prefix after import", async () => {
		const template =
			'{{ import "shared" as s -}}\n{{ def two: 5 -}}\n{{ [s::two, two, s::both(two; 1), s::both(3, 4; 0)] | @json }}\n';
		expect(await render(template, { modules })).toBe("[2,5,6,3,4]\n");
		await expect(render('{{ import "shared" as s }}{{ one }}', { modules })).rejects.toEqual(
			error(1, /^one\/0 is not defined$/),
		);
	});

	test.each([
		["one that is not there", '{{ include "other" }}', 1, /^there is no module other$/],
		["a file outside of the repository", 'a\n{{ include "../../etc/shared" }}', 2, /^there is no module/],
		["an absolute path", '{{ include "/lib/deep" }}', 1, /^there is no module/],
		["a search outside", '{{ include "shared" {search: "../x"} }}', 1, /^there is no module/],
		["data", '{{ import "shared" as $data }}', 1, /^import takes functions only/],
		["no name", "{{ include shared }}", 1, /^include without a name/],
		["a computed name", '{{ include "sha\\("red")" }}', 1, /name is no string|behind the name/],
		["other metadata", '{{ include "shared" {as: 1} }}', 1, /behind the name/],
	])("%s cannot be included", async (_, template, line, message) => {
		await expect(render(template, { modules })).rejects.toEqual(error(line, message));
	});

	test("that include one another are refused", async () => {
		const circle = { "a.jq": 'include "b";', "b.jq": '\ninclude "a";' };
		await expect(render('{{ include "a" }}', { modules: circle })).rejects.toEqual(
			error(2, /^a\.jq includes itself$/, "b.jq"),
		);
	});

	test("have their own file and line in errors", async () => {
		const broken = { "a.jq": "def a: 1;\n\ndef b: 1 +;\n", "c.jq": "def c:\n  nowhere;", "d.jq": "\ndef d: [1;" };
		await expect(render('{{ include "a" }}', { modules: broken })).rejects.toEqual(error(3, /^syntax error/, "a.jq"));
		await expect(render('{{ include "c" }}{{ c }}', { modules: broken })).rejects.toEqual(
			error(2, /^nowhere\/0 is not defined$/, "c.jq"),
		);
		await expect(render('{{ include "d" }}', { modules: broken })).rejects.toEqual(
			error(2, /^\[ has no counterpart/, "d.jq"),
		);
	});
});

describe("what is wrong has a place", () => {
	test.each([
		["an expression without an end", "a\n{{ .a\nb\n", 2, /^\{\{ is never closed$/],
		["an end of a line as Windows has it", "a\r\n{{ if .a then ( -}}\r\nb\n", 2, /^lines end as on Windows/],
		["a string without an end", 'a\n{{ .a\n+ "x }}\n', 3, /^a string has no end$/],
		["a bracket without an end", "\n{{ .a[0 }}\n{{ .b }}", 2, /^\[ is never closed in this expression$/],
		["a bracket too much", "\n{{ .a ]\n}}", 2, /^\] closes nothing in this expression$/],
		["brackets that do not match", '{{ ["\\(1]"] }}', 1, /^\\\( is closed by \]$/],
		["a block without an end", "\n{{ if true then ( }}\nx\n", 2, /^the block that opens here is never closed$/],
		["an end without a block", "x\n{{ ) end }}\n", 2, /^\) closes nothing$/],
		["jq that cannot be read", "a\n\n{{ 1 + }}\n{{ 2 }}", 3, /^syntax error/],
		["jq that cannot be read, over lines", "a\n{{\n1\n+ if\n}}\nb\n", 4, /^syntax error/],
		["a definition with too much behind it", "{{ def f: 1; 2 }}", 1, /^syntax error/],
		["a function that is not there", "a\n{{ .version }}\n{{ .version\n| foo(1) }}", 4, /^foo\/1 is not defined$/],
		["a variable that is not there", "{{ $foo }}", 1, /^\$foo is not defined$/],
		[
			"what fails when it is run",
			'a\n{{ "x" }}\n{{ .version\n + 1 }}\n',
			3,
			/^for 9\/Dockerfile: string \("9\.1"\) and number/,
		],
		[
			"what fails in a block",
			'a\n{{ if true then ( }}\n{{ error("no") }}\n{{ ) else . end }}',
			3,
			/^for 9\/Dockerfile: no$/,
		],
		[
			"what fails in a block's head",
			"\n{{ if error({place: 1, x: 2}) then ( }}\n{{ ) else . end }}",
			undefined,
			/^for 9\/Dockerfile: \{"place":1,"x":2\}$/,
		],
		["an error that is nothing", "{{ error(null) }}", 1, /^for 9\/Dockerfile: null$/],
		["halt_error", '{{ "the end" | halt_error }}', 1, /^for 9\/Dockerfile: the end$/],
		["text and a number", "a{{ 1 }}", undefined, /string \("a"\) and number \(1\) cannot be added/],
	])("%s", async (_, template, line, message) => {
		await expect(render(template)).rejects.toEqual(error(line, message));
	});

	test("the file that failed is the one that is named", async () => {
		const failing = evaluate({
			file: "t",
			text: '{{ .version | ltrimstr("9") | tonumber | tostring }}',
			modules: [],
			variables: ["version"],
			document: '{"a": {"version": "91"}, "b": {"version": "9x\\u001b"}}',
			environments: ["a", "b", "a"].map((version) => ({ of: `${version}\u0007/Dockerfile`, env: { version } })),
		});
		await expect(failing).rejects.toMatchObject({
			message: expect.stringMatching(/^for b\\u\{7\}\/Dockerfile: /),
			at: { file: "t", line: 1 },
		});
	});
});

describe("the same everywhere and always", () => {
	const unknown = unknownFunctions.map((signature) => signature.replace("/1", '("%Y")'));

	test.each([...unknown, "$__loc__"])("%s is not known", async (name) => {
		await expect(render(`\n{{ 0 | ${name} }}`)).rejects.toEqual(error(2, /is not known in a template$/));
	});

	test("what is in a branch that is not taken does no harm", async () => {
		expect(await render(`{{ if false then ${unknown.join(", ")} else "x" end }}`)).toBe("x\n");
	});

	test("what only prints is left out", async () => {
		expect(await render('{{ .version | debug | debug("x") | stderr }}')).toBe("9.1\n");
	});

	test("env is what is declared", async () => {
		const template = "{{ [env, $ENV] | @json }}\n{{ def f: env.variant -}}\n{{ f }}\n";
		const env = { version: "10", variant: "x" };
		expect(await render(template, { env })).toBe(`${JSON.stringify([env, env])}\nx\n`);
	});

	test.each([
		"env.varient",
		"$ENV.variants",
		'env["varient"]',
		'env."Version"',
		'$ENV.["versio"]',
		"def f: env.varian",
	])("%s is taken for a mistake", async (name) => {
		await expect(render(`\n{{ ${name} }}`)).rejects.toEqual(error(2, /is not declared$/));
	});

	test("another name is null, also where this process has it, and a name of a key or field is none", async () => {
		expect(await render('{{ [env.PATH, $ENV["HOME"], {varient: .}.varient.version, .env.varient] | @json }}\n')).toBe(
			'[null,null,"9.1",null]\n',
		);
	});

	test("the name that is nearly right is said", async () => {
		await expect(render("{{ env.varient }}")).rejects.toMatchObject({
			hint: "Did you mean variant? Declared under templates.env are: version, variant.",
		});
	});
});

describe("hostile templates", () => {
	test("a template that renders too much is refused", async () => {
		await expect(render('{{ "x" * 9000000 }}')).rejects.toMatchObject({
			message: expect.stringContaining("8388608 characters"),
		});
	});

	test("what eats memory says which template it was", async () => {
		const evaluation: Evaluation = {
			file: "Dockerfile.template",
			text: "{{ [range(1e9)] }}",
			modules: [],
			variables: [],
			document: "{}",
			environments: [{ of: "Dockerfile", env: {} }],
		};
		await expect(sandboxed("template", evaluation)).rejects.toMatchObject({
			code: "limit",
			at: { file: "Dockerfile.template" },
		});
	});

	test("an expression cannot leave its parentheses", async () => {
		await expect(render("{{ 1) + (2 }}")).rejects.toEqual(error(1, /closes nothing in this expression$/));
		await expect(render("{{ ) ] | repeat(1) | [ ( }}")).rejects.toEqual(error(1, /closes/));
	});

	test("a program's lines are known as those of the template", () => {
		const compiled = compileTemplate({ file: "t", text: "a\n{{ b\n# c\n }}\n", modules: new Map(), variables: [] });
		const lines = compiled.program.split("\n");
		expect(compiled.places).toHaveLength(lines.length);
		const at = (text: string) => compiled.places[lines.findIndex((line) => line.includes(text))]?.line;
		expect([at('"a\\n"'), at("(b"), at("# c"), at('"\\n"')]).toEqual([1, 2, 3, 4]);
	});
});
