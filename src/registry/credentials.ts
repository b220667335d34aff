import { readFile } from "node:fs/promises";
import path from "node:path";
import { BrewlineError } from "../errors.ts";
import { printable } from "../io/printable.ts";
import type { Io } from "../io/types.ts";
import { parseJsonObject, type JsonObject, type JsonValue } from "../json/index.ts";
import { hubHosts } from "../oci/index.ts";
import { readLimited } from "./answer.ts";
import type { CredentialSource } from "./auth.ts";
import { canonicalHost, dockerHub } from "./hosts.ts";
import type { Credential } from "./token.ts";

const maxConfig = 4 * 1024 * 1024;
const maxHelperOutput = 1024 * 1024;

/**
 * Credentials from Docker's own configuration: `credHelpers`, then `credsStore`, then `auths`, as Docker's client
 * looks. The file is read at each call, so a log-in during the run counts; where it is missing there are none.
 * @param options.directory Where `config.json` lies; default `DOCKER_CONFIG`, else `.docker` in the home folder.
 */
export function dockerCredentials(
	io: Pick<Io, "exec" | "env" | "signal">,
	options: { readonly directory?: string } = {},
): CredentialSource {
	const home = io.env["HOME"] ?? io.env["USERPROFILE"];
	const directory =
		options.directory ??
		(io.env["DOCKER_CONFIG"] || (home === undefined || home === "" ? undefined : path.join(home, ".docker")));
	if (directory === undefined) return () => Promise.resolve(undefined);
	const file = path.join(directory, "config.json");
	return async (host) => {
		const config = await readConfig(file);
		return config && findCredential(io, config, file, canonicalHost(host));
	};
}

async function readConfig(file: string): Promise<JsonObject | undefined> {
	const bytes = await readFile(file).catch((error: unknown) => {
		const code = (error as NodeJS.ErrnoException).code;
		if (code === "ENOENT" || code === "ENOTDIR") return undefined;
		throw new BrewlineError("credentials", `cannot read ${file}`, { cause: error, at: { file } });
	});
	if (bytes === undefined) return undefined;
	try {
		return parseJsonObject(bytes, { what: file, maxBytes: maxConfig, code: "credentials" });
	} catch {
		// The parser's message may quote the text, and with it a password.
		throw new BrewlineError("credentials", `${file} is not a JSON object`, {
			at: { file },
			hint: "It is Docker's configuration: mend it, or set DOCKER_CONFIG to another folder.",
		});
	}
}

async function findCredential(
	io: Pick<Io, "exec" | "env" | "signal">,
	config: JsonObject,
	file: string,
	host: string,
): Promise<Credential | undefined> {
	const helpers = section(config, "credHelpers");
	for (const name of namesOf(host)) {
		const helper = helpers[name];
		if (helper === undefined) continue;
		return askHelper(io, helper, name, `${file}: credHelpers`);
	}
	const store = config["credsStore"];
	if (store !== undefined && store !== "") {
		const name = host === dockerHub.canonical ? dockerHub.credentials : host;
		const found = await askHelper(io, store, name, `${file}: credsStore`);
		if (found !== undefined) return found;
	}
	const auths = section(config, "auths");
	const names = namesOf(host);
	const entry =
		names.map((name) => auths[name]).find(isObject) ??
		Object.entries(auths)
			.filter(([name]) => names.includes(hostOf(name)))
			.map(([, value]) => value)
			.find(isObject);
	return entry && readAuth(entry, file, host);
}

function section(config: JsonObject, key: string): JsonObject {
	const value = config[key];
	return isObject(value) ? value : {};
}

function isObject(value: JsonValue | undefined): value is JsonObject {
	return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The names under which the credential of a canonical host may stand, Docker's own first. */
function namesOf(host: string): readonly string[] {
	return host === dockerHub.canonical ? [dockerHub.credentials, ...hubHosts] : [host];
}

/** `https://ghcr.io/v2/` stands for `ghcr.io`, as Docker reads it. */
function hostOf(name: string): string {
	return name.replace(/^https?:\/\//, "").replace(/\/.*$/, "");
}

function readAuth(entry: JsonObject, file: string, host: string): Credential | undefined {
	const origin = `${file}: auths`;
	const text = (key: string) => {
		const value = entry[key];
		return typeof value === "string" && value !== "" ? value : undefined;
	};
	const registryToken = text("registrytoken");
	if (registryToken !== undefined) return { registryToken, origin };
	let username = text("username");
	let password = text("password");
	const auth = text("auth");
	if (auth !== undefined) {
		// Docker pads old entries with zero bytes.
		const decoded = Buffer.from(auth, "base64").toString("utf8").replace(/\0+$/, "");
		const colon = decoded.indexOf(":");
		if (colon < 1) {
			throw new BrewlineError("credentials", `${origin}: the entry for ${host} is not a name and a password`, {
				at: { file },
				hint: `Log in again with "docker login ${host}".`,
			});
		}
		username = decoded.slice(0, colon);
		password = decoded.slice(colon + 1);
	}
	const identityToken = text("identitytoken");
	if (identityToken !== undefined) {
		return { ...(username === undefined ? {} : { username }), identityToken, origin };
	}
	return username === undefined || password === undefined ? undefined : { username, password, origin };
}

/** Runs `docker-credential-NAME get`; undefined where it knows nothing of the server. */
async function askHelper(
	io: Pick<Io, "exec" | "env" | "signal">,
	helper: JsonValue,
	server: string,
	where: string,
): Promise<Credential | undefined> {
	if (typeof helper !== "string" || !/^[A-Za-z0-9][\w.-]{0,63}$/.test(helper)) {
		throw new BrewlineError("credentials", `${where} names a helper that cannot be one`);
	}
	const program = `docker-credential-${helper}`;
	const origin = `${where}: ${program}`;
	const child = io.exec([program, "get"], { signal: io.signal });
	child.stdin.end(server);
	child.stderr.resume();
	const [output, exit] = await Promise.all([readLimited(child.stdout, maxHelperOutput), child.exited]).catch(
		(error: unknown) => {
			child.kill("SIGKILL");
			throw new BrewlineError("credentials", `cannot run ${origin}`, {
				cause: error,
				hint: `Put ${program} on the PATH, or take it out of Docker's configuration.`,
			});
		},
	);
	// Neither output nor standard error are shown: helpers are not careful about what they print.
	if (exit.code !== 0) {
		if (/credentials not found/i.test(output.bytes.toString("utf8"))) return undefined;
		const how = exit.signal === null ? `exit code ${exit.code}` : `signal ${exit.signal}`;
		throw new BrewlineError("credentials", `${origin} failed for ${printable(server, 200)} with ${how}`, {
			hint: `Try: echo ${printable(server, 200)} | ${program} get`,
		});
	}
	const answer = parseHelper(output.bytes);
	if (answer === undefined) {
		throw new BrewlineError("credentials", `${origin} answered something else than name and secret`);
	}
	const { username, secret } = answer;
	if (username === "<token>") return { identityToken: secret, origin };
	return { username, password: secret, origin };
}

function parseHelper(bytes: Uint8Array): { username: string; secret: string } | undefined {
	try {
		const answer = parseJsonObject(bytes, { what: "the answer", maxBytes: maxHelperOutput, code: "credentials" });
		const username = answer["Username"];
		const secret = answer["Secret"];
		if (typeof username === "string" && typeof secret === "string") return { username, secret };
	} catch {
		// As in readConfig: nothing of the text may be shown.
	}
	return undefined;
}
