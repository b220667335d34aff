import { createHash, type Hash } from "node:crypto";
import { Transform, type TransformCallback } from "node:stream";
import { BrewlineError } from "../errors.ts";
import { parseDigest, type Descriptor } from "../oci/index.ts";

/** The algorithm of a digest; an error of code `reference` where it is none that can be checked. */
export function algorithmOf(digest: string): string {
	return parseDigest(digest).algorithm;
}

export function digestOfBytes(bytes: Uint8Array, algorithm = "sha256"): string {
	return `${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`;
}

/** Throws an error of code `digest` unless the bytes are what digest and size say. */
export function checkBytes(
	bytes: Uint8Array,
	expected: { readonly digest: string; readonly size?: number },
	what: string,
): void {
	if (expected.size !== undefined && bytes.length !== expected.size) {
		throw mismatch(`${what} has ${bytes.length} bytes, not ${expected.size}`);
	}
	const digest = digestOfBytes(bytes, algorithmOf(expected.digest));
	if (digest !== expected.digest) {
		throw mismatch(`${what} has the digest ${digest}, not ${expected.digest}`);
	}
}

/**
 * Passes bytes through and fails if they are not what digest and size say. The last piece is kept back until all is
 * checked, so who reads wrong content never gets the whole of it, and an upload of it stays incomplete.
 */
export function checkedStream(expected: Pick<Descriptor, "digest" | "size">, what: string): Transform {
	const algorithm = algorithmOf(expected.digest);
	const hash: Hash = createHash(algorithm);
	let size = 0;
	let kept: Buffer | undefined;
	return new Transform({
		transform(chunk: Buffer, _encoding, callback: TransformCallback) {
			size += chunk.length;
			if (size > expected.size) {
				callback(mismatch(`${what} has more than its ${expected.size} bytes`));
				return;
			}
			hash.update(chunk);
			const ready = kept;
			kept = chunk;
			callback(null, ready);
		},
		flush(callback) {
			const digest = `${algorithm}:${hash.digest("hex")}`;
			if (size !== expected.size) {
				callback(mismatch(`${what} has ${size} bytes, not ${expected.size}`));
			} else if (digest === expected.digest) {
				callback(null, kept);
			} else {
				callback(mismatch(`${what} has the digest ${digest}, not ${expected.digest}`));
			}
		},
	});
}

function mismatch(message: string): BrewlineError {
	return new BrewlineError("digest", message, {
		hint: "Nothing of it was used. If it stays so, the registry's storage or a proxy in front of it is damaged.",
	});
}
