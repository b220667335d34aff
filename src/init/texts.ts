import type { Names } from "./conditions.ts";
import { isOfToday } from "./variables.ts";

const maxNames = 3;
const maxTemplates = 40;

export interface TextTemplate {
	readonly template: string;
	/** Less is better: characters that stand as they are, and names. */
	readonly cost: number;
}

/**
 * The ways to write a text with names: `alpine3.24` as it is, as `{variant}`, as `alpine{alpine}`. A name stands for all of its
 * value, where that begins and ends at the border of a word or number.
 */
export function templatesOf(text: string, names: Names, allowed: readonly string[]): readonly TextTemplate[] {
	const found = new Map<string, number>();
	const values = allowed.flatMap((name, place) => {
		const value = names[name];
		return value === undefined || value === "" ? [] : [{ name, value, place }];
	});
	const extend = (at: number, template: string, used: number, literal: number, rank: number): void => {
		if (found.size >= 4 * maxTemplates) return;
		if (at === text.length) {
			const plain = template.replaceAll(/\{\w+\}/g, "");
			// What names a release or suite of today will be another one soon.
			const cost = literal / 8 + used + rank / 100 + (template !== "" && isOfToday(plain) ? 3 : 0);
			if (cost < (found.get(template) ?? Infinity)) found.set(template, cost);
			return;
		}
		if (used < maxNames && isBorder(text, at)) {
			for (const { name, value, place } of values) {
				const end = at + value.length;
				if (text.startsWith(value, at) && isBorder(text, end)) {
					extend(end, `${template}{${name}}`, used + 1, literal, rank + place);
				}
			}
		}
		const next = nextBorder(text, at);
		extend(next, template + text.slice(at, next), used, literal + next - at, rank);
	};
	// What the language has a meaning for cannot come of names and plain text.
	if (text === "" || !/[{}*]/.test(text)) extend(0, "", 0, 0, 0);
	return [...found]
		.map(([template, cost]) => ({ template, cost }))
		.toSorted((a, b) => a.cost - b.cost)
		.slice(0, maxTemplates);
}

/** Between two characters of different kinds, or beside one that is neither letter nor digit. */
function isBorder(text: string, at: number): boolean {
	const [before, after] = [kindOf(text[at - 1]), kindOf(text[at])];
	return before !== after || before === "other";
}

function nextBorder(text: string, from: number): number {
	let at = from + 1;
	while (at < text.length && !isBorder(text, at)) at++;
	return at;
}

function kindOf(character: string | undefined): "end" | "letter" | "digit" | "other" {
	if (character === undefined) return "end";
	if (/[A-Za-z]/.test(character)) return "letter";
	return /[0-9]/.test(character) ? "digit" : "other";
}
