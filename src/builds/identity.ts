import { createHash } from "node:crypto";
import { BrewlineError } from "../errors.ts";
import { printable } from "../io/printable.ts";
import { goJson } from "../json/index.ts";
import { parseReference, printReference, withDigest, withoutTag, type Index } from "../oci/index.ts";

export interface BuildIdentity {
	readonly sourceId: string;
	readonly arch: string;
	/** FROM to digest, in FROM order, without `scratch`. */
	readonly parents: Readonly<Record<string, string>>;
	/** The text of a forced build's record; without one the id is the existing system's. */
	readonly force?: string;
}

/** SHA-256 in hex of what a build is made of (spec/builds.md, step 3). */
export function buildIdOf({ sourceId, arch, parents, force }: BuildIdentity): string {
	const line = goJson({ sourceId, arch, parents, ...(force === undefined ? {} : { force }) });
	return createHash("sha256").update(`${line}\n`).digest("hex");
}

/**
 * The id of a build once decisions are applied: as often as one replaces the id, its text becomes part of the next. Decisions
 * that replace one another in a circle come from no program of ours: `handover`.
 */
export function forcedId(
	identity: Omit<BuildIdentity, "force">,
	forced: Readonly<Record<string, string>>,
): { readonly buildId: string; readonly force: string | undefined } {
	let force: string | undefined;
	let buildId = buildIdOf(identity);
	const replaced = new Set<string>();
	while (Object.hasOwn(forced, buildId)) {
		if (replaced.has(buildId)) {
			throw new BrewlineError("handover", `the forced builds replace one another in a circle, by way of ${buildId}`, {
				hint: "take one of them out of decisions.json",
			});
		}
		replaced.add(buildId);
		force = forced[buildId]!;
		buildId = buildIdOf({ ...identity, force });
	}
	return { buildId, force };
}

/** Throws `config` where the template has no place for the build's id. */
export function checkStagingTemplate(template: string): void {
	if (!template.includes("BUILD")) {
		throw new BrewlineError("config", `the staging template "${printable(template)}" has no BUILD in it`, {
			hint: "BUILD stands for the build's id, ARCH for its architecture: oisupport/staging-ARCH:BUILD",
		});
	}
	parseReference(stagingReference(template, "0".repeat(64), "amd64"));
}

/** Every `BUILD`, then every `ARCH`, is replaced (spec/builds.md, step 4). */
export function stagingReference(template: string, buildId: string, arch: string): string {
	return template.replaceAll("BUILD", () => buildId).replaceAll("ARCH", () => arch);
}

/** How an image from outside is asked for: with a digest, its own or a pin's, the tag is forgotten. */
export function outsideReference(from: string, pin: string | null): string {
	const reference = parseReference(from);
	const digest = pin ?? reference.digest;
	return printReference(digest === undefined ? reference : withoutTag(withDigest(reference, digest)));
}

/** Only the manifests that carry the architecture; undefined where none is left. */
export function restrictedTo(index: Index, arch: string, architectureAnnotation: string): Index | undefined {
	const manifests = index.manifests.filter(({ annotations }) => annotations?.[architectureAnnotation] === arch);
	if (manifests.length === 0) {
		return undefined;
	}
	return manifests.length === index.manifests.length ? index : { ...index, manifests };
}
