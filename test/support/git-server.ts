import { spawn } from "node:child_process";
import http from "node:http";
import type { AddressInfo } from "node:net";

export interface GitServerOptions {
	/** The folder of the repositories: `ROOT/NAME.git` is served as `URL/NAME.git`. */
	readonly root: string;
	/** Default: the system's choice. */
	readonly port?: number;
	/** 0 for a server that does not know version 2, in which any id may be asked for; default 2. */
	readonly protocol?: 0 | 2;
	/** Which commit ids may be asked for in version 0, apart from the tips of refs; default none. */
	readonly allow?: "none" | "reachable" | "any";
	/** Whether it takes pushes; default no. */
	readonly push?: boolean;
	/** Asks for these by basic authentication; for `pushes`, of who only reads for nothing. */
	readonly auth?: { readonly username: string; readonly password: string; readonly for?: "pushes" };
	/**
	 * Answers with a status or a redirect, or breaks off, in place of git; `lost`: git does all of it, and its answer does
	 * not arrive; `undefined` lets the request through.
	 */
	readonly fail?: (
		request: GitRequest,
	) => number | { readonly location: string } | "reset" | "truncate" | "lost" | undefined;
}

export interface GitRequest {
	readonly method: string;
	/** With its query. */
	readonly path: string;
	readonly authorization: string | undefined;
	readonly protocol: string | undefined;
}

export interface GitServer extends AsyncDisposable {
	/** Without a closing slash. */
	readonly url: string;
	readonly port: number;
	/** All that was asked, in order. */
	readonly requests: readonly GitRequest[];
	close(): Promise<void>;
}

/** Serves bare repositories by `git http-backend`, as GitHub does, on the loopback address. */
export async function startGitServer(options: GitServerOptions): Promise<GitServer> {
	const requests: GitRequest[] = [];
	const children = new Set<ReturnType<typeof spawn>>();
	const expected =
		options.auth === undefined
			? undefined
			: `Basic ${Buffer.from(`${options.auth.username}:${options.auth.password}`).toString("base64")}`;
	const config = {
		...(options.allow === "reachable" ? { "uploadpack.allowReachableSHA1InWant": "true" } : {}),
		...(options.allow === "any" ? { "uploadpack.allowAnySHA1InWant": "true" } : {}),
		"http.receivepack": String(options.push ?? false),
		// The repositories may be another user's.
		"safe.directory": "*",
	};

	const server = http.createServer((request, response) => {
		const protocol = request.headers["git-protocol"];
		const entry: GitRequest = {
			method: request.method ?? "GET",
			path: request.url ?? "/",
			authorization: request.headers.authorization,
			protocol: typeof protocol === "string" ? protocol : undefined,
		};
		requests.push(entry);
		const failure = options.fail?.(entry);
		if (failure === "reset") {
			request.socket.destroy();
			return;
		}
		if (typeof failure === "object") {
			response.writeHead(302, { location: failure.location }).end();
			return;
		}
		if (typeof failure === "number") {
			response.writeHead(failure).end();
			return;
		}
		const isOpen = options.auth?.for === "pushes" && !entry.path.includes("git-receive-pack");
		if (expected !== undefined && !isOpen && entry.authorization !== expected) {
			response.writeHead(401, { "www-authenticate": 'Basic realm="git"' }).end();
			return;
		}
		const url = new URL(entry.path, "http://localhost");
		const child = spawn("git", ["http-backend"], {
			stdio: ["pipe", "pipe", "ignore"],
			env: {
				PATH: process.env["PATH"],
				GIT_CONFIG_NOSYSTEM: "1",
				GIT_CONFIG_GLOBAL: "/dev/null",
				GIT_CONFIG_COUNT: String(Object.keys(config).length),
				...Object.fromEntries(
					Object.entries(config).flatMap(([key, value], index) => [
						[`GIT_CONFIG_KEY_${index}`, key],
						[`GIT_CONFIG_VALUE_${index}`, value],
					]),
				),
				GIT_PROJECT_ROOT: options.root,
				GIT_HTTP_EXPORT_ALL: "1",
				REQUEST_METHOD: entry.method,
				PATH_INFO: decodeURIComponent(url.pathname),
				QUERY_STRING: url.search.slice(1),
				CONTENT_TYPE: request.headers["content-type"],
				CONTENT_LENGTH: request.headers["content-length"],
				HTTP_CONTENT_ENCODING: request.headers["content-encoding"],
				GIT_PROTOCOL: options.protocol === 0 ? undefined : entry.protocol,
				REMOTE_USER: options.auth?.username,
				REMOTE_ADDR: "127.0.0.1",
			},
		});
		children.add(child);
		child.once("close", () => children.delete(child));
		child.stdin.on("error", () => {});
		request.pipe(child.stdin);
		response.once("close", () => {
			child.kill();
		});
		const answered =
			failure === "lost" ? lose(child.stdout, response) : answer(child.stdout, response, failure === "truncate");
		answered.catch(() => response.destroy());
	});

	await new Promise<void>((resolve, reject) => {
		server.once("error", reject);
		server.listen(options.port ?? 0, "127.0.0.1", resolve);
	});
	const port = (server.address() as AddressInfo).port;
	const close = async () => {
		for (const child of children) child.kill();
		server.closeAllConnections();
		await new Promise((resolve) => server.close(resolve));
	};
	return { url: `http://127.0.0.1:${port}`, port, requests, close, [Symbol.asyncDispose]: close };
}

/** Waits until git has said all that it says, which is when it has done what it was asked for. */
async function lose(output: NodeJS.ReadableStream, response: http.ServerResponse): Promise<void> {
	output.resume();
	await new Promise((resolve) => output.once("end", resolve));
	response.destroy();
}

/** Turns what a CGI program writes into an answer: header lines, an empty one, the body. */
async function answer(output: NodeJS.ReadableStream, response: http.ServerResponse, truncate: boolean): Promise<void> {
	let head: Buffer | undefined = Buffer.alloc(0);
	for await (const chunk of output as AsyncIterable<Buffer>) {
		let body = chunk;
		if (head !== undefined) {
			head = Buffer.concat([head, chunk]);
			const end = head.indexOf("\r\n\r\n");
			if (end < 0) continue;
			let status = 200;
			for (const line of head.toString("latin1", 0, end).split("\r\n")) {
				const colon = line.indexOf(":");
				const name = line.slice(0, colon);
				const value = line.slice(colon + 1).trim();
				if (name.toLowerCase() === "status") status = Number.parseInt(value, 10);
				else response.setHeader(name, value);
			}
			response.writeHead(status);
			body = head.subarray(end + 4);
			head = undefined;
		}
		if (truncate) {
			response.write(body.subarray(0, body.length >>> 1), () => response.destroy());
			return;
		}
		if (!response.write(body)) await new Promise((resolve) => response.once("drain", resolve));
	}
	if (head === undefined) response.end();
	else response.writeHead(500).end();
}
