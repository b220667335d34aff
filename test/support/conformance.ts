import { existsSync } from "node:fs";
import path from "node:path";
import { describe, it } from "vitest";

const root = process.env["BREWLINE_CONFORMANCE"] ?? path.resolve(import.meta.dirname, "../../../shared/conformance");

/** The absolute path of a file or folder of the conformance data. */
export function conformance(...parts: readonly string[]): string {
	return path.join(root, ...parts);
}

/** A `describe` over one folder of the conformance data; where that is missing, one skipped test says so. */
export function describeConformance(folder: string, tests: () => void): void {
	if (existsSync(conformance(folder))) describe(`conformance: ${folder}`, tests);
	// oxlint-disable-next-line vitest/no-disabled-tests -- it is counted and named at the end of every run
	else it.skip(`conformance: ${folder} (no conformance data in ${root})`, () => {});
}
