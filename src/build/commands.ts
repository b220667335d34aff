import { contextUrl, type Leg, type LegBuild, type LegParent } from "../plan/index.ts";
import type { Annotations } from "../oci/types.ts";

/** One program with its arguments, and what is added to its environment. */
export interface Command {
	readonly argv: readonly [string, ...string[]];
	readonly env?: Readonly<Record<string, string>>;
}

export interface BuildkitInput {
	/** All of them, `created` too, in order. */
	readonly annotations: Annotations;
	/** Whether an annotation is given for its levels one by one, for a buildx before 0.16. Default: together. */
	readonly annotationsApart?: boolean;
	/** The file of the OCI layout, as a tarball. */
	readonly output: string;
	/** The folder of the OCI layout that has a parent; undefined where BuildKit fetches it by its reference. */
	readonly layoutOf?: (parent: LegParent) => string | undefined;
	/** A git URL, or `-` for a tar on standard input. Default: the git URL of the definition's own address. */
	readonly context?: string;
}

/**
 * The `docker buildx build` of a build: exactly the existing system's (spec/build.md, "buildkit, in order";
 * conformance `commands.json`), but for parents and contexts that BuildKit cannot fetch itself, and an older buildx.
 */
export function buildkitCommand(
	leg: Pick<Leg, "platformString" | "buildkit">,
	build: LegBuild,
	input: BuildkitInput,
): Command {
	const { syntax, provenanceBuilderId } = leg.buildkit;
	const levels =
		input.annotationsApart === true ? ["manifest", "manifest-descriptor"] : ["manifest,manifest-descriptor"];
	return {
		argv: [
			"docker",
			"buildx",
			"build",
			"--progress=plain",
			`--provenance=mode=max,builder-id=${provenanceBuilderId}`,
			...(build.sbom === null ? [] : [`--sbom=generator=${build.sbom}`]),
			"--output",
			ociOutput(input.output),
			...Object.entries(input.annotations).flatMap(([key, value]) =>
				levels.flatMap((level) => ["--annotation", `${level}:${key}=${value}`]),
			),
			...tagOptions(build),
			"--platform",
			leg.platformString,
			...build.parents.flatMap((parent) => ["--build-context", `${parent.from}=${locationOf(parent, input)}`]),
			...(syntax === null ? [] : ["--build-arg", `BUILDKIT_SYNTAX=${syntax}`]),
			"--build-arg",
			"BUILDKIT_DOCKERFILE_CHECK=skip=all",
			"--file",
			build.git.file,
			input.context ?? definitionContext(build),
		],
	};
}

/** BuildKit's only way to make an SBOM of an image that it did not build: `FROM fake`, given on standard input. */
export function sbomCommand(
	leg: Pick<Leg, "platformString">,
	generator: string,
	input: { readonly layout: string; readonly digest: string; readonly output: string },
): Command & { readonly dockerfile: string } {
	return {
		argv: [
			"docker",
			"buildx",
			"build",
			"--progress=plain",
			"--provenance=false",
			"--load=false",
			`--sbom=generator=${generator}`,
			"--output",
			ociOutput(input.output),
			"--platform",
			leg.platformString,
			"--build-context",
			`fake=oci-layout://${input.layout}@${input.digest}`,
			"--build-arg",
			"BUILDKIT_DOCKERFILE_CHECK=skip=all",
			"-",
		],
		dockerfile: "FROM fake\n",
	};
}

export interface ClassicCommands {
	readonly pull: readonly Command[];
	readonly build: readonly Command[];
	readonly push: readonly Command[];
}

/**
 * All that the classic builder runs, in order (spec/build.md; conformance `commands.json`). `context` as in
 * `BuildkitInput`.
 */
export function classicCommands(
	leg: Pick<Leg, "platformString">,
	build: LegBuild,
	context: string = definitionContext(build),
): ClassicCommands {
	return {
		pull: build.parents.flatMap(({ reference, from }): Command[] => [
			{ argv: ["docker", "pull", reference] },
			{ argv: ["docker", "tag", reference, from] },
		]),
		build: [
			{
				env: { DOCKER_BUILDKIT: "0" },
				argv: [
					"docker",
					"build",
					...tagOptions(build),
					"--platform",
					leg.platformString,
					"--file",
					build.git.file,
					context,
				],
			},
		],
		push: [{ argv: ["docker", "push", build.staging.reference] }],
	};
}

function definitionContext({ git }: LegBuild): string {
	return contextUrl(git.repository, git.commit, git.directory);
}

function tagOptions(build: LegBuild): readonly string[] {
	return [...build.tags, ...build.archTags, build.staging.reference].flatMap((tag) => ["--tag", tag]);
}

/** The value is CSV: fields in quotes, quotes doubled. */
function ociOutput(file: string): string {
	return `"type=oci","dest=${file.replaceAll('"', '""')}"`;
}

function locationOf(parent: LegParent, input: BuildkitInput): string {
	const layout = input.layoutOf?.(parent);
	return layout === undefined ? `docker-image://${parent.reference}` : `oci-layout://${layout}@${parent.digest}`;
}
