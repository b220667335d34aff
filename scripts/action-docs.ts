/**
 * Writes the tables of inputs and outputs in `actions/NAME/README.md` from `action.yml`: what stands between the markers is
 * replaced. `node scripts/action-docs.ts` writes; a test fails where they are stale.
 */
import { readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { parse } from "yaml";

const folder = path.join(import.meta.dirname, "../actions");

interface ActionFile {
	readonly inputs: Readonly<Record<string, { description: string; required?: boolean; default?: string }>>;
	readonly outputs: Readonly<Record<string, { description: string }>>;
}

/** The page of each action, by its path: as it is, and as its `action.yml` would have it. */
export async function actionPages(): Promise<ReadonlyMap<string, { readonly is: string; readonly wanted: string }>> {
	const pages = new Map<string, { is: string; wanted: string }>();
	for (const name of (await readdir(folder)).sort()) {
		const action = parse(await readFile(path.join(folder, name, "action.yml"), "utf8")) as ActionFile;
		const file = path.join(folder, name, "README.md");
		const is = await readFile(file, "utf8");
		pages.set(file, { is, wanted: withTables(is, action, file) });
	}
	return pages;
}

function withTables(page: string, { inputs, outputs }: ActionFile, file: string): string {
	const inputRows = Object.entries(inputs).map(([name, { description, required = false, default: value }]) => [
		`\`${name}\``,
		required ? "required" : value === undefined ? "" : `\`${value}\``,
		description,
	]);
	const outputRows = Object.entries(outputs).map(([name, { description }]) => [`\`${name}\``, description]);
	const filled = replaced(page, "inputs", table(["input", "default", "meaning"], inputRows), file);
	return replaced(filled, "outputs", table(["output", "meaning"], outputRows), file);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
	const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
	const escaped = rows.map((cells) => cells.map((cell) => cell.replaceAll("|", "\\|")));
	return [line(head), `|${"---|".repeat(head.length)}`, ...escaped.map(line)].join("\n");
}

function replaced(page: string, name: string, text: string, file: string): string {
	const begin = `<!-- ${name} of action.yml, written by scripts/action-docs.ts -->`;
	const end = `<!-- end of ${name} -->`;
	const [before, rest] = page.split(begin);
	const after = rest?.split(end)[1];
	if (before === undefined || after === undefined) throw new Error(`${file} has no markers for its ${name}`);
	return `${before}${begin}\n${text}\n${end}${after}`;
}

if (import.meta.main) for (const [file, { wanted }] of await actionPages()) await writeFile(file, wanted);
