import { Readable } from "node:stream";
import type { Clock } from "../io/types.ts";

/** Bytes a second, and milliseconds: who sends less for so long is as good as silent, as git takes it (`lowSpeedLimit`). */
const leastRate = 1000;
const patience = 60_000;

/** A pause is the connection's to bear (src/io); many small pieces are what only a count of them shows. */
const leastPieces = 8;

/** Measures how fast a body comes in; the time in which nobody wants any of it does not count. */
export interface Pace {
	/** From now on the next piece is waited for. */
	waiting(): void;
	/** Throws the error of a connection that is silent where too little comes in. */
	received(bytes: number): void;
}

export function createPace(clock: Pick<Clock, "now">): Pace {
	let since = clock.now();
	let waited = 0;
	let bytes = 0;
	let pieces = 0;
	return {
		waiting: () => {
			since = clock.now();
		},
		received: (length) => {
			waited += clock.now() - since;
			bytes += length;
			pieces++;
			if (waited < patience || pieces < leastPieces) return;
			if (bytes < (leastRate * waited) / 1000) {
				const seconds = Math.round(waited / 1000);
				throw Object.assign(new Error(`only ${bytes} bytes came in ${seconds} s`), { code: "ETIMEDOUT" });
			}
			waited = 0;
			bytes = 0;
			pieces = 0;
		},
	};
}

/** The same body, which fails where it comes in too slowly. */
export function paced(body: Readable, clock: Pick<Clock, "now">): Readable {
	async function* pieces(): AsyncGenerator<Buffer> {
		const pace = createPace(clock);
		for await (const piece of body as AsyncIterable<Buffer>) {
			pace.received(piece.length);
			yield piece;
			pace.waiting();
		}
	}
	// One that is never read is not begun either, and would leave the body open.
	return Readable.from(pieces(), { objectMode: false }).once("close", () => body.destroy());
}
