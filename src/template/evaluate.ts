import { BrewlineError, type Location } from "../errors.ts";
import { printable } from "../io/printable.ts";
import { complaint, type Jq } from "../sandbox/jq.ts";
import { compileTemplate, type Compiled, type Template } from "./compile.ts";

/** One template, and all that it is rendered with. Plain data: it goes to another thread. */
export interface Evaluation {
	readonly file: string;
	readonly text: string;
	/** Path and text of the repository's jq modules. */
	readonly modules: readonly (readonly [string, string])[];
	/** The names that `env` may have. */
	readonly variables: readonly string[];
	/** The text of versions.json, which is JSON. */
	readonly document: string;
	/** What `env` is for each file that comes of it, and the file's name for messages. */
	readonly environments: readonly { readonly of: string; readonly env: Readonly<Record<string, string>> }[];
}

type Outcome = { readonly text: string } | { readonly error: unknown };

/** The texts that a template gives, in the order of its environments: it is compiled once, and all come of one run of jq. */
export async function evaluateTemplate(evaluation: Evaluation, jq: Jq): Promise<readonly string[]> {
	const { file, environments } = evaluation;
	const template: Template = { ...evaluation, modules: new Map(evaluation.modules) };
	const compiled = compileTemplate(template);
	const outcomes = await outcomesOf(compiled, evaluation, jq);
	const texts: string[] = [];
	for (const [index, { of }] of environments.entries()) {
		const outcome = outcomes[index];
		if (outcome !== undefined && "text" in outcome) {
			texts.push(outcome.text);
			continue;
		}
		const { at, message } = await findFailure(template, evaluation, index, jq);
		throw new BrewlineError("template", `for ${printable(of)}: ${message}`, { at: at ?? { file } });
	}
	return texts;
}

async function outcomesOf(
	{ program, places }: Compiled,
	{ file, document, environments }: Evaluation,
	jq: Jq,
): Promise<readonly Outcome[]> {
	const input = `{"document":${document},"environments":${JSON.stringify(environments.map(({ env }) => env))}}`;
	const { lines, error } = await run(jq, program, input, file);
	const line = /at <top-level>, line (\d+)/.exec(error)?.[1];
	if (line !== undefined) {
		const what = complaint(error).replace(/ at <top-level>, line \d+(?:, column \d+)?:?$/, "");
		throw new BrewlineError("template", what, { at: placeNear(places, Number(line) - 1) ?? { file } });
	}
	if (error !== "") throw new BrewlineError("template", complaint(error), { at: { file } });
	return lines.map((text) => JSON.parse(text) as Outcome);
}

async function run(jq: Jq, program: string, input: string, file: string): ReturnType<Jq["run"]> {
	try {
		return await jq.run(program, input);
	} catch (error) {
		if (!(error instanceof BrewlineError) || error.at !== undefined) throw error;
		throw new BrewlineError(error.code, error.message, {
			at: { file },
			cause: error,
			...(error.hint === undefined ? {} : { hint: error.hint }),
		});
	}
}

/** jq may see that something is wrong only where the next thing begins. */
function placeNear(places: Compiled["places"], line: number): Location | undefined {
	return places[line] ?? places.slice(0, line).findLast((place) => place !== undefined);
}

/** Renders once more what failed, with a program that says which expression did. */
async function findFailure(
	template: Template,
	evaluation: Evaluation,
	index: number,
	jq: Jq,
): Promise<{ readonly at?: Location; readonly message: string }> {
	const compiled = compileTemplate(template, { trace: true });
	const environments = evaluation.environments.slice(index, index + 1);
	const [outcome] = await outcomesOf(compiled, { ...evaluation, environments }, jq);
	const thrown = outcome !== undefined && "error" in outcome ? outcome.error : "it gives no text";
	const { place, error } = traced(thrown) ?? { error: thrown };
	const at = place === undefined ? undefined : compiled.places[place];
	const message = printable(typeof error === "string" ? error : JSON.stringify(error));
	return { message, ...(at === undefined ? {} : { at }) };
}

function traced(thrown: unknown): { readonly place: number; readonly error: unknown } | undefined {
	if (typeof thrown !== "object" || thrown === null || !("place" in thrown) || !("error" in thrown)) return undefined;
	const { place, error } = thrown;
	return typeof place === "number" ? { place, error } : undefined;
}
