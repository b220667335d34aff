import { existsSync } from "node:fs";
import path from "node:path";
import { describe } from "vitest";

const root = process.env["BREWLINE_CONFORMANCE"] ?? path.resolve(import.meta.dirname, "../../../shared/conformance");

/** The absolute path of a file or folder of the conformance data. */
export function conformance(...parts: readonly string[]): string {
	return path.join(root, ...parts);
}

/** A `describe` over one folder of the conformance data; where that is missing, its tests are skipped with the reason. */
export function describeConformance(folder: string, tests: () => void): void {
	const there = existsSync(conformance(folder));
	describe.skipIf(!there)(
		there ? `conformance: ${folder}` : `conformance: ${folder} (no conformance data there)`,
		tests,
	);
}
