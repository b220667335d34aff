import path from "node:path";

const root = process.env["BREWLINE_CONFORMANCE"] ?? path.resolve(import.meta.dirname, "../../../shared/conformance");

/** The absolute path of a file or folder of the conformance data, which may be missing. */
export function conformance(...parts: readonly string[]): string {
	return path.join(root, ...parts);
}
