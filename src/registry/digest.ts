import { createHash, type Hash } from "node:crypto";
import { pipeline, Transform, type Readable, type TransformCallback } from "node:stream";
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

/** Checks content that comes in piece by piece. */
export interface ContentCheck {
	/** Takes the next piece, and gives the one before it, if there is one. Throws where there are more bytes than expected. */
	take(piece: Buffer): Buffer | undefined;
	/** The last piece, if there is one. Throws where all together is not what was expected. */
	end(): Buffer | undefined;
}

/**
 * A check of what digest and size say. The last piece is kept back until all is checked, so who reads wrong content never gets
 * the whole of it, and an upload of it stays incomplete.
 */
export function contentCheck(expected: Pick<Descriptor, "digest" | "size">, what: string): ContentCheck {
	const algorithm = algorithmOf(expected.digest);
	const hash: Hash = createHash(algorithm);
	let size = 0;
	let kept: Buffer | undefined;
	return {
		take: (piece) => {
			size += piece.length;
			if (size > expected.size) throw mismatch(`${what} has more than its ${expected.size} bytes`);
			hash.update(piece);
			const ready = kept;
			kept = piece;
			return ready;
		},
		end: () => {
			const digest = `${algorithm}:${hash.digest("hex")}`;
			if (size !== expected.size) throw mismatch(`${what} has ${size} bytes, not ${expected.size}`);
			if (digest !== expected.digest) throw mismatch(`${what} has the digest ${digest}, not ${expected.digest}`);
			return kept;
		},
	};
}

/** Streams that are checked already, and for what. */
const checkedStreams = new WeakMap<Readable, Pick<Descriptor, "digest" | "size">>();

/** Has a stream that a check of this content is part of count as checked. */
export function markChecked(stream: Readable, expected: Pick<Descriptor, "digest" | "size">): Readable {
	checkedStreams.set(stream, expected);
	return stream;
}

/** The stream with a check of its content, unless it has that already; it fails where the content is not right. */
export function checkedStream(stream: Readable, expected: Pick<Descriptor, "digest" | "size">, what: string): Readable {
	const before = checkedStreams.get(stream);
	if (before?.digest === expected.digest && before.size === expected.size) return stream;
	const check = contentCheck(expected, what);
	const attempt = (step: () => Buffer | undefined, callback: TransformCallback): void => {
		let ready: Buffer | undefined;
		try {
			ready = step();
		} catch (error) {
			callback(error as Error);
			return;
		}
		callback(null, ready);
	};
	const transform = new Transform({
		transform: (piece: Buffer, _encoding, callback) => attempt(() => check.take(piece), callback),
		flush: (callback) => attempt(() => check.end(), callback),
	});
	// One that has failed before it is read tells so as well. Who ends it early has lost interest in its errors.
	return pipeline(stream, transform, () => {});
}

function mismatch(message: string): BrewlineError {
	return new BrewlineError("digest", message, {
		hint: "Nothing of it was used. If it stays so, the registry's storage or a proxy in front of it is damaged.",
	});
}
