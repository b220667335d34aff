import { BrewlineError, type Location } from "../errors.ts";
import { counted, printable } from "../io/printable.ts";
import type { Position, Warning } from "./types.ts";

interface Advice {
	readonly hint?: string | undefined;
}

/** What is wrong with a file, collected: nobody wants to hear of one error at a time. */
export interface Problems {
	/** In the order of the file. */
	warnings(): readonly Warning[];
	error(place: Position, message: string, advice?: Advice): void;
	warn(place: Position, message: string, advice?: Advice): void;
	notAField(place: Position, line: string): void;
	repeated(place: Position, key: string, earlierLine: number): void;
	blankLine(place: Position, key: string): void;
	/** Whether there is an error. */
	found(): boolean;
	/** Throws all errors as one. */
	throwAll(): never;
}

/** More errors than that help nobody; a hostile file could have millions. */
const limit = 1000;

/** Text of a definition, fit for a message: quoted, escaped and cut. */
export function quote(text: string): string {
	return `"${printable(text.toWellFormed(), 100)}"`;
}

export function collectProblems(file: string): Problems {
	const errors: Warning[] = [];
	const warnings: Warning[] = [];
	let left = 0;
	const problem = (place: Position, message: string, advice?: Advice): Warning => {
		const at: Location = { file, line: place.line, column: place.column };
		return { message, at, ...(advice?.hint === undefined ? {} : { hint: advice.hint }) };
	};
	const error: Problems["error"] = (place, message, advice) => {
		if (errors.length < limit) errors.push(problem(place, message, advice));
		else left += 1;
	};
	const warn: Problems["warn"] = (place, message, advice) => {
		if (warnings.length < limit) warnings.push(problem(place, message, advice));
	};
	return {
		warnings: () => inOrder(warnings),
		error,
		warn,
		notAField: (place, line) => {
			error(place, `the line ${quote(line)} is neither a field nor a continuation`, {
				hint: line.startsWith("-----BEGIN PGP")
					? "Remove the signature: signed definitions are not read, since nobody would check the signature."
					: 'Write "Key: value", or a blank in front where the line continues the value above.',
			});
		},
		repeated: (place, key, earlierLine) => {
			warn(place, `the field ${quote(key)} stands twice in this paragraph; the one in line ${earlierLine} is ignored`, {
				hint: "Between two entries there must be an empty line, also without blanks.",
			});
		},
		blankLine: (place, key) => {
			warn(place, `this line of blanks separates nothing: it continues the value of ${quote(key)}`, {
				hint: "Remove the blanks, or the line.",
			});
		},
		found: () => errors.length > 0,
		throwAll: () => {
			const sorted = inOrder(errors).map(
				({ message, ...details }) => new BrewlineError("definition", message, details),
			);
			const first = sorted[0]!;
			if (left > 0) {
				sorted.push(new BrewlineError("definition", `and ${counted(left, "more error")}`, { at: { file } }));
			}
			const count = errors.length + left;
			throw new BrewlineError(
				"definition",
				count === 1 ? first.message : `${count} errors in ${quote(file)}; the first: ${first.message}`,
				{
					at: first.at!,
					...(first.hint === undefined ? {} : { hint: first.hint }),
					errors: sorted,
				},
			);
		},
	};
}

function inOrder(problems: readonly Warning[]): readonly Warning[] {
	return problems.toSorted((a, b) => a.at.line! - b.at.line! || a.at.column! - b.at.column!);
}
