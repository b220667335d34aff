import type { JsonObject } from "../json/index.ts";
import type { Index } from "../oci/index.ts";

/** One manifest or blob, and where it is to be (spec/publish.md, Deploy objects). */
export interface DeployObject {
	readonly type: "manifest" | "blob";
	readonly refs: readonly string[];
	/** By digest: the reference to find a child at; under `""`: all others. */
	readonly lookup?: Readonly<Record<string, string>>;
	/** JSON, pushed with tabs; a string: base64 of the raw bytes; missing or null: a copy of what `lookup` has. */
	readonly data?: JsonObject | string | null;
}

/** A deploy object that this program made: an index with the references of its children. */
export interface IndexObject extends DeployObject {
	readonly type: "manifest";
	readonly lookup: Readonly<Record<string, string>>;
	readonly data: Index & JsonObject;
}
