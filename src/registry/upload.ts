import { Readable } from "node:stream";
import { BrewlineError } from "../errors.ts";
import type { HttpResponse } from "../io/types.ts";
import type { Descriptor } from "../oci/index.ts";
import { discard } from "./answer.ts";
import { capabilitiesOf } from "./capabilities.ts";
import { checkedStream } from "./digest.ts";
import { redirectTarget, type Ask, type Transport } from "./transport.ts";
import type { BlobSource } from "./types.ts";

export interface Upload {
	readonly transport: Transport;
	readonly endpoint: Ask["endpoint"];
	readonly scopes: readonly string[];
	readonly blob: Pick<Descriptor, "digest" | "size">;
	readonly source: BlobSource;
	/** Whether nobody else has what the source gives. */
	readonly release: boolean;
	/** Larger blobs go up in pieces of so many bytes. */
	readonly chunkSize: number;
	/** For messages: `uploading sha256:… to ghcr.io/org/name`. */
	readonly doing: string;
}

/** What a registry has of an upload; it outlives a try. */
export interface Session {
	/** Where it goes on. */
	url: URL;
	/** How many bytes the registry has. */
	offset: number;
	/** The registry may have closed it, although its answer did not arrive. */
	closing: boolean;
	/** Bytes that each piece must have, but for the last. */
	readonly least: number;
}

const contentType = { "content-type": "application/octet-stream" };

/** How often a registry may say within one try that it is elsewhere than we thought. */
const maxCorrections = 5;

/** An upload as the registry opened it. */
export function openedSession(endpoint: Ask["endpoint"], response: HttpResponse, from: URL): Session {
	const least = response.headers["oci-chunk-min-length"] ?? "";
	return {
		url: redirectTarget(endpoint, response.headers["location"], from),
		offset: 0,
		closing: false,
		least: /^\d{1,9}$/.test(least) ? Number(least) : 0,
	};
}

/** Sends a blob into an open session from where it is, whole or in pieces, and closes it. */
export async function sendBlob(upload: Upload, session: Session): Promise<void> {
	const { blob, chunkSize } = upload;
	const { least, most } = capabilitiesOf(upload.endpoint.host).pieces;
	const piece = Math.max(session.least, Math.min(most ?? Infinity, Math.max(least, chunkSize)));
	const read = sequentialReader(upload.source, blob, upload.doing);
	try {
		if (session.offset === 0 && blob.size <= Math.max(chunkSize, session.least)) {
			await close(upload, session, { length: blob.size, release: upload.release, open: () => read.whole() });
			return;
		}
		for (let corrections = 0; session.offset < blob.size;) {
			const length = Math.min(piece, blob.size - session.offset);
			if (!(await patch(upload, session, length, read)) && ++corrections > maxCorrections) {
				throw new BrewlineError(
					"registry",
					`${upload.doing}: the registry says again and again that it has something else`,
				);
			}
		}
		await close(upload, session, new Uint8Array());
	} finally {
		read.end();
	}
}

/**
 * Asks the registry how far a session is, after something went wrong in it. False where it is no more, or nothing of use: then
 * another one takes its place. Throws where there is no such answer.
 */
export async function resumeSession(upload: Upload, session: Session): Promise<boolean> {
	const { transport, endpoint, scopes, doing } = upload;
	// Somebody else's storage knows no such question.
	if (session.url.origin !== endpoint.origin) return false;
	const ask: Ask = { endpoint, scopes, method: "GET", path: session.url };
	const response = await transport.ask(ask);
	if (response.status >= 500 || response.status === 429) throw await transport.failure(ask, response, doing);
	await discard(response.body);
	const kept = keptIn(response);
	// None and one byte are the same: `0-0` (distribution).
	if (response.status !== 204 || kept === undefined || kept < 2 || kept > upload.blob.size) return false;
	session.offset = kept;
	if (response.headers["location"] !== undefined) {
		session.url = redirectTarget(endpoint, response.headers["location"], session.url);
	}
	return true;
}

/** Whether the registry has the blob after all, where the answer to the end of its upload was lost. */
export async function isThere({ transport, endpoint, scopes, blob }: Upload, path: string): Promise<boolean> {
	const response = await transport.ask({ endpoint, scopes, method: "HEAD", path });
	await discard(response.body);
	const { "content-length": length = "", "docker-content-digest": digest = blob.digest } = response.headers;
	return response.status === 200 && length === String(blob.size) && digest === blob.digest;
}

/** The bytes that an answer's `Range` says are there. */
function keptIn({ headers }: HttpResponse): number | undefined {
	const last = /^(?:bytes=)?0-(\d{1,15})$/.exec(headers["range"] ?? "")?.[1];
	return last === undefined ? undefined : Number(last) + 1;
}

/** Sends a piece. False where the registry has something else than was to be expected; the session says so then. */
async function patch(upload: Upload, session: Session, length: number, read: SequentialReader): Promise<boolean> {
	const { endpoint, scopes, transport, doing } = upload;
	const { url, offset: start } = session;
	const ask: Ask = {
		endpoint,
		scopes,
		method: "PATCH",
		path: url,
		headers: { ...contentType, "content-range": `${start}-${start + length - 1}` },
		body: { length, open: () => read.open(start, length) },
	};
	const response = await transport.ask(ask);
	if (response.status === 416) {
		const failure = await transport.failure(ask, response, doing);
		if (!(await resumeSession(upload, session)) || session.offset === start) throw failure;
		return false;
	}
	// ECR answers 201 to a piece.
	if (![201, 202, 204].includes(response.status)) throw await transport.failure(ask, response, doing);
	await discard(response.body);
	const kept = keptIn(response) ?? start + length;
	if (kept <= start || kept > start + length) {
		throw new BrewlineError("registry", `${doing}: of ${start + length} bytes the registry has ${kept}`);
	}
	session.offset = kept;
	session.url = redirectTarget(endpoint, response.headers["location"] ?? url.href, url);
	return kept === start + length;
}

async function close(upload: Upload, session: Session, body: NonNullable<Ask["body"]>): Promise<void> {
	const { blob, doing } = upload;
	// What stands in the query is the registry's: it is kept to the byte.
	const path = new URL(session.url);
	path.search = `${path.search === "" ? "?" : `${path.search}&`}digest=${blob.digest}`;
	session.closing = true;
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
	/** All of it, from the beginning. */
	whole(): Readable;
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

	function whole(): Readable {
		end();
		stream = checkedStream(source(), blob, `${doing}: the content`);
		return stream;
	}

	function restart(): void {
		iterator = whole()[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
		rest = Buffer.alloc(0);
		position = 0;
	}

	async function* pieces(start: number, length: number): AsyncGenerator<Buffer> {
		if (stream === undefined || position !== start) restart();
		const stop = start + length;
		while (position < stop) {
			// What has fewer bytes than it should ends in an error.
			if (rest.length === 0) rest = (await iterator!.next()).value as Buffer;
			const skipped = Math.min(rest.length, Math.max(0, start - position));
			const piece = rest.subarray(skipped, Math.max(skipped, Math.min(rest.length, stop - position)));
			rest = rest.subarray(skipped + piece.length);
			position += skipped + piece.length;
			yield piece;
		}
	}

	return { whole, open: (start, length) => Readable.from(pieces(start, length), { objectMode: false }), end };
}
