import { nearest } from "../definition/text.ts";
import { printable } from "../io/printable.ts";
import type { Condition, ConditionValue, ImageConfig, Variables } from "./images.ts";
import { groupNames, parseTemplate } from "./text.ts";

/** A name that a template or condition uses and that is nothing there. */
export interface NameProblem {
	readonly path: readonly string[];
	readonly message: string;
	readonly hint: string;
}

/** What each version has of its own. */
export const versionNames = [
	"version",
	"full",
	"base",
	"major",
	"seriesMajor",
	"stable",
	"basename",
	"first",
	"equals",
	"today",
] as const;
export const entryNames = ["directory", "file", "aliases", "latestVersion"] as const;

/** What a configuration cannot give to anything of its own: `any` and `not` would be no names in a condition. */
export const takenNames: ReadonlySet<string> = new Set<string>([
	...versionNames,
	...entryNames,
	"arch",
	"doc",
	"any",
	"not",
]);

type Path = readonly (string | number)[];

interface Checker {
	/** Checks all templates and conditions of a value, whatever its form, with these names. */
	value(value: unknown, path: Path, names: ReadonlySet<string>): void;
	/** The same of each value of a record, whose keys are anybody's. */
	record(values: Readonly<Record<string, unknown>> | undefined, path: Path, names: ReadonlySet<string>): void;
	condition(condition: Condition | undefined, path: Path, names: ReadonlySet<string>): void;
	axis(name: string, path: Path): void;
}

/** All names of a configuration that are nothing where they are used: a mistyped one would match nothing, silently. */
export function checkNames(config: ImageConfig): readonly NameProblem[] {
	const problems: NameProblem[] = [];
	const check = checker(config, problems);
	const axes = Object.keys(config.matrix ?? {});
	const groups = Object.values(config.split ?? {}).flatMap(groupNames);
	const plain = new Set<string>(versionNames);
	const version = new Set([...plain, ...namesOf(config.versionVars)]);
	const entry = new Set([...version, ...entryNames, ...axes, ...groups, ...namesOf(config.vars)]);
	const perArchitecture = new Set([...entry, "arch"]);

	for (const [path, names] of [
		[["versionVars"], namesOf(config.versionVars)],
		[["matrix"], axes],
		[["vars"], namesOf(config.vars)],
		[["templates", "vars"], namesOf(config.templates?.vars)],
	] as const) {
		for (const name of names) if (takenNames.has(name)) problems.push(takenName(name, [...path, name]));
	}
	for (const [axis, source] of Object.entries(config.split ?? {})) {
		for (const name of groupNames(source)) if (takenNames.has(name)) problems.push(takenName(name, ["split", axis]));
	}
	check.value(config.header.comment, ["header", "comment"], new Set(["repository", "commit", "self"]));
	check.value(config.header.branchFields, ["header", "branchFields"], new Set(["arch"]));
	for (const [name, value] of Object.entries(config.header.fields ?? {})) {
		if (typeof value === "string") check.value(value, ["header", "fields", name], new Set());
	}
	const { full, entryFull, drop = [] } = config.versions ?? {};
	if (typeof full === "object") check.value(full, ["versions", "full"], version);
	else if (full?.includes("{") === true) {
		problems.push({
			path: ["versions", "full"],
			message: "a text is the key in the version's data here",
			hint: `Write { value: "${printable(full, 100)}" } for a text with names.`,
		});
	}
	check.value(entryFull, ["versions", "entryFull"], entry);
	for (const [index, rule] of drop.entries()) check.condition(rule.if, ["versions", "drop", index, "if"], version);
	check.record(config.versionVars, ["versionVars"], version);
	check.value(config.aliases.list, ["aliases", "list"], version);
	check.record(config.matrix, ["matrix"], version);
	check.record(config.vars, ["vars"], entry);
	for (const axis of Object.keys(config.split ?? {})) {
		if (!axes.includes(axis)) problems.push(unknownName(axis, ["split", axis], axes, "there is no axis"));
	}
	for (const key of [
		"directory",
		"file",
		"tagPrefix",
		"tags",
		"sharedTags",
		"excludeArchitectures",
		"constraints",
		"builder",
	] as const) {
		check.value(config[key], [key], entry);
	}
	check.value(config.architectures, ["architectures"], perArchitecture);
	check.value(config.archFields, ["archFields"], perArchitecture);
	const { templates } = config;
	if (templates !== undefined) {
		const names = new Set([...entry, ...namesOf(templates.vars)]);
		check.record(templates.vars, ["templates", "vars"], names);
		check.record(templates.env, ["templates", "env"], names);
		check.condition(templates.if, ["templates", "if"], names);
		for (const key of ["exists", "rules", "copy"] as const) check.value(templates[key], ["templates", key], names);
	}
	return problems;
}

function namesOf(variables: Variables | undefined): readonly string[] {
	return Object.keys(variables ?? {});
}

/** Keys whose values are no templates, in whatever rule they stand. */
const plainKeys = new Set([
	"capture",
	"separators",
	"once",
	"inclusive",
	"scope",
	"prefix",
	"where",
	"stripPrefix",
	"order",
	"parents",
	"static",
	"arches",
	"only",
	"reason",
	"field",
]);

function checker(config: ImageConfig, problems: NameProblem[]): Checker {
	const axes = [...Object.keys(config.matrix ?? {}), ...Object.values(config.split ?? {}).flatMap(groupNames)];
	const check: Checker = {
		value(value, path, names) {
			if (typeof value === "string") template(value, path, names);
			else if (Array.isArray(value)) {
				for (const [index, item] of (value as readonly unknown[]).entries()) check.value(item, [...path, index], names);
			} else if (typeof value === "object" && value !== null) {
				for (const [key, item] of Object.entries(value)) {
					if (key === "if") check.condition(item as Condition, [...path, key], names);
					else if (key === "map") check.record(item as Record<string, unknown>, [...path, key], names);
					else if (key === "axis" || key === "union") check.axis(item as string, [...path, key]);
					else if (!plainKeys.has(key) && !isLiteral(key, value)) check.value(item, [...path, key], names);
				}
			}
		},
		record(values = {}, path, names) {
			for (const [key, item] of Object.entries(values)) check.value(item, [...path, key], names);
		},
		condition(condition, path, names) {
			for (const [name, wanted] of Object.entries(condition ?? {})) {
				const at = [...path, name];
				if (name === "not") check.condition(wanted as Condition, at, names);
				else if (name === "any") {
					for (const [index, each] of (wanted as readonly Condition[]).entries()) {
						check.condition(each, [...at, index], names);
					}
				} else {
					known(name, at, names);
					conditionValue(wanted as ConditionValue, at, names);
				}
			}
		},
		axis(name, path) {
			if (!axes.includes(name)) problems.push(unknownName(name, path, axes, "there is no axis"));
		},
	};

	function conditionValue(wanted: ConditionValue, at: Path, names: ReadonlySet<string>): void {
		if (typeof wanted === "string") template(wanted, at, names);
		else if ("le" in wanted) template(wanted.le, [...at, "le"], names);
		else if ("ge" in wanted) template(wanted.ge, [...at, "ge"], names);
		else if (!("matches" in wanted))
			for (const [index, each] of wanted.entries()) template(each, [...at, index], names);
	}

	function template(text: string, path: Path, names: ReadonlySet<string>): void {
		for (const part of parseTemplate(text)) if ("name" in part) known(part.name, path, names);
	}

	function known(name: string, path: Path, names: ReadonlySet<string>): void {
		if (names.has(name) || (name.startsWith("doc.") && names.has("version"))) return;
		problems.push(unknownName(name, path, [...names], "there is no name"));
	}

	return check;
}

/** `dockerfile: …, env: NAME` of a variable, and what is replaced in a copied file, are text as it stands. */
function isLiteral(key: string, rule: object): boolean {
	return (key === "env" && "dockerfile" in rule) || (key === "from" && "to" in rule);
}

function takenName(name: string, path: Path): NameProblem {
	return { path: path.map(String), message: `${name} has a meaning already`, hint: "Give it another name." };
}

function unknownName(name: string, path: Path, known: readonly string[], what: string): NameProblem {
	const near = nearest(name, known);
	const list = known.length === 0 ? "none is known here" : `known here are: ${known.join(", ")}`;
	return {
		path: path.map(String),
		message: `${what} ${printable(name, 60)}`,
		hint:
			near === undefined
				? `${list[0]!.toUpperCase()}${list.slice(1)}.`
				: `Did you mean ${near}? ${list[0]!.toUpperCase()}${list.slice(1)}.`,
	};
}
