import { BrewlineError } from "../errors.ts";
import { printable } from "../io/printable.ts";
import type { Io } from "../io/types.ts";

/** The day that `{today}` stands for: the given one, `YYYY-MM-DD`, or the clock's (UTC). */
export function dayOf(io: Io, given?: string): string {
	const day = given ?? new Date(io.clock.now()).toISOString().slice(0, 10);
	if (isDay(day)) return day;
	throw new BrewlineError("usage", `today must be a day, YYYY-MM-DD, and not ${printable(day, 100)}`);
}

/** Whether it is a day that there is; 30 February would be read as another one. */
function isDay(text: string): boolean {
	const time = Date.parse(text);
	return !Number.isNaN(time) && new Date(time).toISOString().slice(0, 10) === text;
}
