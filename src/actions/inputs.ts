import * as z from "zod/mini";
import { BrewlineError } from "../errors.ts";
import { printable } from "../io/index.ts";

/** The inputs of an action: each key is an input's name, each value reads its text. */
export type InputSchema = z.ZodMiniObject<Record<string, z.ZodMiniType>>;

/** An input that may be left out. */
export const optionalText = z.optional(z.string());
/** `true` or `false`, as YAML writes them; false where it is left out. */
export const flag = z.pipe(
	z._default(z.enum(["true", "false"]), "false"),
	z.transform((text) => text === "true"),
);
/** A whole number. */
export const count = (usual: number, least: number, most: number) =>
	z.pipe(
		z._default(z.string().check(z.regex(/^[0-9]{1,9}$/, { error: "must be a whole number" })), String(usual)),
		z.pipe(z.transform(Number), z.number().check(z.minimum(least), z.maximum(most))),
	);
/** `sha256:…`. */
export const sha256Digest = z
	.string()
	.check(z.regex(/^sha256:[0-9a-f]{64}$/, { error: "must be sha256: and 64 hex digits" }));
/** Several of them, separated by white space; outputs of jobs that did not run are empty. */
export const digests = z.pipe(
	z._default(z.string(), ""),
	z.pipe(
		z.transform((text: string) => text.split(/\s+/).filter((word) => word !== "")),
		z.array(sha256Digest).check(z.maxLength(1000)),
	),
);

/**
 * Reads an action's inputs from `INPUT_*`, as the runner passes them. An empty input counts as left out.
 * Inputs that the action does not have are given to `warn`; the runner itself only prints a note about them.
 */
export function readInputs<Schema extends InputSchema>(
	schema: Schema,
	env: Readonly<Record<string, string | undefined>>,
	warn: (message: string) => void,
): z.infer<Schema> {
	const names = Object.keys(schema.def.shape);
	const values: Record<string, string> = {};
	for (const name of names) {
		const value = env[variable(name)]?.trim();
		if (value !== undefined && value !== "") values[name] = value;
	}
	const known = new Set(names.map(variable));
	for (const key of Object.keys(env)) {
		if (key.startsWith("INPUT_") && !known.has(key) && env[key] !== "") {
			warn(
				`there is no input ${printable(key.slice("INPUT_".length).toLowerCase())}; the inputs are: ${names.join(", ")}`,
			);
		}
	}
	const parsed = schema.safeParse(values, { error: z.locales.en().localeError });
	if (parsed.success) return parsed.data;
	const errors = parsed.error.issues.map((issue) => {
		const name = String(issue.path[0] ?? "");
		const message = values[name] === undefined ? "is required" : issue.message;
		return new BrewlineError("usage", `input ${name}: ${message}`, { hint: `set it below "with:" of this step` });
	});
	const [first] = errors;
	if (errors.length === 1 && first !== undefined) throw first;
	throw new BrewlineError("usage", `${errors.length} inputs cannot be used`, { errors });
}

/** The inputs, of whichever action, that nobody may read in a log. */
const secretInputs = ["password", "git-token", "state-token", "token"];

/** What is to be masked, however the other inputs are. */
export function secretsOf(env: Readonly<Record<string, string | undefined>>): readonly string[] {
	return secretInputs.map((name) => env[variable(name)]?.trim() ?? "").filter((value) => value !== "");
}

/** As the runner names it: upper case, blanks as underscores. */
function variable(name: string): string {
	return `INPUT_${name.replaceAll(" ", "_").toUpperCase()}`;
}
