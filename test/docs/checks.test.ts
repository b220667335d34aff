import { readFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { checkPage } from "../../scripts/check-docs.ts";
import { type Rule, rules } from "../../src/check/index.ts";
import { dockerProgram, parseConfig } from "../../src/config/index.ts";

describe("docs/checks.md", async () => {
	const { is, wanted } = await checkPage();

	it("has the rules of the code: otherwise run node scripts/check-docs.ts", () => {
		expect(is).toBe(wanted);
	});

	it("has a place for every rule that a finding links to", () => {
		const { documentation } = dockerProgram.checks;
		expect(documentation).toMatch(/\/docs\/checks\.md#\{rule\}$/);
		expect(Object.keys(rules).filter((id) => !is.includes(`<a id="${id}"></a>`))).toEqual([]);
	});

	it("says of every rule what it is and why", () => {
		const short = Object.entries<Rule>(rules).filter(
			([, { summary, why }]) => !/^[A-Z`].{15,}\.$/.test(summary) || !/^[A-Z`].{15,}\.$/.test(why),
		);
		expect(short.map(([id]) => id)).toEqual([]);
	});

	it("names exactly the rules that cannot be suppressed", () => {
		const blind = Object.entries<Rule>(rules).filter(([, rule]) => rule.blind === true);
		const [, named = ""] = /could not be checked at all \(([^)]*)\)/.exec(is.replaceAll("\n", " ")) ?? [];
		expect(new Set([...named.matchAll(/`([\w-]+)`/g)].map(([, id]) => id))).toEqual(new Set(blind.map(([id]) => id)));
	});

	it("has an example of suppressions that is read", () => {
		const [, yaml = ""] = /^```yaml\n(.*?)^```$/ms.exec(is) ?? [];
		const { suppress } = parseConfig(yaml, "brewline.yaml").checks;
		expect(suppress.map(({ rule }) => rule in rules)).toEqual([true, true]);
	});
});

it("the example of all keys suppresses rules that there are", async () => {
	const page = await readFile(path.join(import.meta.dirname, "../../docs/configuration.md"), "utf8");
	const [, yaml = ""] = /^```yaml\n(.*?)^```$/ms.exec(page) ?? [];
	for (const { rule } of parseConfig(yaml, "brewline.yaml").checks.suppress) expect(rules).toHaveProperty(rule);
});
