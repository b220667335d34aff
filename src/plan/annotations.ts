import { windowsVersionOf } from "../builds/queue.ts";
import type { Build } from "../builds/types.ts";
import type { Program } from "../config/types.ts";
import { BrewlineError } from "../errors.ts";
import { printable } from "../io/printable.ts";
import type { Annotations } from "../oci/types.ts";
import { builders, type BuilderName, type LegParent } from "./leg.ts";

/** The architecture, platform and tags of a build: what its source says for this architecture. */
export function archOf(build: Build) {
	const arch = build.source.arches[build.build.arch];
	if (arch === undefined) {
		throw new BrewlineError("handover", `build ${build.buildId}: its source has no architecture ${build.build.arch}`);
	}
	return arch;
}

/** What is built of a source: its first entry. */
export function entryOf(build: Build) {
	const entry = build.source.entries[0];
	if (entry === undefined) {
		throw new BrewlineError("handover", `build ${build.buildId}: its source has no entry`);
	}
	return entry;
}

/** What a build is called for people: its first tag. */
export function titleOf(build: Build): string {
	return archOf(build).tags[0] ?? build.buildId.slice(0, 12);
}

/** The builder of a build (spec/build.md). An unknown one is an error. */
export function builderOf(build: Build): BuilderName {
	const { Builder } = entryOf(build);
	if (Builder === "") {
		return build.build.arch.startsWith("windows-") ? "classic" : "buildkit";
	}
	const known = builders.find((name) => name === Builder);
	if (known === undefined) {
		throw new BrewlineError("definition", `${titleOf(build)}: unknown builder "${printable(Builder)}"`, {
			hint: `one of ${builders.join(", ")}, or none`,
		});
	}
	return known;
}

/** BuildKit's git URL of a context, `REPO.git#COMMIT:DIRECTORY`, for any address of the repository. */
export function contextUrl(repository: string, commit: string, directory: string): string {
	let url = repository;
	if (!url.endsWith(".git")) {
		if (!/^https?:\/\/github\.com\//.test(url)) {
			throw new BrewlineError("definition", `the git address ${printable(url)} does not end in .git`, {
				hint: "BuildKit needs that to know it for a git repository; only for github.com it is added",
			});
		}
		url += ".git";
	}
	return `${url}#${commit}:${directory}`;
}

/** Where each parent is, in the order of the FROMs (spec/build.md, "A parent's reference"). */
export function parentsOf(build: Build): readonly LegParent[] {
	return Object.entries(build.build.resolvedParents).map(([from, index]) => {
		const name = "org.opencontainers.image.ref.name";
		const reference = index.manifests[0]?.annotations?.[name] ?? index.annotations?.[name];
		const digest = build.build.parents[from];
		if (reference === undefined || digest === undefined) {
			throw new BrewlineError("handover", `${titleOf(build)}: its parent ${printable(from)} has no reference`, {
				hint: "builds.json is not what this program writes; make it again",
			});
		}
		return { from, reference: reference.replace(/^docker\.io\//, "").replace(/^library\//, ""), digest };
	});
}

/** Whether an SBOM is made: by policy, for `buildkit` and `oci-import` (spec/build.md, SBOM). */
export function wantsSbom(build: Build, sbom: Program["sbom"]): boolean {
	return (
		sbom.generator !== null &&
		builderOf(build) !== "classic" &&
		sbom.architectures.includes(build.build.arch) &&
		archOf(build).tags.some((tag) => sbom.repositories.includes(tag.split(":", 1)[0]!))
	);
}

/**
 * The annotations of a build in the order of spec/build.md, without `created`, which is known only when it is built
 * (see `withCreated`). None for `classic`.
 */
export function annotationsOf(build: Build, program: Pick<Program, "annotations">): Annotations {
	const builder = builderOf(build);
	if (builder === "classic") {
		return {};
	}
	const entry = entryOf(build);
	const arch = archOf(build);
	const tag = arch.tags.find((tag) => tag.includes(":"));
	const name = tag?.split(":", 1)[0];
	const page = name?.includes("/") ? program.annotations.pageOfOrganisation : program.annotations.pageOfOfficial;
	// Null in old data, where no last stage was known.
	const base = arch.lastStageFrom as string | null;
	const values: readonly (readonly [string, string | undefined])[] = [
		[
			"org.opencontainers.image.source",
			builder === "oci-import" ? entry.GitRepo : contextUrl(entry.GitRepo, entry.GitCommit, entry.Directory),
		],
		["org.opencontainers.image.revision", entry.GitCommit],
		["org.opencontainers.image.version", tag?.slice(tag.lastIndexOf(":") + 1)],
		["org.opencontainers.image.url", name === undefined ? undefined : page.replaceAll("{name}", () => name)],
		[program.annotations.architecture, build.build.arch],
		["org.opencontainers.image.base.name", base ?? undefined],
		["org.opencontainers.image.base.digest", base === null ? undefined : build.build.parents[base]],
	];
	return Object.fromEntries(values.filter((pair): pair is [string, string] => pair[1] !== undefined));
}

/** The annotations with `org.opencontainers.image.created` at its place. `epoch` in Unix seconds. */
export function withCreated(annotations: Annotations, epoch: number): Annotations {
	const created = `${new Date(epoch * 1000).toISOString().slice(0, 19)}Z`;
	const entries = Object.entries(annotations);
	const revision = entries.findIndex(([key]) => key === "org.opencontainers.image.revision");
	entries.splice(revision + 1, 0, ["org.opencontainers.image.created", created]);
	return Object.fromEntries(entries);
}

/** The inputs with which a build is dispatched in the existing system, by name (spec/builds.md, The queue). */
export function dispatchInputs(build: Build): Readonly<Record<string, string>> {
	const windowsVersion = windowsVersionOf(build);
	return {
		buildId: build.buildId,
		bashbrewArch: build.build.arch,
		firstTag: archOf(build).tags[0] ?? "",
		...(windowsVersion === null ? {} : { windowsVersion }),
	};
}
