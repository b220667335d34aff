import { Readable } from "node:stream";
import { BrewlineError } from "../errors.ts";
import { printable } from "../io/printable.ts";
import type { HttpRequest, HttpResponse, Io } from "../io/types.ts";
import { answerError, discard, maxErrorBody, readAnswer, readLimited } from "./answer.ts";
import { loginHint, type Authorization, type Authorizer } from "./auth.ts";
import { mayLead, type Endpoint } from "./hosts.ts";
import type { Limiter } from "./limiter.ts";
import { paced } from "./pace.ts";
import { rateLimitHint } from "./retry.ts";

export interface Ask {
	readonly endpoint: Endpoint;
	readonly method: HttpRequest["method"];
	/** A path with its query, or where the registry sent us on. */
	readonly path: string | URL;
	readonly headers?: Readonly<Record<string, string>>;
	readonly body?: HttpRequest["body"];
	/** Of the token that it takes, like `repository:library/alpine:pull`. */
	readonly scopes: readonly string[];
	/** Whether a body that comes in too slowly fails; default: yes. No: whoever reads it sees to that. */
	readonly paced?: boolean;
	/** Whether a large body is to be expected; default: no. */
	readonly large?: boolean;
}

/** An answer, and the host that it is from where that is not the registry's own. */
export type Answered = HttpResponse & { readonly from?: string };

/** One request with authentication and redirects; retries are around it (retry.ts). */
export interface Transport {
	/** The answer, whatever its status; a broken connection is the error of `io.http`. */
	ask(ask: Ask): Promise<Answered>;
	/** Reads an answer that is not the one hoped for into an error. `doing`: `reading alpine:3 from docker.io`. */
	failure(ask: Ask, response: Answered, doing: string): Promise<BrewlineError>;
}

const maxRedirects = 5;

/** Nothing, a token for several, and one for this alone are tried in turn; who wants more asks for ever. */
const maxChallenges = 3;

export function createTransport(
	io: Pick<Io, "http" | "clock" | "signal">,
	authorizer: Authorizer,
	limiter: Limiter,
	userAgent: string,
): Transport {
	async function ask(request: Ask): Promise<Answered> {
		const url = new URL(request.path, request.endpoint.origin);
		if (url.origin !== request.endpoint.origin) return follow(request, (await send(request, url)).response, url);
		const release = await authorizer.scout(request.endpoint);
		try {
			let authorization = await authorizer.authorize(request.endpoint, request.scopes);
			for (let tries = 1; ; tries++) {
				const { response: answer, used } = await send(request, url, authorization, tries > 1);
				if (answer.status !== 401 && answer.status !== 403) {
					release();
					return await follow(request, answer, url);
				}
				// Read now: a connection that waits for a token could be the one that the token is waiting for.
				const { bytes } = await readLimited(answer.body, maxErrorBody).catch(() => ({ bytes: Buffer.alloc(0) }));
				// A body that is still being sent is cut off with its connection.
				if (isStream(request.body)) answer.body.destroy();
				const asked = authorizer.challenged(request.endpoint, answer, request.scopes, used);
				release();
				const next = await asked;
				if (next === undefined || tries === maxChallenges) {
					return { ...answer, body: Readable.from([bytes], { objectMode: false }) };
				}
				authorization = next;
			}
		} finally {
			release();
		}
	}

	async function send(
		request: Ask,
		url: URL,
		authorization: Authorization = { header: undefined, fresh: false },
		waited = false,
	): Promise<{ readonly response: HttpResponse; readonly used: Authorization }> {
		const { endpoint, scopes } = request;
		const perMinute = url.origin === endpoint.origin ? endpoint.perMinute : undefined;
		let admission = await limiter.admit(url.host, perMinute, waited);
		let used = authorization;
		// It may have expired while others went first.
		if ((used.token?.expires ?? Infinity) <= io.clock.now()) {
			used = await authorizer.authorize(endpoint, scopes);
			admission = await limiter.admit(url.host, perMinute, true);
		}
		const response = await io.http({
			method: request.method,
			url,
			headers: {
				"user-agent": userAgent,
				...request.headers,
				...(used.header === undefined ? {} : { authorization: used.header }),
			},
			...(request.body === undefined ? {} : { body: request.body }),
			signal: io.signal,
			...(request.large === true ? { large: true } : {}),
		});
		admission.answered(response);
		const { status } = response;
		if (status < 500 && ![401, 403, 429].includes(status)) authorizer.accepted(endpoint, scopes, used);
		return {
			response: request.paced === false ? response : { ...response, body: paced(response.body, io.clock) },
			used,
		};
	}

	/** Redirects of reads, by hand: credentials go to the registry's own origin and nowhere else. */
	async function follow(request: Ask, first: HttpResponse, from: URL): Promise<Answered> {
		let response = first;
		let url = from;
		for (let count = 0; isRedirect(request, response); count++) {
			await discard(response.body);
			if (count === maxRedirects) {
				throw new BrewlineError("registry", `${request.endpoint.name} redirects more than ${maxRedirects} times`);
			}
			url = redirectTarget(request.endpoint, response.headers["location"], url);
			const own = url.origin === request.endpoint.origin;
			const authorization = own ? await authorizer.authorize(request.endpoint, request.scopes) : undefined;
			({ response } = await send(request, url, authorization));
		}
		return url.origin === request.endpoint.origin ? response : { ...response, from: url.host };
	}

	async function failure(request: Ask, response: Answered, doing: string): Promise<BrewlineError> {
		const { from } = response;
		const answer = {
			...(await readAnswer(response, io.clock.now())),
			...(from === undefined ? {} : { ofStorage: true }),
		};
		if (isStream(request.body)) response.body.destroy();
		const limited = answer.status === 429 ? rateLimitHint : undefined;
		if (from !== undefined) {
			const where = `${printable(from, 200)}, where ${request.endpoint.name} sends us`;
			const hint = "That address is only good for a while: run it again, and see that no proxy refuses it.";
			return answerError("registry", `${doing} failed at ${where}`, answer, limited ?? hint);
		}
		if (answer.status !== 401 && answer.status !== 403) {
			return answerError("registry", `${doing} failed`, answer, limited);
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
 * Where a `Location` leads: relative to where it was said, over the same protocol or a safer one, and from a public
 * registry never to this machine or a private network. An error of code `registry` where it leads anywhere else.
 */
export function redirectTarget(endpoint: Endpoint, location: string | undefined, from: URL): URL {
	const url = URL.parse(location ?? "", from.href);
	if (location === undefined || !mayLead(from, url, endpoint)) {
		throw new BrewlineError(
			"registry",
			`${endpoint.name} sends us to "${printable(location ?? "", 200)}", where we do not go`,
			{ hint: "A registry behind a proxy must be told its outside address (X-Forwarded-Proto and Host)." },
		);
	}
	url.hash = "";
	return url;
}
