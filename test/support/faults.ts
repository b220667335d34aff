import type { HttpRequest, HttpResponse, Send } from "../../src/io/index.ts";
import { sha256Of } from "../../src/oci/index.ts";
import type { Fault, Incoming } from "../../src/registry/index.ts";

/** A request of a run in which nothing went wrong, with what it was answered. */
export interface Asked {
	readonly method: HttpRequest["method"];
	readonly url: URL;
	readonly status: number;
	readonly headers: HttpResponse["headers"];
}

/** What goes wrong with a request: at the server, or between it and us, or the process is gone from here on. */
export type Effect =
	| Fault
	/** No answer comes within the limit, whether it was done or not. */
	| { readonly kind: "silence"; readonly done: boolean }
	| { readonly kind: "kill"; readonly done: boolean };

/** One way in which things go wrong. */
export interface Way {
	readonly name: string;
	/** Which requests can go wrong so; default: all. */
	readonly applies?: (asked: Asked) => boolean;
	/** Whether the run has to overcome it by itself, also in view of the request before; default: not. */
	readonly passing?: (asked: Asked, before: Asked | undefined) => boolean;
	/** What happens to each request of a run in which the one of this number goes wrong; they are counted from 0. */
	readonly make: (at: number) => (request: HttpRequest, number: number) => Effect | undefined;
}

const always = (): boolean => true;
const hasBody = ({ method, headers }: Asked): boolean =>
	method !== "HEAD" && Number(headers["content-length"] ?? 0) > 0;
const isToken = ({ url }: Pick<Asked, "url">): boolean => url.pathname === "/token";
const isManifest = ({ url }: Pick<Asked, "url">): boolean => url.pathname.includes("/manifests/");
const refusal = (code: string): string => JSON.stringify({ errors: [{ code, message: "as the test has it" }] });

/** A request goes wrong once, and so, where given, does the next one. */
const once = (...effects: readonly Effect[]): Way["make"] => {
	return (at) => (_, number) => effects[number - at];
};

/** As the registries of the tests say it; a client that believes it asks for a new token. */
const unauthorized = ({ url }: HttpRequest): Effect => ({
	kind: "answer",
	status: 401,
	headers: {
		"www-authenticate": `Bearer realm="${url.origin}/token",service="brewline-registry",error="invalid_token"`,
	},
	body: refusal("UNAUTHORIZED"),
});

/** All ways; `elsewhere` is a server that is none of the run's. */
export function waysOfFailing(elsewhere: string): readonly Way[] {
	return [
		{
			name: "429 with Retry-After",
			passing: always,
			make: once({ kind: "answer", status: 429, headers: { "retry-after": "7" }, body: refusal("TOOMANYREQUESTS") }),
		},
		{ name: "500", passing: always, make: once({ kind: "answer", status: 500, body: refusal("UNKNOWN") }) },
		{
			name: "502, then 503",
			passing: always,
			make: once({ kind: "answer", status: 502, body: "<html>" }, { kind: "answer", status: 503, body: "<html>" }),
		},
		{ name: "a reset before it is done", passing: always, make: once({ kind: "reset", when: "before" }) },
		{ name: "an answer that is lost", passing: always, make: once({ kind: "reset", when: "after" }) },
		{ name: "silence, and nothing done", passing: always, make: once({ kind: "silence", done: false }) },
		{ name: "silence, but done", passing: always, make: once({ kind: "silence", done: true }) },
		{ name: "a body that breaks off", applies: hasBody, passing: always, make: once({ kind: "truncate", bytes: 1 }) },
		{ name: "a body with a wrong bit", applies: hasBody, make: once({ kind: "corrupt" }) },
		{
			name: "a wrong digest",
			applies: ({ headers }) => headers["docker-content-digest"] !== undefined,
			make: once({ kind: "misstate", headers: { "docker-content-digest": sha256Of("another") } }),
		},
		{
			name: "401 of a token that has expired",
			// A token that was given for this very request is not asked for again.
			passing: (asked, before) => !isToken(asked) && before !== undefined && !isToken(before),
			make: (at) => (request, number) => (number === at ? unauthorized(request) : undefined),
		},
		{
			name: "401 from here on",
			applies: (asked) => !isToken(asked),
			make: (at) => (request, number) => (number >= at && !isToken(request) ? unauthorized(request) : undefined),
		},
		{ name: "403", make: once({ kind: "answer", status: 403, body: refusal("DENIED") }) },
		{ name: "404", make: once({ kind: "answer", status: 404 }) },
		{
			name: "reads that lag behind the write",
			applies: (asked) => asked.method === "PUT" && isManifest(asked),
			make: (at) => {
				let written: string | undefined;
				let left = 2;
				return ({ method, url }, number) => {
					if (number === at) written = url.href;
					if (url.href !== written || (method !== "GET" && method !== "HEAD") || left-- <= 0) return undefined;
					return { kind: "answer", status: 404, body: refusal("MANIFEST_UNKNOWN") };
				};
			},
		},
		{
			name: "a redirect elsewhere",
			make: once({ kind: "answer", status: 307, headers: { location: `${elsewhere}/somewhere` } }),
		},
	];
}

/** A process that is gone before or after a request. */
export const waysOfBeingKilled: readonly Way[] = [
	{ name: "killed before it is done", make: once({ kind: "kill", done: false }) },
	{ name: "killed once it is done", make: once({ kind: "kill", done: true }) },
];

const header = "x-brewline-fault";

/** Sends requests on, and what is to go wrong with them along: `faultOf` reads it at the server. */
export function failing(send: Send, effectOf: (request: HttpRequest, number: number) => Effect | undefined): Send {
	let count = 0;
	let killed = false;
	return async (request) => {
		const number = count++;
		const effect = killed ? ({ kind: "kill", done: false } as const) : effectOf(request, number);
		if (effect === undefined) return send(request);
		if (effect.kind !== "silence" && effect.kind !== "kill") {
			return send({ ...request, headers: { ...request.headers, [header]: JSON.stringify(effect) } });
		}
		killed ||= effect.kind === "kill";
		if (effect.done) (await send(request)).body.resume();
		throw effect.kind === "kill"
			? new Error(`killed at request ${number}`)
			: Object.assign(new Error("silent for too long"), { code: "ETIMEDOUT" });
	};
}

export function faultOf({ headers }: Pick<Incoming, "headers">): Fault | undefined {
	const text = headers[header];
	return typeof text === "string" ? (JSON.parse(text) as Fault) : undefined;
}

/** Keeps the requests that go through. */
export function recording(send: Send, into: Asked[]): Send {
	return async (request) => {
		const { method, url } = request;
		const response = await send(request);
		into.push({ method, url, status: response.status, headers: response.headers });
		return response;
	};
}
