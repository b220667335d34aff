import { readFile, realpath } from "node:fs/promises";
import path from "node:path";
import { architectureLookup } from "../builds/index.ts";
import {
	deriveArchitectures,
	type Derived,
	type DerivedEntry,
	type DeriveOptions,
	edited,
	editsOf,
	type ArchitectureFinding,
	unifiedDiff,
} from "../check/index.ts";
import { architectureOptions } from "../config/index.ts";
import { decodeText, encodeText, loadLibrary } from "../definition/index.ts";
import { BrewlineError } from "../errors.ts";
import { counted, printable, writeWhole } from "../io/index.ts";
import { tabJson } from "../json/index.ts";
import { computeSources, openWorkspace } from "../pipeline/index.ts";
import { type Context, sayUnconfigured } from "./context.ts";
import { repositoryOf } from "./repository.ts";

interface Options {
	readonly patch?: boolean;
	readonly write?: boolean;
	readonly changes: DeriveOptions["changes"];
}

/** Compares the architectures of definitions with those that their bases have; as a patch, or in place. */
export async function architecturesStep(context: Context, options: Options, names: string[]): Promise<number> {
	sayUnconfigured(context);
	const { program, io, work } = context;
	await using workspace = openWorkspace(program, io, { work, dryRun: true });
	const selections = await loadLibrary(program.library, architectureOptions(program));
	const unknown = names.find((name) => !selections.some((selection) => selection.name === name));
	if (unknown !== undefined) {
		throw new BrewlineError("reference", `there is no definition ${printable(unknown, 200)}`, {
			hint: `name files of ${printable(program.library)}, without tags`,
		});
	}
	const sources = await computeSources(workspace);
	const all = await deriveArchitectures(selections, sources, io, {
		program,
		changes: options.changes,
		architecturesOf: architectureLookup(workspace.client, program),
	});
	const isMeant = ({ image }: { readonly image: string }): boolean => names.length === 0 || names.includes(image);
	const derived = { findings: all.findings.filter(isMeant), entries: all.entries.filter(isMeant) };
	const changes = await changesOf(derived, program);
	// Only when all are known to come out right is the first one written.
	if (options.write === true) for (const { file, text } of changes) await writeWhole(file, encodeText(text));
	if (options.patch === true) {
		context.print(encodeText(changes.map(({ diff }) => diff).join("")));
		for (const text of unpatched(derived)) io.log({ type: "message", level: "warning", text });
	} else if (context.json) context.print(tabJson(asData(derived)));
	else context.print(textOf(derived, context, changes.length, options));
	const solved = (finding: ArchitectureFinding): boolean =>
		finding.kind === "gained" ||
		(options.write === true && finding.kind === "dropped" && derived.entries.some((entry) => isSolved(entry, finding)));
	return derived.findings.every(solved) ? 0 : 7;
}

function isSolved({ image, entry, architectures }: DerivedEntry, finding: ArchitectureFinding): boolean {
	return (
		image === finding.image &&
		entry.Tags[0] === finding.tag &&
		architectures.length > 0 &&
		!architectures.includes(finding.arch)
	);
}

interface Change {
	readonly file: string;
	readonly text: string;
	readonly diff: string;
}

async function changesOf(
	{ entries }: Derived,
	{ architectures, library }: Context["program"],
): Promise<readonly Change[]> {
	const root = repositoryOf(await realpath(library));
	// Two definitions can be one file, by a symbolic link; what is right for one of them then is for the other.
	const files = new Map<string, { readonly definition: DerivedEntry["definition"]; entries: DerivedEntry[] }>();
	for (const one of entries) {
		const file = await realpath(one.definition.file);
		const known = files.get(file) ?? { definition: one.definition, entries: [] };
		files.set(file, known);
		if (known.definition === one.definition) known.entries.push(one);
	}
	const changes: Change[] = [];
	for (const [file, known] of files) {
		const text = decodeText(await readFile(file));
		const edits = editsOf(text, known.entries, Object.keys(architectures));
		if (edits.length === 0) continue;
		const relative = path.relative(root, file).replaceAll(path.sep, "/");
		changes.push({ file, text: edited(text, edits), diff: unifiedDiff(relative, text, edits) });
	}
	return changes;
}

function asData({ findings, entries }: Derived): object {
	return {
		findings,
		entries: entries.map(({ image, entry, architectures }) => ({
			image,
			tag: entry.Tags[0],
			file: entry.at.file,
			line: entry.at.line,
			now: entry.Architectures,
			proposed: architectures,
		})),
	};
}

function textOf({ findings, entries }: Derived, { style }: Context, files: number, options: Options): string {
	const lines: string[] = [];
	for (const [, group] of Map.groupBy(findings, ({ kind, base, arch }) => `${kind} ${base} ${arch}`)) {
		lines.push(style.bold(headline(group)));
		for (const { image, tag, from, base } of group) {
			lines.push(`  ${printable(`${image}:${tag}`)}${from === base ? "" : ` (on ${printable(from)})`}`);
		}
	}
	lines.push(...emptied(entries).map((text) => style.red(text)));
	const changed = entries.filter(({ architectures }) => architectures.length > 0).length;
	const what = `${counted(changed, "entry", "entries")} in ${counted(files, "file")}`;
	if (findings.length === 0) lines.push("all architectures are those of the bases");
	else if (changed === 0) lines.push(`nothing that --changes ${options.changes} could do`);
	else if (options.write === true) lines.push(`${what} changed`);
	else lines.push(`${what} would change (--patch prints that, --write does it; --changes ${options.changes})`);
	return lines.map((line) => `${line}\n`).join("");
}

function emptied(entries: readonly DerivedEntry[]): readonly string[] {
	return entries
		.filter(({ architectures }) => architectures.length === 0)
		.map(
			({ image, entry }) =>
				`${printable(`${image}:${entry.Tags[0]}`)} would have no architecture left: take the entry out by hand`,
		);
}

/** What a patch leaves for people. */
function unpatched({ findings, entries }: Derived): readonly string[] {
	const absent = Map.groupBy(
		findings.filter(({ kind }) => kind === "absent"),
		({ base, arch }) => `${base} ${arch}`,
	);
	return [...[...absent.values()].map((group) => headline(group)), ...emptied(entries)];
}

function headline(group: readonly ArchitectureFinding[]): string {
	const { kind, base, arch } = group[0]!;
	const name = printable(base);
	const entries = counted(group.length, "entry", "entries");
	const files = counted(new Set(group.map(({ image }) => image)).size, "definition");
	if (kind === "absent") return `${name} is not there at all (${arch}): ${entries} in ${files} cannot be judged`;
	if (kind === "gained") return `${name} has ${arch}: ${entries} in ${files} could have it`;
	return `${name} has no ${arch}: ${entries} in ${files} cannot have it`;
}
