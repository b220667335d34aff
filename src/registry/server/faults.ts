import type { ServerResponse } from "node:http";
import { Transform, type Readable } from "node:stream";
import type { Reply } from "./reply.ts";

/** A request as it came in, before it is answered. */
export interface Incoming {
	readonly method: string;
	/** Path and query. */
	readonly path: string;
	readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
	/** Counts from 1. */
	readonly number: number;
}

/** What goes wrong with a request. */
export type Fault =
	/** It is answered so, and not done. */
	| { readonly kind: "answer"; readonly status: number; readonly headers?: Reply["headers"]; readonly body?: string }
	/** The connection breaks before it is done, or after, so that only the answer is lost. */
	| { readonly kind: "reset"; readonly when: "before" | "after" }
	/** It is done, and the body of the answer breaks off after so many bytes. */
	| { readonly kind: "truncate"; readonly bytes: number }
	/** It is done, and one bit of the answer's first byte is wrong. */
	| { readonly kind: "corrupt" }
	/** It is done, and these headers stand in the answer in place of its own. */
	| { readonly kind: "misstate"; readonly headers: Readonly<Record<string, string>> }
	/** It is done once this is. */
	| { readonly kind: "wait"; readonly until: Promise<unknown> };

/** Changes the body of an answer on its way out. */
export function damaged(fault: Fault | undefined, body: Readable, response: ServerResponse): Readable {
	if (fault?.kind === "truncate") {
		let left = fault.bytes;
		return body.pipe(
			new Transform({
				transform(chunk: Buffer, _encoding, callback) {
					const piece = chunk.subarray(0, left);
					left -= piece.length;
					if (piece.length === chunk.length) {
						callback(null, piece);
						return;
					}
					// What is before the break has to get out first.
					response.write(piece, () => response.destroy());
				},
			}),
		);
	}
	if (fault?.kind === "corrupt") {
		let first = true;
		return body.pipe(
			new Transform({
				transform(chunk: Buffer, _encoding, callback) {
					const copy = Buffer.from(chunk);
					if (first && copy.length > 0) copy[0]! ^= 1;
					first = false;
					callback(null, copy);
				},
			}),
		);
	}
	return body;
}
