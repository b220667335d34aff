/**
 * Writes the list of rules in `docs/checks.md` from `src/check/rules.ts`: what stands between the markers is replaced.
 * `node scripts/check-docs.ts` writes; a test fails where it is stale.
 */
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { type Rule, rules } from "../src/check/index.ts";

const file = path.join(import.meta.dirname, "../docs/checks.md");
const begin = "<!-- rules of src/check/rules.ts, written by scripts/check-docs.ts -->";
const end = "<!-- end of rules -->";

const groups: readonly (readonly [needs: Rule["needs"], heading: string])[] = [
	["definitions", "Definitions alone"],
	["published", "Against what is published (`--published`)"],
	["dockerfiles", "Dockerfiles"],
	["history", "The history behind commits (`--history`)"],
];

/** The page as it is, and as the rules would have it. */
export async function checkPage(): Promise<{ readonly is: string; readonly wanted: string }> {
	const is = await readFile(file, "utf8");
	const [before, rest] = is.split(begin);
	const after = rest?.split(end)[1];
	if (before === undefined || after === undefined) throw new Error(`${file} has no markers for the rules`);
	const all = Object.entries<Rule>(rules);
	const text = groups.map(([needs, heading]) => {
		const own = all.filter(([, rule]) => rule.needs === needs);
		const rows = own.map(
			([id, { severity, summary, why }]) => `| <a id="${id}"></a>\`${id}\` | ${severity} | ${summary} | ${why} |`,
		);
		return `### ${heading}\n\n| rule | | what | why |\n|---|---|---|---|\n${rows.join("\n")}\n`;
	});
	return { is, wanted: `${before}${begin}\n\n${text.join("\n")}\n${end}${after}` };
}

if (import.meta.main) await writeFile(file, (await checkPage()).wanted);
