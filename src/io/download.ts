import { addAbortListener } from "node:events";
import type { Socket } from "node:net";
import { Readable } from "node:stream";
import type { HttpRequest, HttpResponse } from "./types.ts";

/** Bytes that one read takes at most: few reads, and yet still in a core's cache when they are hashed and sent. */
const readSize = 512 * 1024;

/** Bytes, and what Node's own client takes. */
const maxHead = 16 * 1024;

const endOfHead = Buffer.from("\r\n\r\n");
const statusLine = /^HTTP\/1\.[01] (\d{3})(?: [\t\x20-\x7e\x80-\xff]*)?$/;
/** What stands before and behind the first colon: no blank before it, no line that goes on. */
const headerName = /^[!#$%&'*+\-.^`|~\w]+$/;
const headerValue = /^[\t\x20-\x7e\x80-\xff]*$/;

/** All memory that is read into. */
const spaces = new WeakSet<ArrayBufferLike>();
/** That of pieces that were not given back yet. */
const lent = new WeakMap<Buffer, Buffer>();
/** That which is read into again. New memory for each piece would have V8 collect every few of them. */
const spare: Buffer[] = [];
const maxSpare = 64;

function newSpace(): Buffer {
	const space = spare.pop() ?? Buffer.allocUnsafeSlow(readSize);
	spaces.add(space.buffer);
	return space;
}

/** Gives back the memory of a piece of a body that has it to itself; of others nothing happens. */
export function release(piece: Buffer): void {
	const space = lent.get(piece);
	const { buffer, byteLength } = piece;
	if (space !== undefined) {
		lent.delete(piece);
		if (spare.length < maxSpare) spare.push(space);
	} else if (
		buffer instanceof ArrayBuffer &&
		!spaces.has(buffer) &&
		byteLength > 0 &&
		buffer.byteLength === byteLength
	) {
		buffer.transfer(0);
	}
}

/**
 * Asks over a connection of its own, whose body is read as it comes in, in large pieces: Node's client copies each of 64 kB, and
 * makes a copy of 1 GiB take a tenth longer. For `GET`, without a proxy.
 * @param idleLimit Milliseconds without a byte, and of waiting for the whole head.
 * @returns Undefined where the body has a transfer coding: whoever asks has to ask another client.
 */
export async function download(
	{ url, headers = {}, signal }: HttpRequest,
	idleLimit: number,
): Promise<HttpResponse | undefined> {
	signal?.throwIfAborted();
	const request = requestText(url, headers);
	let space = newSpace();
	/** Undefined as long as there is no whole head. */
	let take: ((piece: Buffer) => boolean) | undefined;
	let begun = Buffer.alloc(0);
	const answered = Promise.withResolvers<HttpResponse | undefined>();

	/** What was just read, with memory of its own. */
	const pieceOf = (bytes: number): Buffer => {
		if (bytes < readSize / 2) return Buffer.copyBytesFrom(space, 0, bytes);
		const piece = space.subarray(0, bytes);
		lent.set(piece, space);
		space = newSpace();
		return piece;
	};

	/** Looks for the head of the answer; false where no more is to be read. */
	const seek = (piece: Buffer): boolean => {
		begun = Buffer.concat([begun, piece]);
		for (let end: number; (end = begun.indexOf(endOfHead)) >= 0 && end <= maxHead;) {
			const head = parseHead(begun.toString("latin1", 0, end));
			const rest = begun.subarray(end + endOfHead.length);
			if (head.status < 200) begun = rest;
			else if (head.headers["transfer-encoding"] !== undefined) {
				answered.resolve(undefined);
				socket.destroy();
				return false;
			} else {
				clearTimeout(patience);
				const body = bodyOf(socket, lengthOf(head));
				take = body.take;
				answered.resolve({ ...head, body: body.stream });
				return take(Buffer.copyBytesFrom(rest));
			}
		}
		if (begun.length > maxHead) throw broken("HPE_HEADER_OVERFLOW", "the head of the answer is too large");
		return true;
	};

	const socket = connect(url, {
		buffer: () => space,
		callback: (bytes: number): boolean => {
			try {
				return (take ?? seek)(pieceOf(bytes));
			} catch (error) {
				socket.destroy(error as Error);
				return false;
			}
		},
	});
	const giveUp = () => {
		socket.destroy(broken("ETIMEDOUT", `${url.host} was silent for ${idleLimit / 1000} s`));
	};
	socket.setTimeout(idleLimit, giveUp);
	// Heads that come in byte by byte are no better than none.
	const patience = setTimeout(giveUp, idleLimit);
	const ending = signal && addAbortListener(signal, () => socket.destroy(signal.reason as Error));
	socket.once("error", answered.reject);
	socket.once("close", () => {
		clearTimeout(patience);
		ending?.[Symbol.dispose]();
		answered.reject(broken("ECONNRESET", "socket hang up"));
	});
	socket.write(request, "latin1");
	return answered.promise;
}

/** As `net` has it: what is read goes there, and is given in numbers of bytes; false: no more for now. */
interface OnRead {
	readonly buffer: () => Buffer;
	readonly callback: (bytes: number) => boolean;
}

function connect(url: URL, onread: OnRead): Socket {
	const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
	// As in node.ts, not loaded by those who ask nobody.
	const net = process.getBuiltinModule("node:net");
	if (url.protocol !== "https:") {
		return net.connect({ host, port: Number(url.port || 80), onread });
	}
	// No name is sent for an address (RFC 6066).
	const name = net.isIP(host) === 0 ? { servername: host } : {};
	const port = Number(url.port || 443);
	// Its types leave `onread` out, which it hands on to `net`.
	const options = { host, port, ...name, ALPNProtocols: ["http/1.1"], onread };
	return process.getBuiltinModule("node:tls").connect(options);
}

function requestText(url: URL, headers: Readonly<Record<string, string>>): string {
	const { validateHeaderName, validateHeaderValue } = process.getBuiltinModule("node:http");
	const all = { host: url.host, "accept-encoding": "identity", ...headers, connection: "close" };
	const lines = Object.entries(all).map(([name, value]) => {
		validateHeaderName(name);
		validateHeaderValue(name, value);
		return `${name}: ${value}\r\n`;
	});
	return `GET ${url.pathname}${url.search} HTTP/1.1\r\n${lines.join("")}\r\n`;
}

type Head = Pick<HttpResponse, "status" | "headers">;

function parseHead(text: string): Head {
	const [first = "", ...lines] = text.split("\r\n");
	const status = statusLine.exec(first)?.[1];
	// Nobody asked to speak another protocol (101).
	if (status === undefined || Number(status) < 100 || status === "101") {
		throw broken("HPE_INVALID_CONSTANT", "the answer is not HTTP/1.1");
	}
	const headers = new Map<string, string>();
	for (const line of lines) {
		const colon = line.indexOf(":");
		const name = line.slice(0, Math.max(0, colon)).toLowerCase();
		const value = line.slice(colon + 1);
		if (!headerName.test(name) || !headerValue.test(value)) {
			throw broken("HPE_INVALID_HEADER_TOKEN", "the answer has a header that is none");
		}
		const before = headers.get(name);
		headers.set(name, before === undefined ? value.trim() : `${before}, ${value.trim()}`);
	}
	return { status: Number(status), headers: Object.fromEntries(headers) };
}

/** Bytes of the body; infinite where it ends with the connection. */
function lengthOf({ status, headers }: Head): number {
	if (status === 204 || status === 304) return 0;
	const length = headers["content-length"];
	if (length === undefined) return Infinity;
	if (!/^\d{1,15}$/.test(length)) {
		throw broken("HPE_INVALID_CONTENT_LENGTH", "the answer has a length that is none");
	}
	return Number(length);
}

/** A body of so many bytes, and what takes them: false where no more is to be read for now. */
function bodyOf(socket: Socket, length: number) {
	let left = length;
	const stream = new Readable({
		highWaterMark: readSize,
		read: () => {
			socket.resume();
		},
		destroy: (error, done) => {
			socket.destroy();
			done(error);
		},
	});
	// As with Node's own, what breaks before anybody reads it is told to who reads it then.
	stream.on("error", () => {});
	const end = (): void => {
		if (stream.destroyed) return;
		if (left === Infinity || left === 0) stream.push(null);
		else stream.destroy(broken("ECONNRESET", "aborted"));
	};
	socket.once("error", (error) => stream.destroy(error));
	socket.once("close", end);
	const take = (piece: Buffer): boolean => {
		const wanted = piece.length > left ? piece.subarray(0, left) : piece;
		left -= wanted.length;
		const more = wanted.length === 0 || stream.push(wanted);
		if (left === 0) socket.destroy();
		return more && left > 0;
	};
	return { stream, take };
}

function broken(code: string, message: string): Error {
	return Object.assign(new Error(message), { code });
}
