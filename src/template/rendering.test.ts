import posix from "node:path/posix";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseFile, type ImageConfig } from "../config/index.ts";
import type { RepositoryFile, RepositoryFiles } from "../matrix/index.ts";
import { openJq } from "../sandbox/jq.ts";
import { changesTo } from "./changes.ts";
import { renderAll, type Rendering } from "./rendering.ts";

const seed = Number(process.env["FC_SEED"] ?? 1);
const jq = openJq({ memoryLimit: 256 * 1024 * 1024 });
const context = { jq: async () => jq, at: () => undefined };

const base = `
  image: demo
  header: { repository: https://example.com/demo, self: generate.sh, maintainers: ["A <a@example.com> (@a)"] }
  aliases: { list: ["{version}"] }
  tags: [""]
`;

/** The configuration of an image with these lines below `images`. */
function configOf(more: string): ImageConfig {
	const { images } = parseFile(`images:${base}${more.replace(/^(?=.)/gm, "  ")}`, "brewline.yaml");
	return images[0]!;
}

type Files = Readonly<Record<string, string | RepositoryFile>>;

function filesOf(files: Files): RepositoryFiles {
	const entries = Object.entries(files).sort(([a], [b]) => (a < b ? -1 : 1));
	return {
		source: "a test",
		files: new Map(
			entries.map(([path, file]) => [path, typeof file === "string" ? { mode: "file", text: file } : file]),
		),
	};
}

interface Given {
	readonly config: string;
	readonly files: Files;
	readonly versions?: readonly string[];
}

function rendered({ config, files, versions }: Given): Promise<Rendering> {
	const given = versions === undefined ? {} : { versions };
	return renderAll({ config: configOf(config), files: filesOf(files), today: "2026-01-02", ...given }, context);
}

/** The text of each file, without the header. */
async function texts(given: Given): Promise<Readonly<Record<string, string>>> {
	const { files } = await rendered(given);
	return Object.fromEntries(files.map(({ path, text }) => [path, text.replace(/^#\n(?:#.*\n)*\n/, "")]));
}

const executable = (text: string): RepositoryFile => ({ mode: "executable", text });
const link = (text: string): RepositoryFile => ({ mode: "link", text });

const versions = JSON.stringify({
	"3.1": { version: "3.1.4", variants: ["trixie/cli", "alpine3.24/fpm"] },
	"3.0": { version: "3.0.9", variants: ["trixie/cli"] },
	"2.9": null,
	"3.2-rc": { version: "3.2.0-rc1", variants: [] },
});
const matrix = `
matrix: { path: [ { path: [variants] } ] }
split: { path: "^(?<suite>[^/]+)/(?<variant>[^/]+)$" }
`;

describe("rules", () => {
	const files = {
		"versions.json": versions,
		"Dockerfile-linux.template": "FROM {{ env.suite }}\nENV V {{ .version }} {{ env.variant }}\n",
		"Dockerfile-alpine.template": "FROM alpine:{{ env.release }}\n",
	};

	test("the first that matches gives the template and the name of what comes of it", async () => {
		const config = `${matrix}
templates:
  vars: { release: { value: "{suite}", capture: "^alpine(.*)$" } }
  env: { version: "{version}", suite: "{suite}", variant: "{variant}", release: "{release}" }
  rules:
    - { if: { suite: "alpine*" }, template: Dockerfile-alpine.template, output: "Dockerfile.{variant}" }
    - { template: Dockerfile-linux.template }
`;
		expect(await texts({ config, files })).toEqual({
			"3.0/trixie/cli/Dockerfile": "FROM trixie\nENV V 3.0.9 cli\n",
			"3.1/alpine3.24/fpm/Dockerfile.fpm": "FROM alpine:3.24\n",
			"3.1/trixie/cli/Dockerfile": "FROM trixie\nENV V 3.1.4 cli\n",
		});
	});

	test("where none matches, that is an error", async () => {
		const config = `${matrix}
templates: { rules: [ { if: { suite: "alpine*" }, template: Dockerfile-alpine.template } ] }
`;
		await expect(rendered({ config, files })).rejects.toMatchObject({
			code: "config",
			message: "no rule of templates.rules is for 3.1/trixie/cli/Dockerfile",
		});
	});

	test.each([
		["is not there", { ...files, "Dockerfile-linux.template": undefined }],
		["is a link", { ...files, "Dockerfile-linux.template": link("/etc/passwd") }],
		["is too large", { ...files, "Dockerfile-linux.template": { mode: "file", text: null } as const }],
	])("a template that %s", async (why, given) => {
		const present = Object.fromEntries(Object.entries(given).filter(([, file]) => file !== undefined)) as Files;
		const config = "matrix: {}\ntemplates: { rules: [ { template: Dockerfile-linux.template } ] }\n";
		await expect(rendered({ config, files: present })).rejects.toMatchObject({
			code: "template",
			message: `the template Dockerfile-linux.template ${why}`,
		});
	});

	test("one that is not UTF-8 is refused", async () => {
		const config = "templates: { rules: [ { template: t } ] }\n";
		await expect(rendered({ config, files: { "versions.json": '{"1": {}}', t: "\udcff" } })).rejects.toMatchObject({
			code: "template",
			message: "the template t is not UTF-8",
		});
	});

	test("conditions and what must exist leave entries out", async () => {
		const config = `
matrix: { variant: [oracle, debian, ""] }
directory: "{version}"
file: "Dockerfile.{variant}"
templates:
  if: { not: { variant: "" } }
  exists: { path: ["{variant}", version] }
  rules: [ { template: "Dockerfile.{variant}" } ]
`;
		const data = { "8": { oracle: { version: "8.1" }, debian: { version: "" } }, "9": { debian: { version: "9.0" } } };
		const given = {
			"versions.json": JSON.stringify(data),
			"Dockerfile.oracle": "O {{ .oracle.version }}\n",
			"Dockerfile.debian": "D {{ .debian.version }}\n",
		};
		expect(await texts({ config, files: given })).toEqual({
			"8/Dockerfile.oracle": "O 8.1\n",
			"9/Dockerfile.debian": "D 9.0\n",
		});
	});

	test("superseded prereleases are rendered too, what is dropped, and entries without a Dockerfile", async () => {
		const config = "versions: { drop: [ { if: { version: '1' } } ] }\ntemplates: { rules: [ { template: t } ] }\n";
		const data = '{"2-rc": {"version": "2.0-rc1"}, "2": {"version": "2.0"}, "1": {"version": "1.0"}}';
		expect(await texts({ config, files: { "versions.json": data, t: "{{ .version }}\n" } })).toEqual({
			"1/Dockerfile": "1.0\n",
			"2-rc/Dockerfile": "2.0-rc1\n",
			"2/Dockerfile": "2.0\n",
		});
	});
});

describe("env", () => {
	test("is the version and the axes where nothing is declared", async () => {
		const config = `matrix: { variant: ["", alpine] }
templates: { rules: [ { template: t } ] }
`;
		expect(await texts({ config, files: { "versions.json": '{"1": {}}', t: "{{ env | @json }}\n" } })).toEqual({
			"1/Dockerfile": '{"version":"1","variant":""}\n',
			"1/alpine/Dockerfile": '{"version":"1","variant":"alpine"}\n',
		});
	});

	test("has no variable whose value is nothing, and lists of files by name", async () => {
		const config = `
templates:
  env: { name: "{version}!", none: "{doc.missing}", patches: { files: "{version}/*.patch" } }
  rules: [ { template: t } ]
  clean: false
`;
		const files = {
			"versions.json": '{"1": {}, "2": {}}',
			t: "{{ env | @json }}\n",
			"1/b.patch": "",
			"1/a.patch": "",
			"1/c.txt": "",
			"1/deep/d.patch": "",
			"1/e.patch": link("a.patch"),
		};
		expect(await texts({ config, files })).toEqual({
			"1/Dockerfile": '{"name":"1!","patches":"a.patch\\nb.patch"}\n',
			"2/Dockerfile": '{"name":"2!","patches":""}\n',
		});
	});

	test("a * in a value is no pattern", async () => {
		const config = `
matrix: { variant: ["*", a] }
directory: "{version}"
file: "Dockerfile.{variant}"
templates: { env: { files: { files: "x/{variant}" }, all: { files: "x/*" } }, rules: [ { template: t } ], clean: false }
`;
		const files = { "versions.json": '{"1": {}}', t: "{{ env | @json }}\n", "x/a": "", "x/b": "" };
		expect(await texts({ config, files })).toEqual({
			"1/Dockerfile.*": '{"files":"","all":"a\\nb"}\n',
			"1/Dockerfile.a": '{"files":"a","all":"a\\nb"}\n',
		});
	});
});

describe("the header", () => {
	const files = { "versions.json": '{"1": {}}', t: "FROM a\n" };
	test("is that of the existing scripts, or another, or none", async () => {
		const header = async (line: string): Promise<string> => {
			const config = `templates: { ${line} rules: [ { template: t } ] }\n`;
			return (await rendered({ config, files })).files[0]!.text;
		};
		expect(await header("")).toBe(
			'#\n# NOTE: THIS DOCKERFILE IS GENERATED VIA "apply-templates.sh"\n#\n# PLEASE DO NOT EDIT IT DIRECTLY.\n#\n\nFROM a\n',
		);
		expect(await header('header: "# {version}\\n",')).toBe("# {version}\nFROM a\n");
		expect(await header('header: "",')).toBe("FROM a\n");
	});
});

describe("copies", () => {
	const source = {
		"versions.json": '{"1": {}, "2": {}}',
		t: "\n",
		"entry.sh": executable("exec php $php ' php '\n"),
		"conf.d/b.conf": "b\n",
		"conf.d/a.conf": "a\n",
		"conf.d/deep/c.conf": "c\n",
		binary: "\udcff\0\n",
	};
	const copies = (rules: string) => `vars: { cmd: { map: { "1": fpm, "2": "$&$1" } } }
templates: { rules: [ { template: t } ], copy: ${rules} }
`;

	test("keep content, mode and name, whatever folder they are from", async () => {
		const { files } = await rendered({
			config: copies('[ { files: [entry.sh, "conf.d/*.conf", binary] } ]'),
			files: source,
		});
		expect(files.filter(({ path }) => path.startsWith("1/"))).toEqual([
			{ path: "1/Dockerfile", text: expect.any(String), executable: false, source: "t" },
			{ path: "1/a.conf", text: "a\n", executable: false, source: "conf.d/a.conf" },
			{ path: "1/b.conf", text: "b\n", executable: false, source: "conf.d/b.conf" },
			{ path: "1/binary", text: "\udcff\0\n", executable: false, source: "binary" },
			{ path: "1/entry.sh", text: "exec php $php ' php '\n", executable: true, source: "entry.sh" },
		]);
	});

	test("may have another name, and text replaced, for some only", async () => {
		const config = copies(
			`[ { files: [entry.sh], as: bin/start, replace: [ { from: " php ", to: " {cmd} " }, { from: fpm, to: x } ] }, { if: { version: "2" }, files: [binary] } ]`,
		);
		const { "1/bin/start": first, "2/bin/start": second, ...rest } = await texts({ config, files: source });
		expect([first, second]).toEqual(["exec x $php ' x '\n", "exec $&$1 $php ' $&$1 '\n"]);
		expect(Object.keys(rest)).toEqual(["1/Dockerfile", "2/Dockerfile", "2/binary"]);
	});

	test.each([
		["a file that is not there", "[ { files: [missing] } ]", "templates.copy.0: there is no file missing"],
		["a pattern that matches nothing", '[ { files: ["*.x"] } ]', "templates.copy.0: there is no file *.x"],
		["a link", "[ { files: [linked] } ]", "templates.copy.0: there is no file linked"],
		[
			"several under one name",
			'[ { files: ["conf.d/*.conf"], as: x } ]',
			"templates.copy.0: 2 files cannot all have the one name that as gives",
		],
		["a file that is too large", "[ { files: [large] } ]", "templates.copy.0: large is too large to be copied"],
		[
			"the name of what is rendered",
			"[ { files: [entry.sh], as: Dockerfile } ]",
			"2/Dockerfile would be written twice, with different content",
		],
		[
			"one name for two files",
			"[ { files: [entry.sh], as: x }, { files: [binary], as: x } ]",
			"2/x would be written twice, with different content",
		],
		[
			"a name without a value",
			'[ { files: [entry.sh], as: "{doc.x}" } ]',
			"templates.copy.0.as: a name in it has no value for 2/Dockerfile",
		],
	])("%s", async (_, rules, message) => {
		const files = { ...source, linked: link("entry.sh"), large: { mode: "file", text: null } as const };
		await expect(rendered({ config: copies(rules), files })).rejects.toMatchObject({ code: "config", message });
	});
});

describe("what is deleted", () => {
	const config = "templates: { rules: [ { template: t } ]MORE }\n";
	const files = {
		"versions.json": '{"1.0": {}, "2.0": null, "3/x": {}}',
		t: "\n",
		"1.0/Dockerfile": "old\n",
		"1.0/old/file": "",
		"1.0/linked": link("../.."),
		"1.0-other/file": "",
		"2.0/Dockerfile": "",
		"2.0/deep/er": "",
		"3/x/y": "",
		"3/z": "",
		"4.0/Dockerfile": "",
		other: "",
	};
	const deleted = async (more: string, versions?: string[]): Promise<readonly string[]> =>
		(await rendered({ config: config.replace("MORE", more), files, ...(versions === undefined ? {} : { versions }) }))
			.deleted;

	test("is all in the folders of versions, of those that are null too, but nothing else", async () => {
		expect(await deleted("")).toEqual(["1.0/linked", "1.0/old/file", "2.0/Dockerfile", "2.0/deep/er", "3/x/y"]);
	});

	test("is nothing where the key of what is null is no folder", async () => {
		const data = '{"1.0": {}, "": null, ".": null, "../x": null, ".git": null}';
		const given = { ...files, "versions.json": data, ".git/config": "" };
		const { deleted: gone } = await rendered({ config: config.replace("MORE", ""), files: given });
		expect(gone).toEqual(["1.0/linked", "1.0/old/file"]);
	});

	test("is nothing of what is kept", async () => {
		expect(await deleted(", keep: [old, deep/er]")).toEqual(["1.0/linked", "2.0/Dockerfile", "3/x/y"]);
	});

	test("is nothing where nothing is cleaned", async () => {
		expect(await deleted(", clean: false")).toEqual([]);
	});

	test("is of the versions that are rendered", async () => {
		expect(await deleted("", ["2.0"])).toEqual(["2.0/Dockerfile", "2.0/deep/er"]);
		expect(await deleted("", ["3/x"])).toEqual(["3/x/y"]);
		await expect(deleted("", ["1.1"])).rejects.toMatchObject({ code: "reference", hint: "Did you mean 1.0?" });
	});

	test("is never all, for a path that finds no entry in any version", async () => {
		const slip = `matrix: { variant: [ { path: varients } ] }\n${config}`;
		const given = { ...files, "versions.json": '{"1.0": {"variants": ["a"]}, "2.0": null}' };
		await expect(rendered({ config: slip.replace("MORE", ""), files: given })).rejects.toMatchObject({
			code: "config",
			message: "no entry is left of demo",
			hint: "1.0: it has no values there (matrix.variant).",
		});
		const none = { ...files, "versions.json": '{"2.0": null}' };
		expect((await rendered({ config: slip.replace("MORE", ""), files: none })).deleted).toEqual([
			"2.0/Dockerfile",
			"2.0/deep/er",
		]);
	});

	test("is of the entries' directories where these are elsewhere, and never the repository", async () => {
		const elsewhere = (directory: string) => `directory: "${directory}"
templates: { rules: [ { template: t } ] }
`;
		const given = { "versions.json": '{"1": {}}', t: "\n", "images/1/x": "", "images/y": "", "1/z": "" };
		expect((await rendered({ config: elsewhere("images/{version}"), files: given })).deleted).toEqual(["images/1/x"]);
		await expect(rendered({ config: elsewhere(""), files: given })).rejects.toMatchObject({
			code: "config",
			hint: "Write clean: false, so that nothing is deleted there.",
		});
	});
});

describe("paths", () => {
	const given = (file: string, data = "{}"): Given => ({
		config: `file: "${file}"\ntemplates: { clean: false, rules: [ { template: t, output: "{doc.name}" } ] }\n`,
		files: { "versions.json": `{"1": ${data}}`, t: "\n" },
	});

	test.each([
		"../x",
		"/etc/x",
		"a/../../x",
		".",
		"",
		"a//b",
		".git/hooks/pre-commit",
		"x/.GIT/config",
		".git./config",
		".g\u200cit/hooks/pre-commit",
		"GIT~1/hooks/pre-commit",
		".git::$INDEX_ALLOCATION/hooks/pre-commit",
		"a\\\\b",
		"a\\u0000b",
		"a\\nb",
	])("%j is none that may be written to", async (name) => {
		await expect(rendered(given("Dockerfile", `{"name": "${name}"}`))).rejects.toMatchObject({
			code: "config",
			message: expect.stringContaining("is no path that may be written to"),
		});
	});

	test("whatever names stand for, nothing is planned outside of the repository or in what is git's", async () => {
		const part = fc.oneof(
			fc.constantFrom("..", ".", "/", "\\", ".git", ".GIT", "\0", "a", "a/b", "../x", "//", "C:", "\n", "*", "{", " "),
			fc.string({ maxLength: 4 }),
		);
		const name = fc.array(part, { maxLength: 4 }).map((parts) => parts.join(""));
		await fc.assert(
			fc.asyncProperty(name, name, async (output, as) => {
				const { paths, code } = await rendered({
					config: `templates:
  clean: false
  rules: [ { template: t, output: "{doc.output}" } ]
  copy: [ { files: [t], as: "x/{doc.as}" } ]
`,
					files: { "versions.json": JSON.stringify({ "1": { output, as } }), t: "\n" },
				}).then(
					({ files }) => ({ paths: files.map(({ path }) => path), code: "" }),
					(error: { readonly code?: string }) => ({ paths: [], code: error.code }),
				);
				for (const path of paths) {
					expect(posix.normalize(path)).toBe(path);
					expect(path.startsWith("1/")).toBe(true);
					expect(path).not.toMatch(/[\\\p{Cc}]|\/\.git(?:\/|$)/iu);
				}
				// Where there are none, a name cannot be used.
				expect(code).toBe(paths.length > 0 ? "" : "config");
			}),
			{ seed, numRuns: 300 },
		);
	});

	test("two entries with one path", async () => {
		const config = `matrix: { variant: [a, b] }
directory: "{version}"
templates: { rules: [ { template: t } ] }
`;
		await expect(rendered({ config, files: { "versions.json": '{"1": {}}', t: "\n" } })).rejects.toMatchObject({
			code: "config",
			message: "1/Dockerfile would be written twice, with different content",
		});
	});
});

describe("changes", () => {
	const files = filesOf({
		same: "a",
		other: "a",
		mode: executable("a"),
		old: "",
		linked: link("a"),
		folder: link("elsewhere"),
		file: "a",
		"x.brewline-unfinished": "",
	});
	const file = (path: string, text = "a") => ({ path, text, executable: false, source: "t" });

	test("are what differs", () => {
		const rendering: Rendering = {
			files: ["same", "mode", "linked", "new"].map((path) => file(path)).concat(file("other", "b")),
			deleted: ["old"],
		};
		expect(changesTo(files, [rendering]).map(({ path, kind }) => `${kind} ${path}`)).toEqual([
			"updated linked",
			"mode mode",
			"created new",
			"deleted old",
			"updated other",
			"deleted x.brewline-unfinished",
		]);
	});

	test("and files stand in the order of their bytes", async () => {
		const names = ["x\u{10000}", "x\uffff", "W", "x/a"];
		const rendering: Rendering = { files: names.map((path) => file(path)), deleted: ["same"] };
		const { files: given } = await rendered({
			config: `matrix: { v: ${JSON.stringify(names)} }\nfile: "{v}"\ndirectory: a\ntemplates: { rules: [ { template: t } ] }\n`,
			files: { "versions.json": '{"1": {}}', t: "\n" },
		});
		const order = ["W", "x/a", "x\uffff", "x\u{10000}"];
		expect(changesTo(filesOf({ same: "" }), [rendering]).map(({ path }) => path)).toEqual([
			"W",
			"same",
			...order.slice(1),
		]);
		expect(given.map(({ path }) => path)).toEqual(order.map((name) => `a/${name}`));
	});

	test("go through no link and no file, unless it is deleted before", () => {
		for (const path of ["folder/x", "file/x/y"]) {
			const parent = path.split("/")[0]!;
			expect(() => changesTo(files, [{ files: [file(path)], deleted: [] }])).toThrow(
				expect.objectContaining({ code: "template", message: `${path} cannot be written: ${parent} is no folder` }),
			);
			expect(changesTo(files, [{ files: [file(path)], deleted: [parent] }])).toHaveLength(3);
		}
		expect(() => changesTo(files, [{ files: [file("n"), file("n/x")], deleted: [] }])).toThrow("n is no folder");
	});

	test.each([
		["case", "a/Dockerfile", "a/dockerfile"],
		["the case of a folder", "A/x", "a/x"],
		["Unicode normalization", "caf\u00e9", "cafe\u0301"],
	])("of paths that differ in %s alone are refused", (_, one, two) => {
		expect(() => changesTo(files, [{ files: [file(one), file(two)], deleted: [] }])).toThrow(
			expect.objectContaining({
				code: "config",
				message: expect.stringContaining(`${one} and ${two} differ in case or`),
			}),
		);
		const [first, second] = [one, two].map((path): Rendering => ({ files: [file(path)], deleted: [] }));
		expect(() => changesTo(files, [first!, second!])).toThrow("one would overwrite the other");
		expect(() => changesTo(files, [first!])).not.toThrow();
		expect(() => changesTo(files, [{ files: [file(one), file(`${two}/x`)], deleted: [] }])).toThrow("is no folder");
	});

	test("of two images keep what either has", () => {
		const one: Rendering = { files: [file("same")], deleted: ["other", "old"] };
		const two: Rendering = { files: [file("other")], deleted: ["same"] };
		expect(changesTo(files, [one, two]).map(({ path }) => path)).toEqual(["old", "x.brewline-unfinished"]);
		expect(() => changesTo(files, [one, one])).toThrow("same is rendered for two images");
	});
});
