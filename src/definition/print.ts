import { buildDefaults, buildFieldNames } from "./fields.ts";
import { printMaintainer } from "./maintainer.ts";
import { compareBytes } from "./text.ts";
import type { Definition, Entry, Fields } from "./types.ts";

/**
 * The canonical text (spec/manifest.md, Canonical output), without a newline at its end.
 * What was not UTF-8 is in it as in the definition: write it through `encodeText`.
 */
export function printDefinition(definition: Definition): string {
	const defaults = printed({
		Maintainers: [],
		SharedTags: [],
		Architectures: [definition.defaultArchitecture],
		...buildDefaults,
		archFields: {},
		Constraints: [],
	});
	const global = printed(definition.global);
	return [paragraph(global, defaults), ...definition.entries.map((entry) => paragraph(printed(entry), global))].join(
		"\n\n",
	);
}

/** An entry in full: nothing is left out but empty fields. */
export function printEntry(entry: Entry): string {
	return paragraph(printed(entry), new Map());
}

/** Field by field as it is printed, also empty, in canonical order. */
function printed(fields: Omit<Fields, "at" | "positions"> & Partial<Pick<Entry, "Tags">>): ReadonlyMap<string, string> {
	return new Map([
		["Maintainers", fields.Maintainers.map(printMaintainer).join(", ")],
		["Tags", fields.Tags?.join(", ") ?? ""],
		["SharedTags", fields.SharedTags.join(", ")],
		["Architectures", fields.Architectures.join(", ")],
		...buildFieldNames.map((name) => [name, fields[name]] as const),
		...Object.entries(fields.archFields).toSorted(([a], [b]) => compareBytes(a, b)),
		["Constraints", fields.Constraints.join(", ")],
	]);
}

function paragraph(fields: ReadonlyMap<string, string>, left: ReadonlyMap<string, string>): string {
	const lines: string[] = [];
	for (const [key, value] of fields) {
		if (value !== "" && value !== left.get(key)) lines.push(`${key}: ${value}`);
	}
	return lines.join("\n");
}
