/** A part of a template. Lines count from 1. */
export interface Piece {
	readonly kind: "text" | "expression";
	/** Of an expression what stands between the braces. */
	readonly text: string;
	readonly line: number;
}

export interface Parsed {
	readonly pieces: readonly Piece[];
	/** The line of an expression that has no end. */
	readonly unclosed?: number;
}

const eatsNewline = "-}}\n";

/**
 * Takes a template apart (spec/library-generation.md, "Rendering Dockerfiles"): `{{ jq }}` in text. Pairs of braces in an
 * expression are counted; `-}}` at the end of a line takes the new line with it. A last line without its end is given one.
 */
export function parseTemplate(template: string): Parsed {
	const source = template === "" || template.endsWith("\n") ? template : `${template}\n`;
	const pieces: Piece[] = [];
	let line = 1;
	let at = 0;
	const push = (kind: Piece["kind"], text: string): void => {
		if (text !== "") pieces.push({ kind, text, line });
	};
	const skip = (end: number): void => {
		line += newLines(source.slice(at, end));
		at = end;
	};
	for (;;) {
		const start = source.indexOf("{{", at);
		push("text", source.slice(at, start === -1 ? source.length : start));
		if (start === -1) return { pieces };
		skip(start);
		const end = endOf(source, start + 2);
		if (end === undefined) return { pieces, unclosed: line };
		const eats = source.startsWith(eatsNewline, end - 1);
		push("expression", source.slice(start + 2, eats ? end - 1 : end));
		skip(end + (eats ? eatsNewline.length - 1 : 2));
	}
}

/** Where the braces stand that close an expression whose text begins here. */
function endOf(source: string, start: number): number | undefined {
	const braces = /\{\{|\}\}/g;
	braces.lastIndex = start;
	let depth = 1;
	for (let found = braces.exec(source); found !== null; found = braces.exec(source)) {
		depth += found[0] === "{{" ? 1 : -1;
		if (depth === 0) return found.index;
	}
	return undefined;
}

export function newLines(text: string): number {
	let count = 0;
	for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) count++;
	return count;
}
