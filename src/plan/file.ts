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
	/** Of the `builds.json` and `cache.json` that came with it; null: they are not handed over. */
	builds: z.nullable(digest),
	cache: z.nullable(digest),
	/** Our repositories (`HOST/NAME`) that something was ever read from: 401 and 403 are errors there. */
	read: z.array(line),
	/** The texts of the forced builds, by the id that is replaced: ids are computed with them. */
	forced: z.record(sha256Hex, line),
	legs: z.array(
		z.strictObject({
			id: legId,
			arch: architecture,
			runner: runnerLabel,
			/** 0: can be built now. */
			wave: z.int().check(z.minimum(0)),
			/** Of `legs/ID.json`. */
			digest,
			/** Why each is built, in the order of the leg. */
			builds: z.array(z.strictObject({ id: sha256Hex, reason: line })),
		}),
	),
	waiting: z.array(
		z.strictObject({
			source: sha256Hex,
			arch: architecture,
			why: z.enum(["parent", "back-off", "unserved", "not-chosen", "no-room"]),
			/** In which it can be built if all before it succeeds; null: in none, as things are. */
			wave: z.nullable(z.int().check(z.minimum(0))),
			reason: line,
		}),
	),
	/** What is optional and not there, and whose deadline is over: its tags are published without waiting for it. */
	overdue: z.array(z.strictObject({ source: sha256Hex, arch: architecture })),
});

type PlanSchema = z.infer<typeof planSchema>;

/** `plan.json`. */
export interface Plan extends Readonly<Omit<PlanSchema, "forced" | "legs" | "waiting" | "overdue">> {
	readonly forced: Readonly<Record<string, string>>;
	/** In the order in which they are best begun. */
	readonly legs: readonly Readonly<PlanSchema["legs"][number]>[];
	/** What has no leg, and why, in the order of the sources. */
	readonly waiting: readonly Readonly<PlanSchema["waiting"][number]>[];
	readonly overdue: readonly Readonly<PlanSchema["overdue"][number]>[];
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
