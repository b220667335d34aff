import { BrewlineError } from "../errors.ts";
import type { Io } from "../io/types.ts";
import { printReference, type Reference } from "../oci/index.ts";
import { capabilitiesOf } from "./capabilities.ts";
import { canonicalHost } from "./hosts.ts";
import { backOff } from "./retry.ts";
import type { RegistryClient } from "./types.ts";

export interface ReadBackOptions {
	/** Milliseconds for which another answer is taken for an old one. Default: as long as the registry is known to lag, and half of it. */
	readonly patience?: number;
	/** 0 ≤ x < 1, spreads the delays; default `Math.random`. */
	readonly random?: () => number;
}

/**
 * Reads back what was written to a tag, or under a digest, until the registry answers with that: its reads may lag its
 * writes, so that it says for a while that nothing is there, or what was there before. No mirror is asked.
 * Throws `registry` where it is still something else when patience ends, with what that is, and what the client throws.
 * @returns The milliseconds that it took; 0: it was there at once.
 */
export async function readBack(
	client: Pick<RegistryClient, "headManifest">,
	io: Pick<Io, "clock" | "signal" | "log">,
	reference: Reference,
	digest: string,
	options: ReadBackOptions = {},
): Promise<number> {
	const patience = options.patience ?? capabilitiesOf(canonicalHost(reference.host)).lag * 1500;
	const start = io.clock.now();
	for (let tries = 0; ; tries++) {
		const found = await client.headManifest(reference, { direct: true });
		const taken = io.clock.now() - start;
		if (found?.digest === digest) return taken;
		const left = patience - taken;
		if (left <= 0) {
			throw new BrewlineError(
				"registry",
				`${printReference(reference)} was written as ${digest}, and ${(taken / 1000).toFixed(0)} s later the registry has ${found?.digest ?? "nothing"} there`,
				{ hint: "Somebody else may have written it since, or the registry takes longer: look, and run again." },
			);
		}
		const delay = Math.min(left, backOff({ firstDelay: 250, ...options }, tries), 5000);
		await io.clock.sleep(delay, io.signal).catch((error: unknown) => {
			throw new BrewlineError("cancelled", `reading back ${printReference(reference)} was ended`, { cause: error });
		});
	}
}
