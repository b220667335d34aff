import { existsSync } from "node:fs";
import { describe, it } from "vitest";
import { conformance } from "./conformance-data.ts";

export { conformance };

/** A `describe` over one folder of the conformance data; where that is missing, one skipped test says so. */
export function describeConformance(folder: string, tests: () => void): void {
	if (existsSync(conformance(folder))) describe(`conformance: ${folder}`, tests);
	// oxlint-disable-next-line vitest/no-disabled-tests -- it is counted and named at the end of every run
	else it.skip(`conformance: ${folder} (no conformance data in ${conformance()})`, () => {});
}
