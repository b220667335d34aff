import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isSecurity } from "./commits.ts";
import { harmless, messageOf } from "./message.ts";
import type { SourceChanges } from "./types.ts";

const definition = (maintainers: string) =>
	`Maintainers: ${maintainers}\nGitRepo: https://example.org/x.git\n\nTags: 1\n`;
const page = "https://example.org/somebody/x";
const id = "0123456789abcdef0123456789abcdef01234567";

function told(
	subjects: readonly string[],
	options: { maintainers?: string; more?: number; page?: string | undefined } = {},
) {
	const changes: SourceChanges = {
		commits: subjects.map((subject) => ({ id, subject, time: 0 })),
		more: options.more ?? 0,
		security: false,
		newest: 0,
		published: 0,
		page: "page" in options ? options.page : page,
	};
	const definitions = new Map([["x", definition(options.maintainers ?? "Ada (@ada)")]]);
	return messageOf({ definitions, added: new Set(), changes, security: false, branch: "brewline/x" });
}

/** What GitHub would make something of, in a commit's message. */
const effects = /@\w|#\d|\bgh-\d|:\/\/|\[(?:skip ci|ci skip|no ci|skip actions|actions skip)\]|\/(?:issues|pull)\/\d/i;

describe("text from outside", () => {
	it.each([
		["Merge pull request #12 from somebody/main", "Merge pull request no. 12 from somebody/main"],
		["Fixes docker-library/php#3, closes GH-4", "Fixes docker-library/php no. 3, closes GH 4"],
		["Closes https://github.com/o/r/issues/5", "Closes https: github.com/o/r/issues no. 5"],
		["Thanks @tianon and o/r@0123456", "Thanks at tianon and o/r at 0123456"],
		["Update README [skip ci] [CI Skip]", "Update README (skip ci) (CI Skip)"],
		["Two\nlines\r\nskip-checks:true", "Two lines skip-checks:true"],
		["\u001B[31mred\u202Eder", "\\u{1b}[31mred\\u{202e}der"],
	])("%j becomes %j", (text, expected) => {
		expect(harmless(text)).toBe(expected);
	});

	it("has no effect, whatever it is", () => {
		const bits = [
			"@",
			"#",
			"1",
			"a",
			"gh-",
			"GH",
			"-",
			":",
			"/",
			"://",
			"[",
			"]",
			"skip ci",
			"ci skip",
			"no ci",
			" ",
			"`",
			"``",
			"\n",
			"\u200B",
			"issues/",
			"pull/",

			"<!--",
			"](",
			"\u{7}",
		];
		const text = fc.oneof(
			fc.string({ unit: "binary" }),
			fc.array(fc.constantFrom(...bits), { maxLength: 30 }).map((parts) => parts.join("")),
		);
		fc.assert(
			fc.property(text, (subject) => {
				const safe = harmless(subject);
				expect(safe).not.toMatch(effects);
				expect(safe).not.toMatch(/\p{Cc}|\p{Cf}|\p{Zl}/u);
				const { text: message, body } = told([subject]);
				const [line, ...others] = message.split("\n").filter((one) => one.startsWith("- "));
				expect([line, others]).toEqual([`- ${page}/commit/${id}: ${safe}`, []]);
				// One code span, whose fence is nowhere within it.
				const [, fence, inner] = /^- \[`0123456`\]\(\S+\) (`+)(.*)\1$/m.exec(body)!;
				expect(inner!.match(/`+/g) ?? []).not.toContain(fence);
				expect(inner!.trim()).toBe(safe);
				expect(inner).not.toMatch(/^`|`$/);
			}),
			{ seed: 6, numRuns: 2000 },
		);
	});

	it("mentions the people who maintain it, in the pull request alone, and no machine", () => {
		const maintainers =
			"Ada <ada@example.org> (@ada),\n             Team (@tool-bot),\n             B [c] @all (@bob-b),\n             T (@org/team),\n             App (@app[bot])";
		const { text, body } = told(["One"], { maintainers });
		expect(body).toMatch(/\n\nMaintainers: @ada @bob-b\n$/);
		expect(text).toContain("Maintainers: Ada, B [c] at all, T\n");
		expect(text).not.toMatch(/@/);
	});
});

it("names few of many images and people, and says what is new", () => {
	const changes: SourceChanges = {
		commits: [],
		more: 0,
		security: true,
		newest: 0,
		published: 0,
		page,
	};
	const of = (count: number, added: readonly string[]) => {
		const maintainers = Array.from({ length: 30 }, (_, at) => `P${at} (@p${at})`).join(", ");
		const definitions = new Map(Array.from({ length: count }, (_, at) => [`x${at}`, definition(maintainers)]));
		return messageOf({ definitions, added: new Set(added), changes, security: true, branch: "brewline/x" });
	};
	expect(of(5, []).title).toBe("Update x0, x1, x2, x3, x4 [security]");
	expect(of(6, []).title).toBe("Update x0, x1, x2, x3, 2 more [security]");
	expect([of(2, ["x0"]).title, of(2, ["x0", "x1"]).title]).toEqual([
		"Update x0, x1 [security]",
		"Add x0, x1 [security]",
	]);
	expect(of(1, []).body.match(/@/g)).toHaveLength(20);
});

it("says how many commits it leaves out, and stays within what GitHub takes", () => {
	expect(told(["One"], { more: 7 }).body).toContain("`One`\n- and 7 more\n");
	const long = told(
		Array.from({ length: 300 }, () => "`\u0301".repeat(500)),
		{ page: `https://example.org/${"x".repeat(300)}` },
	);
	expect(long.body.length).toBeLessThan(65_536);
	expect(long.body).toMatch(/- and \d+ more\n\nMaintainers: @ada\n$/);
	expect(told(["One"], { page: undefined }).body).toContain("- `0123456` `One`");
});

it.each([
	["Update to 1.2 [security]", "", true],
	["Security update", "", true],
	["Bump", "Mends cve-2026-12345.", true],
	["Bump", "See GHSA-abcd-1234-wxyz", true],
	["Add a security policy", "", false],
	["Insecurity fix", "", false],
])("%j %j is about security: %j", (subject, rest, expected) => {
	expect(isSecurity(subject, `${subject}\n\n${rest}`)).toBe(expected);
});
