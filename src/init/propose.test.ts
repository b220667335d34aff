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
