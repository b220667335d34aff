import type { Problems } from "./problems.ts";
import { isWhiteSpace, trimRange } from "./text.ts";
import type { Position } from "./types.ts";

/** A piece of a value that stands in one line: `offset` in the value is this line and column. */
interface Piece {
	readonly offset: number;
	readonly line: number;
	readonly column: number;
}

/** A field as written; the value of a continued one ends in a newline. */
export interface Field {
	readonly key: string;
	readonly value: string;
	readonly line: number;
	readonly column: number;
	readonly pieces: readonly Piece[];
}

export interface Paragraph {
	readonly line: number;
	readonly column: number;
	/** By key: the last one of several. */
	readonly fields: ReadonlyMap<string, Field>;
	/** Whether it has a line that is neither a field nor a continuation: what is missing is probably there. */
	readonly damaged: boolean;
}

/** Where the character at `offset` of a field's value stands. */
export function placeInValue(field: Field, offset: number): Position {
	// Binary search: a folded list can have as many pieces as items.
	let low = 0;
	let high = field.pieces.length - 1;
	while (low < high) {
		const middle = Math.ceil((low + high) / 2);
		if (field.pieces[middle]!.offset <= offset) low = middle;
		else high = middle - 1;
	}
	const place = field.pieces[low]!;
	return { line: place.line, column: place.column + offset - place.offset };
}

interface OpenField {
	readonly key: string;
	readonly line: number;
	readonly column: number;
	readonly parts: string[];
	readonly pieces: Piece[];
	length: number;
	blankLine: number | undefined;
}

interface OpenParagraph {
	readonly line: number;
	readonly column: number;
	readonly fields: Map<string, Field>;
	damaged: boolean;
	current: OpenField | undefined;
}

/** Splits a definition into paragraphs (spec/manifest.md, Grammar), in one pass. */
export function readParagraphs(text: string, problems: Problems): readonly Paragraph[] {
	const paragraphs: Paragraph[] = [];
	let open: OpenParagraph | undefined;
	let ignored: number | undefined;
	let line = 0;
	const endParagraph = () => {
		if (open === undefined) return;
		endField(open, problems);
		paragraphs.push({ line: open.line, column: open.column, fields: open.fields, damaged: open.damaged });
		open = undefined;
	};
	for (let start = 0, next = 0; start < text.length; start = next) {
		const newline = text.indexOf("\n", start);
		const end = newline === -1 ? text.length : newline;
		next = end + 1;
		line += 1;
		const [from, to] = trimRange(text, start, end, isWhiteSpace);
		if (text[from] === "#" && from < to) continue;
		if (end === start || (end === start + 1 && text[start] === "\r")) {
			endParagraph();
			continue;
		}
		if (text[start] === " " || text[start] === "\t") {
			if (open?.current !== undefined) {
				continueField(open.current, from < to ? text.slice(start + 1, to) : "", line);
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
		const colon = text.indexOf(":", from);
		const place = { line, column: (from < to ? from : start) - start + 1 };
		open ??= { ...place, fields: new Map(), damaged: false, current: undefined };
		endField(open, problems);
		if (colon === -1 || colon >= end) {
			open.damaged = true;
			problems.notAField(place, text.slice(from, to));
			continue;
		}
		const [keyStart, keyEnd] = trimRange(text, from, colon, isWhiteSpace);
		const [valueStart, valueEnd] = trimRange(text, colon + 1, end, isWhiteSpace);
		open.current = {
			key: text.slice(keyStart, keyEnd),
			...place,
			parts: [text.slice(valueStart, valueEnd)],
			pieces: [{ offset: 0, line, column: (valueStart < valueEnd ? valueStart : colon + 1) - start + 1 }],
			length: valueEnd - valueStart,
			blankLine: undefined,
		};
	}
	endParagraph();
	return paragraphs;
}

function continueField(field: OpenField, rest: string, line: number): void {
	if (rest === "") field.blankLine ??= line;
	const joint = field.parts.length === 1 && field.length > 0 ? "\n" : "";
	field.pieces.push({ offset: field.length + joint.length, line, column: 2 });
	const added = `${joint}${rest === "." ? "" : rest}\n`;
	field.parts.push(added);
	field.length += added.length;
}

function endField(paragraph: OpenParagraph, problems: Problems): void {
	const open = paragraph.current;
	if (open === undefined) return;
	paragraph.current = undefined;
	const { key, line, column, pieces } = open;
	const earlier = paragraph.fields.get(key);
	if (earlier !== undefined) problems.repeated({ line, column }, key, earlier.line);
	if (open.blankLine !== undefined) problems.blankLine({ line: open.blankLine, column: 1 }, key);
	paragraph.fields.set(key, { key, value: open.parts.join(""), line, column, pieces });
}
