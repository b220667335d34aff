import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { BrewlineError, messageOf } from "../../errors.ts";
import { printable } from "../../io/printable.ts";
import type { Log } from "../../io/types.ts";
import { createAccess, type Access, type RegistryAuth } from "./access.ts";
import { cancelUpload, continueUpload, deleteBlob, finishUpload, getBlob, startUpload, uploadStatus } from "./blobs.ts";
import { damaged, type Fault, type Incoming } from "./faults.ts";
import { clearUnfinished, folderFiles, memoryFiles, type Files } from "./files.ts";
import { deleteManifest, getManifest, listReferrers, putManifest } from "./manifests.ts";
import { json, refuse, type Reply } from "./reply.ts";
import { routeOf, type Route } from "./routes.ts";
import { createStore, type Store } from "./store.ts";

export type { RegistryAuth } from "./access.ts";
export type { Fault, Incoming } from "./faults.ts";

export interface RegistryServerOptions {
	/** Where everything is kept, for good; default: in memory. Two servers must not share one. */
	readonly directory?: string;
	/** In place of a directory. */
	readonly files?: Files;
	/** Default: the system's choice. */
	readonly port?: number;
	/** Default: `127.0.0.1`. */
	readonly host?: string;
	/** Default: anyone may do anything. */
	readonly auth?: RegistryAuth;
	/** False: a registry from before OCI distribution 1.1, which lists no referrers. Default: true. */
	readonly referrers?: boolean;
	readonly log?: Log;
	/** Called for every request; what it returns goes wrong. */
	readonly fault?: (request: Incoming) => Fault | undefined;
}

export interface RunningRegistry {
	/** `127.0.0.1:PORT`, fit for references. `localhost:PORT` works as well, for Docker and for us: both try IPv4 too. */
	readonly host: string;
	readonly port: number;
	/** `http://127.0.0.1:PORT` */
	readonly url: string;
	/** Breaks the connections that are open. What was acknowledged is kept, in folder mode. */
	close(): Promise<void>;
}

/**
 * A registry on this machine that speaks the OCI distribution API (pull, push, content discovery and management) in
 * plain HTTP, which Docker takes from `localhost` and loopback addresses: for the demo, tests and laptops.
 * A manifest is only taken once all that it names is there. In a folder everything acknowledged outlives a kill.
 */
export async function startRegistry(options: RegistryServerOptions = {}): Promise<RunningRegistry> {
	const { directory } = options;
	if (directory !== undefined) await prepare(directory);
	const store = createStore(options.files ?? (directory === undefined ? memoryFiles() : folderFiles(directory)));
	const access = createAccess(options.auth);
	const log = options.log ?? (() => {});
	let count = 0;

	// Uploads may take as long as they like.
	const server = createServer({ requestTimeout: 0 }, (request, response) => {
		const number = ++count;
		serve(request, response, number).catch((error: unknown) => {
			log({ type: "message", level: "debug", text: `registry: request ${number}: ${printable(messageOf(error))}` });
			response.destroy();
		});
	});

	async function serve(request: IncomingMessage, response: ServerResponse, number: number): Promise<void> {
		const method = request.method!;
		const target = request.url!;
		const fault = options.fault?.({ method, path: target, headers: request.headers, number });
		if (fault?.kind === "reset" && fault.when === "before") {
			request.socket.destroy();
			return;
		}
		if (fault?.kind === "wait") await fault.until;
		const origin = `http://${request.headers.host ?? host}`;
		const reply =
			fault?.kind === "answer"
				? { status: fault.status, headers: fault.headers ?? {}, body: Buffer.from(fault.body ?? "") }
				: await answer(store, access, request, URL.parse(target, origin), origin, options).catch((error: unknown) => {
						if (request.socket.destroyed) throw error;
						return refuse(500, "UNKNOWN", messageOf(error));
					});
		log({ type: "message", level: "debug", text: `registry: ${reply.status} ${method} ${printable(target)}` });
		if (fault?.kind === "reset") request.socket.destroy();
		else await send(reply, method, request, response, fault);
	}

	await new Promise<void>((resolve, reject) => {
		server.once("error", (error) => {
			reject(
				new BrewlineError("registry", `cannot start a registry: ${error.message}`, {
					cause: error,
					hint: "End what listens there, or choose another port; 0 is one that is free.",
				}),
			);
		});
		server.listen(options.port ?? 0, options.host ?? "127.0.0.1", resolve);
	});
	const { address, family, port } = server.address() as AddressInfo;
	const host = `${family === "IPv6" ? `[${address}]` : address}:${port}`;
	return {
		host,
		port,
		url: `http://${host}`,
		close: async () => {
			await new Promise<void>((resolve) => {
				server.close(() => resolve());
				server.closeAllConnections();
			});
			await store.close();
		},
	};
}

async function prepare(directory: string): Promise<void> {
	try {
		await clearUnfinished(directory);
	} catch (cause) {
		throw new BrewlineError("registry", `cannot keep a registry in ${directory}: ${messageOf(cause)}`, { cause });
	}
}

async function answer(
	store: Store,
	access: Access,
	request: IncomingMessage,
	url: URL | null,
	origin: string,
	{ referrers = true }: Pick<RegistryServerOptions, "referrers">,
): Promise<Reply> {
	if (url === null) return refuse(400, "UNSUPPORTED", "the path cannot be read");
	const token = await access.token(request, url);
	if (token !== undefined) return token;
	const route = routeOf(url.pathname);
	if (route.kind === "unknown") return refuse(404, "UNSUPPORTED", "there is nothing of the distribution API here");
	const refused = access.check(request, origin, actionsFor(route, request.method, url));
	if (refused !== undefined) return refused;
	if (referrers) return handle(store, request, url, route);
	if (route.kind === "referrers") return { status: 404, body: Buffer.from("404 page not found\n") };
	const { headers: { "oci-subject": _, ...headers } = {}, ...reply } = await handle(store, request, url, route);
	return { ...reply, headers };
}

function actionsFor(route: Route, method: string | undefined, url: URL): readonly string[] {
	if (!("repository" in route)) return [];
	const reads = method === "GET" || method === "HEAD";
	const uploading = route.kind === "uploads" || route.kind === "upload";
	const action = method === "DELETE" && !uploading ? "delete" : reads && !uploading ? "pull" : "push";
	const from = route.kind === "uploads" && url.searchParams.has("mount") ? url.searchParams.get("from") : null;
	return [`repository:${route.repository}:${action}`, ...(from === null ? [] : [`repository:${from}:pull`])];
}

/** What can be done with each kind of path (RFC 9110, 15.5.6). */
const methods: Readonly<Record<Exclude<Route["kind"], "invalid" | "unknown">, string>> = {
	base: "GET, HEAD",
	manifest: "GET, HEAD, PUT, DELETE",
	blob: "GET, HEAD, DELETE",
	uploads: "POST",
	upload: "GET, HEAD, PATCH, PUT, DELETE",
	tags: "GET, HEAD",
	referrers: "GET, HEAD",
};

async function handle(
	store: Store,
	request: IncomingMessage,
	url: URL,
	route: Exclude<Route, { kind: "unknown" }>,
): Promise<Reply> {
	const method = request.method === "HEAD" ? "GET" : request.method;
	if (route.kind === "base" && method === "GET") return json(200, {});
	if (route.kind === "invalid") return refuse(400, route.code, "the path does not follow the grammar");
	if (route.kind === "manifest") {
		if (method === "GET") return getManifest(store, route.repository, route.reference);
		if (method === "PUT") return putManifest(store, route.repository, route.reference, request);
		if (method === "DELETE") return deleteManifest(store, route.repository, route.reference);
	}
	if (route.kind === "blob") {
		// A range is of GET alone (RFC 9110, 14.2).
		const range = request.method === "GET" ? request.headers.range : undefined;
		if (method === "GET") return getBlob(store, route.repository, route.digest, range);
		if (method === "DELETE") return deleteBlob(store, route.repository, route.digest);
	}
	if (route.kind === "uploads" && method === "POST") {
		return startUpload(store, route.repository, url.searchParams, request);
	}
	if (route.kind === "upload") {
		const upload = store.upload(route.id);
		if (upload?.repository !== route.repository) return refuse(404, "BLOB_UPLOAD_UNKNOWN", "no such upload");
		if (method === "GET") return uploadStatus(upload);
		if (method === "PATCH") return continueUpload(store, upload, request);
		if (method === "PUT") return finishUpload(store, upload, url.searchParams.get("digest"), request);
		if (method === "DELETE") return cancelUpload(store, upload);
	}
	if (route.kind === "tags" && method === "GET") return listTags(store, route.repository, url);
	if (route.kind === "referrers" && method === "GET") {
		return listReferrers(store, route.repository, route.digest, url.searchParams.get("artifactType"));
	}
	const refused = refuse(405, "UNSUPPORTED", "the operation is unsupported");
	return { ...refused, headers: { ...refused.headers, allow: methods[route.kind] } };
}

async function listTags(store: Store, repository: string, url: URL): Promise<Reply> {
	const all = await store.tags(repository);
	if (all === undefined) return refuse(404, "NAME_UNKNOWN", "repository name not known to registry");
	const last = url.searchParams.get("last");
	const asked = url.searchParams.get("n");
	if (asked !== null && !/^\d{1,15}$/.test(asked)) return refuse(400, "PAGINATION_NUMBER_INVALID", "n is no number");
	const rest = last === null ? all : all.filter((tag) => tag > last);
	const tags = asked === null ? rest : rest.slice(0, Number(asked));
	const next = new URLSearchParams({ n: asked ?? "", last: tags.at(-1) ?? "" });
	const more = tags.length > 0 && tags.length < rest.length;
	const headers = more ? { link: `</v2/${repository}/tags/list?${next.toString()}>; rel="next"` } : {};
	return json(200, { name: repository, tags }, headers);
}

async function send(
	reply: Reply,
	method: string,
	request: IncomingMessage,
	response: ServerResponse,
	fault: Fault | undefined,
): Promise<void> {
	// What a client is still sending is not wanted any more.
	if (!request.complete) response.setHeader("connection", "close");
	const sized = reply.body instanceof Readable || reply.status === 204;
	const length: Record<string, string> = sized ? {} : { "content-length": String(reply.body?.length ?? 0) };
	response.writeHead(reply.status, {
		"docker-distribution-api-version": "registry/2.0",
		...length,
		...reply.headers,
		...(fault?.kind === "misstate" ? fault.headers : {}),
	});
	if (method === "HEAD" || reply.body === undefined) {
		if (reply.body instanceof Readable) reply.body.destroy();
		response.end();
		return;
	}
	const body = reply.body instanceof Readable ? reply.body : Readable.from([reply.body], { objectMode: false });
	await pipeline(damaged(fault, body, response), response);
}
