import type { ImageConfig, Variable, Variables } from "../config/index.ts";
import { readDockerfileFacts, type DockerfileFacts } from "../dockerfile/index.ts";
import type { JsonValue } from "../json/index.ts";
import { asValue, memberOf, valueAt } from "./data.ts";
import { textOfFile, type RepositoryFiles } from "./files.ts";
import { createScope, expand, matchesGlob, remember, type Scope, type Value } from "./scope.ts";

/** What variables are evaluated from, besides the names around them. */
export interface Sources {
	readonly config: ImageConfig;
	/** Of the version. */
	readonly data: JsonValue | undefined;
	/** Facts of a Dockerfile; undefined where there is none. */
	readonly dockerfile: (path: string) => DockerfileFacts | undefined;
	/** The values of an axis or of a group of a split, of this version or of all. */
	readonly axis: (name: string, scope: "version" | "definition") => readonly string[];
}

/** Reads each Dockerfile once. */
export function dockerfileReader(
	files: RepositoryFiles,
	before?: ReadonlyMap<string, DockerfileFacts>,
): Sources["dockerfile"] {
	const known = new Map<string, DockerfileFacts | null>(before);
	return (path) =>
		remember(known, path, () => {
			const text = textOfFile(files, path);
			return text === undefined ? null : readDockerfileFacts(text, path);
		}) ?? undefined;
}

/** A scope with further variables, such as those of `templates.vars`. */
export function withVariables(scope: Scope, variables: Variables | undefined, sources: Sources): Scope {
	if (variables === undefined) return scope;
	const names = new Map<string, () => Value>();
	const extended = createScope(names, { parent: scope });
	for (const [name, variable] of Object.entries(variables)) {
		names.set(name, () => evaluate(variable, extended, sources));
	}
	return extended;
}

export function evaluate(variable: Variable, scope: Scope, sources: Sources): Value {
	if (typeof variable === "string") return expand(variable, scope);
	const value = refine(variable.capture, plainValue(variable, scope, sources), scope);
	return value ?? (variable.default === undefined ? undefined : expand(variable.default, scope));
}

type Refined = Exclude<Variable, string>;

function plainValue(variable: Refined, scope: Scope, sources: Sources): Value {
	if ("path" in variable) return asValue(valueAt(sources.data, variable.path, scope));
	if ("value" in variable) return expand(variable.value, scope);
	if ("map" in variable) {
		const key = expand(variable.key ?? "{version}", scope);
		return key !== undefined && Object.hasOwn(variable.map, key) ? expand(variable.map[key]!, scope) : undefined;
	}
	if ("first" in variable) {
		const { first, except = [] } = variable;
		return sources
			.axis(variable.axis, variable.scope ?? "version")
			.find((value) => matchesGlob(first, value, scope) && !matchesGlob(except, value, scope));
	}
	const path = expand("from" in variable ? variable.from : variable.dockerfile, scope);
	const facts = path === undefined ? undefined : sources.dockerfile(path);
	return "from" in variable ? facts?.froms[0] : facts?.environment.get(variable.env);
}

/** The first group of the expression, or the whole match where there are none; nothing where it does not match. */
function refine(capture: string | undefined, value: Value, scope: Scope): Value {
	if (capture === undefined || value === undefined) return value;
	const expression = scope.language.expression(capture);
	const take = (text: string): string | undefined => {
		const match = expression.exec(text);
		return match === null ? undefined : match.length > 1 ? (match[1] ?? "") : match[0];
	};
	return typeof value === "string" ? take(value) : value.map(take).filter((each) => each !== undefined);
}

/** What `doc.KEY.KEY` stands for. */
export function documentValue(data: JsonValue | undefined, path: readonly string[]): Value {
	return asValue(path.reduce<JsonValue | undefined>((value, key) => memberOf(value, key), data));
}
