import type { HttpResponse, Io } from "../io/types.ts";
import { answerError, answerOf, readAnswer } from "./answer.ts";
import { parseChallenges, type Challenge } from "./challenge.ts";
import type { Endpoint } from "./hosts.ts";
import type { Limiter } from "./limiter.ts";
import { paced } from "./pace.ts";
import { retrying, type RetryPolicy } from "./retry.ts";
import {
	actionsOf,
	basicHeader,
	covers,
	readToken,
	resourceOf,
	scopesIn,
	tokenRequest,
	tokenServer,
	type Credential,
	type Scopes,
} from "./token.ts";

/** The credential for a canonical host (`docker.io`, `ghcr.io`, `localhost:5000`); undefined: go without. */
export type CredentialSource = (host: string) => Promise<Credential | undefined>;

export interface Authorization {
	/** The value of the header; undefined: none. */
	readonly header: string | undefined;
	/** Whether it was made for this very request, so that a 401 is not because of its age. */
	readonly fresh: boolean;
	/** Where it is one of ours, and not of the credential itself. */
	readonly token?: Token;
}

export interface Authorizer {
	/**
	 * Waits while another request is the very first to a registry: its answer says what all have to bring along. To be released as
	 * soon as that answer is there, or will not be: a registry that does not answer is not waited for by one after the other.
	 */
	scout(endpoint: Endpoint): Promise<() => void>;
	/** What a request can carry by what is known of the registry so far. Asks for a token where that takes one. */
	authorize(endpoint: Endpoint, scopes: readonly string[]): Promise<Authorization>;
	/** What to try again with after a 401 or 403; undefined: nothing better is to be had. */
	challenged(
		endpoint: Endpoint,
		answer: Pick<HttpResponse, "status" | "headers">,
		scopes: readonly string[],
		used: Authorization,
	): Promise<Authorization | undefined>;
	/** To be told of what was not refused: whether a token for several repositories is one for each of them shows so. */
	accepted(endpoint: Endpoint, scopes: readonly string[], used: Authorization): void;
	/** The credential that requests to this endpoint are made with. */
	credential(endpoint: Endpoint): Promise<Credential | undefined>;
	/** Drops the credential, so that the next request asks for it again: somebody may have logged in anew. */
	forget(endpoint: Endpoint): void;
	/** Whether the registry takes name and password themselves, so that a 401 means that it refuses them. */
	isBasic(endpoint: Endpoint): boolean;
}

interface Token {
	readonly value: string;
	/** Milliseconds since the epoch; 0: the registry takes it no more. */
	expires: number;
	/** When it was asked for. */
	readonly asked: number;
	/** Asked for; what of it was granted is not known. */
	readonly scopes: Scopes;
	/** Asked for by several who want different things, or for one because such a token had been refused. */
	readonly kind: "merged" | "alone" | "instead";
	/** Those that it was accepted for. */
	readonly worked: Set<string>;
}

/** A token that is about to be asked for, for all who come before it is. */
interface Batch {
	readonly scopes: Map<string, Set<string>>;
	/** What each of them wants. */
	readonly wishes: (readonly string[])[];
	readonly instead: boolean;
	sent: boolean;
	/** To be called when it takes no more. */
	readonly fill: () => void;
	readonly token: Promise<Token>;
}

interface EndpointState {
	challenge?: Challenge;
	/** Ends once the first request has shown what the registry wants, or has failed. */
	scouted?: Promise<void>;
	credential?: Promise<Credential | undefined>;
	/** Those that have expired, too, until they are renewed with all of their scopes. */
	tokens: Token[];
	batches: Batch[];
	/** Ends when no token is being asked for any more. */
	turn: Promise<unknown>;
	/** Whether tokens for several are known to work, or known not to. */
	merges?: boolean;
}

/** Milliseconds for which it is believed that a token was given for less than was asked for. */
const believed = 10_000;
/** For one token: it names them all again, and must still fit into a header, and they into an address. */
const maxScopes = 16;
const maxScopesLength = 2000;

/**
 * Keeps the tokens of a client: for each endpoint few, since those who want one at the same time get one together, and one
 * that has expired is renewed for all that it was for. A server or registry that does not do that is asked one by one.
 */
export function createAuthorizer(
	io: Pick<Io, "http" | "clock" | "signal" | "log">,
	options: {
		readonly credentials: CredentialSource;
		readonly limiter: Limiter;
		readonly userAgent: string;
		readonly retry: RetryPolicy;
	},
): Authorizer {
	const endpoints = new Map<string, EndpointState>();

	function stateOf(endpoint: Endpoint): EndpointState {
		let state = endpoints.get(endpoint.origin);
		if (state === undefined) {
			state = { tokens: [], batches: [], turn: Promise.resolve() };
			endpoints.set(endpoint.origin, state);
		}
		return state;
	}

	async function scout(endpoint: Endpoint): Promise<() => void> {
		const state = stateOf(endpoint);
		if (state.scouted !== undefined) {
			await state.scouted;
			return () => {};
		}
		const { promise, resolve } = Promise.withResolvers<void>();
		state.scouted = promise;
		return resolve;
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
		const now = io.clock.now();
		const known = state.tokens.find((token) => token.expires > now && covers(token.scopes, scopes));
		if (known !== undefined) return { header: bearer(known.value), fresh: false, token: known };
		const token = await tokenFor(endpoint, state, scopes);
		return { header: bearer(token.value), fresh: true, token };
	}

	async function challenged(
		endpoint: Endpoint,
		{ status, headers }: Pick<HttpResponse, "status" | "headers">,
		scopes: readonly string[],
		used: Authorization,
	): Promise<Authorization | undefined> {
		const state = stateOf(endpoint);
		// Some take a token for several as one for none of them, or for the last: it is tried with one for this alone.
		const doubtful = used.token?.kind === "merged" && state.merges === undefined;
		const offered = parseChallenges(headers["www-authenticate"] ?? "");
		const challenge =
			offered.find(({ scheme }) => scheme === "bearer") ?? offered.find(({ scheme }) => scheme === "basic");
		if (status === 401 && challenge === undefined) return undefined;
		// What another request has learned or fetched while this one was under way is tried before anything is asked.
		if (challenge !== undefined && (state.challenge === undefined || !sameServer(state.challenge, challenge))) {
			state.challenge = challenge;
			state.tokens = [];
			delete state.merges;
		} else if (doubtful) {
			const token = await batchOf(endpoint, state, [scopes], true).token;
			return { header: bearer(token.value), fresh: true, token };
		} else if (status === 403 || (used.fresh && !isOld(used))) {
			return undefined;
		} else if (used.token !== undefined) {
			// It is good, but not for this, as it was when it was given: a repository may have come into being since.
			if (challenge?.parameters["error"] === "insufficient_scope") {
				if (io.clock.now() - used.token.asked < believed) return undefined;
				const token = await batchOf(endpoint, state, [scopes]).token;
				return { header: bearer(token.value), fresh: true, token };
			}
			used.token.expires = 0;
		}
		const next = await authorize(endpoint, scopes);
		return next.header === undefined || next.header === used.header ? undefined : next;
	}

	/** Also one that was fetched for this request may be: it may have waited for others. */
	function isOld({ token }: Authorization): boolean {
		return token !== undefined && token.expires <= io.clock.now();
	}

	function accepted(endpoint: Endpoint, scopes: readonly string[], { token }: Authorization): void {
		if (token === undefined || token.worked.size > 1) return;
		const state = stateOf(endpoint);
		for (const scope of scopes) token.worked.add(resourceOf(scope));
		if (token.kind === "merged" && token.worked.size > scopes.length) state.merges ??= true;
		if (token.kind !== "instead" || state.merges !== undefined) return;
		state.merges = false;
		state.tokens = state.tokens.filter(({ kind }) => kind !== "merged");
	}

	async function tokenFor(endpoint: Endpoint, state: EndpointState, scopes: readonly string[]): Promise<Token> {
		const shared = state.batches.find((batch) => covers(batch.scopes, scopes));
		const token = await (shared ?? join(endpoint, state, scopes)).token;
		// It is for others where a server that does not take several at once was asked for them.
		return covers(token.scopes, scopes) ? token : tokenFor(endpoint, state, scopes);
	}

	function join(endpoint: Endpoint, state: EndpointState, scopes: readonly string[]): Batch {
		if (state.merges === false) return batchOf(endpoint, state, [scopes]);
		const before = state.tokens.find((token) => covers(token.scopes, scopes));
		if (before !== undefined) {
			state.tokens = state.tokens.filter((token) => token !== before);
			return batchOf(endpoint, state, [scopes, scopesIn(before.scopes)]);
		}
		const waiting = state.batches.filter(({ sent }) => !sent);
		const open = waiting.find((batch) => fits(batch, scopes));
		if (open !== undefined) {
			addTo(open, scopes);
			return open;
		}
		// Those that take no more have nothing to wait for.
		for (const { fill } of waiting) fill();
		return batchOf(endpoint, state, [scopes]);
	}

	function batchOf(
		endpoint: Endpoint,
		state: EndpointState,
		wishes: readonly (readonly string[])[],
		instead = false,
	): Batch {
		const { promise, resolve, reject } = Promise.withResolvers<Token>();
		const full = Promise.withResolvers<void>();
		const batch: Batch = {
			scopes: new Map(),
			wishes: [],
			instead,
			sent: false,
			fill: full.resolve,
			token: promise,
		};
		for (const wish of wishes) addTo(batch, wish);
		state.batches.push(batch);
		// One after the other, so that those who come in the meantime go together.
		const turn = state.merges === false ? Promise.resolve() : Promise.race([state.turn, full.promise]);
		const sent = turn.then(() => send(endpoint, state, batch));
		state.turn = sent.then(resolve, reject);
		return batch;
	}

	async function send(endpoint: Endpoint, state: EndpointState, batch: Batch): Promise<Token> {
		// Those who found out at the same time that they need one are one batch.
		await new Promise((resolve) => {
			setImmediate(resolve);
		});
		batch.sent = true;
		try {
			const kind = batch.instead ? "instead" : batch.wishes.length > 1 ? "merged" : "alone";
			const token = await fetchToken(endpoint, batch.scopes, kind).catch(async (error: unknown) => {
				const status = answerOf(error)?.status ?? 500;
				if (kind !== "merged" || status >= 500 || status === 429) throw error;
				// A server that refuses all where one is refused. If it gives this one, it is asked for each alone from now on.
				const alone = { scopes: new Map<string, Set<string>>(), wishes: [] };
				addTo(alone, batch.wishes[0]!);
				const token = await fetchToken(endpoint, alone.scopes, "alone");
				state.merges = false;
				return token;
			});
			const now = io.clock.now();
			const replaced = ({ expires, scopes }: Token) => expires <= now && covers(token.scopes, scopesIn(scopes));
			state.tokens = [token, ...state.tokens.filter((other) => !replaced(other))];
			return token;
		} catch (error) {
			// Who logged in again in the meantime is not held to the old credential.
			if (answerOf(error)?.status === 401) delete state.credential;
			throw error;
		} finally {
			state.batches = state.batches.filter((other) => other !== batch);
		}
	}

	async function fetchToken(endpoint: Endpoint, scopes: Scopes, kind: Token["kind"]): Promise<Token> {
		const what = `asking for a token for ${endpoint.name}`;
		const found = await credential(endpoint);
		const { parameters } = stateOf(endpoint).challenge!;
		const realm = tokenServer(parameters["realm"], endpoint, found);
		const request = tokenRequest(realm, parameters["service"], scopesIn(scopes), found, options.userAgent);
		return retrying(io, options.retry, what, async () => {
			const perMinute = realm.origin === endpoint.origin ? endpoint.perMinute : undefined;
			const admission = await options.limiter.admit(realm.host, perMinute, true);
			const asked = io.clock.now();
			const answered = await io.http({ ...request, signal: io.signal });
			admission.answered(answered);
			const response = { ...answered, body: paced(answered.body, io.clock) };
			if (response.status !== 200) {
				const answer = await readAnswer(response, io.clock.now());
				const refused = [401, 403].includes(answer.status) || (answer.status === 400 && request.method === "POST");
				const wrongCredentials = found !== undefined && refused && answer.status !== 403;
				const which = found === undefined ? "without credentials" : `with the credentials from ${found.origin}`;
				throw answerError(
					refused ? "credentials" : "registry",
					`${realm.host} gives no token for ${endpoint.name} ${which}`,
					{ ...answer, wrongCredentials, ofTokenServer: true },
					refused ? loginHint(endpoint) : undefined,
				);
			}
			const { value, expires } = await readToken(response, asked, what);
			return { value, asked, expires, scopes, kind, worked: new Set() };
		});
	}

	return {
		scout,
		authorize,
		challenged,
		accepted,
		credential,
		forget: (endpoint) => {
			delete stateOf(endpoint).credential;
		},
		isBasic: (endpoint) => stateOf(endpoint).challenge?.scheme === "basic",
	};
}

function fits({ scopes }: Batch, wanted: readonly string[]): boolean {
	const length = [...scopesIn(scopes), ...wanted].join(" ").length;
	return scopes.size + wanted.length <= maxScopes && length <= maxScopesLength;
}

function addTo(batch: Pick<Batch, "scopes" | "wishes">, wish: readonly string[]): void {
	if (batch.wishes.length > 0 && covers(batch.scopes, wish)) return;
	batch.wishes.push(wish);
	for (const scope of wish) {
		const resource = resourceOf(scope);
		batch.scopes.set(resource, new Set([...(batch.scopes.get(resource) ?? []), ...actionsOf(scope)]));
	}
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

function bearer(token: string): string {
	return `Bearer ${token}`;
}
