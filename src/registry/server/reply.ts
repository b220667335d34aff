import type { Readable } from "node:stream";

/** What a request is answered with. */
export interface Reply {
	readonly status: number;
	readonly headers?: Readonly<Record<string, string>>;
	/** A stream comes with its `content-length` in the headers. */
	readonly body?: Uint8Array | Readable;
}

/** An error in the form of the OCI distribution specification. */
export function refuse(status: number, code: string, message: string, detail?: unknown): Reply {
	const error = { code, message, ...(detail === undefined ? {} : { detail }) };
	return { ...json(status, { errors: [error] }) };
}

export function json(status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): Reply {
	return {
		status,
		headers: { "content-type": "application/json", ...headers },
		body: Buffer.from(`${JSON.stringify(value)}\n`),
	};
}
