import type { Evaluation } from "../template/evaluate.ts";
import type { RenderInput } from "../template/plan.ts";
import type { ComposeInput, SurveyInput } from "../generate/types.ts";
import type { Location } from "../errors.ts";
import type { Jq } from "./jq.ts";

/** What a task may use of its thread. */
export interface TaskContext {
	/** Loaded when it is first asked for. */
	readonly jq: () => Promise<Jq>;
	/** Says what is evaluated now, for the error that it becomes should it run into a limit. */
	readonly at: (at: Location) => void;
}

/**
 * All that an image repository's own data drives: jq programs, regular expressions, what is computed from `versions.json`.
 * Each is loaded when it is first asked for. What goes in and comes out is plain data, which is copied between threads.
 */
export const tasks = {
	/** Loads what `render` needs, so that it need not then; jq's functions are compiled when they are first called. */
	prepareRender: async (_: null, { jq }: TaskContext) => {
		const loaded = await Promise.all([jq(), import("../template/rendering.ts")]);
		await loaded[0].run(".", "null");
	},
	/** All that the templates of an image repository give. */
	render: async (input: RenderInput, context: TaskContext) => {
		const { renderAll } = await import("../template/rendering.ts");
		return renderAll(input, context);
	},
	/** The texts that one template gives. */
	template: async (evaluation: Evaluation, { jq, at }: TaskContext) => {
		const { evaluateTemplate } = await import("../template/evaluate.ts");
		at({ file: evaluation.file });
		return evaluateTemplate(evaluation, await jq());
	},
	/** A jq program over one text of JSON. */
	jq: async ({ program, input }: { readonly program: string; readonly input: string }, { jq }: TaskContext) =>
		(await jq()).run(program, input),
	/** What has to be asked for before a definition can be composed. */
	survey: async (input: SurveyInput) => (await import("../generate/survey.ts")).survey(input),
	/** A definition, from all that was asked for. */
	compose: async (input: ComposeInput) => (await import("../generate/compose.ts")).compose(input),
} as const;

export type Tasks = typeof tasks;
export type TaskName = keyof Tasks;
export type TaskInput<Name extends TaskName> = Parameters<Tasks[Name]>[0];
export type TaskOutput<Name extends TaskName> = Awaited<ReturnType<Tasks[Name]>>;
