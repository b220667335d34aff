import { Agent, createServer, request as send, type IncomingHttpHeaders, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { faultOf } from "./faults.ts";

export interface Answered {
	readonly method: string;
	readonly path: string;
	readonly status: number;
	readonly headers: IncomingHttpHeaders;
}

export interface FaultProxy extends AsyncDisposable {
	/** `127.0.0.1:PORT` */
	readonly host: string;
	/** `HOST:PORT` of the server that it stands before. */
	upstream: string;
	/** Called once a request was done, before it is answered. */
	done: ((answered: Answered) => Promise<void>) | undefined;
}

/**
 * Stands before a server whose requests are to go wrong as the embedded registry's do, on real connections. `own` answers
 * paths that the server does not have.
 */
export async function startFaultProxy(own: (url: URL) => string | undefined): Promise<FaultProxy> {
	const agent = new Agent({ keepAlive: true });
	const server = createServer((incoming, response) => {
		const fault = faultOf(incoming);
		if (fault?.kind === "reset" && fault.when === "before") {
			incoming.socket.destroy();
			return;
		}
		const answer = async (): Promise<void> => {
			const { status, headers, body } =
				fault?.kind === "answer"
					? { status: fault.status, headers: fault.headers ?? {}, body: Buffer.from(fault.body ?? "") }
					: await done(incoming);
			if (fault?.kind === "answer") await toBytes(incoming);
			if (fault?.kind === "reset") {
				incoming.socket.destroy();
				return;
			}
			const bytes = Buffer.from(body);
			if (fault?.kind === "corrupt" && bytes.length > 0) bytes[0]! ^= 1;
			response.writeHead(status, {
				...headers,
				...(incoming.method === "HEAD" || status === 204 ? {} : { "content-length": String(bytes.length) }),
				...(fault?.kind === "misstate" ? fault.headers : {}),
			});
			if (fault?.kind === "truncate") response.write(bytes.subarray(0, fault.bytes), () => response.destroy());
			else response.end(bytes);
		};
		answer().catch(() => response.destroy());
	});

	async function done(
		incoming: IncomingMessage,
	): Promise<{ status: number; headers: IncomingHttpHeaders; body: Buffer }> {
		const { method = "", url: path = "" } = incoming;
		const made = own(new URL(path, "http://x"));
		if (made !== undefined) return { status: 200, headers: {}, body: Buffer.from(made) };
		const answer = await new Promise<IncomingMessage>((resolve, reject) => {
			const { host: _, ...headers } = incoming.headers;
			const outgoing = send({
				...addressOf(proxy.upstream),
				method,
				path,
				headers: { ...headers, host: proxy.host },
				agent,
			});
			outgoing.once("error", reject).once("response", resolve);
			incoming.pipe(outgoing);
		});
		const body = await toBytes(answer);
		const status = answer.statusCode!;
		await proxy.done?.({ method, path, status, headers: answer.headers });
		const { connection: _, "transfer-encoding": __, ...headers } = answer.headers;
		return { status, headers, body };
	}

	await new Promise<void>((resolve) => {
		server.listen(0, "127.0.0.1", resolve);
	});
	const proxy: FaultProxy = {
		host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
		upstream: "",
		done: undefined,
		[Symbol.asyncDispose]: () =>
			new Promise((resolve) => {
				agent.destroy();
				server.close(() => resolve());
				server.closeAllConnections();
			}),
	};
	return proxy;
}

function addressOf(upstream: string): { readonly host: string; readonly port: string } {
	const { hostname, port } = new URL(`http://${upstream}`);
	return { host: hostname, port };
}

async function toBytes(body: AsyncIterable<Buffer>): Promise<Buffer> {
	return Buffer.concat(await Array.fromAsync(body));
}
