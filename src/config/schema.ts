import * as z from "zod/mini";

const host = z.string().check(z.regex(/^(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:]+\])(?::[0-9]{1,5})?$/i));
const architectureName = z.string().check(z.regex(/^[a-z0-9]+(?:-[a-z0-9]+)*$/));
const platform = z.string().check(z.regex(/^[a-z0-9]+\/[a-z0-9]+(?:\/[a-z0-9.]+)?$/));
/** Path components of a repository, perhaps with a host in front (spec/publish.md, References). */
const repository = z
	.string()
	.check(
		z.maxLength(255),
		z.regex(
			/^(?:(?:[A-Za-z0-9.-]+|\[[0-9a-f:]+\])(?::[0-9]{1,5})?\/)?[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*$/,
		),
	);
const stagingTemplate = z.string().check(
	z.maxLength(400),
	z.refine((text) => text.includes("BUILD"), { error: "must contain BUILD, which becomes the id of the build" }),
	z.regex(/^[A-Za-z0-9[\]:._/-]+$/),
);
const origin = z
	.string()
	.check(z.regex(/^https?:\/\/[^/?#@\s]+\/?$/, { error: "must be an http or https address without a path" }));
const label = z.string().check(z.regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/));
const imageReference = z.string().check(z.regex(/^[A-Za-z0-9[\]:._/@-]+$/));

const builder = z.string().check(z.regex(/^tcp:\/\/[^/?#@\s]+:[0-9]{1,5}$/, { error: "must be tcp://HOST:PORT" }));
const minutes = z.int().check(z.minimum(1), z.maximum(7200));

/** Where builds run: of an architecture, or of what a policy is for. */
const machine = {
	runner: z.optional(z.nullable(label)),
	builder: z.optional(builder),
	emulate: z.optional(z.boolean()),
	via: z.optional(architectureName),
};

const architecture = z.strictObject({
	platform: z.optional(platform),
	namespace: z.optional(z.nullable(repository)),
	...machine,
});

const variable = z
	.string()
	.check(z.regex(/^[A-Za-z_][A-Za-z0-9_]*$/, { error: "must be the name of an environment variable" }));
const gitCredential = z.union([
	z.strictObject({ tokenVariable: variable, username: z.optional(z.string()) }),
	z.strictObject({ sshKey: z.string(), knownHosts: z.optional(z.string()) }),
]);

const images = z
	.array(
		z.string().check(z.regex(/^[a-z0-9*._/-]+(?::[\w*.-]+)?$/, { error: "must be NAME or NAME:TAG; * may be in it" })),
	)
	.check(z.minLength(1));

const policy = z.strictObject({
	images: z.optional(images),
	architectures: z.optional(z.array(architectureName).check(z.minLength(1))),
	platforms: z.optional(z.enum(["required", "optional", "best-effort"])),
	deadline: z.optional(
		z.string().check(z.regex(/^[0-9]{1,6}[mhd]$/, { error: "must be a time in minutes, hours or days: 90m, 48h, 7d" })),
	),
	timeLimit: z.optional(minutes),
	...machine,
	require: z.optional(z.array(z.enum(["test"])).check(z.maxLength(1))),
});

const reason = z.string().check(z.regex(/\S/, { error: "must say why" }), z.maxLength(500));
const base = z.string().check(z.regex(/^[a-z0-9*._/-]+$/, { error: "must be an image without a tag" }));

const checks = z.strictObject({
	documentation: z.optional(
		z
			.string()
			.check(
				z.regex(/^https?:\/\/[^\s{}]+(?:\{rule\}[^\s{}]*)?$/, { error: "must be an address; {rule} may be in it" }),
			),
	),
	unsupported: z.optional(
		z.array(
			z.strictObject({
				from: base,
				architectures: z.array(architectureName).check(z.minLength(1)),
				unless: z.optional(z.array(z.string().check(z.regex(/^[\w*.-]+$/)))),
				reason,
			}),
		),
	),
	repeatable: z.optional(z.array(z.strictObject({ architecture: architectureName, reason }))),
	demands: z.optional(
		z.array(z.strictObject({ from: base, constraint: z.nullable(z.string().check(z.regex(/^[^\s,]+$/))), reason })),
	),
	archives: z.optional(
		z.strictObject({
			inPath: z.optional(z.string().check(z.regex(/^[^\p{Cc}]{1,100}$/u))),
			size: z.optional(z.int().check(z.minimum(1))),
			reason: z.optional(reason),
		}),
	),
	suppress: z.optional(z.array(z.strictObject({ rule: z.string(), images: z.optional(images), reason }))),
});

const program = z.strictObject({
	name: z.optional(z.string().check(z.regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/))),
	library: z.optional(z.string().check(z.minLength(1))),
	externalPins: z.optional(z.string().check(z.minLength(1))),
	architectures: z.optional(z.record(architectureName, z.nullable(architecture))),
	defaultArchitecture: z.optional(architectureName),
	registries: z.optional(
		z.strictObject({
			staging: z.optional(stagingTemplate),
			namespace: z.optional(repository),
			mirrors: z.optional(z.record(host, origin)),
			plainHttp: z.optional(z.array(host)),
			rates: z.optional(z.record(host, z.nullable(z.int().check(z.minimum(1), z.maximum(100_000))))),
			tokenServers: z.optional(z.record(host, origin)),
		}),
	),
	annotations: z.optional(
		z.strictObject({
			architecture: z.optional(z.string().check(z.regex(/^[a-z0-9]+(?:[.-][a-z0-9]+)*$/))),
			pageOfOfficial: z.optional(z.string()),
			pageOfOrganisation: z.optional(z.string()),
		}),
	),
	buildkit: z.optional(
		z.strictObject({
			syntax: z.optional(z.nullable(imageReference)),
			image: z.optional(imageReference),
			provenanceBuilderId: z.optional(z.url()),
		}),
	),
	sbom: z.optional(
		z.strictObject({
			generator: z.optional(z.nullable(z.string())),
			repositories: z.optional(z.array(z.string())),
			architectures: z.optional(z.array(architectureName)),
		}),
	),
	attestations: z.optional(z.enum(["current", "legacy"])),
	git: z.optional(
		z.strictObject({
			rewrite: z.optional(z.record(z.string().check(z.minLength(8)), z.string().check(z.minLength(1)))),
			credentials: z.optional(z.record(z.string().check(z.minLength(8)), gitCredential)),
		}),
	),
	state: z.optional(
		z.strictObject({
			repository: z.optional(z.nullable(z.string().check(z.minLength(1)))),
			branch: z.optional(z.string().check(z.regex(/^[A-Za-z0-9][A-Za-z0-9._/-]{0,99}$/))),
			author: z.optional(
				z.strictObject({
					name: z.string().check(z.regex(/^[^<>\p{Cc}]{1,100}$/u)),
					email: z.string().check(z.regex(/^[^<>\s\p{Cc}]{1,200}$/u)),
				}),
			),
		}),
	),
	checks: z.optional(checks),
	policies: z.optional(z.array(policy)),
	timeLimit: z.optional(minutes),
});

/** `brewline.yaml` for who works with its program alone; what it says of images is looked at by who reads that. */
export const programSchema = z.strictObject({ program: z.optional(program), images: z.optional(z.unknown()) });

export type ProgramInput = z.infer<typeof program>;
