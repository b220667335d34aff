import { Readable } from "node:stream";
import { BrewlineError } from "../errors.ts";
import { printable } from "../io/printable.ts";
import type { HttpRequest, HttpResponse, Io } from "../io/types.ts";
import { answerError, discard, maxErrorBody, readAnswer, readLimited } from "./answer.ts";
import { loginHint, type Authorization, type Authorizer } from "./auth.ts";
import { isLoopback, type Endpoint } from "./hosts.ts";

export interface Ask {
	readonly endpoint: Endpoint;
	readonly method: HttpRequest["method"];
	/** A path with its query, or where the registry sent us on. */
	readonly path: string | URL;
	readonly headers?: Readonly<Record<string, string>>;
	readonly body?: HttpRequest["body"];
	/** Of the token that it takes, like `repository:library/alpine:pull`. */
	readonly scopes: readonly string[];
}

/** One request with authentication and redirects; retries are around it (retry.ts). */
export interface Transport {
	/** The answer, whatever its status; a broken connection is the error of `io.http`. */
	ask(ask: Ask): Promise<HttpResponse>;
	/** Reads an answer that is not the one hoped for into an error. `doing`: `reading alpine:3 from docker.io`. */
	failure(ask: Ask, response: HttpResponse, doing: string): Promise<BrewlineError>;
}

const maxRedirects = 5;

export function createTransport(
	io: Pick<Io, "http" | "clock" | "signal">,
	authorizer: Authorizer,
	userAgent: string,
): Transport {
	async function ask(request: Ask): Promise<HttpResponse> {
		const url = new URL(request.path, request.endpoint.origin);
		if (url.origin !== request.endpoint.origin) return follow(request, await send(request, url, undefined), url);
		const authorization = await authorizer.authorize(request.endpoint, request.scopes);
		const answer = await send(request, url, authorization);
		if (answer.status !== 401) return follow(request, answer, url);
		// Read now: a connection that waits for a token could be the one that the token is waiting for.
		const { bytes } = await readLimited(answer.body, maxErrorBody);
		const response = { ...answer, body: Readable.from([bytes], { objectMode: false }) };
		// A body that is still being sent is cut off with its connection.
		if (isStream(request.body)) answer.body.destroy();
		const next = await authorizer.challenged(
			request.endpoint,
			response.headers["www-authenticate"],
			request.scopes,
			authorization,
		);
		if (next === undefined) return response;
		return follow(request, await send(request, url, next), url);
	}

	function send(request: Ask, url: URL, authorization: Authorization | undefined): Promise<HttpResponse> {
		return io.http({
			method: request.method,
			url,
			headers: {
				"user-agent": userAgent,
				...request.headers,
				...(authorization?.header === undefined ? {} : { authorization: authorization.header }),
			},
			...(request.body === undefined ? {} : { body: request.body }),
			signal: io.signal,
		});
	}

	/** Redirects of reads, by hand: credentials go to the registry's own origin and nowhere else. */
	async function follow(request: Ask, first: HttpResponse, from: URL): Promise<HttpResponse> {
		let response = first;
		let url = from;
		for (let count = 0; isRedirect(request, response); count++) {
			await discard(response.body);
			if (count === maxRedirects) {
				throw new BrewlineError("registry", `${request.endpoint.name} redirects more than ${maxRedirects} times`);
			}
			url = redirectTarget(request.endpoint, response.headers["location"], url);
			const own = url.origin === request.endpoint.origin;
			response = await send(
				request,
				url,
				own ? await authorizer.authorize(request.endpoint, request.scopes) : undefined,
			);
		}
		return response;
	}

	async function failure(request: Ask, response: HttpResponse, doing: string): Promise<BrewlineError> {
		const answer = await readAnswer(response, io.clock.now());
		if (isStream(request.body)) response.body.destroy();
		if (answer.status !== 401 && answer.status !== 403) {
			const hint =
				answer.status === 429 ? "The registry's rate limit is used up: log in, wait, or set a mirror." : undefined;
			return answerError("registry", `${doing} failed`, answer, hint);
		}
		const credential = await authorizer.credential(request.endpoint);
		const which = credential === undefined ? "without credentials" : `with the credentials from ${credential.origin}`;
		const wrongCredentials = answer.status === 401 && credential !== undefined && authorizer.isBasic(request.endpoint);
		if (wrongCredentials) authorizer.forget(request.endpoint);
		return answerError(
			"credentials",
			`${doing} was refused ${which}`,
			{ ...answer, wrongCredentials },
			loginHint(request.endpoint),
		);
	}

	return { ask, failure };
}

function isStream(body: HttpRequest["body"]): boolean {
	return body !== undefined && !(body instanceof Uint8Array);
}

function isRedirect(request: Ask, response: HttpResponse): boolean {
	return (
		(request.method === "GET" || request.method === "HEAD") &&
		[301, 302, 303, 307, 308].includes(response.status) &&
		response.headers["location"] !== undefined
	);
}

/**
 * Where a `Location` leads: relative to where it was said, over the same protocol or a safer one, and from elsewhere
 * never to this machine. An error of code `registry` where it leads anywhere else.
 */
export function redirectTarget(endpoint: Endpoint, location: string | undefined, from: URL): URL {
	const url = URL.parse(location ?? "", from.href);
	if (
		location === undefined ||
		url === null ||
		(url.protocol !== "https:" && url.protocol !== "http:") ||
		(url.protocol === "http:" && from.protocol === "https:") ||
		url.username !== "" ||
		url.password !== "" ||
		(isLoopback(url.hostname) && !isLoopback(new URL(endpoint.origin).hostname))
	) {
		throw new BrewlineError(
			"registry",
			`${endpoint.name} sends us to "${printable(location ?? "", 200)}", where we do not go`,
			{ hint: "A registry behind a proxy must be told its outside address (X-Forwarded-Proto and Host)." },
		);
	}
	url.hash = "";
	return url;
}
