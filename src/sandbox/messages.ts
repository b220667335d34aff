import { BrewlineError, type ErrorCode, errorCodes, type Location, messageOf } from "../errors.ts";
import type { TaskName } from "./tasks.ts";

/** What a worker is started with. */
export interface WorkerData {
	/** Bytes that a jq program may use. */
	readonly memoryLimit: number;
	/** Where compiled code is kept, if it is. */
	readonly compileCache?: string;
}

export interface Request {
	readonly task: TaskName;
	readonly input: unknown;
}

/** What a thread is sent: it ends itself once nothing that it does is left. */
export type ToThread = Request | "end";

/** The last one is an answer; before it a task may say what it is at, so that it is known should it not come to an end. */
export type Answer = { readonly at: Location } | { readonly output: unknown } | { readonly error: PlainError };

/** An error as plain data: what is thrown in a thread loses its class on the way to another. */
export interface PlainError {
	readonly code: ErrorCode;
	readonly message: string;
	readonly hint?: string;
	readonly at?: Location;
	readonly errors?: readonly PlainError[];
}

export function plainError(error: unknown): PlainError {
	if (!(error instanceof BrewlineError)) return { code: "internal", message: messageOf(error) };
	const { code, message, hint, at, errors } = error;
	return {
		code,
		message,
		...(hint === undefined ? {} : { hint }),
		...(at === undefined ? {} : { at }),
		...(errors.length === 0 ? {} : { errors: errors.map(plainError) }),
	};
}

export function errorFrom({ code, message, hint, at, errors }: PlainError): BrewlineError {
	return new BrewlineError(code in errorCodes ? code : "internal", message, {
		...(hint === undefined ? {} : { hint }),
		...(at === undefined ? {} : { at }),
		...(errors === undefined ? {} : { errors: errors.map(errorFrom) }),
	});
}
