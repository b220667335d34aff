import { printable } from "../io/printable.ts";
import { BrewlineError } from "../errors.ts";
import { compareCodePoints } from "../json/index.ts";
import { textOfFile } from "../matrix/files.ts";
import type { TaskContext } from "../sandbox/tasks.ts";
import { evaluateTemplate } from "./evaluate.ts";
import { isWithin, planRendering, type RenderInput } from "./plan.ts";

/** A file as it should be. */
export interface RenderedFile {
	readonly path: string;
	/** Bytes that are not UTF-8 as `decodeText` keeps them. */
	readonly text: string;
	readonly executable: boolean;
	/** The template or the file that it is made from. */
	readonly source: string;
}

export interface Rendering {
	/** In the order of their paths. */
	readonly files: readonly RenderedFile[];
	/** Paths of files and links that are there and should not be. */
	readonly deleted: readonly string[];
}

/** As the existing scripts write it. */
const defaultHeader = [
	"#",
	'# NOTE: THIS DOCKERFILE IS GENERATED VIA "apply-templates.sh"',
	"#",
	"# PLEASE DO NOT EDIT IT DIRECTLY.",
	"#",
	"",
	"",
].join("\n");

/** Renders all that a configuration describes: each template is compiled once. To be called in the sandbox. */
export async function renderAll(input: RenderInput, { jq, at }: TaskContext): Promise<Rendering> {
	const { config, files } = input;
	const plan = planRendering(input);
	const header = config.templates?.header ?? defaultHeader;
	const modules = [...files.files].flatMap(([path]): (readonly [string, string])[] => {
		const text = path.endsWith(".jq") ? textOfFile(files, path) : undefined;
		return text === undefined ? [] : [[path, text]];
	});
	const rendered = new Map<string, RenderedFile>();
	for (const [template, outputs] of Map.groupBy(plan.outputs, ({ template }) => template)) {
		at({ file: template });
		const text = textOfFile(files, template)!;
		if (!text.isWellFormed()) {
			throw new BrewlineError("template", `the template ${printable(template)} is not UTF-8`, {
				at: { file: template },
			});
		}
		const texts = await evaluateTemplate(
			{
				file: template,
				text,
				modules,
				variables: plan.variables,
				document: plan.document,
				environments: outputs.map(({ path, env }) => ({ of: path, env })),
			},
			await jq(),
		);
		for (const [index, { path }] of outputs.entries()) {
			rendered.set(path, { path, text: header + texts[index]!, executable: false, source: template });
		}
	}
	for (const copy of plan.copies) rendered.set(copy.path, copy);
	const kept = plan.cleaned.flatMap(({ folder, keep }) => keep.map((name) => `${folder}/${name}`));
	const isKept = (path: string): boolean => kept.some((each) => isWithin(path, each));
	const deleted = [...files.files.keys()].filter(
		(path) => !rendered.has(path) && plan.cleaned.some(({ folder }) => isWithin(path, folder)) && !isKept(path),
	);
	return { files: [...rendered.values()].sort((a, b) => compareCodePoints(a.path, b.path)), deleted };
}
