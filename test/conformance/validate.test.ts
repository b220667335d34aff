import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { BrewlineError } from "../../src/errors.ts";
import {
	layoutRules,
	validateAttestation,
	validateDescriptor,
	validateDigest,
	validateImage,
	validateIndex,
	validateLayout,
	validateLayoutFile,
} from "../../src/oci/index.ts";
import { conformance, describeConformance } from "../support/conformance.ts";

interface Case<Input = unknown> {
	readonly name: string;
	readonly input: Input;
	readonly valid: boolean;
}

/** Whether it is let through; an error that is none of ours fails the test. */
async function isValid(validate: () => unknown): Promise<boolean> {
	try {
		await validate();
		return true;
	} catch (error) {
		if (error instanceof BrewlineError && ["layout", "digest"].includes(error.code)) {
			return false;
		}
		throw error;
	}
}

const legacy = layoutRules.legacy;
const validators: Readonly<Record<string, (input: unknown) => unknown>> = {
	digest: (input) => validateDigest(input),
	descriptor: (input) => validateDescriptor(input),
	index: (input) => validateIndex(input),
	indexPlatformsOptional: (input) => validateIndex(input, { platformsOptional: true }),
	image: (input) => validateImage(input, legacy),
	attestation: (input) => validateAttestation(input, legacy),
	layoutFile: validateLayoutFile,
};

describeConformance("pipeline/validate.json", () => {
	const { layout: layouts, ...parts } = JSON.parse(readFileSync(conformance("pipeline/validate.json"), "utf8")) as {
		readonly layout: readonly Case<Readonly<Record<string, string>>>[];
	} & Readonly<Record<string, readonly Case[]>>;

	test("there is a validator for every part", () => {
		expect(Object.keys(parts).sort()).toStrictEqual(Object.keys(validators).sort());
	});

	test.each(Object.entries(parts).flatMap(([part, cases]) => cases.map((item) => [part, item.name, item] as const)))(
		"%s: %s",
		async (part, _, { input, valid }) => {
			expect(await isValid(() => validators[part]!(input))).toBe(valid);
		},
	);

	let scratch = "";
	beforeAll(async () => {
		scratch = await mkdtemp(path.join(tmpdir(), "brewline-layouts-"));
	});
	afterAll(() => rm(scratch, { recursive: true }));

	test.each(layouts.map((item, place) => [item.name, place, item] as const))(
		"layout: %s",
		async (_, place, { input, valid }) => {
			const folder = path.join(scratch, String(place));
			for (const [name, content] of Object.entries(input)) {
				await mkdir(path.dirname(path.join(folder, name)), { recursive: true });
				await writeFile(path.join(folder, name), content);
			}
			expect(await isValid(() => validateLayout(folder, { attestations: "legacy" }))).toBe(valid);
		},
	);
});
