/**
 * What differs between the layouts that are let through (spec/build.md, Validation of a layout): data, so that a
 * program can have rules of its own.
 */
export interface LayoutRules {
	/** `in-toto.io/predicate-type` of an attestation's layers. */
	readonly predicates: readonly string[];
	/**
	 * Whether an attestation may be an OCI artifact: an empty config, an artifact type on its manifest or descriptor,
	 * and a `subject`. BuildKit: with `oci-artifact=true` since 0.19, by default since 0.32.
	 */
	readonly artifacts: boolean;
	/**
	 * Whether what Go leaves behind is taken for what it means: an `index.json` without media type (BuildKit up to
	 * 0.13), and `null` for an image's empty list of layers (all versions).
	 */
	readonly goDefaults: boolean;
}

const slsa02 = "https://slsa.dev/provenance/v0.2";
const slsa1 = "https://slsa.dev/provenance/v1";
const spdx = "https://spdx.dev/Document";

/** `legacy`: what the old system lets through; `current`: all that BuildKit 0.13 to 0.32 writes. */
export const layoutRules: Readonly<Record<"current" | "legacy", LayoutRules>> = {
	legacy: { predicates: [slsa02, spdx], artifacts: false, goDefaults: false },
	current: { predicates: [slsa02, slsa1, spdx], artifacts: true, goDefaults: true },
};
