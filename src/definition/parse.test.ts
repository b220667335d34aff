import { describe, expect, test } from "vitest";
import { BrewlineError } from "../errors.ts";
import { encodeText, parseDefinition, printDefinition } from "./index.ts";
import type { Definition } from "./types.ts";

const options = { file: "library/app", architectures: ["amd64", "arm64v8", "i386"], defaultArchitecture: "amd64" };
const commit = "0123456789abcdef0123456789abcdef01234567";
const head = "Maintainers: Ann Author <ann@example.com> (@ann)\nGitRepo: https://git.example.com/app.git\n";

function parse(text: string | Uint8Array): Definition {
	return parseDefinition(text, options);
}

function refusal(text: string | Uint8Array): BrewlineError {
	try {
		parse(text);
	} catch (error) {
		if (error instanceof BrewlineError) return error;
		throw error;
	}
	throw new Error("it was not refused");
}

/** `LINE:COLUMN message` of each error. */
function errors(text: string): readonly string[] {
	return refusal(text).errors.map(({ at, message }) => `${at?.line}:${at?.column} ${message}`);
}

function warnings(text: string | Uint8Array): readonly string[] {
	return parse(text).warnings.map(({ at, message }) => `${at.line}:${at.column} ${message}`);
}

function hint(text: string): string | undefined {
	return refusal(text).hint;
}

describe("errors", () => {
	test("all of a file are reported at once, in the order of the file, each at its place", () => {
		const text = [
			"Maintainers: Ann Author (@ann), nobody,",
			"  Bob (@bob),",
			"  ,",
			"Architectures: amd64, arm64",
			"",
			"# the first entry",
			"Tags: 1.0, -x,",
			"      1.0",
			"GitRepo:",
			"GitFetch: main",
			`GitCommit: ${commit.toUpperCase().replace("01", "ZZ")}`,
			"no field",
			"",
			"tags: 2",
			"SharedTags: 1.0, s",
			`GitCommit: ${commit}`,
			"GitRepo: x",
			"Values: y",
		].join("\n");
		expect(errors(text)).toEqual([
			'1:33 invalid maintainer "nobody"',
			"2:14 a maintainer is empty",
			"3:4 a maintainer is empty",
			'4:23 unknown architecture "arm64"',
			'7:12 in the entry "1.0, -x, 1.0": the tag "-x" is invalid',
			'8:7 in the entry "1.0, -x, 1.0": the tag "1.0" stands in line 7 already',
			'9:1 in the entry "1.0, -x, 1.0": GitRepo is empty',
			'10:1 in the entry "1.0, -x, 1.0": GitFetch "main" is invalid',
			`11:1 in the entry "1.0, -x, 1.0": GitCommit "${commit.toUpperCase().replace("01", "ZZ")}" is invalid`,
			'12:1 the line "no field" is neither a field nor a continuation',
			"14:1 the entry in line 14 has no Tags",
			'15:13 in the entry in line 14: the shared tag "1.0" stands in line 7 already, as a tag',
			"18:1 the field Values is refused",
		]);
	});

	test("the one that is thrown counts them and has the place and the hint of the first", () => {
		const error = refusal(`${head}\nTags: a b\nGitCommit: x\n`);
		expect(error.code).toBe("definition");
		expect(error.message).toBe('2 errors in "library/app"; the first: in the entry "a b": the tag "a b" is invalid');
		expect(error.at).toEqual({ file: "library/app", line: 4, column: 7 });
		expect(error.hint).toMatch(/commas separate tags/);
		expect(error.errors.map(({ code }) => code)).toEqual(["definition", "definition"]);
	});

	test("a single one is thrown in its own words", () => {
		expect(refusal("\n\n").message).toBe("there is no paragraph in this definition");
	});

	test("a thousand and one errors are a thousand and a count", () => {
		const { errors, message } = refusal(`${head}${"x\n".repeat(1500)}`);
		expect(message).toMatch(/^1500 errors/);
		expect(errors).toHaveLength(1001);
		expect(errors.at(-1)?.message).toBe("and 500 more errors");
	});

	test("what is inherited is reported once, where it stands", () => {
		const text = `${head}SharedTags: s, +\nGitFetch: x\n\nTags: 1\nGitCommit: ${commit}\n\nTags: 2\nGitCommit: ${commit}\nDirectory: 2\n`;
		expect(errors(text)).toEqual([
			'3:16 inherited by the entry "1": the shared tag "+" is invalid',
			'4:1 inherited by the entry "1": GitFetch "x" is invalid',
		]);
	});

	test("an inherited shared tag that is a tag, before or after", () => {
		const entry = (tag: string) => `\nTags: ${tag}\nGitCommit: ${commit}\nDirectory: ${tag}\n`;
		const global = `${head}SharedTags: s\n`;
		expect(errors(global + entry("1") + entry("s"))).toEqual([
			'9:7 in the entry "s": the tag "s" stands in line 3 already, as a shared tag',
		]);
		expect(errors(`${global}${entry("s").replace("\n\n", "\n")}SharedTags: x\n${entry("1")}`)).toEqual([
			'3:13 in the entry "1", which inherits it: the shared tag "s" stands in line 5 already, as a tag',
		]);
	});

	test("what a damaged line probably says is not reported as missing", () => {
		expect(errors(`${head}\nTags 1\nGitCommit ${commit}\n`)).toEqual([
			'4:1 the line "Tags 1" is neither a field nor a continuation',
			`5:1 the line "GitCommit ${commit}" is neither a field nor a continuation`,
		]);
	});

	test("control characters of the file do not reach the message", () => {
		expect(errors(`${head}\n\u001b[31mred\n`)[0]).toBe(
			'4:1 the line "\\u{1b}[31mred" is neither a field nor a continuation',
		);
	});
});

describe("hints", () => {
	test("the architecture that was probably meant", () => {
		expect(hint(`${head}\nTags: 1\nGitCommit: ${commit}\nArchitectures: arm64`)).toBe(
			"Did you mean arm64v8? Known are amd64, arm64v8, i386.",
		);
		expect(hint(`${head}\nTags: 1\nGitCommit: ${commit}\nArchitectures: sparc`)).toBe(
			"Known are amd64, arm64v8, i386.",
		);
	});

	test("the misspelt field behind a missing one", () => {
		expect(hint(`${head}\nTags: 1\nGitcommit: ${commit}\n`)).toBe(
			'Line 5 has "Gitcommit": write GitCommit, names are case-sensitive.',
		);
		expect(hint(`\ufeff${head}`)).toBe("Save the file without a byte order mark: it is part of the first key.");
	});

	test("the branch without refs/heads, the commit in upper case, the continued commit", () => {
		expect(hint(`${head}\nTags: 1\nGitFetch: main\nGitCommit: ${commit}\n`)).toMatch(/as in refs\/heads\/main\.$/);
		expect(hint(`${head}\nTags: 1\nGitCommit: ${commit.toUpperCase()}\n`)).toBe("Write it in lower case.");
		expect(hint(`${head}\nTags: 1\nGitCommit: ${commit}\n \nFile: x\n`)).toMatch(/continues the value/);
		expect(hint(`${head}\nTags: 1\nGitCommit: 0123\n`)).toMatch(/in full/);
	});

	test("tags in the first paragraph, a signature", () => {
		expect(hint(`${head}#\nTags: 1\n`)).toMatch(/empty line/);
		expect(hint(`-----BEGIN PGP SIGNED MESSAGE-----\n\n${head}`)).toMatch(/signed definitions are not read/);
	});
});

describe("warnings", () => {
	const entry = `\nTags: 1\nGitCommit: ${commit}\n`;

	test("a plain definition has none", () => {
		expect(warnings(head + entry)).toEqual([]);
	});

	test("a line of blanks that joins two entries", () => {
		const text = `${head}${entry}Architectures: amd64\n \t\nTags: 2\nGitCommit: ${commit}\n`;
		expect(parse(text).entries.map(({ Tags }) => Tags)).toEqual([["2"]]);
		expect(warnings(text)).toEqual([
			'7:1 this line of blanks separates nothing: it continues the value of "Architectures"',
			'8:1 the field "Tags" stands twice in this paragraph; the one in line 4 is ignored',
			'9:1 the field "GitCommit" stands twice in this paragraph; the one in line 5 is ignored',
		]);
	});

	test("emptied fields", () => {
		expect(warnings(`${head}Builder:\n${entry}File:\nDirectory:\nConstraints:\n`)).toEqual([
			"3:1 Builder is emptied, which is its default",
			"7:1 File is emptied, and does not fall back to its default, and not to what the global paragraph says",
			"8:1 Directory is emptied, not to what the global paragraph says",
			"9:1 Constraints is empty, which is one empty constraint that nothing meets",
		]);
	});

	test("unknown fields and architectures, with the one that was probably meant", () => {
		const { warnings } = parse(`${head}${entry}directory: x\nNote: y\narm64-file: z\narm64-File: z\nsparc-File: z\n`);
		expect(warnings.map(({ message, hint }) => [message, hint])).toEqual([
			['the unknown field "directory" is ignored', "Did you mean Directory? Names are case-sensitive."],
			['the unknown field "Note" is ignored', "Remove it, or make it a comment with # in front."],
			['the unknown field "arm64-file" is ignored', "Did you mean arm64-File? Names are case-sensitive."],
			['the field "arm64-File" is for the unknown architecture "arm64"', "Did you mean arm64v8-File?"],
			['the field "sparc-File" is for the unknown architecture "sparc"', undefined],
		]);
	});

	test("what is not checked for architectures, but will fail later", () => {
		expect(warnings(`${head}${entry}i386-GitCommit: x\ni386-GitFetch: main\n`)).toEqual([
			'6:1 i386-GitCommit "x" is no commit',
			'7:1 i386-GitFetch "main" is not valid',
		]);
	});

	test("values with line ends, lines that continue nothing, bytes that are not UTF-8", () => {
		expect(warnings(`${head}\n  Tags: 9\n  more${entry}File: a\n b\nConstraints: c\n d\n`)).toEqual([
			"4:3 this line is ignored: there is no field above it to continue",
			"8:1 the value of File has line ends in it: it is continued in line 9",
			'10:14 the constraint "c\\u{a}d" has a line end in it',
		]);
		expect(warnings(Buffer.concat([Buffer.from(`${head}# caf`), Buffer.of(0xe9, 0x0a)]))).toEqual([
			"1:1 the file is not UTF-8",
		]);
	});
});

describe("positions", () => {
	test("each entry and field tells where it starts; merged entries keep their parts", () => {
		const { global, entries, unmerged } = parse(
			`# comment\n\n${head}\nTags: 1\nGitCommit: ${commit}\n\n\u000bTags: 2\nGitCommit: ${commit}\nSharedTags: s\n`,
		);
		expect([global, ...unmerged].map(({ at }) => [at.line, at.column])).toEqual([
			[3, 1],
			[6, 1],
			[9, 2],
		]);
		expect(entries).toHaveLength(1);
		expect(entries[0]).toMatchObject({ Tags: ["1", "2"], SharedTags: ["s"], at: { file: "library/app", line: 6 } });
		expect(entries[0]!.parts).toEqual(unmerged);
		expect(unmerged[1]!.positions.get("SharedTags")).toMatchObject({ line: 11, column: 1 });
		expect(unmerged[1]!.positions.has("GitRepo")).toBe(false);
	});
});

describe("bytes", () => {
	test("those that are not UTF-8 come out as they went in", () => {
		const bytes = [0x80, 0xc0, 0xaf, 0xed, 0xa0, 0x80, 0xf4, 0x90, 0x80, 0x80, 0xc3, 0xe2, 0x82, 0xf0, 0x9f, 0x90];
		const input = Buffer.concat([
			Buffer.from(`${head}\nTags: 1\nGitCommit: ${commit}\nFile: é🐳`),
			Buffer.from(bytes),
			Buffer.from("ü🐋"),
		]);
		const definition = parse(input);
		expect(definition.entries[0]!.File.toWellFormed()).toBe(`é🐳${"\ufffd".repeat(bytes.length)}ü🐋`);
		expect(encodeText(printDefinition(definition))).toEqual(input);
	});
});
