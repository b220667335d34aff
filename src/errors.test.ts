import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { errorCodes } from "./errors.ts";

describe("docs/errors.md", () => {
	const text = readFileSync(new URL("../docs/errors.md", import.meta.url), "utf8");

	it("has the table of codes", () => {
		const rows = [...text.matchAll(/^\| (\d+) \| `([a-z-]+)` \| (.+) \|$/gm)];
		expect(rows.map(([, exit, code, meaning]) => [code, { exit: Number(exit), meaning }])).toEqual(
			Object.entries(errorCodes),
		);
	});

	it("speaks of codes that there are", () => {
		const advice = text.slice(text.indexOf("| codes |"));
		const named = [...advice.matchAll(/`([a-z-]+)`/g)].map(([, code]) => code!);
		expect(named.length).toBeGreaterThan(10);
		expect(named.filter((code) => !Object.hasOwn(errorCodes, code))).toEqual([]);
	});
});
