import { policyOf } from "../config/policy.ts";
import { isAttestation, type Descriptor } from "../oci/index.ts";
import type { TestResult } from "../suite/index.ts";
import type { PublishOptions, TestVerdict } from "./types.ts";

/** Why something that is staged may not be published. */
export interface Untested {
	/** For people: `no passing test result for sha256:…`. */
	readonly why: string;
	readonly test: "missing" | "not-passed";
}

/**
 * Why what is staged of a build with these tags may not be published; undefined: no policy requires a test for it, or each of its
 * images passed one. A test is of one digest: what was staged anew has to be tested anew.
 */
export function untestedOf(
	tags: readonly string[],
	arch: string,
	manifests: readonly Descriptor[],
	{
		program,
		tests = new Map(),
	}: Pick<PublishOptions, "tests"> & {
		readonly program: Pick<PublishOptions["program"], "architectures" | "policies" | "timeLimit">;
	},
): Untested | undefined {
	if (!policyOf(program, tags, arch).require.includes("test")) return undefined;
	for (const { digest } of imagesOf(manifests)) {
		const verdict = tests.get(digest);
		if (verdict?.result === "passed") continue;
		const why = `no passing test result for ${digest}`;
		return verdict === undefined ? { why, test: "missing" } : { why: `${why}: ${textOf(verdict)}`, test: "not-passed" };
	}
	return undefined;
}

function textOf({ result, log }: TestVerdict): string {
	const what = { failed: "its test failed", "timed-out": "its test timed out", skipped: "its test was skipped" };
	return `${what[result as keyof typeof what]}${log === null ? "" : ` (${log})`}`;
}

/** The results of this run about what is staged of a build, for those who remember them. */
export function testsOf(
	buildId: string,
	manifests: readonly Descriptor[],
	tests: PublishOptions["tests"] = new Map(),
): readonly TestResult[] {
	return imagesOf(manifests).flatMap(({ digest }) => {
		const verdict = tests.get(digest);
		if (verdict === undefined || verdict.remembered) return [];
		const { result, start, seconds = 0, log } = verdict;
		return [{ buildId, digest, result, start, seconds, log }];
	});
}

function imagesOf(manifests: readonly Descriptor[]): readonly Descriptor[] {
	return manifests.filter((manifest) => !isAttestation(manifest));
}
