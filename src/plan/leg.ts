import * as z from "zod/mini";
import { maxParents } from "../sources/limits.ts";
import { readHandover, writeHandover, type HandoverFormat, type ReadOptions } from "./handover.ts";
import {
	architecture,
	builderAddress,
	digest,
	fetchAddress,
	gitAddress,
	gitCommit,
	gitRef,
	host,
	imageReference,
	legId,
	line,
	origin,
	platform,
	platformString,
	relativePath,
	runnerLabel,
	sha256Hex,
} from "./grammar.ts";

export const builders = ["buildkit", "classic", "oci-import"] as const;
export type BuilderName = (typeof builders)[number];

const parent = z.strictObject({
	/** As the Dockerfile writes it. */
	from: imageReference,
	/** Where it is: the synthesised reference, with its digest (spec/build.md). */
	reference: imageReference,
	/** Of its image for this architecture. */
	digest,
});

const legBuild = z.strictObject({
	buildId: sha256Hex,
	builder: z.enum(builders),
	git: z.strictObject({
		/** The definition's own address: annotations, ids and provenance name this one. */
		repository: gitAddress,
		/** Where it is fetched from: the same after `git.rewrite`. */
		fetchFrom: fetchAddress,
		commit: gitCommit,
		ref: gitRef,
		directory: relativePath,
		file: relativePath,
		/** `SOURCE_DATE_EPOCH`, Unix seconds. */
		epoch: z.int().check(z.minimum(0)),
	}),
	tags: z.array(imageReference).check(z.maxLength(1000)),
	archTags: z.array(imageReference).check(z.maxLength(1000)),
	staging: z.strictObject({
		reference: imageReference,
		/** Whether anything was ever read from its repository: 401 and 403 are errors then (docs/design.md). */
		read: z.boolean(),
	}),
	/** In the order of the FROMs. */
	parents: z.array(parent).check(z.maxLength(maxParents)),
	/** All but `org.opencontainers.image.created`, in the order of spec/build.md; empty for `classic`. */
	annotations: z.record(line, line),
	/** The generator with its arguments; null: no SBOM. */
	sbom: z.nullable(line),
	/** The Windows release that the runner has to have. */
	windowsVersion: z.nullable(z.enum(["2025", "2022", "2019", "unknown"])),
});

const leg = z.strictObject({
	format: z.literal("brewline-leg"),
	version: z.literal(1),
	id: legId,
	program: line,
	arch: architecture,
	platform,
	platformString,
	runner: z.strictObject({
		label: runnerLabel,
		/** A remote BuildKit node. */
		builder: z.nullable(builderAddress),
		/** Whether it may be built under emulation. */
		emulate: z.boolean(),
		/** The platform of a machine that runs this one natively. */
		via: z.nullable(platform),
	}),
	/** Minutes for each build. */
	timeLimit: z.int().check(z.minimum(1), z.maximum(7200)),
	buildkit: z.strictObject({
		syntax: z.nullable(imageReference),
		image: imageReference,
		provenanceBuilderId: line,
	}),
	registries: z.strictObject({
		mirrors: z.record(host, origin),
		plainHttp: z.array(host),
		rates: z.record(host, z.nullable(z.int().check(z.minimum(1), z.maximum(100_000)))),
		tokenServers: z.record(host, origin),
	}),
	/** The annotation that carries the architecture of a manifest. */
	architectureAnnotation: line,
	attestations: z.enum(["current", "legacy"]),
	/** Built one after another. */
	builds: z.array(legBuild).check(z.minLength(1), z.maxLength(256)),
});

type Deep<T> = T extends readonly (infer Item)[]
	? readonly Deep<Item>[]
	: T extends object
		? { readonly [Key in keyof T]: Deep<T[Key]> }
		: T;

/** `legs/ID.json`: all that one leg needs, and nothing else. It reads no library, no configuration, no state. */
export type Leg = Deep<z.infer<typeof leg>>;
export type LegBuild = Leg["builds"][number];
export type LegParent = LegBuild["parents"][number];

export const legFormat: HandoverFormat<Leg> = {
	format: "brewline-leg",
	version: 1,
	schema: leg,
	maxBytes: 4 * 1024 * 1024,
};

/** The canonical text of `legs/ID.json`. A value outside the schema is an error with the code `handover`. */
export function printLeg(leg: Leg): string {
	return writeHandover(leg, legFormat, `legs/${leg.id}.json`);
}

/** Reads `legs/ID.json`; `digest` is that of the plan's entry. */
export function readLeg(bytes: Uint8Array | string, options: ReadOptions): Leg {
	return readHandover(bytes, legFormat, options);
}
