import { readFile } from "node:fs/promises";
import path from "node:path";
import { registryLookup } from "../builds/index.ts";
import {
	deriveArchitectures,
	type Derived,
	type DeriveOptions,
	edited,
	editsOf,
	type Finding,
	unifiedDiff,
} from "../check/index.ts";
import { decodeText, encodeText, loadLibrary } from "../definition/index.ts";
import { printable, writeWhole } from "../io/index.ts";
import { tabJson } from "../json/index.ts";
import { computeSources, openWorkspace } from "../pipeline/index.ts";
import { type Context, sayUnconfigured } from "./context.ts";

interface Options {
	readonly patch?: boolean;
	readonly write?: boolean;
	readonly changes: DeriveOptions["changes"];
}

/** Compares the architectures of definitions with those that their bases have; as a patch, or in place. */
export async function architecturesStep(context: Context, options: Options): Promise<number> {
	sayUnconfigured(context);
	const { program, io, work } = context;
	await using workspace = openWorkspace(program, io, { work, dryRun: true });
	const sources = await computeSources(workspace);
	const selections = await loadLibrary(program.library, {
		architectures: Object.keys(program.architectures),
		defaultArchitecture: program.defaultArchitecture,
	});
	const lookup = registryLookup(workspace.client, program);
	const annotation = program.annotations.architecture;
	const derived = await deriveArchitectures(selections, sources, io, {
		program,
		changes: options.changes,
		architecturesOf: async (reference) => {
			const index = await lookup(reference);
			return index && new Set(index.manifests.flatMap(({ annotations }) => annotations?.[annotation] ?? []));
		},
	});
	const patches = await patchesOf(derived, options.write === true);
	if (options.patch === true) context.print(encodeText(patches.map(({ diff }) => diff).join("")));
	else if (context.json) context.print(tabJson(derived.findings));
	else context.print(textOf(derived, context, patches.length, options));
	const unsolved = derived.findings.some(({ kind }) => kind !== "gained");
	return unsolved && options.write !== true ? 7 : 0;
}

async function patchesOf({ entries }: Derived, write: boolean): Promise<readonly { readonly diff: string }[]> {
	const patches: { diff: string }[] = [];
	for (const [file, ofFile] of Map.groupBy(entries, ({ definition }) => definition.file)) {
		const text = decodeText(await readFile(file));
		const edits = editsOf(text, ofFile);
		if (edits.length === 0) continue;
		const relative = path.relative(process.cwd(), file).replaceAll(path.sep, "/");
		patches.push({ diff: unifiedDiff(relative, text, edits) });
		if (write) await writeWhole(file, encodeText(edited(text, edits)));
	}
	return patches;
}

function textOf({ findings, entries }: Derived, { style }: Context, files: number, options: Options): string {
	const lines: string[] = [];
	for (const [, group] of Map.groupBy(findings, ({ kind, base, arch }) => `${kind} ${base} ${arch}`)) {
		lines.push(style.bold(headline(group)));
		for (const { image, tag, from, base } of group) {
			lines.push(`  ${printable(`${image}:${tag}`)}${from === base ? "" : ` (on ${printable(from)})`}`);
		}
	}
	for (const { image, entry } of entries.filter(({ architectures }) => architectures.length === 0)) {
		lines.push(
			`${style.red("by hand")}: ${printable(`${image}:${entry.Tags[0]}`)} would have no architecture left: take the entry out`,
		);
	}
	const changed = entries.filter(({ architectures }) => architectures.length > 0).length;
	if (findings.length === 0) lines.push("all architectures are those of the bases");
	else if (options.write === true) lines.push(`${changed} entries in ${files} definitions were changed`);
	else
		lines.push(
			`${changed} entries in ${files} definitions would change (--patch prints that, --write does it; --changes ${options.changes})`,
		);
	return lines.map((line) => `${line}\n`).join("");
}

function headline(group: readonly Finding[]): string {
	const { kind, base, arch } = group[0]!;
	const name = printable(base);
	const count = `${group.length} ${group.length === 1 ? "entry" : "entries"}`;
	if (kind === "absent") return `${name} is not there at all (${arch}): ${count} cannot be judged`;
	if (kind === "gained") return `${name} has ${arch}: ${count} could have it`;
	return `${name} has no ${arch}: ${count} cannot have it`;
}
