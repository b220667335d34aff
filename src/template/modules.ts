import { posix } from "node:path";
import { BrewlineError, type Location } from "../errors.ts";
import { printable } from "../io/printable.ts";
import { newLines } from "./parse.ts";
import { scanJq, type Scan, type Token } from "./scan.ts";

/** A part of a program, and where its first line comes from; the lines behind it follow there as well. */
export interface Source {
	readonly text: string;
	readonly at: Location;
}

/** The text of a repository's jq modules by path. */
export type Modules = ReadonlyMap<string, string>;

const maxModules = 100;

/**
 * The same definitions with the modules that they `include` and `import` put in their place: jq here knows no files.
 * Only the repository's own `.jq` files can be named.
 */
export function inlineModules(source: Source, modules: Modules): readonly Source[] {
	return inline(source, modules, []);
}

function inline(source: Source, modules: Modules, within: readonly string[]): readonly Source[] {
	const scan = scanned(source);
	const parts: Source[] = [];
	let next = 0;
	for (;;) {
		const directive = directiveAt(source, scan, next);
		if (directive === undefined) break;
		next = directive.next;
		if (directive.name === undefined) continue;
		const at = locate(source, directive.offset);
		const file = fileOf(directive.name, directive.search, source, modules, at);
		if (within.includes(file) || within.length >= maxModules) {
			throw new BrewlineError("template", `${printable(file)} includes itself`, { at });
		}
		const parent = [...within, file];
		const module = { text: modules.get(file)!, at: { file, line: 1 } };
		const inner = inline(module, modules, parent);
		parts.push(...(directive.as === undefined ? inner : renamed(inner, module, directive.as)));
	}
	const rest = scan.tokens[next]?.offset;
	if (rest !== undefined) parts.push({ text: source.text.slice(rest), at: locate(source, rest) });
	return parts;
}

/** The tokens of a text that stands for itself: a module, or definitions. */
function scanned(source: Source): Scan {
	const scan = scanJq(source.text);
	const bracket = scan.unopened[0] ?? scan.unclosed[0];
	const fault =
		scan.fault ?? (bracket && { message: `${bracket.text} has no counterpart in this text`, offset: bracket.offset });
	if (fault !== undefined) throw new BrewlineError("template", fault.message, { at: locate(source, fault.offset) });
	return { ...scan, tokens: scan.tokens.filter(({ kind }) => kind !== "comment") };
}

export function locate({ text, at }: Source, offset: number): Location {
	return { ...at, line: (at.line ?? 1) + newLines(text.slice(0, offset)) };
}

interface Directive {
	/** Missing for a module's description of itself. */
	readonly name?: string;
	readonly search?: string;
	readonly as?: string;
	readonly offset: number;
	/** The token behind it. */
	readonly next: number;
}

function directiveAt(source: Source, { tokens }: Scan, start: number): Directive | undefined {
	const [first, second] = tokens.slice(start, start + 2);
	if (first?.kind !== "word" || !["include", "import", "module"].includes(first.text)) return undefined;
	const fail = (message: string, hint: string): never => {
		throw new BrewlineError("template", message, { at: locate(source, first.offset), hint });
	};
	const semicolon = tokens.findIndex(({ text }, index) => index > start && text === ";");
	const end = semicolon === -1 ? tokens.length : semicolon;
	const found = { offset: first.offset, next: end + 1 };
	if (first.text === "module") return found;
	if (second?.kind !== "string") return fail(`${first.text} without a name in quotes`, `Write ${first.text} "NAME".`);
	let next = start + 2;
	let as: string | undefined;
	if (first.text === "import") {
		const [keyword, alias] = tokens.slice(next, next + 2);
		if (keyword?.text !== "as" || alias?.kind !== "word") {
			return fail(
				"import takes functions only, not data",
				'Write import "NAME" as PREFIX, and put the data into versions.json.',
			);
		}
		as = alias.text;
		next += 2;
	}
	const text = source.text.slice(tokens[next]?.offset ?? source.text.length, tokens[end]?.offset);
	const metadata = next >= end ? undefined : /^\{\s*"?search"?\s*:\s*("(?:[^"\\]|\\[^(])*")\s*\}\s*$/.exec(text);
	if (metadata === null) {
		return fail(
			`${first.text} with something behind the name that is not known here`,
			'Known is { search: "FOLDER" }.',
		);
	}
	return {
		...found,
		name: parsed(second.text) ?? fail("the name is no string", 'Write "NAME".'),
		...(as === undefined ? {} : { as }),
		...(metadata === undefined
			? {}
			: { search: parsed(metadata[1]!) ?? fail("the folder is no string", 'Write "FOLDER".') }),
	};
}

function parsed(text: string): string | undefined {
	try {
		return JSON.parse(text) as string;
	} catch {
		return undefined;
	}
}

/** As jq looks for it: `NAME.jq`, or `NAME/NAME.jq`; from the repository's root, or from a folder beside the file that asks. */
function fileOf(name: string, search: string | undefined, source: Source, modules: Modules, at: Location): string {
	const base = search === undefined ? "" : posix.join(posix.dirname(source.at.file), search);
	for (const candidate of [`${name}.jq`, `${name}/${posix.basename(name)}.jq`]) {
		const file = posix.normalize(posix.join(base, candidate));
		if (!posix.isAbsolute(name) && modules.has(file)) return file;
	}
	throw new BrewlineError("template", `there is no module ${printable(name, 200)}`, {
		at,
		hint: `Modules are files of the repository that end in .jq: ${printable([...modules.keys()].join(", ") || "there is none")}.`,
	});
}

/** The definitions of a module under a prefix: each holds the whole module, which nothing else can see. */
function renamed(parts: readonly Source[], module: Source, prefix: string): readonly Source[] {
	return definitionsOf(scanned(parts.at(-1) ?? module).tokens).flatMap(({ name, parameters }) => {
		const names = Array.from({ length: parameters }, (_, index) => `argument__${index}`).join("; ");
		const list = parameters === 0 ? "" : `(${names})`;
		return [
			{ text: `def ${prefix}::${name}${list}:`, at: module.at },
			...parts,
			{ text: `${name}${list};`, at: module.at },
		];
	});
}

interface Definition {
	readonly name: string;
	readonly parameters: number;
}

/** What a module defines, apart from what stands within its definitions. */
function definitionsOf(tokens: readonly Token[]): readonly Definition[] {
	const found: Definition[] = [];
	let depth = 0;
	/** Of definitions in one another, at this depth. */
	let nested = 0;
	tokens.forEach(({ kind, text }, index) => {
		if (kind === "open") depth++;
		else if (kind === "close") depth--;
		else if (depth > 0) return;
		else if (kind === "word" && text === "def") {
			if (nested++ > 0) return;
			found.push({ name: tokens[index + 1]?.text ?? "", parameters: parametersAt(tokens, index + 2) });
		} else if (text === ";") nested--;
	});
	return found;
}

function parametersAt(tokens: readonly Token[], start: number): number {
	if (tokens[start]?.text !== "(") return 0;
	const end = tokens.findIndex(({ text }, index) => index > start && text === ")");
	return tokens.slice(start, end).filter(({ text }) => text === ";").length + 1;
}
