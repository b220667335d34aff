import { BrewlineError } from "../errors.ts";
import { printable } from "../io/printable.ts";
import type { HttpRequest, HttpResponse } from "../io/types.ts";
import { parseJsonObject } from "../json/index.ts";
import { readLimited } from "./answer.ts";
import { isLoopback, mayLead, type Endpoint } from "./hosts.ts";

const maxTokenAnswer = 1024 * 1024;
const tokenGrammar = /^[\x21-\x7e]+$/;
/** Seconds that a token lives where its server does not say (distribution's token specification). */
const defaultLifetime = 60;

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

/** By resource (`repository:NAME`), the actions. */
export type Scopes = ReadonlyMap<string, ReadonlySet<string>>;

export function resourceOf(scope: string): string {
	return scope.slice(0, scope.lastIndexOf(":"));
}

export function actionsOf(scope: string): readonly string[] {
	return scope.slice(scope.lastIndexOf(":") + 1).split(",");
}

export function covers(scopes: Scopes, wanted: readonly string[]): boolean {
	return wanted.every((scope) => {
		const actions = scopes.get(resourceOf(scope));
		return actions !== undefined && actionsOf(scope).every((action) => actions.has(action));
	});
}

export function scopesIn(scopes: Scopes): readonly string[] {
	return [...scopes].map(([resource, actions]) => `${resource}:${[...actions].join(",")}`);
}

export function basicHeader(found: Credential | undefined): string | undefined {
	if (found?.username === undefined || found.password === undefined) return undefined;
	return `Basic ${Buffer.from(`${found.username}:${found.password}`).toString("base64")}`;
}

/**
 * Where a registry may send us for a token: to another host, as Docker Hub does, but never from HTTPS to plain HTTP, and
 * never from a public registry to this machine or a private network. A credential goes along only to the registry's own
 * origin, to what is known or configured of it, and over HTTPS to its own domain.
 */
export function tokenServer(realm: string | undefined, endpoint: Endpoint, found: Credential | undefined): URL {
	const url = URL.parse(realm ?? "");
	const from = new URL(endpoint.origin);
	if (!mayLead(from, url, endpoint)) {
		throw new BrewlineError(
			"registry",
			`${endpoint.name} sends us for a token to "${printable(realm ?? "", 200)}", where we do not go`,
		);
	}
	if (found !== undefined && !isTrusted(url, from, endpoint.tokenServers)) {
		throw new BrewlineError(
			"credentials",
			`${endpoint.name} sends us for a token to ${printable(url.origin, 200)}, where the credentials from ${found.origin} are not sent`,
			{ hint: `If it is right, say so: registries: { tokenServers: { "${endpoint.host}": "${url.origin}" } }` },
		);
	}
	url.hash = "";
	return url;
}

function isTrusted(realm: URL, registry: URL, known: readonly string[]): boolean {
	if (realm.origin === registry.origin || known.includes(realm.origin)) return true;
	// A plain registry's own machine: the password went over this wire before.
	if (realm.hostname === registry.hostname || (isLoopback(realm.hostname) && isLoopback(registry.hostname)))
		return true;
	const domain = domainOf(registry.hostname);
	return (
		realm.protocol === "https:" &&
		domain !== undefined &&
		(realm.hostname === domain || realm.hostname.endsWith(`.${domain}`))
	);
}

/** `example.org` for `registry.example.org` and for itself; none of an address, and of a name without a dot. */
function domainOf(hostname: string): string | undefined {
	if (/^[\d.]+$|^\[/.test(hostname)) return undefined;
	const labels = hostname.split(".");
	return labels.length < 2 ? undefined : labels.slice(labels.length > 2 ? 1 : 0).join(".");
}

export function tokenRequest(
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

export async function readToken(
	response: HttpResponse,
	asked: number,
	what: string,
): Promise<{ readonly value: string; readonly expires: number }> {
	const { bytes, more } = await readLimited(response.body, maxTokenAnswer);
	if (more) throw new BrewlineError("registry", `${what}: the answer is longer than ${maxTokenAnswer} bytes`);
	const body = parseJsonObject(bytes, { what: `${what}: the answer`, maxBytes: maxTokenAnswer, code: "registry" });
	// Some state both, one of them empty.
	const value = body["token"] || body["access_token"];
	if (typeof value !== "string" || !tokenGrammar.test(value)) {
		throw new BrewlineError("registry", `${what}: the answer has no token`);
	}
	const lifetime = body["expires_in"];
	const seconds = typeof lifetime === "number" && lifetime > 0 ? lifetime : defaultLifetime;
	// Not used in its last tenth: it must still be good when it gets there.
	return { value, expires: asked + seconds * 900 };
}
