import { BrewlineError } from "../errors.ts";

const shown = 20;

/** Throws nothing, the one error, or one error that has all of them; `summary` says what they have in common. */
export function throwAll(errors: readonly BrewlineError[], summary: string): void {
	const [first] = errors;
	if (first === undefined) return;
	if (errors.length === 1) throw first;
	const code = errors.every((error) => error.code === first.code) ? first.code : "failed";
	const lines = errors.slice(0, shown).map(({ message }) => `\n- ${message}`);
	const more = errors.length > shown ? `\n- and ${errors.length - shown} more` : "";
	throw new BrewlineError(code, `${summary} (${errors.length} errors):${lines.join("")}${more}`, { errors });
}
