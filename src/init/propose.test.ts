import { describe, expect, it } from "vitest";
import {
	composed,
	filesOf,
	imageConfig,
	parentDefinition,
	type TestFiles,
} from "../../test/support/image-repository.ts";
import type { ImageConfig } from "../config/index.ts";
import { nodeIo } from "../io/index.ts";
import { compareDefinitions } from "./compare.ts";
import { propose } from "./propose.ts";
import { readPublished } from "./published.ts";
import { proposeTemplates } from "./templates.ts";

const definitions = {
	os: parentDefinition(["trixie", "amd64, arm32v5, arm64v8, s390x"]),
	small: parentDefinition(["3.24", "amd64, arm32v6, arm64v8"]),
};
const variants = ["trixie", "alpine3.24", "windows/windowsservercore-ltsc2025", "windows/nanoserver-ltsc2025"];
const data = (version: string): object => ({
	version,
	variants,
	arches: {
		amd64: { url: "a" },
		arm32v6: { url: "b" },
		arm64v8: { url: "c" },
		s390x: { url: null },
		"windows-amd64": { url: "d" },
	},
});
const library: TestFiles = {
	"versions.json": { "1.3": data("1.3.0"), "1.2": data("1.2.4") },
	...Object.fromEntries(
		["1.3", "1.2"].flatMap((version) =>
			["FROM os:trixie\n", "FROM small:3.24\n", "FROM scratch\n", "FROM scratch\n"].map((text, index) => [
				`${version}/${variants[index]!}/Dockerfile`,
				text,
			]),
		),
	),
};

async function proposed(
	meant: string,
	files: TestFiles = library,
): Promise<{ readonly made: string; readonly wanted: string; readonly config: ImageConfig }> {
	const wanted = composed(imageConfig(meant), files, { definitions }).text;
	const proposed = propose({
		image: "app",
		files: filesOf(files),
		today: "2026-01-02",
		published: readPublished(wanted, "app"),
	});
	const config = await proposed(async (image) => await Promise.resolve((definitions as Record<string, string>)[image]));
	return { config, wanted, made: composed(config, files, { definitions }).text };
}

const meant = `
aliases: { list: ["{full}", "{version}", { alias: latest, once: true }] }
matrix: { path: [ { path: variants } ] }
split: { path: "^(?<dir>.*/)?(?<variant>[^/]+)$" }
vars: { release: { value: "{variant}", capture: "-(ltsc[0-9]+)$" } }
tags: ["{variant}"]
sharedTags: [ { suffix: "", if: { variant: [trixie, "windowsservercore-*"] } } ]
architectures:
  - { if: { path: "windows/*" }, static: [windows-amd64] }
  - { parents: [from], intersect: [ { path: arches, where: url } ] }
constraints:
  - { value: "{variant}", if: { path: "windows/*" } }
  - { value: "windowsservercore-{release}", if: { variant: "nanoserver-*" } }
builder: [ { value: classic, if: { path: "windows/*" } } ]
`;

describe("propose", () => {
	it("finds parents, what upstream supports, constraints and builders", async () => {
		const { made, wanted, config } = await proposed(meant);
		expect(made).toBe(wanted);
		expect(config).toMatchObject({
			architectures: [
				{ static: ["windows-amd64"] },
				{ parents: ["from"], intersect: [{ path: ["arches"], where: "url" }] },
			],
			builder: [{ value: "classic" }],
		});
	});

	it("prefers parents to lists of architectures, where both give the same", async () => {
		const rules = `
aliases: { list: ["{full}", "{version}", { alias: latest, once: true }] }
matrix: { variant: [trixie, alpine3.24, alpine3.23] }
tags: ["{variant}"]
architectures: [ { if: { variant: "alpine*" }, static: [amd64] }, { parents: [from] } ]
`;
		const alike = await proposed(rules, {
			"versions.json": { "1.3": { version: "1.3.0" }, "1.2": { version: "1.2.4" }, "1.1": { version: "1.1.4" } },
			...Object.fromEntries(
				["1.3", "1.2", "1.1"].flatMap((version) => [
					[`${version}/trixie/Dockerfile`, "FROM os:trixie\n"],
					[`${version}/alpine3.24/Dockerfile`, version === "1.1" ? "FROM os:trixie\n" : "FROM small:3.24\n"],
					[`${version}/alpine3.23/Dockerfile`, "FROM small:3.24\n"],
				]),
			),
		});
		expect(alike.made).toBe(alike.wanted);
		// More entries have this list than what their parents have; yet only what they keep is written down.
		expect(alike.config).toMatchObject({ excludeArchitectures: [{ only: ["amd64"], if: { variant: "alpine*" } }] });
		expect(alike.config).not.toHaveProperty("architectures");
	});

	it("keeps what only one version may have from prereleases, also where none is published", async () => {
		const { made, wanted, config } = await proposed(meant);
		expect(made).toBe(wanted);
		expect(config).toMatchObject({
			aliases: { list: ["{full}", "{version}", { alias: "latest", once: true, if: { stable: "true" } }] },
		});
	});

	it("does so beside versions that it leaves out by name", async () => {
		const versions = { tip: { version: "tip" }, "1.3": { version: "1.3.0" }, "1.2": { version: "1.2.4" } };
		const { made, wanted, config } = await proposed(
			`
aliases: { list: ["{full}", "{version}", { alias: "{seriesMajor}", once: true, if: { not: { version: tip } } }] }
versions: { order: file }
tags: [""]
architectures: [ { static: [amd64, arm64v8] } ]
`,
			{
				"versions.json": versions,
				...Object.fromEntries(Object.keys(versions).map((version) => [`${version}/Dockerfile`, "FROM scratch\n"])),
			},
		);
		expect(made).toBe(wanted);
		expect(config.aliases.list.at(-1)).toMatchObject({ alias: "{seriesMajor}", once: true, if: { stable: "true" } });
	});

	it("takes what lies below a variant for something added to it, for tags and for templates", async () => {
		const nested = ["os", "os/extra", "small", "small/extra"];
		const template = "FROM {{ env.variant }}\nENV V {{ .version }}\n";
		const committed: TestFiles = {
			"versions.json": { "1.3": { version: "1.3.0" }, "1.2": { version: "1.2.4" } },
			"Dockerfile.template": template,
			...Object.fromEntries(
				[["1.3", "1.3.0"] as const, ["1.2", "1.2.4"] as const].flatMap(([version, full]) =>
					nested.map((path) => [`${version}/${path}/Dockerfile`, `FROM ${path.split("/")[0]}\nENV V ${full}\n`]),
				),
			),
		};
		const { made, wanted, config } = await proposed(
			`
aliases: { list: ["{full}", "{version}"] }
matrix: { variant: [os, small], added: ["", extra] }
tags: [ { suffix: "{added}", if: { variant: os } }, { suffix: "{variant}", if: { added: "", not: { variant: os } } }, { suffix: "{added}-{variant}", if: { added: extra, variant: small } } ]
architectures: [ { static: [amd64, arm64v8] } ]
`,
			committed,
		);
		expect(made).toBe(wanted);
		expect(config).toMatchObject({ split: { path: "^(?<variant>[^/]+)(?:/(?<added>.+))?$" } });
		const found = await proposeTemplates(config, filesOf(committed), { today: "2026-01-02", io: nodeIo() });
		expect(found).toMatchObject({ files: 8, equal: 8, templates: { env: { variant: "{variant}" } } });
	});

	it("reads full versions from what Dockerfiles set, wherever in an ENV, and with a v before them", async () => {
		const dockerfile = (value: string): string => `FROM os:trixie\nENV APP_HOME=/app \\\n    APP_VERSION=${value}\n`;
		const rules = `
versions: { directories: true, full: { dockerfile: "{version}/Dockerfile", env: APP_VERSION, capture: "([0-9].*)" } }
aliases: { list: ["{full}", "{version}"] }
tags: [""]
`;
		for (const [prefix, capture] of [
			["", {}],
			["v", { capture: "^v(.+)" }],
		] as const) {
			const { made, wanted, config } = await proposed(rules, {
				"1.3/Dockerfile": dockerfile(`${prefix}1.3.0`),
				"1.2/Dockerfile": dockerfile(`${prefix}1.2.4`),
			});
			expect(made).toBe(wanted);
			expect(config.versions).toMatchObject({
				full: { dockerfile: "{version}/Dockerfile", env: "APP_VERSION", ...capture },
			});
			expect(config.aliases).toEqual({ list: ["{full}", "{version}"] });
		}
	});

	it("takes the folder that several images of a repository lie in for a part of the versions", async () => {
		const { made, wanted, config } = await proposed(
			`
versions: { list: [app/1.3, app/1.2], order: file, full: { dockerfile: "{version}/Dockerfile", env: V } }
aliases: { list: ["{full}", "{basename}", { alias: latest, once: true }] }
matrix: { variant: ["", slim] }
tags: ["{variant}"]
`,
			Object.fromEntries(
				["1.3", "1.2"].flatMap((version) =>
					["", "/slim"].map((variant) => [
						`app/${version}${variant}/Dockerfile`,
						`FROM os:trixie\nENV V ${version}.1\n`,
					]),
				),
			),
		);
		expect(made).toBe(wanted);
		expect(config.versions).toMatchObject({
			list: ["app/1.3", "app/1.2"],
			full: { dockerfile: "{version}/Dockerfile", env: "V" },
		});
	});

	it("keeps the order of versions that no file has in their list alone", async () => {
		const { made, wanted, config } = await proposed(
			`versions: { list: [jdk8, jdk8-small, jdk11], order: file }\naliases: { list: ["{version}"] }\ntags: [""]\n`,
			Object.fromEntries(["jdk8", "jdk8-small", "jdk11"].map((name) => [`${name}/Dockerfile`, "FROM os:trixie\n"])),
		);
		expect(made).toBe(wanted);
		expect(config.versions).toEqual({ list: ["jdk8", "jdk8-small", "jdk11"], order: "file" });
	});

	it("makes no alias of two parts of one version that are equal by chance", async () => {
		const { config } = await proposed(
			`versions: { directories: true }\naliases: { list: ["{version}"], extra: { "2.11": [2.11.2] } }\ntags: [""]\n`,
			{ "2.11/Dockerfile": "FROM os:trixie\n" },
		);
		expect(config.aliases).toEqual({ list: ["{version}"], extra: { "2.11": ["2.11.2"] } });
	});

	it("gives latest to one version, also where there is but one", async () => {
		const { made, wanted, config } = await proposed(`aliases: { list: ["{full}", latest] }\ntags: [""]\n`, {
			"versions.json": { "6": { version: "6.1.0" } },
			"6/Dockerfile": "FROM os:trixie\n",
		});
		expect(made).toBe(wanted);
		expect(config.aliases.list.at(-1)).toEqual({ alias: "latest", once: true, if: { stable: "true" } });
	});

	it("finds the rules of tags that are written alias by alias", async () => {
		const files: TestFiles = {
			"versions.json": { "6": { version: "6.1.0", variants: ["trixie", "small3.24"] } },
			"6/trixie/Dockerfile": "FROM os:trixie\n",
			"6/small3.24/Dockerfile": "FROM small:3.24\n",
		};
		const rules = `
aliases: { list: ["{full}", "{version}", latest] }
matrix: { variant: [ { path: variants } ] }
tags: ["{variant}", { suffix: "", if: { variant: trixie } }, { suffix: small, if: { variant: "small*" } }]
`;
		const bySuffix = composed(imageConfig(rules), files, { definitions }).text;
		const byAlias = bySuffix
			.replace(/^Tags: 6.1.0-trixie.*/m, "Tags: 6.1.0-trixie, 6.1.0, 6-trixie, 6, trixie, latest")
			.replace(/^Tags: 6.1.0-small.*/m, "Tags: 6.1.0-small3.24, 6.1.0-small, 6-small3.24, 6-small, small3.24, small");
		const config = await propose({
			image: "app",
			files: filesOf(files),
			today: "2026-01-02",
			published: readPublished(byAlias, "app"),
		})(async (image) => await Promise.resolve((definitions as Record<string, string>)[image]));
		expect(composed(config, files, { definitions }).text).toBe(bySuffix);
	});

	it("has fields that stand in every entry once, in the header", async () => {
		const rules = `aliases: { list: ["{version}"] }\ntags: [""]\nheader: { repository: "https://git.example.com/app", self: a, comment: "", maintainers: ["A (@a)"], fields: { GitFetch: refs/heads/main } }\n`;
		const files: TestFiles = {
			"versions.json": { "2": {}, "1": {} },
			"2/Dockerfile": "FROM os:trixie\n",
			"1/Dockerfile": "FROM os:trixie\n",
		};
		const wanted = composed(imageConfig(rules), files, { definitions }).text;
		const inEntries = wanted
			.replace(/^GitRepo.*\nGitFetch.*\n/m, "")
			.replaceAll(/^Directory.*$/gm, "$&\nGitRepo: https://git.example.com/app.git\nGitFetch: refs/heads/main");
		const published = readPublished(inEntries, "app");
		const config = await propose({ image: "app", files: filesOf(files), today: "2026-01-02", published })(
			async (image) => await Promise.resolve((definitions as Record<string, string>)[image]),
		);
		expect(config.header).toMatchObject({
			repository: "https://git.example.com/app",
			fields: { GitFetch: "refs/heads/main" },
		});
		const made = readPublished(composed(config, files, { definitions }).text, "app");
		expect(compareDefinitions(published, made)).toMatchObject({ differences: [], bytesOnly: true });
	});

	it("proposes no templates where what is copied alone comes out", async () => {
		const files: TestFiles = {
			"versions.json": { "6": { version: "6.1.0" } },
			"Dockerfile.template": "FROM os:other\n",
			"start.sh": "#!/bin/sh\n",
			"6/Dockerfile": "FROM os:trixie\n",
			"6/start.sh": "#!/bin/sh\n",
		};
		const config = imageConfig(`aliases: { list: ["{full}"] }\ntags: [""]\n`);
		const found = await proposeTemplates(config, filesOf(files), { today: "2026-01-02", io: nodeIo() });
		expect(found).toMatchObject({
			files: 0,
			notes: [expect.stringContaining("no Dockerfile comes out as it is committed") as string],
		});
		expect(found).not.toHaveProperty("templates");
	});

	it("leaves out versions of which nothing is published", async () => {
		const { made, wanted, config } = await proposed(`${meant}versions: { drop: [ { if: { version: "1.2" } } ] }\n`);
		expect(config).toMatchObject({ versions: { drop: [{ if: { version: "1.2" } }] } });
		expect(made).toBe(wanted);
	});
});

describe("compareDefinitions", () => {
	const entry = (tags: string, rest: string): string =>
		`Maintainers: A (@a)\nGitRepo: https://git.example.com/app.git\n\nTags: ${tags}\nGitCommit: ${"a".repeat(40)}\n${rest}\n`;
	const compare = (wanted: string, made: string) =>
		compareDefinitions(readPublished(wanted, "app"), readPublished(made, "app"));

	it("says what is different of an entry, and that nothing is", () => {
		const wanted = entry("1, latest", "Directory: x");
		expect(compare(wanted, wanted)).toEqual({ differences: [], equal: true, bytesOnly: false });
		expect(compare(wanted, wanted.replace("1, latest", "1,  latest"))).toMatchObject({ equal: false, bytesOnly: true });
		expect(compare(wanted, entry("latest, 1", "Directory: x")).differences).toEqual([
			{ entry: "x", what: ["tags in another order"] },
		]);
		expect(compare(wanted, entry("1, 2", "Directory: x\nArchitectures: s390x")).differences).toEqual([
			{
				entry: "x",
				what: [
					"tags missing: latest",
					"tags too many: 2",
					"architectures missing: amd64",
					"architectures too many: s390x",
				],
			},
		]);
		expect(compare(wanted, entry("1, latest", "Directory: y")).differences.map((one) => one.entry)).toEqual(["x", "y"]);
	});
});
