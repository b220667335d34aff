import { parseJsonObject } from "../json/index.ts";
import { BrewlineError } from "../errors.ts";
import { printable } from "../io/printable.ts";
import type { HttpRequest, HttpResponse, Io } from "../io/types.ts";
import { answerError, answerOf, readAnswer, readLimited } from "./answer.ts";
import { parseChallenges, type Challenge } from "./challenge.ts";
import { isLoopback, type Endpoint } from "./hosts.ts";
import { retrying, type RetryPolicy } from "./retry.ts";

/** A credential for one registry, and where it came from. */
export interface Credential {
	readonly username?: string;
	readonly password?: string;
	/** An OAuth 2 refresh token, which is exchanged for tokens of one scope. */
	readonly identityToken?: string;
	/** A bearer token that is used as it is. */
	readonly registryToken?: string;
	/** For messages, such as `/home/me/.docker/config.json`; never a secret. */
	readonly origin: string;
}

/** The credential for a canonical host (`docker.io`, `ghcr.io`, `localhost:5000`); undefined: go without. */
export type CredentialSource = (host: string) => Promise<Credential | undefined>;

export interface Authorization {
	/** The value of the header; undefined: none. */
	readonly header: string | undefined;
	/** Whether it was made for this very request, so that a 401 is not because of its age. */
	readonly fresh: boolean;
}

export interface Authorizer {
	/** What a request can carry by what is known of the registry so far. Asks for a token where that takes one. */
	authorize(endpoint: Endpoint, scopes: readonly string[]): Promise<Authorization>;
	/** What to try again with after a 401; undefined: nothing better is to be had. */
	challenged(
		endpoint: Endpoint,
		header: string | undefined,
		scopes: readonly string[],
		used: Authorization,
	): Promise<Authorization | undefined>;
	/** The credential that requests to this endpoint are made with. */
	credential(endpoint: Endpoint): Promise<Credential | undefined>;
	/** Drops the credential, so that the next request asks for it again: somebody may have logged in anew. */
	forget(endpoint: Endpoint): void;
	/** Whether the registry takes name and password themselves, so that a 401 means that it refuses them. */
	isBasic(endpoint: Endpoint): boolean;
}

interface Token {
	readonly value: string;
	/** Milliseconds since the epoch. */
	readonly expires: number;
}

interface EndpointState {
	challenge?: Challenge;
	credential?: Promise<Credential | undefined>;
	/** By scope; a promise, so that requests which need the same token at the same time share it. */
	readonly tokens: Map<string, Promise<Token>>;
}

const maxTokenAnswer = 1024 * 1024;
const tokenGrammar = /^[\x21-\x7e]+$/;
/** Seconds that a token lives where its server does not say (distribution's token specification). */
const defaultLifetime = 60;

/** Keeps the tokens of a client: one for each endpoint and scope, renewed when it expires. */
export function createAuthorizer(
	io: Pick<Io, "http" | "clock" | "signal" | "log">,
	options: { readonly credentials: CredentialSource; readonly userAgent: string; readonly retry: RetryPolicy },
): Authorizer {
	const endpoints = new Map<string, EndpointState>();

	function stateOf(endpoint: Endpoint): EndpointState {
		let state = endpoints.get(endpoint.origin);
		if (state === undefined) endpoints.set(endpoint.origin, (state = { tokens: new Map() }));
		return state;
	}

	function credential(endpoint: Endpoint): Promise<Credential | undefined> {
		const state = stateOf(endpoint);
		if (state.credential === undefined) {
			const asked = options.credentials(endpoint.host);
			state.credential = asked;
			asked.catch(() => {
				delete state.credential;
			});
		}
		return state.credential;
	}

	async function authorize(endpoint: Endpoint, scopes: readonly string[]): Promise<Authorization> {
		const state = stateOf(endpoint);
		if (state.challenge === undefined) return { header: undefined, fresh: false };
		const found = await credential(endpoint);
		if (state.challenge.scheme === "basic") return { header: basicHeader(found), fresh: true };
		if (found?.registryToken !== undefined) return { header: bearer(found.registryToken), fresh: true };
		const key = scopes.join(" ");
		const cached = state.tokens.get(key);
		if (cached !== undefined) {
			const token = await cached;
			if (token.expires > io.clock.now()) return { header: bearer(token.value), fresh: false };
			// Only the first to see that it has expired takes it away; the others find its successor.
			if (state.tokens.get(key) === cached) state.tokens.delete(key);
		}
		let asked = state.tokens.get(key);
		if (asked === undefined) {
			asked = fetchToken(endpoint, state.challenge, scopes, found);
			state.tokens.set(key, asked);
			asked.catch((error: unknown) => {
				state.tokens.delete(key);
				// Who logged in again in the meantime is not held to the old credential.
				if (answerOf(error)?.status === 401) delete state.credential;
			});
		}
		return { header: bearer((await asked).value), fresh: true };
	}

	async function challenged(
		endpoint: Endpoint,
		header: string | undefined,
		scopes: readonly string[],
		used: Authorization,
	): Promise<Authorization | undefined> {
		const offered = parseChallenges(header ?? "");
		const challenge =
			offered.find(({ scheme }) => scheme === "bearer") ?? offered.find(({ scheme }) => scheme === "basic");
		if (challenge === undefined) return undefined;
		const state = stateOf(endpoint);
		// What another request has learned or fetched while this one was under way is tried before anything is asked.
		if (state.challenge === undefined || !sameServer(state.challenge, challenge)) {
			state.challenge = challenge;
			state.tokens.clear();
		} else if (used.header !== undefined && !used.fresh) {
			const key = scopes.join(" ");
			const cached = state.tokens.get(key);
			if (cached !== undefined && bearer((await cached).value) === used.header && state.tokens.get(key) === cached) {
				state.tokens.delete(key);
			}
		} else if (used.fresh) {
			return undefined;
		}
		const next = await authorize(endpoint, scopes);
		return next.header === undefined || next.header === used.header ? undefined : next;
	}

	async function fetchToken(
		endpoint: Endpoint,
		challenge: Challenge,
		scopes: readonly string[],
		found: Credential | undefined,
	): Promise<Token> {
		const what = `asking for a token for ${endpoint.name}`;
		const realm = tokenServer(challenge.parameters["realm"], endpoint);
		const request = tokenRequest(realm, challenge.parameters["service"], scopes, found, options.userAgent);
		return retrying(io, options.retry, what, async () => {
			const asked = io.clock.now();
			const response = await io.http({ ...request, signal: io.signal });
			if (response.status !== 200) {
				const answer = await readAnswer(response, io.clock.now());
				const refused = [401, 403].includes(answer.status) || (answer.status === 400 && request.method === "POST");
				const wrongCredentials = found !== undefined && refused && answer.status !== 403;
				const which = found === undefined ? "without credentials" : `with the credentials from ${found.origin}`;
				throw answerError(
					refused ? "credentials" : "registry",
					`${realm.host} gives no token for ${endpoint.name} ${which}`,
					{ ...answer, wrongCredentials },
					refused ? loginHint(endpoint) : undefined,
				);
			}
			return readToken(response, asked, what);
		});
	}

	return {
		authorize,
		challenged,
		credential,
		forget: (endpoint) => {
			delete stateOf(endpoint).credential;
		},
		isBasic: (endpoint) => stateOf(endpoint).challenge?.scheme === "basic",
	};
}

export function loginHint(endpoint: Endpoint): string {
	return `Log in with "docker login ${endpoint.host}", or check what the credential may do.`;
}

function sameServer(one: Challenge, other: Challenge): boolean {
	return (
		one.scheme === other.scheme &&
		one.parameters["realm"] === other.parameters["realm"] &&
		one.parameters["service"] === other.parameters["service"]
	);
}

function basicHeader(found: Credential | undefined): string | undefined {
	if (found?.username === undefined || found.password === undefined) return undefined;
	return `Basic ${Buffer.from(`${found.username}:${found.password}`).toString("base64")}`;
}

function bearer(token: string): string {
	return `Bearer ${token}`;
}

/**
 * Where a registry may send us, and its credentials, for a token: to another host, as Docker Hub does, but never from
 * HTTPS to plain HTTP, and never from elsewhere to this machine.
 */
function tokenServer(realm: string | undefined, endpoint: Endpoint): URL {
	const url = URL.parse(realm ?? "");
	const from = new URL(endpoint.origin);
	const secure = url?.protocol === "https:" || (url?.protocol === "http:" && from.protocol === "http:");
	if (
		url === null ||
		!secure ||
		url.username !== "" ||
		url.password !== "" ||
		(isLoopback(url.hostname) && !isLoopback(from.hostname))
	) {
		throw new BrewlineError(
			"registry",
			`${endpoint.name} sends us for a token to "${printable(realm ?? "", 200)}", where we do not go`,
		);
	}
	url.hash = "";
	return url;
}

function tokenRequest(
	realm: URL,
	service: string | undefined,
	scopes: readonly string[],
	found: Credential | undefined,
	userAgent: string,
): HttpRequest {
	const headers = { accept: "application/json", "user-agent": userAgent };
	if (found?.identityToken !== undefined) {
		const form = new URLSearchParams({
			grant_type: "refresh_token",
			service: service ?? "",
			client_id: "brewline",
			scope: scopes.join(" "),
			refresh_token: found.identityToken,
		});
		return {
			method: "POST",
			url: realm,
			headers: { ...headers, "content-type": "application/x-www-form-urlencoded" },
			body: Buffer.from(form.toString()),
		};
	}
	const url = new URL(realm);
	if (service !== undefined) url.searchParams.set("service", service);
	for (const scope of scopes) url.searchParams.append("scope", scope);
	const authorization = basicHeader(found);
	return { method: "GET", url, headers: { ...headers, ...(authorization === undefined ? {} : { authorization }) } };
}

async function readToken(response: HttpResponse, asked: number, what: string): Promise<Token> {
	const { bytes, more } = await readLimited(response.body, maxTokenAnswer);
	if (more) throw new BrewlineError("registry", `${what}: the answer is longer than ${maxTokenAnswer} bytes`);
	const body = parseJsonObject(bytes, { what: `${what}: the answer`, maxBytes: maxTokenAnswer, code: "registry" });
	const value = body["token"] ?? body["access_token"];
	if (typeof value !== "string" || !tokenGrammar.test(value)) {
		throw new BrewlineError("registry", `${what}: the answer has no token`);
	}
	const lifetime = body["expires_in"];
	const seconds = typeof lifetime === "number" && lifetime > 0 ? lifetime : defaultLifetime;
	// Not used in its last tenth: it must still be good when it gets there.
	return { value, expires: asked + seconds * 900 };
}
