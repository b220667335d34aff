/**
 * Of what is numbered through, the part that a run takes: `BREWLINE_LONG_PART=4/10` takes every tenth, beginning with the
 * fourth; not set: all.
 */
export function partOf<T>(cases: readonly T[]): readonly T[] {
	const { part, of } = longPart();
	return cases.filter((_, number) => number % of === part - 1);
}

/** For names of tests: `all`, or `part 4 of 10`. */
export function partName(): string {
	const { part, of } = longPart();
	return of === 1 ? "all" : `part ${part} of ${of}`;
}

function longPart(): { readonly part: number; readonly of: number } {
	const text = process.env["BREWLINE_LONG_PART"] ?? "1/1";
	const [, part, of] = /^([1-9]\d{0,3})\/([1-9]\d{0,3})$/.exec(text)?.map(Number) ?? [];
	if (part === undefined || of === undefined || part > of) {
		throw new Error(`BREWLINE_LONG_PART=${text}: it must be like 4/10`);
	}
	return { part, of };
}
