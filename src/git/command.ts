import { devNull } from "node:os";
import { BrewlineError } from "../errors.ts";
import { runCommand } from "../io/command.ts";
import type { Io } from "../io/types.ts";
import { protocolOf } from "./address.ts";

/** What opens a private repository: a token for HTTP, or a key for ssh. */
export type GitCredential =
	| {
			/** The token itself, or … */
			readonly token: string;
			/** Default `x-access-token`, which GitHub, GitLab and Gitea take with a token. */
			readonly username?: string;
	  }
	| {
			/** … the environment variable that has it. */
			readonly tokenVariable: string;
			readonly username?: string;
	  }
	| {
			/** The path of a private key without a passphrase. */
			readonly sshKey: string;
			/** The path of a `known_hosts` file; default: the user's own. */
			readonly knownHosts?: string;
	  };

/** Git's configuration is given by the environment: `argv` is visible to everybody on the machine. */
export type GitConfig = readonly (readonly [key: string, value: string])[];

/** Taken over from the environment: where git's programs are, and how the certificates of servers are checked. */
const kept = /^GIT_(?:EXEC_PATH|SSL_CAINFO|SSL_CAPATH|SSL_CERT|SSL_KEY|PROXY_SSL_\w+)$/;

/**
 * The environment of every git process: nothing of the user's or the system's configuration (hooks, aliases, helpers,
 * rewrites), no question to anybody, messages in English, and nothing that makes git print what it sends.
 */
export function gitEnvironment(
	io: Io,
	directory: string | undefined,
	config: GitConfig = [],
): Record<string, string | undefined> {
	const env: Record<string, string | undefined> = {};
	for (const name of Object.keys(io.env)) if (name.startsWith("GIT_") && !kept.test(name)) env[name] = undefined;
	env["GIT_DIR"] = directory;
	env["GIT_CONFIG_NOSYSTEM"] = "1";
	env["GIT_CONFIG_GLOBAL"] = devNull;
	env["GIT_ATTR_NOSYSTEM"] = "1";
	env["GIT_NO_REPLACE_OBJECTS"] = "1";
	env["GIT_NO_LAZY_FETCH"] = "1";
	env["GIT_TERMINAL_PROMPT"] = "0";
	// Set but empty: git then asks neither this nor the SSH_ASKPASS of a desktop.
	env["GIT_ASKPASS"] = "";
	env["LC_ALL"] = "C";
	env["LANGUAGE"] = undefined;
	env["GIT_CONFIG_COUNT"] = String(config.length);
	for (const [index, [key, value]] of config.entries()) {
		env[`GIT_CONFIG_KEY_${index}`] = key;
		env[`GIT_CONFIG_VALUE_${index}`] = value;
	}
	return env;
}

/** How one address is reached: the configuration and environment for it, and what must never be in a message. */
export interface Access {
	readonly config: GitConfig;
	readonly env: Readonly<Record<string, string>>;
	readonly secrets: readonly string[];
	/** Whether there is a credential for it. */
	readonly credential: boolean;
	/** What goes into the header of that name. Git then follows no redirect. */
	readonly authorization?: string;
}

/**
 * The access to an address. Credentials are by prefix of what is fetched from (after `git.rewrite`), the longest one
 * wins; a prefix ends at a `/`, so that `https://host` is not `https://host.example`.
 */
export function accessTo(io: Io, address: string, credentials: Readonly<Record<string, GitCredential>>): Access {
	const protocol = protocolOf(address);
	const config: [string, string][] = [
		// A server that sends next to nothing for a minute is given up.
		["http.lowSpeedLimit", "1000"],
		["http.lowSpeedTime", "60"],
	];
	// A redirect from http to https is followed, the other way round it is not.
	const env: Record<string, string> = { GIT_ALLOW_PROTOCOL: protocol === "http" ? "http:https" : protocol };
	if (protocol === "ssh") env["GIT_SSH_COMMAND"] = "ssh -o BatchMode=yes";
	const prefix = credentialPrefix(address, credentials);
	const credential = prefix === undefined ? undefined : credentials[prefix]!;
	if (credential === undefined) return { config, env, secrets: [], credential: false };
	if ("sshKey" in credential) {
		if (protocol !== "ssh") return { config, env, secrets: [], credential: false };
		const hosts = credential.knownHosts;
		env["GIT_SSH_COMMAND"] =
			`ssh -o BatchMode=yes -o IdentitiesOnly=yes -i ${quote(credential.sshKey)}` +
			(hosts === undefined ? "" : ` -o UserKnownHostsFile=${quote(hosts)}`);
		return { config, env, secrets: [], credential: true };
	}
	if (protocol !== "https" && protocol !== "http") return { config, env, secrets: [], credential: false };
	const token = "token" in credential ? credential.token : io.env[credential.tokenVariable];
	if (token === undefined || token === "") {
		const variable = "token" in credential ? "the token" : `the environment variable ${credential.tokenVariable}`;
		throw new BrewlineError("credentials", `${variable} for git repositories at ${prefix} is empty`, {
			hint: "set it, or remove the credential for this prefix",
		});
	}
	const basic = Buffer.from(`${credential.username ?? "x-access-token"}:${token}`).toString("base64");
	const authorization = `Basic ${basic}`;
	config.push([`http.${new URL(address).origin}/.extraHeader`, `Authorization: ${authorization}`]);
	// After a redirect git would send it along to the other host, with all but the first request.
	config.push(["http.followRedirects", "false"]);
	return { config, env, secrets: [token, basic], credential: true, authorization };
}

/** The key of the credential that an address is fetched with; undefined: none. */
export function credentialPrefix(
	address: string,
	credentials: Readonly<Record<string, GitCredential>>,
): string | undefined {
	return Object.keys(credentials)
		.filter((prefix) => address === prefix || address.startsWith(prefix.endsWith("/") ? prefix : `${prefix}/`))
		.sort((a, b) => b.length - a.length)[0];
}

/** For git's own shell, which runs `GIT_SSH_COMMAND`. */
function quote(path: string): string {
	return `'${path.replaceAll("'", "'\\''")}'`;
}

/** Runs git to its end; the message of a failure has none of the `secrets`. */
export async function git(
	io: Io,
	args: readonly string[],
	options: {
		readonly directory: string;
		readonly config?: GitConfig;
		readonly env?: Readonly<Record<string, string>>;
		readonly input?: string;
		readonly secrets?: readonly string[];
	},
): Promise<Buffer> {
	const { directory, config, env, input = "", secrets = [] } = options;
	try {
		const run = runCommand(io, ["git", ...args], {
			env: { ...gitEnvironment(io, directory, config), ...env },
			input,
			code: "git",
		});
		return (await Promise.race([run, ending(io, run)])).stdout;
	} catch (error) {
		if (!(error instanceof BrewlineError)) throw error;
		let message = error.message;
		for (const secret of secrets) message = message.replaceAll(secret, "…");
		// The cause is left out where there is a secret: it could hold it.
		throw new BrewlineError(error.code, message, {
			...(secrets.length > 0 ? {} : { cause: error.cause }),
			...(message.startsWith("cannot start") ? { hint: "install git 2.36 or later" } : {}),
		});
	}
}

/** How long git may take to end before it is no longer waited for, in milliseconds. */
const grace = 1000;

/**
 * Rejects some time after the program is asked to end. Git's helpers for a protocol outlive it and hold its output
 * open, so that who waits for the end of that waits for a server that may never answer.
 */
async function ending(io: Io, run: Promise<unknown>): Promise<never> {
	let stopped = () => {};
	const aborted = new Promise<void>((resolve) => {
		stopped = resolve;
	});
	const settled = run.then(stopped, stopped);
	if (io.signal.aborted) stopped();
	else io.signal.addEventListener("abort", stopped);
	await aborted;
	io.signal.removeEventListener("abort", stopped);
	if (io.signal.aborted) await Promise.race([settled, io.clock.sleep(grace)]);
	throw new BrewlineError("cancelled", "git was ended");
}
