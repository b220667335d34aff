import * as z from "zod/mini";
import { indexFault } from "./indexFault.ts";
import { isDigest, tryParseReference, type Index } from "../oci/index.ts";
import type { Build } from "./types.ts";

/**
 * What is read of builds.json and the cache. Keys that are not known are passed over: the formats are the existing
 * system's, and have grown before. The schemas check; what is used is what was read, in its own order of keys.
 */
const digest = z.string().check(z.refine(isDigest, { error: "must be a digest" }));
export const referenceSchema = z
	.string()
	.check(z.refine((text) => tryParseReference(text) !== undefined, { error: "must be an image reference" }));
const sha256Hex = z.string().check(z.regex(/^[0-9a-f]{64}$/, { error: "must be 64 lower-case hex digits" }));
const architecture = z
	.string()
	.check(z.maxLength(40), z.regex(/^[a-z0-9]+(?:-[a-z0-9]+)*$/, { error: "must be an architecture's name" }));

const platform = z.object({
	architecture: z.string(),
	os: z.string(),
	variant: z.optional(z.string()),
});

/** A resolved index (spec/builds.md): what is wrong with one is found by hand, because there are tens of thousands. */
export const indexSchema: z.ZodMiniType<Index> = z.unknown().check((context) => {
	const fault = indexFault(context.value);
	if (fault !== undefined) {
		context.issues.push({ code: "custom", input: context.value, path: [...fault.path], message: fault.message });
	}
}) as unknown as z.ZodMiniType<Index>;

/** Empty ones hold nothing for their architecture, which is what null says. */
const restrictedIndex = indexSchema.check(
	z.refine((index) => index.manifests.length > 0, { error: "must have a manifest" }),
);

const entry = z.object({
	GitRepo: z.string(),
	GitFetch: z.string(),
	GitCommit: z.string(),
	Directory: z.string(),
	File: z.string(),
	Builder: z.string(),
	SOURCE_DATE_EPOCH: z.number(),
});

const sourceArch = z.object({
	tags: z.array(referenceSchema),
	archTags: z.array(referenceSchema),
	froms: z.array(z.string()),
	lastStageFrom: z.string(),
	platformString: z.string(),
	platform,
	parents: z.record(z.string(), z.object({ sourceId: z.nullable(sha256Hex), pin: z.nullable(digest) })),
});

export const buildSchema: z.ZodMiniType<Build> = z
	.object({
		buildId: sha256Hex,
		build: z.object({
			img: referenceSchema,
			resolved: z.nullable(restrictedIndex),
			sourceId: sha256Hex,
			arch: architecture,
			parents: z.record(z.string(), digest),
			resolvedParents: z.record(z.string(), restrictedIndex),
			force: z.optional(z.string()),
		}),
		source: z.object({
			sourceId: sha256Hex,
			reproducibleGitChecksum: sha256Hex,
			entries: z.array(entry).check(z.minLength(1)),
			arches: z.record(architecture, sourceArch),
		}),
	})
	.check(
		z.refine(({ build, source }) => build.sourceId === source.sourceId, {
			error: "must be a build of the source that it holds",
		}),
		z.refine(({ build, source }) => Object.keys(source.arches).join() === build.arch, {
			error: "must hold its own architecture alone",
		}),
	) as unknown as z.ZodMiniType<Build>;

export const buildsSchema = z.record(sha256Hex, buildSchema).check(
	z.refine((builds) => Object.entries(builds).every(([id, { buildId }]) => id === buildId), {
		error: "must have each build under its own id",
	}),
);

/** Null: looked up, and not there. */
export const lookupCacheSchema = z.object({ indexes: z.record(referenceSchema, z.nullable(indexSchema)) });
