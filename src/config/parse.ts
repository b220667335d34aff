import { LineCounter, isMap, isNode, isScalar, isSeq, parseDocument, visit, type Document, type YAMLMap } from "yaml";
import * as z from "zod/mini";
import { nearest } from "../definition/text.ts";
import { BrewlineError, messageOf, type Location } from "../errors.ts";
import { printable } from "../io/printable.ts";
import { defineProgram } from "./program.ts";
import { programSchema, type ProgramInput } from "./schema.ts";
import type { Program } from "./types.ts";

/** The program that a configuration's text describes; `file` is for messages. What it says of images is not looked at. */
export function parseConfig(text: string, file: string): Program {
	return programOf(readText(text, file, programSchema));
}

/** What is wrong at a place of the text. */
export interface PlacedProblem {
	readonly path: readonly string[];
	readonly message: string;
	readonly hint?: string | undefined;
}

/** A text that its schema takes. */
export interface ReadText<Data> {
	readonly data: Data;
	/** Throws one error with all of them, if there are any. */
	readonly refuse: (problems: readonly PlacedProblem[]) => void;
}

/** More errors than these help nobody; a hostile text could have very many, each looked for in all of it. */
const maxErrors = 100;
/** An alias is looked for in all of the text; people write a few. */
const maxAliases = 100;
/** How many lists and blocks may be in one another. What reads them calls itself for each. */
const maxNesting = 100;

/** All errors of the text come in one, each with its line and the nearest name. */
export function readText<Schema extends z.ZodMiniType>(
	text: string,
	file: string,
	schema: Schema,
): ReadText<z.infer<Schema>> {
	const lines = new LineCounter();
	const document = parseDocument(text, { lineCounter: lines, uniqueKeys: false, prettyErrors: false });
	const place = (offset: number): Location => {
		const { line, col } = lines.linePos(offset);
		return { file, line, column: col };
	};
	if (document.errors.length > 0) {
		// A tab that does not count makes whatever follows look wrong, too.
		const tabs = document.errors.filter(({ code }) => code === "TAB_AS_INDENT");
		const errors = tabs.length > 0 ? tabs : document.errors;
		const hint = tabs.length > 0 ? { hint: "Indent with spaces: YAML takes no tabs there." } : {};
		throw collect(
			errors
				.slice(0, maxErrors)
				.map((error) => new BrewlineError("config", printable(error.message), { at: place(error.pos[0]), ...hint })),
			errors.length,
		);
	}
	const { firstAlias, repeated } = lookThrough(document, place);
	if (repeated.length > 0) {
		const errors = repeated.map(
			({ key, offset }) =>
				new BrewlineError("config", `${printable(key)}: keys must be unique, and this one stands twice`, {
					at: place(offset),
				}),
		);
		throw collect(errors);
	}
	let value: unknown;
	try {
		value = document.toJS({ maxAliasCount: maxAliases });
	} catch (error) {
		throw new BrewlineError("config", `its aliases cannot be resolved: ${printable(messageOf(error))}`, {
			at: place(firstAlias ?? 0),
			hint: "Write out what *aliases stand for.",
			cause: error,
		});
	}
	const parsed = schema.safeParse(value ?? {}, { error: z.locales.en().localeError });
	if (!parsed.success) {
		const { issues } = parsed.error;
		throw collect(
			issues.slice(0, maxErrors).flatMap((issue) => describe(issue, { document, place, schema })),
			issues.length,
		);
	}
	return {
		data: parsed.data,
		refuse: (problems) => {
			const errors = problems.slice(0, maxErrors).map(
				({ path, message, hint }) =>
					new BrewlineError("config", `${path.map((part) => printable(part)).join(".")}: ${message}`, {
						at: place(offsetOf(document, path)),
						...(hint === undefined ? {} : { hint }),
					}),
			);
			if (errors.length > 0) throw collect(errors, problems.length);
		},
	};
}

/** The program of a text that was read. */
export function programOf({ data, refuse }: ReadText<{ readonly program?: ProgramInput | undefined }>): Program {
	try {
		return defineProgram(data.program ?? {});
	} catch (error) {
		if (error instanceof BrewlineError && error.at === undefined) {
			// Its messages begin with the path of what they are about.
			const [where, ...rest] = error.message.split(": ");
			refuse([{ path: where!.split("."), message: rest.join(": "), hint: error.hint }]);
		}
		throw error;
	}
}

interface LookedThrough {
	/** Where the first alias stands. */
	readonly firstAlias: number | undefined;
	/** Keys that their block has already. */
	readonly repeated: readonly { readonly key: string; readonly offset: number }[];
}

/** Looks once at each part of a text, in time linear in its length; refuses what others would take very long for. */
function lookThrough(document: Document, place: (offset: number) => Location): LookedThrough {
	let firstAlias: number | undefined;
	let aliases = 0;
	const repeated: { readonly key: string; readonly offset: number }[] = [];
	const refuse = (message: string, offset: number): never => {
		throw new BrewlineError("config", message, { at: place(offset) });
	};
	const keysOf = ({ items }: YAMLMap): void => {
		const keys = new Set<unknown>();
		for (const { key } of items) {
			if (!isScalar(key)) continue;
			if (keys.has(key.value) && repeated.length < maxErrors) {
				repeated.push({ key: String(key.value), offset: key.range?.[0] ?? 0 });
			}
			keys.add(key.value);
		}
	};
	visit(document, {
		Alias: (_key, { range }) => {
			firstAlias ??= range?.[0] ?? 0;
			if (++aliases > maxAliases) refuse(`there are more than ${maxAliases} aliases`, range?.[0] ?? 0);
		},
		Collection: (_key, node, path) => {
			if (path.length > 2 * maxNesting) refuse("it is nested too deeply", node.range?.[0] ?? 0);
			if (isMap(node)) keysOf(node);
		},
	});
	return { firstAlias, repeated };
}

/** One error for all of them, in the order of the file. */
function collect(found: readonly BrewlineError[], count = found.length): BrewlineError {
	const errors = found.toSorted(
		(a, b) => (a.at?.line ?? 0) - (b.at?.line ?? 0) || (a.at?.column ?? 0) - (b.at?.column ?? 0),
	);
	const [first] = errors;
	if (errors.length === 1 && first !== undefined) return first;
	const more = count > maxErrors ? `, of which ${errors.length} are named` : "";
	return new BrewlineError("config", `${Math.max(count, errors.length)} errors in the configuration${more}`, {
		errors,
		...(first?.at === undefined ? {} : { at: first.at }),
	});
}

type Issue = z.core.$ZodIssue;

interface Place {
	readonly document: Document;
	readonly place: (offset: number) => Location;
	readonly schema: unknown;
}

function describe(issue: Issue, whole: Place, above: readonly string[] = []): BrewlineError[] {
	const { document, place, schema } = whole;
	const where = [...above, ...issue.path.map(String)];
	if (issue.code === "invalid_union") {
		const meant = likeliest(issue.errors);
		if (meant !== undefined) {
			// What seems to be missing is what the unknown key was meant to be.
			const unknown = meant.filter((each) => each.code === "unrecognized_keys" && each.path.length === 0);
			const told = unknown.length > 0 ? unknown : meant;
			return told.flatMap((each) => describe(each, whole, where));
		}
		const kinds = kindsOf(issue.errors);
		if (kinds.length > 0) return [misplaced(whole, where, `expected ${kinds.join(" or ")}`, kinds.includes("string"))];
	}
	if (issue.code === "unrecognized_keys") {
		const known = keysAt(schema, where);
		return issue.keys.slice(0, maxErrors).map((key) => {
			const near = nearest(key, known);
			return new BrewlineError("config", `${[...where, printable(key)].join(".")}: no such key`, {
				at: place(offsetOf(document, [...where, key])),
				hint:
					near === undefined
						? `known here are: ${known.join(", ")}`
						: `did you mean ${near}? Known here are: ${known.join(", ")}`,
			});
		});
	}
	return [misplaced(whole, where, issue.message, issue.code === "invalid_type" && issue.expected === "string")];
}

function misplaced(
	{ document, place }: Place,
	where: readonly string[],
	message: string,
	isText: boolean,
): BrewlineError {
	const node = document.getIn(where, true);
	// YAML takes it for something else than the text that it looks like.
	const isPlain = isText && isScalar(node) && ["boolean", "number"].includes(typeof node.value);
	const path = where.map((part) => printable(part)).join(".");
	return new BrewlineError("config", [path, message].filter(Boolean).join(": "), {
		at: place(offsetOf(document, where)),
		...(isPlain ? { hint: `Quote it: "${printable(node.source ?? String(node.value))}".` } : {}),
	});
}

/**
 * Of the forms that a value may have, the errors of the one that was most likely meant: the value is of its kind, with
 * the fewest unknown keys, then with the fewest errors. Undefined: it is of no form's kind.
 */
function likeliest(forms: readonly (readonly Issue[])[]): readonly Issue[] | undefined {
	const rank = (issues: readonly Issue[]): number =>
		issues.reduce((sum, issue) => {
			if (issue.code === "unrecognized_keys") return sum + 10 * issue.keys.length;
			return sum + (issue.code === "invalid_type" && issue.path.length === 1 ? 6 : 1);
		}, 0);
	return forms
		.filter((issues) => !issues.some((issue) => issue.code === "invalid_type" && issue.path.length === 0))
		.toSorted((a, b) => rank(a) - rank(b))[0];
}

/** The kinds of value that forms are of, where the value is of none of them. */
function kindsOf(forms: readonly (readonly Issue[])[]): readonly string[] {
	const kinds = forms.flatMap((issues) =>
		issues.flatMap((issue): readonly string[] => {
			if (issue.path.length > 0) return [];
			if (issue.code === "invalid_union") return kindsOf(issue.errors);
			return issue.code === "invalid_type" ? [issue.expected] : [];
		}),
	);
	return [...new Set(kinds)];
}

/** Where the key at the end of the path stands; the deepest one that is there. */
function offsetOf(document: Document, where: readonly string[]): number {
	let node: unknown = document.contents;
	let offset = 0;
	for (const part of where) {
		if (isSeq(node)) {
			const item: unknown = node.items[Number(part)];
			if (!isNode(item)) break;
			offset = item.range?.[0] ?? offset;
			node = item;
			continue;
		}
		if (!isMap(node)) break;
		const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === part);
		if (pair === undefined) break;
		if (isScalar(pair.key) && pair.key.range) offset = pair.key.range[0];
		node = pair.value;
	}
	return offset;
}

/** The keys that the schema knows at a path, in any of the forms there; the names under a record are anybody's. */
function keysAt(schema: unknown, where: readonly string[]): string[] {
	let schemas = forms(schema);
	for (const part of where) schemas = schemas.flatMap((schema) => forms(child(schema, part)));
	return [...new Set(schemas.flatMap(({ def }) => Object.keys(def?.shape ?? {})))];
}

interface SchemaLike {
	readonly def?: {
		readonly type?: string;
		readonly innerType?: unknown;
		readonly getter?: () => unknown;
		readonly options?: readonly unknown[];
		readonly valueType?: unknown;
		readonly element?: unknown;
		readonly catchall?: unknown;
		readonly shape?: Record<string, unknown>;
	};
}

/** What a schema is without wrappers, each form of it. */
function forms(schema: unknown): readonly SchemaLike[] {
	const inner = schema as SchemaLike | undefined;
	if (inner === undefined) return [];
	const { innerType, getter, options } = inner.def ?? {};
	if (options !== undefined) return options.flatMap(forms);
	if (innerType !== undefined) return forms(innerType);
	return getter === undefined ? [inner] : forms(getter());
}

function child({ def }: SchemaLike, part: string): unknown {
	const { shape = {} } = def ?? {};
	if (Object.hasOwn(shape, part)) return shape[part];
	return def?.valueType ?? def?.element ?? def?.catchall;
}
