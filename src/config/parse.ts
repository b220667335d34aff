import { type Alias, LineCounter, isMap, isNode, isScalar, isSeq, parseDocument, visit, type Document } from "yaml";
import * as z from "zod/mini";
import { nearest } from "../definition/text.ts";
import { BrewlineError, messageOf, type Location } from "../errors.ts";
import { printable } from "../io/printable.ts";
import { defineProgram } from "./program.ts";
import { configSchema } from "./schema.ts";
import type { Program } from "./types.ts";

/** The program that a configuration's text describes; `file` is for messages. */
export function parseConfig(text: string, file: string): Program {
	const lines = new LineCounter();
	const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, prettyErrors: false });
	const place = (offset: number): Location => {
		const { line, col } = lines.linePos(offset);
		return { file, line, column: col };
	};
	if (document.errors.length > 0) {
		throw collect(
			document.errors.map(
				(error) => new BrewlineError("config", printable(error.message), { at: place(error.pos[0]) }),
			),
		);
	}
	let value: unknown;
	try {
		value = document.toJS({ maxAliasCount: 100 });
	} catch (error) {
		throw new BrewlineError("config", `its aliases cannot be resolved: ${printable(messageOf(error))}`, {
			at: place(firstAlias(document)?.range?.[0] ?? 0),
			hint: "Write out what *aliases stand for.",
			cause: error,
		});
	}
	const parsed = configSchema.safeParse(value ?? {}, { error: z.locales.en().localeError });
	if (!parsed.success) {
		throw collect(parsed.error.issues.flatMap((issue) => describe(issue, document, place)));
	}
	try {
		return defineProgram(parsed.data.program ?? {});
	} catch (error) {
		if (error instanceof BrewlineError && error.at === undefined) {
			// Its messages begin with the path of what they are about.
			const where = error.message.split(": ", 1)[0]!.split(".");
			throw new BrewlineError(error.code, error.message, {
				at: place(offsetOf(document, where)),
				...(error.hint === undefined ? {} : { hint: error.hint }),
			});
		}
		throw error;
	}
}

function firstAlias(document: Document): Alias | undefined {
	let first: Alias | undefined;
	visit(document, {
		Alias: (_key, alias) => {
			first = alias;
			return visit.BREAK;
		},
	});
	return first;
}

/** One error for all of them, in the order of the file. */
function collect(found: readonly BrewlineError[]): BrewlineError {
	const errors = found.toSorted(
		(a, b) => (a.at?.line ?? 0) - (b.at?.line ?? 0) || (a.at?.column ?? 0) - (b.at?.column ?? 0),
	);
	const [first] = errors;
	if (errors.length === 1 && first !== undefined) return first;
	return new BrewlineError("config", `${errors.length} errors in the configuration`, {
		errors,
		...(first?.at === undefined ? {} : { at: first.at }),
	});
}

type Issue = z.core.$ZodIssue;

function describe(issue: Issue, document: Document, place: (offset: number) => Location): BrewlineError[] {
	const where = issue.path.map(String);
	if (issue.code === "unrecognized_keys") {
		const known = keysAt(where);
		return issue.keys.map((key) => {
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
	return [
		new BrewlineError(
			"config",
			[where.map((part) => printable(part)).join("."), issue.message].filter(Boolean).join(": "),
			{
				at: place(offsetOf(document, where)),
			},
		),
	];
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

/** The keys that the schema knows at a path; the names under a record are anybody's. */
function keysAt(where: readonly string[]): string[] {
	let schema: unknown = configSchema;
	for (const part of ["", ...where]) {
		if (part !== "") schema = child(schema, part);
		schema = unwrap(schema);
	}
	const shape = (schema as { def?: { shape?: Record<string, unknown> } } | undefined)?.def?.shape;
	return shape === undefined ? [] : Object.keys(shape);
}

interface SchemaLike {
	readonly def?: {
		readonly type?: string;
		readonly innerType?: unknown;
		readonly valueType?: unknown;
		readonly element?: unknown;
		readonly shape?: Record<string, unknown>;
	};
}

function unwrap(schema: unknown): unknown {
	let inner = schema as SchemaLike | undefined;
	while (inner?.def?.innerType !== undefined) inner = inner.def.innerType as SchemaLike;
	return inner;
}

function child(schema: unknown, part: string): unknown {
	const def = (schema as SchemaLike | undefined)?.def;
	return def?.shape?.[part] ?? def?.valueType ?? def?.element;
}
