import path from "node:path";
import * as z from "zod/mini";
import { writeWhole } from "../io/files.ts";
import { readHandover, writeHandover, type HandoverFormat, type ReadOptions } from "./handover.ts";
import { architecture, digest, gitCommit, legId, line, runnerLabel, sha256Hex } from "./grammar.ts";
import { printLeg, type Leg } from "./leg.ts";

const planSchema = z.strictObject({
	format: z.literal("brewline-plan"),
	version: z.literal(1),
	/** The commit of the repository that holds the definitions; null outside git. */
	library: z.nullable(gitCommit),
	program: line,
	/** Of the `sources.json` that it was made from. */
	sources: digest,
	legs: z.array(
		z.strictObject({
			id: legId,
			arch: architecture,
			runner: runnerLabel,
			/** 0: can be built now. */
			wave: z.int().check(z.minimum(0)),
			/** Of `legs/ID.json`. */
			digest,
		}),
	),
	waiting: z.array(z.strictObject({ source: sha256Hex, arch: architecture, reason: line })),
});

type PlanSchema = z.infer<typeof planSchema>;

/** `plan.json`. */
export interface Plan extends Readonly<Omit<PlanSchema, "legs" | "waiting">> {
	readonly legs: readonly Readonly<PlanSchema["legs"][number]>[];
	/** What has no leg, and why, in the order of the sources. */
	readonly waiting: readonly Readonly<PlanSchema["waiting"][number]>[];
}

export const planFormat: HandoverFormat<Plan> = {
	format: "brewline-plan",
	version: 1,
	schema: planSchema,
	maxBytes: 32 * 1024 * 1024,
};

/** The canonical text of `plan.json`. */
export function printPlan(plan: Plan): string {
	return writeHandover(plan, planFormat, "plan.json");
}

export function readPlan(bytes: Uint8Array | string, options: ReadOptions): Plan {
	return readHandover(bytes, planFormat, options);
}

/** Writes `plan.json` and `legs/ID.json` below a folder, the plan last. Legs of earlier plans stay: the plan says which count. */
export async function writePlan(
	directory: string,
	output: { readonly plan: Plan; readonly legs: readonly Leg[] },
): Promise<void> {
	for (const leg of output.legs) {
		await writeWhole(path.join(directory, "legs", `${leg.id}.json`), printLeg(leg));
	}
	await writeWhole(path.join(directory, "plan.json"), printPlan(output.plan));
}
