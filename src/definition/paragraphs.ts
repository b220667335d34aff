import { isFieldName } from "./names.ts";
import type { Problems } from "./problems.ts";
import { isWhiteSpace, skipSpace, skipSpaceBack } from "./text.ts";
import type { Position } from "./types.ts";

/** A continuation of a value: `offset` in the value is this line, column 2. */
interface Continuation {
	readonly offset: number;
	readonly line: number;
}

/** A field as written; the value of a continued one ends in a newline. */
export interface Field {
	readonly key: string;
	readonly value: string;
	readonly line: number;
	readonly column: number;
	/** Where the value starts in the line of the key. */
	readonly valueColumn: number;
	readonly continuations: readonly Continuation[];
}

export interface Paragraph {
	readonly line: number;
	readonly column: number;
	/** By key: the last one of several. */
	readonly fields: ReadonlyMap<string, Field>;
	/** Those of them that are not just a value behind one of the format's names: hardly any, and all that checks look at. */
	readonly unusual: ReadonlyMap<string, Field>;
	/** Whether it has a line that is neither a field nor a continuation: what is missing is probably there. */
	readonly damaged: boolean;
}

/** Where the character at `offset` of a field's value stands. */
export function placeInValue(field: Field, offset: number): Position {
	const { continuations } = field;
	// Binary search: a folded list can have as many lines as items.
	let after = 0;
	let end = continuations.length;
	while (after < end) {
		const middle = Math.floor((after + end) / 2);
		if (continuations[middle]!.offset <= offset) after = middle + 1;
		else end = middle;
	}
	const piece = continuations[after - 1];
	return piece === undefined
		? { line: field.line, column: field.valueColumn + offset }
		: { line: piece.line, column: 2 + offset - piece.offset };
}

interface OpenField extends Field {
	value: string;
	continuations: readonly Continuation[];
}

/** The lines that continue a value, put together when it ends: most values have none. */
interface Folded {
	readonly parts: string[];
	readonly continuations: Continuation[];
	length: number;
	blankLine: number | undefined;
}

const notContinued: readonly Continuation[] = [];
const nothingUnusual: ReadonlyMap<string, Field> = new Map();

interface OpenParagraph {
	readonly line: number;
	readonly column: number;
	readonly fields: Map<string, Field>;
	unusual: Map<string, Field> | undefined;
	damaged: boolean;
	current: OpenField | undefined;
	folded: Folded | undefined;
}

/** Splits a definition into paragraphs (spec/manifest.md, Grammar), in one pass. */
export function readParagraphs(text: string, problems: Problems): readonly Paragraph[] {
	const paragraphs: Paragraph[] = [];
	let open: OpenParagraph | undefined;
	let ignored: number | undefined;
	let line = 0;
	let colon = text.indexOf(":");
	const endParagraph = () => {
		if (open === undefined) return;
		endField(open, problems);
		const { line, column, fields, unusual = nothingUnusual, damaged } = open;
		paragraphs.push({ line, column, fields, unusual, damaged });
		open = undefined;
	};
	for (let start = 0, next = 0; start < text.length; start = next) {
		const newline = text.indexOf("\n", start);
		const end = newline === -1 ? text.length : newline;
		next = end + 1;
		line += 1;
		const from = skipSpace(text, start, end, isWhiteSpace);
		const to = skipSpaceBack(text, from, end, isWhiteSpace);
		if (text[from] === "#" && from < to) continue;
		if (end === start || (end === start + 1 && text[start] === "\r")) {
			endParagraph();
			continue;
		}
		if (text[start] === " " || text[start] === "\t") {
			if (open?.current !== undefined) {
				continueField(open, open.current, from < to ? text.slice(start + 1, to) : "", line);
			} else if (from < to && !open?.damaged && ignored !== line - 1) {
				problems.warn(
					{ line, column: from - start + 1 },
					"this line is ignored: there is no field above it to continue",
					{
						hint: "Write a field without blanks in front of it.",
					},
				);
			}
			if (open?.current === undefined) ignored = line;
			continue;
		}
		// Looked for once: it may be very many lines away.
		if (colon !== -1 && colon < from) colon = text.indexOf(":", from);
		const place = { line, column: (from < to ? from : start) - start + 1 };
		open ??= {
			line,
			column: place.column,
			fields: new Map(),
			unusual: undefined,
			damaged: false,
			current: undefined,
			folded: undefined,
		};
		endField(open, problems);
		if (colon === -1 || colon >= end) {
			open.damaged = true;
			problems.notAField(place, text.slice(from, to));
			continue;
		}
		const keyEnd = skipSpaceBack(text, from, colon, isWhiteSpace);
		const valueStart = skipSpace(text, colon + 1, to, isWhiteSpace);
		open.current = {
			key: text.slice(from, keyEnd),
			value: text.slice(valueStart, to),
			line,
			column: place.column,
			valueColumn: (valueStart < to ? valueStart : colon + 1) - start + 1,
			continuations: notContinued,
		};
	}
	endParagraph();
	return paragraphs;
}

function continueField(paragraph: OpenParagraph, { value }: Field, rest: string, line: number): void {
	paragraph.folded ??= { parts: [value], continuations: [], length: value.length, blankLine: undefined };
	const { folded } = paragraph;
	if (rest === "") folded.blankLine ??= line;
	const joint = folded.parts.length === 1 && value !== "" ? "\n" : "";
	folded.continuations.push({ offset: folded.length + joint.length, line });
	const added = `${joint}${rest === "." ? "" : rest}\n`;
	folded.parts.push(added);
	folded.length += added.length;
}

function endField(paragraph: OpenParagraph, problems: Problems): void {
	const { current, folded } = paragraph;
	if (current === undefined) return;
	paragraph.current = undefined;
	paragraph.folded = undefined;
	const { key } = current;
	const earlier = paragraph.fields.get(key);
	if (earlier !== undefined) problems.repeated(current, key, earlier.line);
	if (folded !== undefined) {
		current.value = folded.parts.join("");
		current.continuations = folded.continuations;
		if (folded.blankLine !== undefined) problems.blankLine({ line: folded.blankLine, column: 1 }, key);
	}
	paragraph.fields.set(key, current);
	if (folded !== undefined || current.value === "" || !isFieldName(key)) {
		paragraph.unusual ??= new Map();
		paragraph.unusual.set(key, current);
	} else if (earlier !== undefined) {
		paragraph.unusual?.delete(key);
	}
}
