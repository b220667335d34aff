import { buildDefaults } from "./fields.ts";
import { printMaintainer } from "./maintainer.ts";
import { buildFieldNames } from "./names.ts";
import type { Definition, Entry, Fields, Maintainer } from "./types.ts";

type Printable = Omit<Fields, "at" | "positions"> & Partial<Pick<Entry, "Tags">>;

/**
 * The canonical text (spec/manifest.md, Canonical output), without a newline at its end.
 * What was not UTF-8 is in it as in the definition: write it through `encodeText`.
 */
export function printDefinition({ global, entries, defaultArchitecture }: Definition): string {
	const defaults: Printable = {
		Maintainers: [],
		SharedTags: [],
		Architectures: [defaultArchitecture],
		...buildDefaults,
		archFields: {},
		Constraints: [],
	};
	return [printFields(global, defaults), ...entries.map((entry) => printFields(entry, global))].join("\n\n");
}

/** An entry in full: nothing is left out but empty fields. */
export function printEntry(entry: Entry): string {
	return printFields(entry, undefined);
}

/** The fields that are neither empty nor printed the same for `inherited`, in canonical order. */
function printFields(fields: Printable, inherited: Printable | undefined): string {
	const lines: string[] = [];
	const add = (key: string, value: string, left: string | undefined) => {
		if (value !== "" && value !== left) lines.push(`${key}: ${value}`);
	};
	const addList = <T>(
		key: string,
		items: readonly T[],
		left: readonly T[] | undefined,
		print: (items: readonly T[]) => string,
	) => {
		// Most lists are inherited as they are.
		if (items !== left) add(key, print(items), left && print(left));
	};
	addList("Maintainers", fields.Maintainers, inherited?.Maintainers, joinMaintainers);
	add("Tags", join(fields.Tags ?? []), undefined);
	addList("SharedTags", fields.SharedTags, inherited?.SharedTags, join);
	addList("Architectures", fields.Architectures, inherited?.Architectures, join);
	for (const name of buildFieldNames) add(name, fields[name], inherited?.[name]);
	if (fields.archFields !== inherited?.archFields) {
		for (const [key, value] of Object.entries(fields.archFields)) add(key, value, inherited?.archFields[key]);
	}
	addList("Constraints", fields.Constraints, inherited?.Constraints, join);
	return lines.join("\n");
}

function join(items: readonly string[]): string {
	return items.join(", ");
}

function joinMaintainers(maintainers: readonly Maintainer[]): string {
	return join(maintainers.map(printMaintainer));
}
