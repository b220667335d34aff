import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { scanDockerfile, type Froms } from "../../src/dockerfile/index.ts";
import { BrewlineError } from "../../src/errors.ts";
import { conformance, describeConformance } from "../support/conformance.ts";

interface Case {
	readonly name: string;
	readonly dockerfile?: string;
	readonly dockerfileBase64?: string;
	readonly dockerfileParts?: readonly (string | readonly [string, number])[];
	readonly froms?: readonly string[];
	readonly lastStageFrom?: string;
	readonly error?: true;
	readonly preferred?: "legacy" | "buildkit" | "any";
}

function bytes(each: Case): Uint8Array {
	if (each.dockerfileBase64 !== undefined) return Buffer.from(each.dockerfileBase64, "base64");
	if (each.dockerfile !== undefined) return Buffer.from(each.dockerfile);
	return Buffer.from(
		each.dockerfileParts!.map((part) => (typeof part === "string" ? part : part[0].repeat(part[1]))).join(""),
	);
}

/** The FROMs, or that there is an error of the right kind. */
function scan(each: Case): Froms | { readonly error: true } {
	try {
		return scanDockerfile(bytes(each), { platform: { os: "linux", architecture: "amd64" } });
	} catch (error) {
		if (error instanceof BrewlineError && error.code === "dockerfile") return { error: true };
		throw error;
	}
}

describeConformance("dockerfiles", () => {
	const cases = JSON.parse(readFileSync(conformance("dockerfiles/froms.json"), "utf8")) as readonly Case[];

	test("all cases are there", () => {
		expect(cases.length).toBe(296);
		expect(cases.filter(({ preferred }) => preferred !== "any").length).toBe(232);
	});

	test.each(cases.filter(({ preferred }) => preferred !== "any"))("$name", (each) => {
		const { error, froms, lastStageFrom } = each;
		expect(scan(each)).toEqual(error === true ? { error } : { froms, lastStageFrom });
	});

	test.each(cases.filter(({ preferred }) => preferred === "any"))("$name: FROMs or an error", (each) => {
		const result = scan(each);
		expect("error" in result || result.froms.includes(result.lastStageFrom)).toBe(true);
	});
});
