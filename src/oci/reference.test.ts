import * as fc from "fast-check";
import { expect, test } from "vitest";
import {
	canonicalReference,
	isDigest,
	isTag,
	parseDigest,
	parseReference,
	printReference,
	repositoryOf,
	sha256Of,
	tryParseReference,
	underNamespace,
	withDigest,
	withoutTag,
	type Reference,
} from "./index.ts";

const seed = Number(process.env["FC_SEED"] ?? 1);

const digest = sha256Of("x");
const part = fc.stringMatching(/^[a-z0-9]{1,6}(?:(?:\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}$/);
const anyReference: fc.Arbitrary<Reference> = fc
	.record(
		{
			host: fc.oneof(
				fc.constant("docker.io"),
				fc.constantFrom("localhost:5000", "ghcr.io", "[::1]:5000", "Docker.io", "127.0.0.1", "a-b.example:1"),
			),
			parts: fc.array(part, { minLength: 1, maxLength: 4 }),
			tag: fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,30}$/),
			digest: fc.constantFrom(digest, `sha512:${"c".repeat(128)}`, `sha384:${"0".repeat(96)}`),
		},
		{ requiredKeys: ["host", "parts"] },
	)
	.map(({ host, parts, ...rest }) => ({
		host,
		repository: host === "docker.io" && parts.length === 1 ? `library/${parts[0]}` : parts.join("/"),
		...rest,
	}));

test("what is printed parses to the same", () => {
	fc.assert(
		fc.property(anyReference, (reference) => {
			expect(parseReference(canonicalReference(reference))).toStrictEqual(reference);
			fc.pre(!/^library\/.*\//.test(reference.repository));
			expect(parseReference(printReference(reference))).toStrictEqual(reference);
		}),
		{ seed, numRuns: 1000 },
	);
});

test("whatever parses has one canonical form, and fits the grammar", () => {
	const soup = fc.string({
		unit: fc.constantFrom(..."aZ0/:@.-_[] \n".split(""), "library/", "docker.io", digest),
		maxLength: 8,
	});
	fc.assert(
		fc.property(soup, (text) => {
			const parsed = tryParseReference(text);
			fc.pre(parsed !== undefined);
			expect(parsed.repository).toMatch(/^[a-z0-9]+(?:(?:[._]|__|-+|\/)[a-z0-9]+)*$/);
			expect(parsed.tag === undefined || isTag(parsed.tag)).toBe(true);
			expect(parsed.digest === undefined || isDigest(parsed.digest)).toBe(true);
			expect(parseReference(canonicalReference(parsed))).toStrictEqual(parsed);
		}),
		{ seed, numRuns: 500 },
	);
});

test("an error names what is wrong, and nothing in it can move a terminal", () => {
	expect(() => parseReference("a/\u001b[31mb")).toThrow('"a/\\u{1b}[31mb" is not an image reference: the repository');
	expect(() => parseReference("b:\n")).toThrow("a tag begins with a letter");
	expect(() => parseReference("user:password/a")).toThrow("is no host");
});

test("parts are put on and taken off", () => {
	const both = parseReference(`ghcr.io/a/b:1@${digest}`);
	expect(canonicalReference(repositoryOf(both))).toBe("ghcr.io/a/b");
	expect(canonicalReference(withoutTag(both))).toBe(`ghcr.io/a/b@${digest}`);
	expect(withDigest(withDigest(both, sha256Of("y")), digest)).toStrictEqual(both);
});

test("a namespace may be empty", () => {
	expect(underNamespace("library", "a:1")).toBe("library/a:1");
	expect(underNamespace("", "a:1")).toBe("a:1");
});

test("digests", () => {
	expect(sha256Of("")).toBe("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	expect(parseDigest(digest)).toStrictEqual({ algorithm: "sha256", encoded: digest.slice(7) });
	for (const text of [
		"sha256:../../etc/passwd",
		`sha512:${"a".repeat(64)}`,
		`${digest}\n`,
		digest.toUpperCase(),
		"sha1:a",
	]) {
		expect(isDigest(text)).toBe(false);
		expect(() => parseDigest(text)).toThrow(expect.objectContaining({ code: "reference" }));
	}
});
