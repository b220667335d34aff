import { isUtf8 } from "node:buffer";
import posix from "node:path/posix";

/**
 * The text of a definition's bytes. A byte that is not UTF-8 becomes a lone surrogate, U+DC00 + byte, as in no valid
 * text, so that `encodeText` can give it back: the existing system carries such bytes through.
 * A byte order mark stays.
 */
export function decodeText(bytes: Uint8Array): string {
	return isUtf8(bytes) ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString() : decodeDamaged(bytes);
}

function decodeDamaged(bytes: Uint8Array): string {
	const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
	const parts: string[] = [];
	let start = 0;
	let index = 0;
	while (index < bytes.length) {
		const length = sequenceLength(bytes, index);
		if (length > 0) {
			index += length;
			continue;
		}
		parts.push(decoder.decode(bytes.subarray(start, index)), String.fromCharCode(0xdc00 + bytes[index]!));
		index += 1;
		start = index;
	}
	parts.push(decoder.decode(bytes.subarray(start)));
	return parts.join("");
}

/** The length of the valid UTF-8 sequence at `index`; 0 where there is none. */
function sequenceLength(bytes: Uint8Array, index: number): number {
	const first = bytes[index]!;
	if (first < 0x80) return 1;
	const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
	if (first < 0xc2 || first > 0xf4) return 0;
	for (let offset = 1; offset < length; offset += 1) {
		const byte = bytes[index + offset] ?? 0;
		if (byte < 0x80 || byte > 0xbf) return 0;
	}
	// Overlong forms, surrogates and what lies beyond U+10FFFF show in the second byte.
	const second = bytes[index + 1]!;
	if (first === 0xe0 && second < 0xa0) return 0;
	if (first === 0xed && second > 0x9f) return 0;
	if (first === 0xf0 && second < 0x90) return 0;
	if (first === 0xf4 && second > 0x8f) return 0;
	return length;
}

/** The bytes of text that `decodeText` gave: a value of a definition, or its canonical text. */
export function encodeText(text: string): Buffer {
	if (text.isWellFormed()) return Buffer.from(text);
	const parts: Buffer[] = [];
	let start = 0;
	for (const match of text.matchAll(/[\udc80-\udcff]/gu)) {
		parts.push(Buffer.from(text.slice(start, match.index)), Buffer.of(match[0].charCodeAt(0) - 0xdc00));
		start = match.index + 1;
	}
	parts.push(Buffer.from(text.slice(start)));
	return Buffer.concat(parts);
}

/** White space of spec/manifest.md: U+0085 is some, U+FEFF is not, in which it differs from JavaScript's. */
export function isWhiteSpace(code: number): boolean {
	if (code < 0x80) return code === 0x20 || (code >= 0x09 && code <= 0x0d);
	return (
		code === 0x85 ||
		code === 0xa0 ||
		code === 0x1680 ||
		(code >= 0x2000 && code <= 0x200a) ||
		code === 0x2028 ||
		code === 0x2029 ||
		code === 0x202f ||
		code === 0x205f ||
		code === 0x3000
	);
}

/** Space, tab, carriage return and newline: all that is cut from the items of a list. */
export function isListSpace(code: number): boolean {
	return code === 0x20 || code === 0x09 || code === 0x0d || code === 0x0a;
}

/** A character of ASCII that no kind of white space has. */
function isVisible(code: number): boolean {
	return code > 0x20 && code < 0x7f;
}

/** Where in `text` between `start` and `end` the first character stands that is no `space`; `end` if there is none. */
export function skipSpace(text: string, start: number, end: number, space: (code: number) => boolean): number {
	let from = start;
	for (; from < end; from += 1) {
		const code = text.charCodeAt(from);
		if (isVisible(code) || !space(code)) break;
	}
	return from;
}

/** The end of `text` between `start` and `end` without the `space` there; `start` if there is nothing else. */
export function skipSpaceBack(text: string, start: number, end: number, space: (code: number) => boolean): number {
	let to = end;
	for (; to > start; to -= 1) {
		const code = text.charCodeAt(to - 1);
		if (isVisible(code) || !space(code)) break;
	}
	return to;
}

/** Order by the bytes of UTF-8, in which U+FFFF comes before U+10000: not so in JavaScript's own order. */
export function compareBytes(a: string, b: string): number {
	const length = Math.min(a.length, b.length);
	for (let index = 0; index < length; index += 1) {
		const left = a.charCodeAt(index);
		const right = b.charCodeAt(index);
		if (left === right) continue;
		return left < 0x80 || right < 0x80 || (left < 0xd800 && right < 0xd800)
			? left - right
			: Buffer.compare(encodeText(a), encodeText(b));
	}
	return a.length - b.length;
}

/** `.`, empty parts and a trailing `/` removed, `..` resolved as far as there is something to go up from. */
export function cleanPath(path: string): string {
	// Nearly all have no part that is empty, `.` or `..`, and are clean as they are.
	if (!/(?:^|\/)\.{0,2}(?:\/|$)/.test(path)) return path;
	const normal = posix.normalize(path);
	return normal.length > 1 && normal.endsWith("/") ? normal.slice(0, -1) : normal;
}

/** The one of `known` that `name` was most likely meant to be, if one is near enough. */
export function nearest(name: string, known: Iterable<string>): string | undefined {
	if (name.length > 60) return undefined;
	const wanted = name.toLowerCase();
	let best: string | undefined;
	let bestDistance = Math.min(3, Math.ceil(name.length / 3) + 1);
	for (const candidate of known) {
		const distance = likeness(wanted, candidate.toLowerCase(), bestDistance);
		if (distance < bestDistance) {
			best = candidate;
			bestDistance = distance;
		}
	}
	return best;
}

/** Edits from one to the other; a beginning of it, like `arm64` of `arm64v8`, counts as one. `limit` or more: any. */
function likeness(wanted: string, candidate: string, limit: number): number {
	if (wanted.length > 2 && wanted !== candidate && candidate.startsWith(wanted)) return 1;
	return Math.abs(candidate.length - wanted.length) >= limit ? limit : editDistance(wanted, candidate);
}

function editDistance(a: string, b: string): number {
	let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
	for (let row = 1; row <= a.length; row += 1) {
		const current = [row];
		for (let column = 1; column <= b.length; column += 1) {
			const replaced = previous[column - 1]! + (a[row - 1] === b[column - 1] ? 0 : 1);
			current.push(Math.min(replaced, previous[column]! + 1, current[column - 1]! + 1));
		}
		previous = current;
	}
	return previous[b.length]!;
}
