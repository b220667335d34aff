import { BrewlineError } from "../errors.ts";
import type { Io } from "../io/index.ts";

/** The day that `{today}` stands for: the given one, `YYYY-MM-DD`, or the clock's (UTC). */
export function dayOf(io: Io, given?: string): string {
	const day = given ?? new Date(io.clock.now()).toISOString().slice(0, 10);
	if (/^[0-9]{4}-[0-9]{2}-[0-9]{2}$/.test(day) && !Number.isNaN(Date.parse(day))) return day;
	throw new BrewlineError("usage", "today must be a day: YYYY-MM-DD");
}
