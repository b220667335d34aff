import type { Lookup } from "../builds/index.ts";
import type { Program } from "../config/types.ts";
import type { RegistryClient } from "../registry/types.ts";

export interface PublishOptions {
	readonly program: Pick<Program, "architectures"> & {
		readonly registries: Pick<Program["registries"], "namespace" | "staging">;
		readonly annotations: Pick<Program["annotations"], "architecture">;
	};
	readonly client: RegistryClient;
	/** Reads the registry, in this run and not from a file: `registryLookup` of `builds`. */
	readonly lookup: Lookup;
	/** Report what would change, change nothing. */
	readonly dryRun?: boolean;
	/** References at a time; default 16. */
	readonly concurrency?: number;
	/**
	 * What becomes of a tag while an architecture of it is not built: `keep` moves it with what it had for that
	 * architecture; `hold` does not move it before all are there. Default: `keep` (spec/publish.md, Joining).
	 */
	readonly unbuilt?: "keep" | "hold";
	/** Architectures without which a tag that is defined for them is not published. Default: none. */
	readonly required?: readonly string[];
}
