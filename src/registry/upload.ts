import { Readable } from "node:stream";
import { BrewlineError } from "../errors.ts";
import type { HttpResponse } from "../io/types.ts";
import type { Descriptor } from "../oci/index.ts";
import { discard } from "./answer.ts";
import { checkedStream } from "./digest.ts";
import { redirectTarget, type Ask, type Transport } from "./transport.ts";
import type { BlobSource } from "./types.ts";

export interface Upload {
	readonly transport: Transport;
	readonly endpoint: Ask["endpoint"];
	readonly scopes: readonly string[];
	/** Where the registry opened the session. */
	readonly session: URL;
	readonly blob: Pick<Descriptor, "digest" | "size">;
	readonly source: BlobSource;
	/** Larger blobs go up in pieces of so many bytes. */
	readonly chunkSize: number;
	/** For messages: `uploading sha256:… to ghcr.io/org/name`. */
	readonly doing: string;
}

const contentType = { "content-type": "application/octet-stream" };

/** Sends a blob into an open session, whole or in pieces, and closes it. */
export async function sendBlob(upload: Upload): Promise<void> {
	const { blob, chunkSize } = upload;
	const read = sequentialReader(upload.source, blob, upload.doing);
	try {
		if (blob.size <= chunkSize) {
			await close(upload, upload.session, { length: blob.size, open: () => read.open(0, blob.size) });
			return;
		}
		let session = upload.session;
		for (let start = 0; start < blob.size; start += chunkSize) {
			session = await patch(upload, session, start, Math.min(chunkSize, blob.size - start), read);
		}
		await close(upload, session, new Uint8Array());
	} finally {
		read.end();
	}
}

async function patch(
	upload: Upload,
	session: URL,
	start: number,
	length: number,
	read: SequentialReader,
): Promise<URL> {
	const ask: Ask = {
		endpoint: upload.endpoint,
		scopes: upload.scopes,
		method: "PATCH",
		path: session,
		headers: { ...contentType, "content-range": `${start}-${start + length - 1}` },
		body: { length, open: () => read.open(start, length) },
	};
	const response = await upload.transport.ask(ask);
	if (response.status !== 202) throw await upload.transport.failure(ask, response, upload.doing);
	await discard(response.body);
	const kept = /-(\d+)$/.exec(response.headers["range"] ?? "")?.[1];
	if (kept !== undefined && Number(kept) !== start + length - 1) {
		throw new BrewlineError("registry", `${upload.doing}: of ${start + length} bytes the registry has ${kept} + 1`);
	}
	return redirectTarget(upload.endpoint, response.headers["location"], session);
}

async function close(upload: Upload, session: URL, body: NonNullable<Ask["body"]>): Promise<void> {
	const { blob, doing } = upload;
	// What stands in the query is the registry's: it is kept to the byte.
	const path = new URL(session);
	path.search = `${session.search === "" ? "?" : `${session.search}&`}digest=${blob.digest}`;
	const ask: Ask = {
		endpoint: upload.endpoint,
		scopes: upload.scopes,
		method: "PUT",
		path,
		headers: contentType,
		body,
	};
	const response = await upload.transport.ask(ask);
	if (response.status !== 201) throw await upload.transport.failure(ask, response, doing);
	await discard(response.body);
	checkStatedDigest(response, blob.digest, doing);
}

/** Throws an error of code `digest` if the registry states another digest than ours. */
export function checkStatedDigest(response: HttpResponse, digest: string, doing: string): void {
	const stated = response.headers["docker-content-digest"];
	if (stated === undefined || stated === "" || stated === digest) return;
	// One of another algorithm cannot be compared.
	if (stated.split(":")[0] !== digest.split(":")[0]) return;
	throw new BrewlineError(
		"digest",
		`${doing}: the registry says ${JSON.stringify(stated.slice(0, 150))}, not ${digest}`,
	);
}

interface SequentialReader {
	/** The bytes of a range. Without a gap to the one before, the source is read on; else it is opened again. */
	open(start: number, length: number): Readable;
	end(): void;
}

/** Reads a source piece by piece, its digest checked over the whole: the last byte comes only when it is right. */
function sequentialReader(
	source: BlobSource,
	blob: Pick<Descriptor, "digest" | "size">,
	doing: string,
): SequentialReader {
	let stream: Readable | undefined;
	let iterator: AsyncIterator<Buffer> | undefined;
	let rest: Buffer = Buffer.alloc(0);
	/** Of the next byte of `rest`. */
	let position = 0;

	function end(): void {
		stream?.destroy();
		stream = undefined;
	}

	function restart(): void {
		end();
		const opened = source();
		const checked = checkedStream(blob, `${doing}: the content`);
		opened.once("error", (error) => checked.destroy(error));
		checked.once("close", () => opened.destroy());
		// Who ends it early has lost interest in its errors.
		checked.on("error", () => {});
		stream = opened.pipe(checked);
		iterator = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
		rest = Buffer.alloc(0);
		position = 0;
	}

	async function* pieces(start: number, length: number): AsyncGenerator<Buffer> {
		if (stream === undefined || position !== start) restart();
		const stop = start + length;
		// An empty source is read to its end, too: its digest is checked there.
		for (let ended = false; !ended && (position < stop || blob.size === 0);) {
			if (rest.length === 0) {
				const next = await iterator!.next();
				ended = next.done === true;
				rest = next.done === true ? rest : next.value;
			}
			const skipped = Math.min(rest.length, Math.max(0, start - position));
			const piece = rest.subarray(skipped, Math.max(skipped, Math.min(rest.length, stop - position)));
			rest = rest.subarray(skipped + piece.length);
			position += skipped + piece.length;
			if (piece.length > 0) yield piece;
		}
	}

	return { open: (start, length) => Readable.from(pieces(start, length), { objectMode: false }), end };
}
