import type { Io } from "../io/types.ts";
import { parseReference } from "../oci/index.ts";
import type { RegistryClient } from "../registry/types.ts";

/** What is waited for between questions, in milliseconds: some registries show what was written after 20 s. */
const pauses = [1000, 2000, 4000, 8000, 8000];

/**
 * What a tag holds after it was put, asked until that is what was put, for some time. Gives back why it is not; undefined:
 * it is.
 */
export async function readBack(
	client: Pick<RegistryClient, "headManifest">,
	reference: string,
	digest: string,
	io: Pick<Io, "clock" | "signal">,
): Promise<string | undefined> {
	const target = parseReference(reference);
	for (const pause of [...pauses, undefined]) {
		const found = await client.headManifest(target);
		if (found?.digest === digest) return undefined;
		if (pause === undefined) {
			const seconds = pauses.reduce((sum, one) => sum + one, 0) / 1000;
			return `${seconds} s after it was put, a read gives ${found?.digest ?? "nothing"}`;
		}
		await io.clock.sleep(pause, io.signal);
	}
	return undefined;
}
