import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parseJson, tabJson } from "../../src/json/index.ts";
import { conformance, describeConformance } from "../support/conformance.ts";

interface Case {
	readonly name: string;
	readonly input: string;
	readonly output?: string;
	readonly error?: string;
}

describeConformance("pipeline/normalize.json", () => {
	const { tabJson: cases } = JSON.parse(readFileSync(conformance("pipeline/normalize.json"), "utf8")) as {
		readonly tabJson: readonly Case[];
	};

	const rewrite = (text: string) => tabJson(parseJson(Buffer.from(text), { what: "the case", maxBytes: 10_000 }));
	const named = (list: readonly Case[]) => list.map((item) => [item.name, item] as const);

	test.each(named(cases.filter(({ error }) => error === undefined)))("tab JSON: %s", (_, { input, output }) => {
		expect(rewrite(input)).toBe(output);
	});

	test.each(named(cases.filter(({ error }) => error !== undefined)))("tab JSON: %s", (_, { input }) => {
		expect(() => rewrite(input)).toThrow(expect.objectContaining({ code: "handover" }));
	});
});
