import type { Readable } from "node:stream";
import { BrewlineError } from "../errors.ts";
import { printable } from "../io/printable.ts";
import type { HttpResponse } from "../io/types.ts";

/** What a registry said when it did not do what it was asked. */
export interface RegistryAnswer {
	readonly status: number;
	/** The codes of its error body, such as `MANIFEST_UNKNOWN`; what is no code by its form is left out. */
	readonly codes: readonly string[];
	/** The messages of its error body, or the beginning of another body, safe to show. */
	readonly text: string;
	/** Milliseconds that it asked to wait; undefined where it did not. */
	readonly retryAfter?: number;
	/** Name and password themselves were refused, which never hides a thing that is there. */
	readonly wrongCredentials?: boolean;
	/** A token server's, which knows nothing of what is there. */
	readonly ofTokenServer?: boolean;
	/** Of another host that the registry sent us to, which knows nothing of who we are: none of our credentials goes there. */
	readonly ofStorage?: boolean;
}

const answers = Symbol("brewline.registry.answer");

/** The registry's answer behind an error, whatever wraps it; undefined where there was none. */
export function answerOf(error: unknown): RegistryAnswer | undefined {
	for (let depth = 0, at = error; depth < 8 && at instanceof Error; depth++, at = at.cause) {
		const cause = at.cause;
		if (typeof cause === "object" && cause !== null && answers in cause) return cause as unknown as RegistryAnswer;
	}
	return undefined;
}

/** An error that `answerOf` gives the answer of. */
export function answerError(
	code: "registry" | "credentials",
	message: string,
	answer: RegistryAnswer,
	hint?: string,
): BrewlineError {
	const said = [answer.codes.join(", "), answer.text].filter((text) => text !== "").join(": ");
	return new BrewlineError(code, `${message}: HTTP ${answer.status}${said === "" ? "" : ` (${said})`}`, {
		cause: Object.defineProperty({ ...answer }, answers, { value: true }),
		...(hint === undefined ? {} : { hint }),
	});
}

/** Bytes; the largest error body that is read: the rest is thrown away with the connection. */
export const maxErrorBody = 65_536;

/** Reads an answer that is an error, and its body to a limit. `now` turns a date in `Retry-After` into a duration. */
export async function readAnswer(response: HttpResponse, now: number): Promise<RegistryAnswer> {
	const { bytes } = await readLimited(response.body, maxErrorBody).catch(() => ({ bytes: Buffer.alloc(0) }));
	const text = bytes.toString("utf8");
	const entries = errorEntries(text);
	const retryAfter = parseRetryAfter(response.headers["retry-after"], now);
	return {
		status: response.status,
		codes: entries.flatMap(({ code }) => (/^[A-Z][A-Z0-9_]{0,63}$/.test(code) ? [code] : [])),
		text:
			entries.length > 0
				? printable(
						entries
							.map(({ message }) => message)
							.filter((message) => message !== "")
							.join("; "),
						300,
					)
				: printable(text.trim(), 200),
		...(retryAfter === undefined ? {} : { retryAfter }),
	};
}

function errorEntries(text: string): { code: string; message: string }[] {
	let body: unknown;
	try {
		body = JSON.parse(text);
	} catch {
		return [];
	}
	const errors = typeof body === "object" && body !== null && "errors" in body ? body.errors : undefined;
	if (!Array.isArray(errors)) return [];
	return errors.slice(0, 10).flatMap((entry: unknown) => {
		if (typeof entry !== "object" || entry === null) return [];
		const { code, message } = entry as Record<string, unknown>;
		return [{ code: typeof code === "string" ? code : "", message: typeof message === "string" ? message : "" }];
	});
}

/** Milliseconds, from seconds or from a date; undefined where it is neither. */
export function parseRetryAfter(value: string | undefined, now: number): number | undefined {
	if (value === undefined) return undefined;
	if (/^\s*\d{1,9}\s*$/.test(value)) return Number(value) * 1000;
	const date = Date.parse(value);
	return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

/** The bytes of a body up to a limit; `more` where it goes on, and is then destroyed. */
export async function readLimited(body: Readable, limit: number): Promise<{ bytes: Buffer; more: boolean }> {
	const chunks: Buffer[] = [];
	let size = 0;
	for await (const chunk of body as AsyncIterable<Buffer>) {
		size += chunk.length;
		chunks.push(chunk);
		if (size > limit) return { bytes: Buffer.concat(chunks).subarray(0, limit), more: true };
	}
	return { bytes: Buffer.concat(chunks), more: false };
}

/** Reads what is left of a small body, so that its connection can be used again; a large one is cut off. */
export async function discard(body: Readable): Promise<void> {
	await readLimited(body, maxErrorBody).catch(() => {});
}

const missingCodes = ["BLOB_UNKNOWN", "MANIFEST_UNKNOWN", "NAME_UNKNOWN"];

/**
 * Whether an answer is the kind by which registries hide what is not there, or not for us: 401 and 403 (docs/design.md).
 * Credentials that are refused as such are none, and neither is what storage says of the address that a registry made.
 */
export function saysDenied(answer: RegistryAnswer): boolean {
	if (answer.wrongCredentials === true || answer.ofStorage === true) return false;
	return answer.status === 401 || answer.status === 403;
}

/** Whether an answer says that a thing is not there (spec/publish.md): 404, or the codes for it whatever the status. */
export function saysMissing(answer: RegistryAnswer): boolean {
	if (answer.ofTokenServer === true) return false;
	return answer.status === 404 || answer.codes.some((code) => missingCodes.includes(code));
}
