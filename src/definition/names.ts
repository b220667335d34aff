/** The plain fields, in the order in which they are printed. */
export const buildFieldNames = ["GitRepo", "GitFetch", "GitCommit", "Directory", "File", "Builder"] as const;

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
