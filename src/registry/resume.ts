import { Readable } from "node:stream";
import { BrewlineError } from "../errors.ts";
import type { ContentCheck } from "./digest.ts";
import type { Pace } from "./pace.ts";
import { isConnectionError } from "./retry.ts";

/** A body, and the place in the whole that its first byte has. */
export interface Part {
	readonly body: Readable;
	readonly at: number;
}

export interface Resuming {
	/** Bytes of the whole. */
	readonly size: number;
	/** For messages: `reading sha256:… of ghcr.io/org/name`. */
	readonly doing: string;
	/** Bodies at most, but for those that bring a good part (`worthwhile`). */
	readonly tries: number;
	readonly pace: () => Pace;
	readonly signal: AbortSignal;
	readonly check: ContentCheck;
	/** Another body, from there on or from before it, after the one before broke off. */
	readonly again: (position: number, failures: number) => Promise<Part>;
}

/** Bytes: a body that brings so many is none of those that are counted. Proxies cut the largest layers every few minutes. */
const worthwhile = 1024 * 1024;

/**
 * The whole of what comes in parts, checked: where one breaks off, or comes in too slowly, another goes on. The pieces are handed
 * on as they are, without a promise or another stream for each: a layer has thousands of them.
 */
export function resumed(first: Part, resuming: Resuming): Readable {
	const { size, doing, tries, signal, check } = resuming;
	let position = 0;
	/** Where the last one broke off. */
	let broken = 0;
	let failures = 0;
	let body: Readable | undefined;
	let pace = resuming.pace();
	let begun = false;

	const whole = new Readable({
		read: () => {
			if (!begun) {
				begun = true;
				read(first);
			} else if (body?.isPaused() === true) {
				pace.waiting();
				body.resume();
			}
		},
		destroy: (error, done) => {
			(body ?? first.body).destroy();
			done(error);
		},
	});

	/** Hands on what is checked; false: no more for now. What is wrong ends all, and no other part would mend it. */
	const handOn = (checked: () => Buffer | undefined): boolean => {
		try {
			const piece = checked();
			return piece === undefined || whole.push(piece);
		} catch (error) {
			whole.destroy(error as Error);
			return false;
		}
	};

	const read = (part: Part): void => {
		let at = part.at;
		let ended = false;
		const end = (error?: unknown): void => {
			if (ended) return;
			ended = true;
			part.body.destroy();
			body = undefined;
			void goOn(error);
		};
		body = part.body;
		pace = resuming.pace();
		body
			.on("data", (chunk: Buffer) => {
				try {
					pace.received(chunk.length);
				} catch (error) {
					end(error);
					return;
				}
				const skipped = Math.min(chunk.length, position - at);
				at += chunk.length;
				let wanted = true;
				if (skipped < chunk.length) {
					position += chunk.length - skipped;
					wanted = handOn(() => check.take(skipped === 0 ? chunk : chunk.subarray(skipped)));
				}
				if (wanted) pace.waiting();
				else part.body.pause();
			})
			.once("end", () => end())
			.once("error", end)
			.once("close", () => end());
		// What broke before anybody read it does not say so again.
		if (part.body.destroyed) end(part.body.errored ?? undefined);
	};

	/** A body that ends early without an error is as cut off as one that breaks. */
	const goOn = async (error: unknown): Promise<void> => {
		if (whole.destroyed) return;
		failures = position - broken >= worthwhile ? 1 : failures + 1;
		broken = position;
		// With all of it there, it does not matter how the connection ended.
		if (position >= size || (error === undefined && failures >= tries)) {
			handOn(() => check.end());
			whole.push(null);
		} else if (error !== undefined && (!isConnectionError(error) || signal.aborted || failures >= tries)) {
			const text = `${doing} broke off after ${position} of ${size} bytes`;
			whole.destroy(error instanceof BrewlineError ? error : new BrewlineError("registry", text, { cause: error }));
		} else {
			try {
				const part = await resuming.again(position, failures - 1);
				if (whole.destroyed) part.body.destroy();
				else read(part);
			} catch (cause) {
				whole.destroy(cause as Error);
			}
		}
	};

	return whole;
}
