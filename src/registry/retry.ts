import { BrewlineError, messageOf } from "../errors.ts";
import { printable } from "../io/printable.ts";
import type { Io } from "../io/types.ts";
import { answerOf, type RegistryAnswer } from "./answer.ts";

export interface RetryPolicy {
	/** How often a request is tried in all, when the connection or the registry fails. Default: 5. */
	readonly tries?: number;
	/** Milliseconds before the second try; doubled for each further one, to at most 30 s. Default: 500. */
	readonly firstDelay?: number;
	/** Milliseconds that one request waits in all because of 429. Default: 15 minutes. */
	readonly patience?: number;
	/** 0 ≤ x < 1, spreads the delays; default `Math.random`. */
	readonly random?: () => number;
}

const maxDelay = 30_000;

export const rateLimitHint = "The registry's rate limit is used up: log in, wait, or set a mirror.";

export function patienceOf(policy: RetryPolicy): number {
	return policy.patience ?? 15 * 60_000;
}

/** Statuses of a registry or proxy in trouble that may be gone the next time. */
const passing = new Set([408, 500, 502, 503, 504]);

/** A code that tells what is wrong with the request itself: asking again brings the same. */
const settled = new Set([
	"BLOB_UNKNOWN",
	"MANIFEST_BLOB_UNKNOWN",
	"MANIFEST_INVALID",
	"MANIFEST_UNKNOWN",
	"NAME_UNKNOWN",
]);

const connectionCodes = new Set([
	"EAI_AGAIN",
	"ECONNABORTED",
	"ECONNREFUSED",
	"ECONNRESET",
	"EHOSTUNREACH",
	"ENETUNREACH",
	"EPIPE",
	"ERR_STREAM_PREMATURE_CLOSE",
	"ETIMEDOUT",
]);

function isPassing(answer: RegistryAnswer): boolean {
	return passing.has(answer.status) && !answer.codes.some((code) => settled.has(code));
}

/** Whether an error is of a connection that may hold the next time. */
export function isConnectionError(error: unknown): boolean {
	const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
	return typeof code === "string" && (connectionCodes.has(code) || code.startsWith("HPE_"));
}

/**
 * Does something until it works, or fails in a way that another try would not change. What is tried again: broken
 * connections and bodies, 408 and 5xx (`tries` times in all), and 429 (until `patience` is used up). `Retry-After` is
 * obeyed; without it the delay grows and is spread. Wrong digests, and answers that mean no, are never tried again.
 * Errors that are not ours already become ours, of code `registry`.
 * @param what What is done, for messages: `reading alpine:3 from docker.io`.
 * @param progress How far it is: tries that get further are not counted.
 */
export async function retrying<T>(
	io: Pick<Io, "clock" | "signal" | "log">,
	policy: RetryPolicy,
	what: string,
	attempt: () => Promise<T>,
	progress: () => number = () => 0,
): Promise<T> {
	const tries = policy.tries ?? 5;
	let furthest = progress();
	let failures = 0;
	let throttled = 0;
	let waited = 0;
	for (;;) {
		let failure: unknown;
		try {
			return await attempt();
		} catch (error) {
			failure = error;
		}
		if (io.signal.aborted) throw new BrewlineError("cancelled", `${what} was ended`, { cause: failure });
		const answer = answerOf(failure);
		let delay: number;
		if (answer?.status === 429) {
			// As the limiter does it, whose waiting is not seen here: one that says again and again that the next may go soon is not
			// believed.
			const least = throttled === 0 ? 0 : backOff(policy, throttled - 1);
			delay = answer.retryAfter === undefined ? backOff(policy, throttled) : Math.max(answer.retryAfter, least);
			// Two requests that were told the same must not come back in the same moment.
			delay += Math.round((policy.random ?? Math.random)() * 1000);
			throttled++;
			waited += delay;
			if (waited > patienceOf(policy)) throw failure;
		} else if (answer === undefined ? isConnectionError(failure) : isPassing(answer)) {
			failures = progress() > furthest ? 1 : failures + 1;
			furthest = Math.max(furthest, progress());
			delay = Math.max(answer?.retryAfter ?? 0, backOff(policy, failures - 1));
			waited += delay;
			if (failures >= tries || waited > patienceOf(policy)) throw explained(failure, what, failures);
		} else {
			throw explained(failure, what, 1);
		}
		io.log({
			type: "message",
			level: answer?.status === 429 ? "info" : "notice",
			text: `${what}: ${printable(reasonOf(failure), 300)}; again in ${(delay / 1000).toFixed(1)} s`,
		});
		await io.clock.sleep(delay, io.signal).catch((error: unknown) => {
			throw new BrewlineError("cancelled", `${what} was ended`, { cause: error });
		});
	}
}

/** Milliseconds to wait before the next try, after so many failures before this one. */
export function backOff(policy: RetryPolicy, failures: number): number {
	const delay = Math.min(maxDelay, (policy.firstDelay ?? 500) * 2 ** Math.min(failures, 16));
	return Math.round(delay * (0.75 + (policy.random ?? Math.random)() / 2));
}

/** `AggregateError`s, which Node makes of several addresses that were tried, have an empty message. */
function reasonOf(error: unknown): string {
	const message = messageOf(error);
	return message === "" ? ((error as NodeJS.ErrnoException).code ?? "no reason given") : message;
}

function explained(error: unknown, what: string, tries: number): unknown {
	if (error instanceof BrewlineError) return error;
	const times = tries > 1 ? ` ${tries} times` : "";
	return new BrewlineError("registry", `${what} failed${times}: ${printable(reasonOf(error), 300)}`, {
		cause: error,
		hint: isCertificateError(error)
			? "If an authority of your own vouches for it, name the file with its certificate in NODE_EXTRA_CA_CERTS."
			: isPlainAnswer(error)
				? "It does not speak TLS there. If it is to be spoken to in plain HTTP, say so: program.registries.plainHttp."
				: "Check that the registry is up and can be reached from here, also through the proxy that is set.",
	});
}

/** Of OpenSSL's codes those that are about who vouches for a server. */
function isCertificateError(error: unknown): boolean {
	const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
	return typeof code === "string" && /SELF_SIGNED|LEAF_SIGNATURE|ISSUER_CERT/.test(code);
}

/** What OpenSSL makes of an answer in plain text. */
function isPlainAnswer(error: unknown): boolean {
	return error instanceof Error && /SSL routines:.*wrong version number/.test(error.message);
}
