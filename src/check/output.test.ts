import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { dockerProgram } from "../config/index.ts";
import { plainStyle } from "../report/index.ts";
import { annotationsOf } from "./annotations.ts";
import type { Checked } from "./check.ts";
import { rules } from "./rules.ts";
import { sarifOf } from "./sarif.ts";
import { textOf } from "./text.ts";
import type { Finding } from "./types.ts";

fc.configureGlobal({ seed: Number(process.env["FC_SEED"] ?? 1) });

const from: Finding = {
	rule: "from",
	severity: "error",
	image: "app",
	tag: "1.2",
	at: { file: "library/app", line: 6, column: 1 },
	message: "FROM debian:x cannot be built on i386: it has no i386",
	fix: "Take i386 out of Architectures.",
	link: "https://example.org/checks#from",
	details: { from: "debian:x", architectures: ["i386"] },
};
const shellForm: Finding = {
	rule: "shell-form",
	severity: "warning",
	image: "app",
	tag: "1.2",
	at: { file: "library/app", line: 9 },
	source: {
		repository: "https://git.example.com/app.git",
		commit: "0123456789abcdef0123",
		file: "1.2/Docker file",
		line: 3,
	},
	message: "CMD in shell form",
	link: "https://example.org/checks#shell-form",
};
const unused: Finding = {
	rule: "unused-suppression",
	severity: "warning",
	image: "*",
	message: "nothing",
	link: "https://example.org/checks#unused-suppression",
};
const checked: Checked = {
	findings: [from, { ...from, tag: "1.3", at: { file: "library/app", line: 12 } }, shellForm, unused],
	suppressed: [{ finding: { ...from, tag: "1.4" }, reason: "it is meant" }],
};

/** All that a runner, a terminal or a format could take for its own, and what is around it. */
const hostile = fc
	.array(
		fc.constantFrom(
			"::error::x",
			"\n",
			"\r",
			"\r\n",
			"%0A",
			"%",
			",",
			":",
			"::",
			"\u001b[31m",
			"\u202e",
			"\u2028",
			"\ud800",
			"é",
			"[x](http://evil.example)",
			"{0}",
			"}",
			"\\",
			"a",
			" ",
			"\0",
			'"',
			"</script>",
		),
		{ maxLength: 12 },
	)
	.map((parts) => parts.join(""));

function withText(text: string): Checked {
	const finding: Finding = {
		...shellForm,
		image: text,
		tag: text,
		at: { file: text, line: 1 },
		source: { repository: `https://git.example.com/${text}`, commit: text, file: text },
		message: text,
		fix: text,
	};
	return { findings: [finding], suppressed: [{ finding, reason: text }] };
}

describe("annotations", () => {
	test("are commands of the runner, one a line, errors and warnings apart", () => {
		expect(annotationsOf(checked).split("\n")).toEqual([
			"::error file=library/app,line=6,col=1,title=from%3A app%3A1.2::FROM debian:x cannot be built on i386: it has no i386%0ATake i386 out of Architectures.%0Ahttps://example.org/checks#from",
			"::error file=library/app,line=12,title=from%3A app%3A1.3::FROM debian:x cannot be built on i386: it has no i386%0ATake i386 out of Architectures.%0Ahttps://example.org/checks#from",
			"::warning file=library/app,line=9,title=shell-form%3A app%3A1.2::CMD in shell form (1.2/Docker file:3 at 0123456789ab)%0Ahttps://example.org/checks#shell-form",
			"::warning title=unused-suppression%3A *::nothing%0Ahttps://example.org/checks#unused-suppression",
			"",
		]);
		expect(annotationsOf({ findings: [{ ...unused, severity: "note" }] })).toMatch(/^::notice title=/);
	});

	test("hold no text that is another command or property", () => {
		fc.assert(
			fc.property(hostile, (text) => {
				const lines = annotationsOf(withText(text)).split("\n");
				expect(lines.length).toBe(2);
				const [, properties, data] = /^::warning ([^:]*)::(.*)$/.exec(lines[0]!)!;
				expect(properties!.split(",").map((one) => one.split("=")[0])).toEqual(["file", "line", "title"]);
				// oxlint-disable-next-line no-control-regex -- that is what must not be there
				expect(data).not.toMatch(/[\u0000-\u001f\u2028\u202e]|%(?!25|0A)/);
			}),
		);
	});
});

describe("text", () => {
	test("says what is the same once, and counts", () => {
		expect(textOf(checked, plainStyle))
			.toBe(`library/app:6:1: error app:1.2: FROM debian:x cannot be built on i386: it has no i386 [from]
  and in 1 more place
  Take i386 out of Architectures.
library/app:9: warning app:1.2: CMD in shell form (1.2/Docker file:3 at 0123456789ab) [shell-form]
warning *: nothing [unused-suppression]
from: https://example.org/checks#from
shell-form: https://example.org/checks#shell-form
unused-suppression: https://example.org/checks#unused-suppression
2 errors, 2 warnings; 1 suppressed
`);
		expect(textOf({ findings: [from, from, from], suppressed: [] }, plainStyle)).toContain("  and in 2 more places\n");
		expect(textOf({ findings: [], suppressed: [] }, plainStyle)).toBe("nothing found\n");
	});

	test("has no control characters but its own line ends", () => {
		fc.assert(
			fc.property(hostile, (text) => {
				const shown = textOf(withText(text), plainStyle);
				// oxlint-disable-next-line no-control-regex -- that is what must not be there
				expect(shown).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u2028\u202e]/);
				expect(shown.split("\n").length).toBe(5);
			}),
		);
	});
});

interface Log {
	readonly version: string;
	readonly runs: readonly {
		readonly tool: {
			readonly driver: { readonly rules: readonly { readonly id: string; readonly helpUri: string }[] };
		};
		readonly results: readonly {
			readonly ruleId: string;
			readonly ruleIndex: number;
			readonly level: string;
			readonly message: { readonly text: string };
			readonly locations: readonly {
				readonly physicalLocation: { readonly artifactLocation: { readonly uri: string } };
			}[];
			readonly relatedLocations?: readonly {
				readonly physicalLocation: { readonly artifactLocation: { readonly uri: string } };
			}[];
			readonly suppressions?: readonly { readonly kind: string; readonly justification: string }[];
		}[];
	}[];
}

describe("SARIF", () => {
	const logOf = (one: Checked): Log => JSON.parse(JSON.stringify(sarifOf(one, dockerProgram.checks))) as Log;

	test("has a result for each finding, with its rule, and those that are suppressed", () => {
		const [run] = logOf(checked).runs;
		expect(run!.results.map(({ ruleId, level, suppressions }) => [ruleId, level, suppressions?.[0]])).toEqual([
			["from", "error", undefined],
			["from", "error", undefined],
			["shell-form", "warning", undefined],
			["unused-suppression", "warning", undefined],
			["from", "error", { kind: "external", justification: "it is meant" }],
		]);
		const { rules: described } = run!.tool.driver;
		expect(described.map(({ id }) => id)).toEqual(Object.keys(rules));
		for (const { ruleId, ruleIndex } of run!.results) expect(described[ruleIndex]!.id).toBe(ruleId);
		expect(described[0]!.helpUri).toMatch(/#definition$/);
	});

	test("says where in the definition, and in which Dockerfile", () => {
		const { results } = logOf(checked).runs[0]!;
		expect(results[0]!.locations).toEqual([
			{ physicalLocation: { artifactLocation: { uri: "library/app" }, region: { startLine: 6, startColumn: 1 } } },
		]);
		expect(results[2]!.relatedLocations).toEqual([
			{
				id: 1,
				message: { text: "the Dockerfile" },
				physicalLocation: {
					artifactLocation: { uri: "https://git.example.com/app.git#0123456789abcdef0123:1.2/Docker%20file" },
					region: { startLine: 3 },
				},
			},
		]);
		expect(results[3]!.locations).toEqual([]);
	});

	test("says where a file is that is not in the repository", () => {
		const { results } = logOf({ findings: [{ ...from, at: { file: "/new/a b" } }], suppressed: [] }).runs[0]!;
		expect(results[0]!.locations).toEqual([{ physicalLocation: { artifactLocation: { uri: "file:///new/a%20b" } } }]);
	});

	test("links to the web alone", () => {
		const source = { ...shellForm.source!, repository: "javascript:alert(1)" };
		const { results } = logOf({ findings: [{ ...shellForm, source }], suppressed: [] }).runs[0]!;
		expect(results[0]).not.toHaveProperty("relatedLocations");
	});

	test("has addresses that are some, and neither links nor placeholders of others", () => {
		fc.assert(
			fc.property(hostile, (text) => {
				const [result] = logOf(withText(text)).runs[0]!.results;
				const message = result!.message.text.replaceAll(/\\[\\[\]]|\{\{|\}\}/g, "");
				expect(message).not.toMatch(/[[\]{}]/);
				const uris = [...result!.locations, ...result!.relatedLocations!].map(
					({ physicalLocation }) => physicalLocation.artifactLocation.uri,
				);
				for (const uri of uris) {
					expect(uri).toMatch(/^[\w\-.~:/?#@!$&'()*+,;=%]*$/);
					expect(uri).not.toMatch(/%(?![0-9A-F]{2})/);
				}
			}),
		);
	});
});
