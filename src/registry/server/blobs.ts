import type { IncomingMessage } from "node:http";
import { isDigest } from "../../oci/index.ts";
import { isRepository } from "../hosts.ts";
import { refuse, type Reply } from "./reply.ts";
import type { Store, Upload } from "./store.ts";

export async function getBlob(store: Store, repository: string, digest: string, range?: string): Promise<Reply> {
	const size = await store.blobSize(repository, digest);
	if (size === undefined) return unknownBlob(digest);
	const headers = {
		"content-type": "application/octet-stream",
		"docker-content-digest": digest,
		"accept-ranges": "bytes",
		etag: `"${digest}"`,
	};
	const part = range === undefined ? undefined : parseRange(range, size);
	if (part === "unsatisfiable") {
		return { ...refuse(416, "RANGE_INVALID", "no such range"), headers: { "content-range": `bytes */${size}` } };
	}
	const { start, end } = part ?? { start: 0, end: size - 1 };
	return {
		status: part === undefined ? 200 : 206,
		headers: {
			...headers,
			"content-length": String(end - start + 1),
			...(part === undefined ? {} : { "content-range": `bytes ${start}-${end}/${size}` }),
		},
		body: store.readBlob(digest, start, end),
	};
}

/** One range; several, and what is no range, are answered with the whole (RFC 9110, 14.2). */
function parseRange(range: string, size: number): { start: number; end: number } | "unsatisfiable" | undefined {
	const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(range.trim());
	const [, from = "", to = ""] = match ?? [];
	if (from === "" && to === "") return undefined;
	if (from === "") return Number(to) === 0 || size === 0 ? "unsatisfiable" : last(Number(to), size);
	if (to !== "" && Number(to) < Number(from)) return undefined;
	if (Number(from) >= size) return "unsatisfiable";
	return { start: Number(from), end: to === "" ? size - 1 : Math.min(size - 1, Number(to)) };
}

function last(count: number, size: number): { start: number; end: number } {
	return { start: Math.max(0, size - count), end: size - 1 };
}

export async function deleteBlob(store: Store, repository: string, digest: string): Promise<Reply> {
	return (await store.unlinkBlob(repository, digest)) ? { status: 202 } : unknownBlob(digest);
}

/** Opens an upload, mounts a blob, or takes a whole blob at once (`?digest=`). */
export async function startUpload(
	store: Store,
	repository: string,
	query: URLSearchParams,
	request: IncomingMessage,
): Promise<Reply> {
	const mount = query.get("mount");
	const from = query.get("from");
	if (mount !== null && from !== null) {
		if (!isDigest(mount)) return invalidDigest("mount is no digest");
		if (!isRepository(from)) return refuse(400, "NAME_INVALID", "invalid repository name");
		if (await store.linkBlob(repository, mount, from)) return created(repository, mount);
	}
	const digest = query.get("digest");
	if (digest !== null && !isDigest(digest)) return invalidDigest("digest is no digest");
	const upload = await store.startUpload(repository);
	if (digest === null) return accepted(upload);
	try {
		return await finishUpload(store, upload, digest, request);
	} catch (error) {
		// Nobody knows its name, so nobody goes on with it.
		if (store.upload(upload.id) !== undefined) await store.cancelUpload(upload);
		throw error;
	}
}

export async function continueUpload(store: Store, upload: Upload, request: IncomingMessage): Promise<Reply> {
	return (await receive(store, upload, request)) ?? accepted(upload);
}

export async function finishUpload(
	store: Store,
	upload: Upload,
	digest: string | null,
	request: IncomingMessage,
): Promise<Reply> {
	if (digest === null || !isDigest(digest)) return invalidDigest("it takes ?digest= with the digest of the whole");
	const refused = await receive(store, upload, request);
	if (refused !== undefined) return refused;
	if (!(await store.finishUpload(upload, digest))) {
		return invalidDigest("provided digest did not match uploaded content");
	}
	return created(upload.repository, digest);
}

/**
 * Takes what a request brings, in order (Pushing a blob in chunks); what it is answered instead where that is not wanted. What
 * came in before a connection broke stays.
 */
async function receive(store: Store, upload: Upload, request: IncomingMessage): Promise<Reply | undefined> {
	if (upload.busy) return refuse(409, "BLOB_UPLOAD_INVALID", "the upload is being written to");
	const range = request.headers["content-range"];
	if (range !== undefined) {
		const match = /^(?:bytes )?(\d{1,15})-(\d{1,15})(?:\/.*)?$/.exec(range);
		const [start, end] = [Number(match?.[1]), Number(match?.[2])];
		if (start !== upload.size) {
			const { headers } = accepted(upload);
			const refused = refuse(416, "BLOB_UPLOAD_INVALID", `the next byte is ${upload.size}`);
			return { ...refused, headers: { ...refused.headers, ...headers } };
		}
		const length = request.headers["content-length"];
		if (end < start || (length !== undefined && Number(length) !== end - start + 1)) {
			return refuse(400, "SIZE_INVALID", "Content-Range and Content-Length differ");
		}
	}
	upload.busy = true;
	try {
		await store.append(upload, request);
	} finally {
		upload.busy = false;
	}
	return undefined;
}

export function uploadStatus(upload: Upload): Reply {
	return { ...accepted(upload), status: 204 };
}

export async function cancelUpload(store: Store, upload: Upload): Promise<Reply> {
	if (upload.busy) return refuse(409, "BLOB_UPLOAD_INVALID", "the upload is being written to");
	await store.cancelUpload(upload);
	return { status: 204 };
}

function accepted(upload: Upload): Reply {
	return {
		status: 202,
		headers: {
			location: `/v2/${upload.repository}/blobs/uploads/${upload.id}`,
			// An empty upload cannot be told from one of a byte: so the specification has it.
			range: `0-${Math.max(0, upload.size - 1)}`,
			"docker-upload-uuid": upload.id,
		},
	};
}

function created(repository: string, digest: string): Reply {
	return {
		status: 201,
		headers: { location: `/v2/${repository}/blobs/${digest}`, "docker-content-digest": digest },
	};
}

function unknownBlob(digest: string): Reply {
	return refuse(404, "BLOB_UNKNOWN", "blob unknown to registry", { digest });
}

function invalidDigest(message: string): Reply {
	return refuse(400, "DIGEST_INVALID", message);
}
