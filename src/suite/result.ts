import path from "node:path";
import * as z from "zod/mini";
import { BrewlineError } from "../errors.ts";
import { writeWhole } from "../io/files.ts";
import { sha256Of } from "../oci/index.ts";
import { digest, instant, legId, line, sha256Hex } from "../plan/grammar.ts";
import { readHandover, writeHandover, type HandoverFormat } from "../plan/handover.ts";

const testResult = z.strictObject({
	/** The build that was tested, for people: what counts is the digest. */
	buildId: sha256Hex,
	/** Of the image's manifest, as reports name it; not of an index around it. */
	digest,
	/** `skipped`: there is no test for it. */
	result: z.enum(["passed", "failed", "skipped", "timed-out"]),
	/** RFC 3339, UTC. */
	start: instant,
	seconds: z.number().check(z.minimum(0)),
	/** Address or file of the log; null: there is none. */
	log: z.nullable(line.check(z.maxLength(2000))),
});

const suiteResult = z.strictObject({
	format: z.literal("brewline-tests"),
	version: z.literal(1),
	/** As the file is called. */
	id: legId,
	tests: z.array(testResult).check(z.maxLength(10_000)),
});

export type TestResult = Readonly<z.infer<typeof testResult>>;

/** `tests/ID.json`: what one step tested, image by image. A digest stands in it once. */
export interface SuiteResult extends Readonly<Omit<z.infer<typeof suiteResult>, "tests">> {
	readonly tests: readonly TestResult[];
}

export const suiteResultFormat: HandoverFormat<SuiteResult> = {
	format: "brewline-tests",
	version: 1,
	schema: suiteResult,
	maxBytes: 4 * 1024 * 1024,
};

export function printSuiteResult(result: SuiteResult): string {
	return writeHandover(result, suiteResultFormat, `tests/${result.id}.json`);
}

/** Reads `tests/ID.json`, which any job may have written: its id must be the one that is expected. */
export function readSuiteResult(
	bytes: Uint8Array | string,
	{ file, id }: { readonly file: string; readonly id: string },
): SuiteResult {
	const result = readHandover(bytes, suiteResultFormat, { file });
	if (result.id !== id) throw new BrewlineError("handover", `${file} is of ${result.id}, not of ${id}`);
	return result;
}

/**
 * Adds results to those of an earlier step of the same id, in the place of what that says of the same digests, and writes
 * `ID.json` into a folder, whole or not at all. Gives back the file's digest: whoever is to believe the file is told this by a
 * way that nobody else can write to.
 */
export async function writeSuiteResult(
	directory: string,
	id: string,
	tests: readonly TestResult[],
	before: SuiteResult | undefined,
): Promise<{ readonly file: string; readonly digest: string }> {
	const byDigest = new Map([...(before?.tests ?? []), ...tests].map((one) => [one.digest, one]));
	const sorted = [...byDigest.values()].toSorted((a, b) => (a.digest < b.digest ? -1 : 1));
	const text = printSuiteResult({ format: "brewline-tests", version: 1, id, tests: sorted });
	const file = path.join(directory, `${id}.json`);
	await writeWhole(file, text);
	return { file, digest: sha256Of(text) };
}

/** The worse one counts: an image that several steps test has to pass all of them. */
const fromBad = ["failed", "timed-out", "skipped", "passed"] as const;

/** What several steps say, by digest. */
export function verdicts(results: Iterable<SuiteResult>): ReadonlyMap<string, TestResult> {
	const worst = new Map<string, TestResult>();
	for (const test of [...results].flatMap(({ tests }) => tests)) {
		const before = worst.get(test.digest);
		if (before === undefined || fromBad.indexOf(test.result) < fromBad.indexOf(before.result)) {
			worst.set(test.digest, test);
		}
	}
	return worst;
}
