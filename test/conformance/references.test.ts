import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { canonicalReference, parseReference, printReference, tryParseReference } from "../../src/oci/index.ts";
import { conformance, describeConformance } from "../support/conformance.ts";

interface Case {
	readonly input: string;
	readonly error?: string;
	readonly host?: string;
	readonly repository?: string;
	readonly tag?: string;
	readonly digest?: string;
	readonly canonical?: string;
	readonly printed?: string;
	readonly printedParsesTo?: string;
}

describeConformance("pipeline/references.json", () => {
	const cases = JSON.parse(readFileSync(conformance("pipeline/references.json"), "utf8")) as readonly Case[];

	test("150 references", () => {
		expect(cases).toHaveLength(150);
	});

	const named = (list: readonly Case[]) =>
		list.map((item) => [JSON.stringify(item.input).slice(0, 100), item] as const);

	test.each(named(cases.filter(({ error }) => error !== undefined)))("no reference: %s", (_, { input }) => {
		expect(tryParseReference(input)).toBeUndefined();
		expect(() => parseReference(input)).toThrow(expect.objectContaining({ code: "reference" }));
	});

	test.each(named(cases.filter(({ error }) => error === undefined)))("%s", (_, item) => {
		const { host, repository, tag, digest } = item;
		const parsed = parseReference(item.input);
		expect(parsed).toStrictEqual({
			host,
			repository,
			...(tag === undefined ? {} : { tag }),
			...(digest === undefined ? {} : { digest }),
		});
		expect(canonicalReference(parsed)).toBe(item.canonical);
		expect(printReference(parsed)).toBe(item.printed);
		expect(canonicalReference(parseReference(item.printed!))).toBe(item.printedParsesTo ?? item.canonical);
	});
});
