import { describe, expect, test } from "vitest";
import { BrewlineError } from "../errors.ts";
import { readSources, writeSources } from "./file.ts";
import { sourceIdOf } from "./id.ts";

const checksum = "c".repeat(64);
const sourceId = sourceIdOf(checksum, "Dockerfile", "");
const entry = {
	GitRepo: "https://example.com/a.git",
	GitFetch: "refs/heads/master",
	GitCommit: "0".repeat(40),
	Directory: ".",
	File: "Dockerfile",
	Builder: "",
	SOURCE_DATE_EPOCH: 1,
};
const amd64 = {
	tags: ["a:1"],
	archTags: ["localhost:5000/amd64/a:1"],
	froms: ["scratch"],
	lastStageFrom: "scratch",
	platformString: "linux/amd64",
	platform: { architecture: "amd64", os: "linux" },
	parents: { scratch: { sourceId: null, pin: null } },
};
const source = { sourceId, reproducibleGitChecksum: checksum, entries: [entry], arches: { amd64 } };

function errorOf(value: unknown): BrewlineError {
	try {
		readSources(typeof value === "string" ? value : JSON.stringify(value), "out/sources.json");
	} catch (error) {
		if (error instanceof BrewlineError) return error;
		throw error;
	}
	throw new Error("there was no error");
}

test("keys come out in the order of the spec, whatever order they were in", () => {
	const reversed = (value: unknown): unknown => {
		if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
		return Object.fromEntries(
			Object.entries(value)
				.map(([key, each]) => [key, reversed(each)])
				.reverse(),
		);
	};
	expect(writeSources(readSources(JSON.stringify(reversed({ [sourceId]: source }))))).toBe(
		writeSources({ [sourceId]: source }),
	);
	expect(writeSources({})).toBe("{}\n");
});

test("the older form is read as the current one", () => {
	const { entries: _, ...older } = source;
	expect(readSources(JSON.stringify({ [sourceId]: { ...older, entry } }))).toEqual({ [sourceId]: source });
});

describe("refused", () => {
	const other = "0".repeat(64);
	test.each([
		["what is no JSON", "{", "is not JSON"],
		["what is no object", "[]", "must be a JSON object"],
		["an id that is none", { x: source }, "x: "],
		["a key that is not the id", { [other]: source }, "a key is not its id"],
		["an id that does not follow", { [other]: { ...source, sourceId: other } }, "the id does not follow"],
		[
			"another entry's File",
			{ [sourceId]: { ...source, entries: [entry, { ...entry, File: "x" }] } },
			"the id does not follow",
		],
		["both forms at once", { [sourceId]: { ...source, entry } }, "entry"],
		["an unknown key", { [sourceId]: { ...source, more: 1 } }, '"more"'],
		["no entry", { [sourceId]: { ...source, entries: [] } }, "entries"],
		["no architecture", { [sourceId]: { ...source, arches: {} } }, "has no architecture"],
		[
			"a commit that is an option",
			{ [sourceId]: { ...source, entries: [{ ...entry, GitCommit: "--upload-pack=x" }] } },
			"is no commit id",
		],
		[
			"a newline in an address",
			{ [sourceId]: { ...source, entries: [{ ...entry, GitRepo: "a\nb" }] } },
			"cannot be printed",
		],
		[
			"an architecture called __proto__",
			`{"${sourceId}":${JSON.stringify(source).replace('"amd64":{', '"__proto__":{')}}`,
			"has no architecture",
		],
		[
			"a tag with blanks",
			{ [sourceId]: { ...source, arches: { amd64: { ...amd64, tags: ["a:1 b"] } } } },
			"is no NAME:TAG",
		],
		[
			"a pin that is none",
			{
				[sourceId]: { ...source, arches: { amd64: { ...amd64, parents: { scratch: { sourceId: null, pin: "x" } } } } },
			},
			"is no digest",
		],
	])("%s", (_, value, message) => {
		const error = errorOf(value);
		expect(error.code).toBe("handover");
		expect(error.message).toContain("out/sources.json");
		expect(error.message).toContain(message);
	});
});
