import type { Program } from "../config/types.ts";
import { parseReference } from "../oci/index.ts";
import { synthesize } from "../registry/synthesize.ts";
import type { RegistryClient } from "../registry/types.ts";
import type { Lookup } from "./types.ts";

type Client = Pick<RegistryClient, "getManifest" | "getBlob">;
type Architectures = Pick<Program, "architectures"> & {
	readonly annotations: Pick<Program["annotations"], "architecture">;
};

/** Looks references up in registries, as synthesised indexes (spec/publish.md). Throws what the client throws. */
export function registryLookup(client: Client, program: Architectures): Lookup {
	const options = {
		architectures: program.architectures,
		architectureAnnotation: program.annotations.architecture,
	};
	return (reference) => synthesize(client, parseReference(reference), options);
}

/** Looks up for which architectures there is something under references; undefined: there is nothing at all. */
export function architectureLookup(
	client: Client,
	program: Architectures,
): (reference: string) => Promise<ReadonlySet<string> | undefined> {
	const lookup = registryLookup(client, program);
	const annotation = program.annotations.architecture;
	return async (reference) => {
		const index = await lookup(reference);
		return index && new Set(index.manifests.flatMap(({ annotations }) => annotations?.[annotation] ?? []));
	};
}
