import { BrewlineError, messageOf, type ErrorCode } from "../errors.ts";
import { printable } from "../io/printable.ts";
import { orderedObject, type JsonObject, type JsonValue } from "./order.ts";
import { maxDepth } from "./write.ts";

export interface ParseJsonOptions {
	/** What the bytes are, for messages: `index.json`, `the manifest of alpine:3`. */
	readonly what: string;
	/** Larger input is refused before it is decoded. */
	readonly maxBytes: number;
	/** Default: `handover`. */
	readonly code?: ErrorCode;
}

/**
 * One JSON value from UTF-8 bytes (or text), nested at most 200 levels. Keys keep their order for `tabJson`, also
 * those that look like numbers; one that stands twice keeps its first place and its last value. Half a surrogate
 * pair, a byte order mark and anything behind the value are errors.
 */
export function parseJson(input: Uint8Array | string, options: ParseJsonOptions): JsonValue {
	const size = typeof input === "string" ? Buffer.byteLength(input) : input.byteLength;
	if (size > options.maxBytes) {
		throw refused(options, `is ${size} bytes long, more than the ${options.maxBytes} that are read`);
	}
	const text = typeof input === "string" ? input : decode(input, options);
	if (!text.isWellFormed()) {
		throw refused(options, "has half a surrogate pair");
	}
	checkDepth(text, options);
	try {
		// What the engine's own parser gets wrong is rare: keys that look like numbers, and halves of escaped pairs.
		if (/"(?:\d|\\u003\d)+"\s*:/.test(text) || /\\u[dD][89a-fA-F]/.test(text)) {
			JSON.parse(text);
			return parseOrdered(text);
		}
		return JSON.parse(text) as JsonValue;
	} catch (cause) {
		throw refused(options, `is not JSON: ${printable(messageOf(cause), 200)}`, cause);
	}
}

/** As `parseJson`, for what must be an object. */
export function parseJsonObject(input: Uint8Array | string, options: ParseJsonOptions): JsonObject {
	const value = parseJson(input, options);
	if (typeof value !== "object" || value === null || Array.isArray(value)) {
		throw refused(options, "must be a JSON object");
	}
	return value as JsonObject;
}

/** A key that its object has already. */
export interface RepeatedKey {
	readonly key: string;
	/** Where it stands, from 1. */
	readonly line: number;
	readonly column: number;
	/** The line in which it stood first. */
	readonly earlier: number;
}

/** More than these help nobody. */
const maxRepeated = 20;

/** The keys that stand twice in one object of a text, which is JSON that `parseJson` takes; in its order, the first twenty. */
export function repeatedKeys(text: string): readonly RepeatedKey[] {
	const found: RepeatedKey[] = [];
	/** Of each object that is open, the lines of its keys; of a list, null. */
	const open: (Map<string, number> | null)[] = [];
	let line = 1;
	let lineStart = 0;
	for (let at = 0; at < text.length && found.length < maxRepeated; at++) {
		const character = text[at]!;
		if (character === "\n") {
			line++;
			lineStart = at + 1;
		} else if (character === "{") open.push(new Map());
		else if (character === "[") open.push(null);
		else if (character === "}" || character === "]") open.pop();
		else if (character === '"') {
			const start = at;
			const end = endOfString(text, start);
			at = end - 1;
			const keys = open.at(-1);
			if (keys === undefined || keys === null || !isKey(text, end)) continue;
			const key = JSON.parse(text.slice(start, end)) as string;
			const earlier = keys.get(key);
			if (earlier === undefined) keys.set(key, line);
			else found.push({ key, line, column: start - lineStart + 1, earlier });
		}
	}
	return found;
}

/** Whether the string that ends here is a key: a colon comes next. */
function isKey(text: string, end: number): boolean {
	const next = /[^ \t\r\n]/g;
	next.lastIndex = end;
	return next.exec(text)?.[0] === ":";
}

function refused(options: ParseJsonOptions, why: string, cause?: unknown): BrewlineError {
	return new BrewlineError(options.code ?? "handover", `${options.what} ${why}`, { cause });
}

function decode(bytes: Uint8Array, options: ParseJsonOptions): string {
	try {
		return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
	} catch (cause) {
		throw refused(options, "is not UTF-8", cause);
	}
}

/** Looks at what stands between strings: these are most of a text, and are passed over by the engine's own search. */
function checkDepth(text: string, options: ParseJsonOptions): void {
	let depth = 0;
	for (let start = 0; start < text.length;) {
		const quote = text.indexOf('"', start);
		const end = quote < 0 ? text.length : quote;
		for (let i = start; i < end; i++) {
			const unit = text.charCodeAt(i);
			if (unit === 0x7b || unit === 0x5b) {
				depth++;
				if (depth > maxDepth) {
					throw refused(options, `is nested more than ${maxDepth} levels deep`);
				}
			} else if (unit === 0x7d || unit === 0x5d) {
				depth--;
			}
		}
		if (quote < 0) return;
		start = endOfString(text, quote);
	}
}

/** The place after the quote that ends the string which starts at `quote`; the end of the text where none does. */
function endOfString(text: string, quote: number): number {
	for (let from = quote + 1; ;) {
		const end = text.indexOf('"', from);
		if (end < 0) return text.length;
		let backslashes = 0;
		while (text.charCodeAt(end - 1 - backslashes) === 0x5c) backslashes++;
		if (backslashes % 2 === 0) return end + 1;
		from = end + 1;
	}
}

/** Reads text that is known to be JSON, and to be of bounded depth, keeping the order of all keys. */
function parseOrdered(text: string): JsonValue {
	const token = /[\s,:]*(?:([{}[\]])|("[^"\\]*(?:\\.[^"\\]*)*")|([^\s,:{}[\]"]+))/y;
	const next = (): RegExpExecArray => token.exec(text)!;
	const string = (quoted: string): string => {
		const value = JSON.parse(quoted) as string;
		if (!value.isWellFormed()) {
			throw new SyntaxError("half a surrogate pair");
		}
		return value;
	};
	const value = (match: RegExpExecArray): JsonValue => {
		if (match[2] !== undefined) {
			return string(match[2]);
		}
		if (match[1] === "[") {
			const list: JsonValue[] = [];
			for (let item = next(); item[1] !== "]"; item = next()) {
				list.push(value(item));
			}
			return list;
		}
		if (match[1] === "{") {
			const entries: [string, JsonValue][] = [];
			for (let key = next(); key[1] !== "}"; key = next()) {
				entries.push([string(key[2]!), value(next())]);
			}
			return orderedObject(entries);
		}
		return JSON.parse(match[3]!) as JsonValue;
	};
	return value(next());
}
