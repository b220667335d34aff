import { randomBytes, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { readLimited } from "../answer.ts";
import { json, refuse, type Reply } from "./reply.ts";

/** Who may do what, for tests of clients. */
export interface RegistryAuth {
	readonly kind: "basic" | "bearer";
	readonly username: string;
	readonly password: string;
	/** Bearer only: accepted in exchange for a token, like a password. */
	readonly identityToken?: string;
	/** Whether repositories can be read without logging in; default: false. */
	readonly anonymousPull?: boolean;
	/** Bearer only: seconds that a token lives; default 300. */
	readonly tokenSeconds?: number;
	/** Milliseconds since the epoch; default `Date.now`. */
	readonly now?: () => number;
}

export interface Access {
	/** What a request is answered with instead, if it may not do what it wants; `actions` like `repository:NAME:pull`. */
	check(request: IncomingMessage, origin: string, actions: readonly string[]): Reply | undefined;
	/** The token server's answer; undefined where there is none at this path. */
	token(request: IncomingMessage, url: URL): Promise<Reply | undefined>;
}

const service = "brewline-registry";
const tokenPath = "/token";

export function createAccess(auth: RegistryAuth | undefined): Access {
	if (auth === undefined) return { check: () => undefined, token: () => Promise.resolve(undefined) };
	const now = auth.now ?? Date.now;
	const tokens = new Map<string, { readonly expires: number; readonly actions: ReadonlySet<string> }>();
	const basic = basicOf(auth.username, auth.password);
	const anonymous = (action: string) => auth.anonymousPull === true && action.endsWith(":pull");

	function check(request: IncomingMessage, origin: string, actions: readonly string[]): Reply | undefined {
		const given = request.headers.authorization ?? "";
		if (auth!.kind === "basic") {
			if (same(given, basic) || (given === "" && actions.length > 0 && actions.every(anonymous))) return undefined;
			return challenge(`Basic realm="${service}"`);
		}
		const token = /^Bearer (.+)$/i.exec(given)?.[1];
		const known = token === undefined ? undefined : tokens.get(token);
		if (known !== undefined && known.expires > now() && actions.every((action) => known.actions.has(action))) {
			return undefined;
		}
		const problem =
			token === undefined ? "" : `,error="${(known?.expires ?? 0) > now() ? "insufficient_scope" : "invalid_token"}"`;
		const scope = actions.length === 0 ? "" : `,scope="${actions.join(" ")}"`;
		return challenge(`Bearer realm="${origin}${tokenPath}",service="${service}"${scope}${problem}`);
	}

	async function token(request: IncomingMessage, url: URL): Promise<Reply | undefined> {
		if (auth!.kind !== "bearer" || url.pathname !== tokenPath) return undefined;
		const form =
			request.method === "POST"
				? new URLSearchParams((await readLimited(request, 65_536)).bytes.toString("utf8"))
				: url.searchParams;
		// A form has the name and password in itself, as Docker sends them, or a refresh token.
		const username = form.get("username");
		const refresh = form.get("refresh_token");
		const given =
			request.method === "POST" && username !== null
				? basicOf(username, form.get("password") ?? "")
				: (request.headers.authorization ?? "");
		const identified =
			refresh === null ? same(given, basic) : auth!.identityToken !== undefined && same(refresh, auth!.identityToken);
		if (!identified && (given !== "" || refresh !== null)) {
			return refuse(401, "UNAUTHORIZED", "authentication required");
		}
		const asked = form
			.getAll("scope")
			.flatMap((scopes) => scopes.split(" "))
			.flatMap(actionsOf);
		const granted = new Set(identified ? asked : asked.filter(anonymous));
		const value = randomBytes(16).toString("hex");
		const seconds = auth!.tokenSeconds ?? 300;
		tokens.set(value, { expires: now() + seconds * 1000, actions: granted });
		return json(200, { token: value, access_token: value, expires_in: seconds });
	}

	return { check, token };
}

/** `repository:NAME:pull,push` is two actions. */
function actionsOf(scope: string): readonly string[] {
	const match = /^(repository:[^:]+):([a-z,*]+)$/.exec(scope);
	return match === null ? [] : match[2]!.split(",").map((action) => `${match[1]}:${action}`);
}

function basicOf(username: string, password: string): string {
	return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}

function challenge(header: string): Reply {
	const refused = refuse(401, "UNAUTHORIZED", "authentication required");
	return { ...refused, headers: { ...refused.headers, "www-authenticate": header } };
}

function same(one: string, other: string): boolean {
	const [a, b] = [Buffer.from(one), Buffer.from(other)];
	return a.length === b.length && timingSafeEqual(a, b);
}
