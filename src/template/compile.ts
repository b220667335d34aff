import { nearest } from "../definition/text.ts";
import { BrewlineError, type Location } from "../errors.ts";
import { printable } from "../io/printable.ts";
import { inlineModules, locate, type Modules, type Source } from "./modules.ts";
import { newLines, parseTemplate, type Piece } from "./parse.ts";
import { scanJq, type Scan, type Token } from "./scan.ts";

export interface Template {
	/** Its path in the repository. */
	readonly file: string;
	readonly text: string;
	readonly modules: Modules;
	/** The variables that `env` may have. */
	readonly variables: readonly string[];
}

/** A template as one jq program, and where its lines come from. */
export interface Compiled {
	/** Takes `{document, environments}`; gives for each environment `{text}`, or `{error}` with what was thrown. */
	readonly program: string;
	/** For each line of the program; missing where a line is ours. */
	readonly places: readonly (Location | undefined)[];
}

/** Characters of one rendered file. */
const maxText = 8 * 1024 * 1024;

/**
 * Compiles a template to a jq program (spec/library-generation.md, "Rendering Dockerfiles"): text becomes literals,
 * expressions come in parentheses, all joined with `+`; definitions and modules stand before them.
 *
 * With `trace`, what an expression throws is an object that holds the expression's place in `places`: such a program is for
 * finding out where another one failed.
 */
export function compileTemplate(template: Template, { trace = false } = {}): Compiled {
	const { file } = template;
	const windows = template.text.indexOf("-}}\r\n");
	if (windows >= 0) {
		throw new BrewlineError("template", "lines end as on Windows, and so -}} is not at the end of its line", {
			at: { file, line: 1 + newLines(template.text.slice(0, windows)) },
			hint: "Have git check it out with LF: *.template text eol=lf in .gitattributes.",
		});
	}
	const { pieces, unclosed } = parseTemplate(template.text);
	if (unclosed !== undefined) {
		throw new BrewlineError("template", "{{ is never closed", {
			at: { file, line: unclosed },
			hint: "Close it with }}.",
		});
	}
	const definitions: Source[] = [];
	const body: Piece[] = [];
	for (const piece of pieces) {
		const expression = piece.kind === "text" ? piece : trimmed(piece);
		if (expression === undefined) continue;
		if (expression.kind === "expression" && /^(?:def|include|import)\s/.test(expression.text)) {
			const { text, line } = expression;
			// A comment at its end must not take along what ends it.
			const isCommented = text.slice(text.lastIndexOf("\n") + 1).includes("#");
			const ended = text.endsWith(";") ? text : `${text}${isCommented ? "\n" : ""};`;
			definitions.push(...inlineModules({ text: ended, at: { file, line } }, template.modules));
		} else body.push(expression);
	}
	const output = newProgram();
	output.add(`.environments[] as $ENV | .document | try ([\n${shadows}`);
	for (const source of definitions) {
		checkNames(scanJq(source.text), source, template.variables);
		output.add(source.text, source.at);
	}
	output.add("if env.version then .[env.version] else . end | (");
	const parts = bodyParts(body, template, trace, output);
	if (parts === 0) output.add('""');
	output.add(`)] | map(if type == "string" then . else tojson end) | add // ""
| if length > ${maxText} then error("it renders to more than ${maxText} characters") else {text: .} end)
catch {error: .}`);
	return { program: output.text(), places: output.places };
}

/** Without the space around it; nothing where no more is left than comments. */
function trimmed(piece: Piece): Piece | undefined {
	const start = piece.text.search(/\S/);
	if (start === -1) return undefined;
	if (/^(?:\s*#[^\n]*(?:\n|$))+\s*$/.test(piece.text)) return undefined;
	const line = piece.line + piece.text.slice(0, start).split("\n").length - 1;
	return { ...piece, text: piece.text.trim(), line };
}

/** Writes the pieces, and says how many there were. */
function bodyParts(body: readonly Piece[], template: Template, trace: boolean, output: Lines): number {
	const { file } = template;
	const blocks: Location[] = [];
	let previous = "(";
	for (const { kind, text, line } of body) {
		const at: Location = { file, line };
		const first = kind === "text" ? '"' : text[0]!;
		if (previous !== "(" && first !== ")") output.add("+", at);
		if (kind === "text") {
			output.add(JSON.stringify(text), at);
			previous = '"';
			continue;
		}
		const isBlock = text.startsWith(")") || text.endsWith("(");
		const source = { text, at };
		const scan = scanJq(text);
		checkBrackets(scan, source, isBlock);
		checkNames(scan, source, template.variables);
		for (const bracket of scan.unopened) {
			if (blocks.pop() === undefined) throw fault(source, { ...bracket, message: `${bracket.text} closes nothing` });
		}
		for (const { offset } of scan.unclosed) blocks.push(locate(source, offset));
		// A comment at its end must not take along what follows.
		if (isBlock) {
			output.add(`${text.startsWith(")") ? "" : "("}${text}`, at);
			if (!text.endsWith("(")) output.add(")", locate(source, text.length));
		} else if (trace) {
			const number = output.places.length;
			output.add(`(try (${text}`, at);
			output.add(`) catch error({place: ${number}, error: .}))`, locate(source, text.length));
		} else {
			output.add(`(${text}`, at);
			output.add(")", locate(source, text.length));
		}
		previous = text.endsWith("(") ? "(" : ")";
	}
	const open = blocks.at(-1);
	if (open !== undefined) {
		throw new BrewlineError("template", "the block that opens here is never closed", {
			at: open,
			hint: "Close it with an expression that starts with ).",
		});
	}
	return body.length;
}

function fault(
	source: Source,
	{ message, offset }: { readonly message: string; readonly offset: number },
): BrewlineError {
	return new BrewlineError("template", message, { at: locate(source, offset) });
}

function checkBrackets({ fault: found, unopened, unclosed }: Scan, source: Source, isBlock: boolean): void {
	if (found !== undefined) throw fault(source, found);
	if (isBlock) return;
	const [bracket] = [...unopened, ...unclosed];
	if (bracket === undefined) return;
	const what = unopened.length > 0 ? "closes nothing" : "is never closed";
	throw new BrewlineError("template", `${bracket.text} ${what} in this expression`, {
		at: locate(source, bracket.offset),
		hint: "An expression that opens a block over text ends with (, one that closes it starts with ).",
	});
}

/**
 * Refuses what differs from one place to another, and names of variables that are nearly those of declared ones; any other
 * name is null, as for jq: templates ask for what somebody may set who renders for himself.
 */
function checkNames({ tokens }: Scan, source: Source, variables: readonly string[]): void {
	tokens.forEach(({ kind, text, offset }, index) => {
		if (kind === "variable" && text === "$__loc__") {
			throw fault(source, { message: "$__loc__ is not known in a template", offset });
		}
		const isEnvironment = (kind === "word" && text === "env") || (kind === "variable" && text === "$ENV");
		const name = isEnvironment ? memberAt(tokens, index + 1) : undefined;
		const near = name === undefined || variables.includes(name) ? undefined : nearest(name, variables);
		if (name === undefined || near === undefined) return;
		throw new BrewlineError("template", `env.${printable(name, 100)} is not declared`, {
			at: locate(source, offset),
			hint: `Did you mean ${near}? Declared under templates.env are: ${variables.join(", ")}.`,
		});
	});
}

/** The name in `.name`, `."name"`, `["name"]` or `.["name"]` at a token. */
function memberAt(tokens: readonly Token[], start: number): string | undefined {
	if (tokens[start]?.kind === "field") return tokens[start].text.slice(1);
	const rest = tokens.slice(start, start + 4);
	const dotted = rest[0]?.text === ".";
	if (dotted) rest.shift();
	const bracketed = rest[0]?.text === "[" && rest[2]?.text === "]";
	const literal = bracketed ? rest[1] : dotted ? rest[0] : undefined;
	if (literal?.kind !== "string" || !/^"[^"\\]*"$/.test(literal.text)) return undefined;
	return literal.text.slice(1, -1);
}

interface Lines {
	readonly places: readonly (Location | undefined)[];
	/** Each piece begins a line of its own. */
	add(text: string, at?: Location): void;
	text(): string;
}

/** A program in the making. */
function newProgram(): Lines {
	const lines: string[] = [];
	const places: (Location | undefined)[] = [];
	const add = (text: string, at?: Location): void => {
		text.split("\n").forEach((line, index) => {
			lines.push(line);
			places.push(at && { ...at, line: (at.line ?? 1) + index });
		});
	};
	return { places, add, text: () => lines.join("\n") };
}

/** What would let the same template render differently elsewhere or later: calling it is an error. */
export const unknownFunctions = [
	"now",
	"localtime",
	"strflocaltime/1",
	"input",
	"inputs",
	"input_filename",
	"input_line_number",
	"get_search_list",
	"halt",
] as const;

/** The functions of jq that are others in a template; what only prints does nothing. */
const shadows = [
	"def env: $ENV;",
	...unknownFunctions.map((signature) => {
		const [name, arity] = signature.split("/");
		return `def ${name}${arity === undefined ? "" : "(f)"}: error("${name} is not known in a template");`;
	}),
	"def halt_error: error; def halt_error(code): error;",
	"def debug: .; def debug(message): .; def stderr: .;",
].join("\n");
