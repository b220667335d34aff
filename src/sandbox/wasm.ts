import { BrewlineError } from "../errors.ts";

/** Bytes in one page of WebAssembly's memory. */
const page = 65_536;
const memorySection = 5;

/**
 * The same module with a maximum of memory, in bytes, that no instance can grow beyond; its own maximum where that is less.
 * Memory of WebAssembly is not part of a thread's heap, so the heap's limit does not hold for it.
 *
 * Only the number is written anew, in as many bytes as it had, so nothing moves.
 */
export function withMaximumMemory(module: Uint8Array, bytes: number): Uint8Array<ArrayBuffer> {
	const patched = new Uint8Array(module);
	let at = 8; // behind the magic number and the version
	while (at < patched.length) {
		const section = patched[at];
		const size = readNumber(patched, at + 1);
		if (section === memorySection) {
			const count = readNumber(patched, size.end);
			const hasMaximum = patched[count.end] === 1;
			if (count.value !== 1 || !hasMaximum) break;
			const minimum = readNumber(patched, count.end + 1);
			const maximum = readNumber(patched, minimum.end);
			const wanted = Math.max(minimum.value, Math.min(maximum.value, Math.ceil(bytes / page)));
			writeNumber(patched, minimum.end, maximum.end, wanted);
			return patched;
		}
		at = size.end + size.value;
	}
	throw new BrewlineError("internal", "the jq module is not as expected: it has no memory with a maximum of its own");
}

/** A number as WebAssembly writes it: seven bits in each byte, the lowest first (LEB128). */
function readNumber(bytes: Uint8Array, start: number): { readonly value: number; readonly end: number } {
	let value = 0;
	for (let at = start, factor = 1; ; at++, factor *= 128) {
		const byte = bytes[at];
		if (byte === undefined || at - start > 4) throw new BrewlineError("internal", "the jq module is damaged");
		value += (byte & 127) * factor;
		if (byte < 128) return { value, end: at + 1 };
	}
}

function writeNumber(bytes: Uint8Array, start: number, end: number, number: number): void {
	let rest = number;
	for (let at = start; at < end; at++) {
		bytes[at] = (rest & 127) | (at === end - 1 ? 0 : 128);
		rest >>= 7;
	}
}
