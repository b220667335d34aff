import { BrewlineError } from "../errors.ts";
import { printable } from "../io/printable.ts";
import type { HttpResponse, Io } from "../io/types.ts";
import { parseRetryAfter } from "./answer.ts";
import { backOff, patienceOf, rateLimitHint, type RetryPolicy } from "./retry.ts";

/** Holds requests back, host by host, so that none is asked more often than it allows. */
export interface Limiter {
	/**
	 * Waits until a request to this host may be sent. All who wait are let through in the order in which they came.
	 * An error of code `registry` where the host takes none for longer than anybody is to wait.
	 * @param perMinute How many requests the host takes in any minute; undefined: as many as there are.
	 * @param first Before all who wait already: for what these cannot do without, a token.
	 */
	admit(host: string, perMinute: number | undefined, first?: boolean): Promise<Admission>;
}

export interface Admission {
	/** To be told of the answer: after a 429 nobody is let through to this host for a while. */
	answered(response: Pick<HttpResponse, "status" | "headers">): void;
}

const minute = 60_000;

interface Host {
	/** When each of the last requests was let through, oldest first, in a ring: its place comes free a minute later. */
	ring: Float64Array<ArrayBuffer>;
	/** Of the oldest. */
	next: number;
	/** Nobody is let through before. */
	open: number;
	/** How many were let through. */
	count: number;
	/** `count` at the last 429: those to requests that were under way then count as the same one. */
	refused: number;
	/** In a row. */
	refusals: number;
	/** Those that others wait for, and these. */
	readonly urgent: Waiter[];
	readonly waiting: Waiter[];
	pumping: boolean;
}

interface Waiter {
	readonly go: () => void;
	readonly fail: (error: unknown) => void;
}

/**
 * A bucket for each host, with as many places as the host takes requests in a minute. A place comes free a minute after
 * it was taken, so there is no minute, whenever it begins, with more requests than that. A 429 empties the bucket: no
 * request to that host until the time that the registry states (else ever longer ones), and then evenly spread over a
 * minute, as if the places had been taken so.
 */
export function createLimiter(
	io: Pick<Io, "clock" | "signal" | "log">,
	policy: Pick<RetryPolicy, "firstDelay" | "random" | "patience"> = {},
): Limiter {
	const hosts = new Map<string, Host>();

	function hostOf(name: string, perMinute: number): Host {
		let host = hosts.get(name);
		if (host === undefined) {
			host = {
				ring: new Float64Array(),
				next: 0,
				open: 0,
				count: 0,
				refused: 0,
				refusals: 0,
				urgent: [],
				waiting: [],
				pumping: false,
			};
			hosts.set(name, host);
		}
		// Where tokens are asked for, no rate is known before the registry itself is the same host.
		if (host.ring.length < perMinute) host.ring = new Float64Array(perMinute).fill(host.open - minute);
		return host;
	}

	/** How long the next one has to wait. */
	function waitOf({ ring, next, open }: Host): number {
		return Math.max(open, ring.length === 0 ? 0 : ring[next]! + minute) - io.clock.now();
	}

	function take(host: Host): void {
		if (host.ring.length === 0) return;
		host.ring[host.next] = io.clock.now();
		host.next = (host.next + 1) % host.ring.length;
	}

	async function pump(host: Host, name: string): Promise<void> {
		host.pumping = true;
		try {
			while (host.urgent.length + host.waiting.length > 0) {
				checkPatience(host, name);
				const wait = waitOf(host);
				// While it sleeps, a 429 may have moved the time.
				if (wait > 0) await io.clock.sleep(wait, io.signal);
				else {
					take(host);
					(host.urgent.shift() ?? host.waiting.shift())!.go();
				}
			}
		} catch (error) {
			const failure =
				error instanceof BrewlineError
					? error
					: new BrewlineError("cancelled", `waiting for ${printable(name, 200)} was ended`, { cause: error });
			for (const { fail } of [...host.urgent.splice(0), ...host.waiting.splice(0)]) fail(failure);
		} finally {
			host.pumping = false;
		}
	}

	function checkPatience(host: Host, name: string): void {
		if (host.open - io.clock.now() <= patienceOf(policy)) return;
		const until = new Date(host.open).toISOString();
		throw new BrewlineError("registry", `${printable(name, 200)} takes no requests before ${until}`, {
			hint: rateLimitHint,
		});
	}

	async function admit(name: string, perMinute = 0, first = false): Promise<Admission> {
		const host = hostOf(name, perMinute);
		if (!host.pumping && waitOf(host) <= 0) take(host);
		else {
			await new Promise<void>((go, fail) => {
				(first ? host.urgent : host.waiting).push({ go, fail });
				if (!host.pumping) void pump(host, name);
			});
		}
		const number = ++host.count;
		return {
			answered: ({ status, headers }) => {
				if (status === 429) empty(host, name, number, parseRetryAfter(headers["retry-after"], io.clock.now()));
				else if (number > host.refused) host.refusals = 0;
			},
		};
	}

	function empty(host: Host, name: string, number: number, stated: number | undefined): void {
		const now = io.clock.now();
		// Of many that are refused together only the first makes the wait longer, unless one is told a later time.
		const another = number > host.refused;
		// One that says again and again that the next may go at once is not believed.
		const least = another && host.refusals > 0 ? backOff(policy, host.refusals - 1) : 0;
		const delay = stated === undefined ? (another ? backOff(policy, host.refusals) : 0) : Math.max(stated, least);
		if (another) {
			host.refused = host.count;
			host.refusals++;
		}
		if (now + delay <= host.open) return;
		host.open = now + delay;
		const { ring } = host;
		for (const at of ring.keys()) ring[at] = host.open - minute + ((at + 1) * minute) / ring.length;
		host.next = 0;
		io.log({
			type: "message",
			level: "info",
			text: `${printable(name, 200)} takes no more requests now: the next goes in ${(delay / 1000).toFixed(1)} s`,
		});
	}

	return { admit };
}
