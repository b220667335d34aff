import { compareCodePoints } from "../json/index.ts";

/** A run of digits, or of anything else. */
interface Run {
	readonly text: string;
	readonly number: boolean;
}

function split(text: string): readonly Run[] {
	const runs = text.match(/[0-9]+|[^0-9]+/g) ?? [""];
	return runs.map((run) => {
		const number = /^[0-9]/.test(run);
		// Without leading zeros the longer number is the greater one, whatever its size.
		return { text: number ? run.replace(/^0+(?=.)/, "") : run, number };
	});
}

function compareRuns(a: Run, b: Run): number {
	return a.number && a.text.length !== b.text.length
		? a.text.length - b.text.length
		: compareCodePoints(a.text, b.text);
}

function compare(a: string, b: string, direction: 1 | -1): number {
	if (a === b) {
		return 0;
	}
	const x = split(a);
	const y = split(b);
	for (let i = 0; i < x.length && i < y.length; i++) {
		const p = x[i]!;
		const q = y[i]!;
		if (p.number !== q.number) {
			return p.number ? -1 : 1;
		}
		const order = compareRuns(p, q);
		if (order !== 0) {
			return order * direction;
		}
	}
	return x.length - y.length;
}

/** Runs of digits as numbers, and before other text: `v8`, `v8.1`, `v8.10` (spec/publish.md, Ordering). */
export function naturalAscending(a: string, b: string): number {
	return compare(a, b, 1);
}

/**
 * Each run turned around; but numbers stay before other text, and a value before those that continue it with a
 * further run: `v9`, `v8`, `v8.1`, `v8.0`.
 */
export function naturalDescending(a: string, b: string): number {
	return compare(a, b, -1);
}
