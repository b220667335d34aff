/** A token of jq's language, as far as it has to be told apart here. Space is none. */
export interface Token {
	/**
	 * `open` and `close` are brackets, also those of `\(…)` in a string; a `string` is a whole one, or a part of one that is
	 * broken by `\(…)`; a `field` is `.name`, a `variable` is `$name`, a `word` is a keyword or the name of a function.
	 */
	readonly kind: "open" | "close" | "string" | "field" | "variable" | "word" | "number" | "comment" | "sign";
	readonly text: string;
	readonly offset: number;
}

export interface Fault {
	readonly message: string;
	readonly offset: number;
}

export interface Scan {
	readonly tokens: readonly Token[];
	/** The first thing that is wrong whatever stands around the text: a string without an end, a bracket closed by another one. */
	readonly fault?: Fault;
	/** Brackets that only what stands before or behind the text can open or close, as in the parts of a template. */
	readonly unopened: readonly Token[];
	readonly unclosed: readonly Token[];
}

const closing: Readonly<Partial<Record<string, string>>> = { "(": ")", "[": "]", "{": "}", "\\(": ")" };
const name = "[A-Za-z_][A-Za-z0-9_]*";
const pattern = new RegExp(
	[
		"(?<space>[ \\t\\r\\n]+)",
		// A backslash at the end of a comment's line goes on with it where their number is odd.
		"(?<comment>#(?:[^\\\\\\r\\n]|\\\\(?:\\r?\\n|[\\s\\S]|$))*)",
		`(?<field>\\.${name})`,
		`(?<variable>\\$(?:${name}::)*${name})`,
		`(?<word>@${name}|(?:${name}::)*${name})`,
		"(?<number>\\.?[0-9][0-9.]*(?:[eE][+-]?[0-9]+)?)",
		"(?<open>[([{])",
		"(?<close>[)\\]}])",
		'(?<quote>")',
		"(?<sign>[\\s\\S])",
	].join("|"),
	"y",
);
/** The rest of a string up to its end, or up to `\(`. */
const stringPart = /(?:[^"\\]|\\[^(])*(?<end>"|\\\(|$)/y;

/** Splits jq's text into tokens, and pairs its brackets: jq itself reports such faults far from their place. */
export function scanJq(text: string): Scan {
	const tokens: Token[] = [];
	const unopened: Token[] = [];
	const unclosed: Token[] = [];
	let at = 0;
	const open = (token: Token): void => {
		tokens.push(token);
		unclosed.push(token);
	};
	const readString = (start: number): Fault | undefined => {
		stringPart.lastIndex = at;
		const { end } = stringPart.exec(text)!.groups!;
		at = stringPart.lastIndex;
		if (end === "") return { message: "a string has no end", offset: start };
		const broken = end !== '"';
		tokens.push({ kind: "string", text: text.slice(start, broken ? at - 2 : at), offset: start });
		if (broken) open({ kind: "open", text: "\\(", offset: at - 2 });
		return undefined;
	};
	const close = (token: Token): Fault | undefined => {
		tokens.push(token);
		const opened = unclosed.pop();
		if (opened === undefined) {
			unopened.push(token);
			return undefined;
		}
		if (closing[opened.text] !== token.text) {
			return { message: `${opened.text} is closed by ${token.text}`, offset: token.offset };
		}
		return opened.text === "\\(" ? readString(at) : undefined;
	};
	let fault: Fault | undefined;
	while (at < text.length && fault === undefined) {
		pattern.lastIndex = at;
		const groups = pattern.exec(text)!.groups!;
		const offset = at;
		at = pattern.lastIndex;
		const kind = Object.keys(groups).find((key) => groups[key] !== undefined)!;
		const token = { kind: kind as Token["kind"], text: groups[kind]!, offset };
		if (kind === "quote") fault = readString(offset);
		else if (kind === "open") open(token);
		else if (kind === "close") fault = close(token);
		else if (kind !== "space") tokens.push(token);
	}
	const broken = unclosed.find(({ text: bracket }) => bracket === "\\(");
	if (broken !== undefined) fault ??= { message: "\\( is never closed", offset: broken.offset };
	return { tokens, unopened, unclosed, ...(fault === undefined ? {} : { fault }) };
}
