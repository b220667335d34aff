import type { BuildFields } from "./types.ts";

/** The plain fields, in the order in which they are printed. */
export const buildFieldNames = ["GitRepo", "GitFetch", "GitCommit", "Directory", "File", "Builder"] as const;

/** The plain fields, each with its value. */
export function buildFieldsBy(valueOf: (name: keyof BuildFields) => string): BuildFields {
	return {
		GitRepo: valueOf("GitRepo"),
		GitFetch: valueOf("GitFetch"),
		GitCommit: valueOf("GitCommit"),
		Directory: valueOf("Directory"),
		File: valueOf("File"),
		Builder: valueOf("Builder"),
	};
}

/** The fields that any paragraph may have, those for one architecture aside. */
export const fieldNames: readonly string[] = [
	"Maintainers",
	"Tags",
	"SharedTags",
	"Architectures",
	...buildFieldNames,
	"Constraints",
];

const known: ReadonlySet<string> = new Set(fieldNames);

export function isFieldName(key: string): boolean {
	return known.has(key);
}
