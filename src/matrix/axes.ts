import type { AxisValue, ImageConfig } from "../config/index.ts";
import { groupNames } from "../config/text.ts";
import { BrewlineError } from "../errors.ts";
import type { JsonValue } from "../json/index.ts";
import { asValue, valueAt } from "./data.ts";
import { expand, type Language, type Scope } from "./scope.ts";

/** The largest repositories of 2026 have some hundred. */
const maxEntries = 5000;

/** The values of an axis in one version, in order, without repetitions. */
function axisValues(values: readonly AxisValue[], data: JsonValue | undefined, scope: Scope): readonly string[] {
	const found = new Set<string>();
	for (const value of values) {
		if (typeof value === "string") {
			const text = expand(value, scope);
			if (text !== undefined) found.add(text);
			continue;
		}
		const listed = asValue(valueAt(data, value.path, scope)) ?? [];
		for (const text of typeof listed === "string" ? [listed] : listed) found.add((value.prefix ?? "") + text);
	}
	return [...found];
}

/** All combinations of the axes' values, the first axis changing slowest. */
export function combinations(
	config: ImageConfig,
	data: JsonValue | undefined,
	scope: Scope,
): readonly Readonly<Record<string, string>>[] {
	const axes = Object.entries(config.matrix ?? {}).map(([name, values]) => ({
		name,
		values: axisValues(values, data, scope),
	}));
	const count = axes.reduce((product, { values }) => product * values.length, 1);
	if (count > maxEntries) {
		throw new BrewlineError("config", `the matrix has ${count} combinations for one version, more than ${maxEntries}`);
	}
	let rows: readonly Readonly<Record<string, string>>[] = [{}];
	for (const { name, values } of axes) rows = rows.flatMap((row) => values.map((value) => ({ ...row, [name]: value })));
	return rows;
}

/** The first axis that has no value in a version, which leaves it without entries. */
export function emptyAxis(config: ImageConfig, data: JsonValue | undefined, scope: Scope): string | undefined {
	return Object.entries(config.matrix ?? {}).find(([, values]) => axisValues(values, data, scope).length === 0)?.[0];
}

export function checkEntries(count: number): void {
	if (count <= maxEntries) return;
	throw new BrewlineError("config", `the matrix has more than ${maxEntries} entries`);
}

/** The values of an axis, or of the groups that its values are split into. */
export function valuesOf(
	config: ImageConfig,
	name: string,
	data: JsonValue | undefined,
	scope: Scope,
): readonly string[] {
	const axis = config.matrix?.[name];
	if (axis !== undefined) return axisValues(axis, data, scope);
	const split = Object.entries(config.split ?? {}).find(([, source]) => groupNames(source).includes(name));
	if (split === undefined) return [];
	const values = axisValues(config.matrix?.[split[0]] ?? [], data, scope);
	return values
		.map((value) => splitValue(split[1], value, scope.language)[name])
		.filter((value) => value !== undefined);
}

/** The groups of a split; a group that took no part is empty, and where nothing matches there are none. */
export function splitValue(source: string, value: string, language: Language): Readonly<Record<string, string>> {
	const groups = language.expression(source).exec(value)?.groups ?? {};
	return Object.fromEntries(Object.entries(groups).map(([name, text]) => [name, text ?? ""]));
}
