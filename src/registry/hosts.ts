import { BrewlineError } from "../errors.ts";
import { printable } from "../io/printable.ts";
import { hubHost, hubHosts, tryParseReference, type Reference } from "../oci/index.ts";
import { capabilitiesOf } from "./capabilities.ts";

/** Docker Hub (spec/publish.md, References): the only registry that is not spoken to at its own name. */
export const dockerHub = {
	canonical: hubHost,
	connect: "registry-1.docker.io",
	/** The name under which Docker itself stores its credentials. */
	credentials: "https://index.docker.io/v1/",
	/** Of the environment: an origin that reads go to. */
	mirrorVariable: "DOCKERHUB_PUBLIC_PROXY",
} as const;

/** Where the requests for one registry go. */
export interface Endpoint {
	/** `http://` or `https://` with host and port, no path. */
	readonly origin: string;
	/** Whose credentials are asked for: the canonical host, or the mirror's own. */
	readonly host: string;
	/** For messages. */
	readonly name: string;
	/** Requests that it takes in any minute; undefined: as many as there are. */
	readonly perMinute: number | undefined;
	/** Origins, besides its own and those of its domain, that name and password may go to for a token. */
	readonly tokenServers: readonly string[];
	/** Whether its answers may send us to addresses that are not public. */
	readonly internal: boolean;
}

export interface HostOptions {
	/** By canonical host: the origin that reads of it go to. */
	readonly mirrors?: Readonly<Record<string, string>>;
	/** Hosts to be spoken to in plain HTTP, besides loopback addresses and `localhost:PORT`. */
	readonly plainHttp?: readonly string[];
	/** By canonical host: requests in any minute; null: no limit. Default: what is known of it (capabilities.ts). */
	readonly rates?: Readonly<Record<string, number | null>>;
	/** By canonical host: an origin that name and password go to for a token, besides those that are known. */
	readonly tokenServers?: Readonly<Record<string, string>>;
}

/** `docker.io` for every name of Docker Hub; others as they are. */
export function canonicalHost(host: string): string {
	return hubHosts.includes(host) ? dockerHub.canonical : host;
}

/**
 * The endpoint of a registry's host, as references have it.
 * @param use `read`: a mirror takes it, where one is set; `write`: always the registry itself.
 */
export function endpointOf(host: string, use: "read" | "write", options: HostOptions): Endpoint {
	const canonical = canonicalHost(host);
	const mirror = use === "read" ? options.mirrors?.[canonical] : undefined;
	if (mirror !== undefined) {
		const { origin, host: own } = new URL(mirrorOrigin(mirror, `the mirror of ${canonical}`));
		return endpointAt(origin, own, `${own} (mirror of ${canonical})`, options);
	}
	const address = canonical === dockerHub.canonical ? dockerHub.connect : host;
	// Of a URL, only the host may be chosen by a reference: no user, path or query can be smuggled in.
	const url = /^[\w.[\]:-]+$/.test(address) && URL.parse(`https://${address}/`);
	if (!url || url.hostname === "") {
		throw new BrewlineError("reference", `"${printable(host, 100)}" is not a registry's host`);
	}
	const plain = isPlainHttp(host, url.hostname, options.plainHttp ?? []);
	return endpointAt(new URL(`${plain ? "http" : "https"}://${address}/`).origin, canonical, canonical, options);
}

function endpointAt(origin: string, host: string, name: string, options: HostOptions): Endpoint {
	const { requestsPerMinute, tokenServers } = capabilitiesOf(host);
	const rate = options.rates?.[host];
	const server = options.tokenServers?.[host];
	const url = new URL(origin);
	return {
		origin,
		host,
		name,
		perMinute: (rate === undefined ? requestsPerMinute : rate) ?? undefined,
		tokenServers: server === undefined ? tokenServers : [...tokenServers, new URL(server).origin],
		// Plain HTTP to anything but this machine is what its owner chose for a network of theirs.
		internal: url.protocol === "http:" || isPrivate(url.hostname),
	};
}

/**
 * The mirrors that the environment sets: `DOCKERHUB_PUBLIC_PROXY`, an `http` or `https` URL without a path.
 * An error of code `config` where it is anything else.
 */
export function mirrorsFromEnvironment(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
	const value = env[dockerHub.mirrorVariable];
	if (value === undefined || value === "") return {};
	return { [dockerHub.canonical]: mirrorOrigin(value, dockerHub.mirrorVariable) };
}

function mirrorOrigin(value: string, what: string): string {
	const url = URL.parse(value);
	if (
		url === null ||
		(url.protocol !== "http:" && url.protocol !== "https:") ||
		url.pathname !== "/" ||
		url.search !== "" ||
		url.hash !== "" ||
		url.username !== "" ||
		url.password !== ""
	) {
		// The value is not shown: it may hold a password.
		throw new BrewlineError("config", `${what} is not an http or https URL without path, query and user`, {
			hint: "Give an origin alone, like https://mirror.example.org.",
		});
	}
	return url.origin;
}

/** Names other than `localhost:PORT` count as loopback only where they are addresses: anything may resolve to one. */
function isPlainHttp(host: string, hostname: string, configured: readonly string[]): boolean {
	return (
		configured.includes(host) || /^localhost:\d+$/.test(host) || (isLoopback(hostname) && /^[\d.]+$|^\[/.test(hostname))
	);
}

/** Whether a URL's `hostname` is this machine: loopback addresses, the unspecified ones, and names under `localhost`. */
export function isLoopback(hostname: string): boolean {
	return (
		/^127(?:\.\d{1,3}){3}$/.test(hostname) ||
		["0.0.0.0", "[::]", "[::1]"].includes(hostname) ||
		/^\[::ffff:7f[\da-f]{2}:[\da-f]{1,4}\]$/.test(hostname) ||
		/^(?:.*\.)?localhost\.?$/.test(hostname)
	);
}

const privateSuffixes = /\.(?:corp|home\.arpa|internal|intranet|lan|local|test)\.?$/;

/**
 * Whether a URL's `hostname` is of a network that is not public: addresses for private use, of the link (where clouds have
 * the credentials of their machines) and of this machine, names without a dot, and those under suffixes that nobody sells.
 */
export function isPrivate(hostname: string): boolean {
	if (isLoopback(hostname)) return true;
	if (hostname.startsWith("[")) {
		const mapped = /^\[(?:::ffff:|64:ff9b::)([\da-f]{1,4}):([\da-f]{1,4})\]$/.exec(hostname);
		if (mapped !== null) {
			const [high, low] = [parseInt(mapped[1]!, 16), parseInt(mapped[2]!, 16)];
			return isPrivate([high >> 8, high & 255, low >> 8, low & 255].join("."));
		}
		return /^\[f(?:[cd]|e[89a-f])/.test(hostname);
	}
	if (/^\d+(?:\.\d+){3}$/.test(hostname)) {
		return /^(?:0|10|127|169\.254|192\.168|172\.(?:1[6-9]|2\d|3[01])|100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7]))\./.test(
			hostname,
		);
	}
	return !hostname.includes(".") || privateSuffixes.test(hostname);
}

/**
 * Whether a registry may send us from one URL to another: over the same protocol or a safer one, without a credential in it, and
 * from a public registry never to this machine or a private network.
 */
export function mayLead(from: URL, to: URL | null, { internal }: Pick<Endpoint, "internal">): to is URL {
	if (to === null || to.username !== "" || to.password !== "") return false;
	const isSafe = to.protocol === "https:" || (to.protocol === "http:" && from.protocol === "http:");
	return isSafe && (internal || !isPrivate(to.hostname));
}

/** Whether a text is a repository's name (spec/publish.md, References). */
export function isRepository(name: string): boolean {
	const reference = tryParseReference(`localhost:5000/${name}`);
	return reference?.repository === name && reference.tag === undefined && reference.digest === undefined;
}

/** `/v2/REPOSITORY`, after a check that the name holds nothing that a URL gives a meaning to. */
export function repositoryPath(reference: Pick<Reference, "repository">): string {
	if (!isRepository(reference.repository)) {
		throw new BrewlineError("reference", `"${printable(reference.repository, 300)}" is not a repository's name`);
	}
	return `/v2/${reference.repository}`;
}
