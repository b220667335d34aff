/** Words that cannot be read; whoever knows the line makes a `BrewlineError` of it. */
export class LexError extends Error {
	override readonly name = "LexError";
}
