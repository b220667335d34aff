import type { Program } from "../config/types.ts";
import { parseReference } from "../oci/index.ts";
import { synthesize } from "../registry/synthesize.ts";
import type { RegistryClient } from "../registry/types.ts";
import type { Lookup } from "./types.ts";

/** Looks references up in registries, as synthesised indexes (spec/publish.md). Throws what the client throws. */
export function registryLookup(
	client: Pick<RegistryClient, "getManifest" | "getBlob">,
	program: Pick<Program, "architectures"> & { readonly annotations: Pick<Program["annotations"], "architecture"> },
): Lookup {
	const options = {
		architectures: program.architectures,
		architectureAnnotation: program.annotations.architecture,
	};
	return (reference) => synthesize(client, parseReference(reference), options);
}
