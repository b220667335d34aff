import * as z from "zod/mini";
import { BrewlineError } from "../errors.ts";
import { printable } from "../io/printable.ts";
import { parseJsonObject } from "../json/index.ts";

const failure = z.strictObject({
	code: z.string(),
	message: z.string(),
	hint: z.optional(z.string()),
	at: z.optional(z.strictObject({ file: z.string(), line: z.optional(z.int()), column: z.optional(z.int()) })),
});

/** `report.json`: what `--json` prints, and what the summaries are drawn from. */
export const reportSchema = z.strictObject({
	format: z.literal("brewline-report"),
	version: z.literal(1),
	program: z.string(),
	/** The commit of the library, where it is known. */
	library: z.nullable(z.string()),
	dryRun: z.boolean(),
	/** RFC 3339, UTC. */
	started: z.string(),
	seconds: z.number(),
	outcome: z.enum(["complete", "incomplete", "failed", "cancelled"]),
	builds: z.array(
		z.strictObject({
			buildId: z.string(),
			arch: z.string(),
			/** The first one is how people call it. */
			tags: z.array(z.string()),
			/** `planned`: was not tried, in a plan or a dry run. */
			state: z.enum(["built", "present", "planned", "failed", "timed-out", "cancelled"]),
			/** Why it was built or not. */
			reason: z.string(),
			digest: z.nullable(z.string()),
			seconds: z.number(),
			emulated: z.boolean(),
			log: z.nullable(z.string()),
			error: z.nullable(failure),
		}),
	),
	waiting: z.array(
		z.strictObject({
			tag: z.string(),
			arch: z.string(),
			reason: z.string(),
			/** In which wave it can be built if all before it succeeds; 0: it could be now. Null: in none, as things are. */
			wave: z.nullable(z.int()),
			/** The architecture has no runner: nobody here waits for it. */
			unserved: z.exactOptional(z.literal(true)),
		}),
	),
	tags: z.array(
		z.strictObject({
			reference: z.string(),
			/** Null: nothing is published under it. */
			digest: z.nullable(z.string()),
			platforms: z.array(z.string()),
			/** In a dry run: what would happen. */
			change: z.enum(["created", "updated", "unchanged", "held", "failed"]),
			/** What was held back or kept, and why. */
			notes: z.array(z.string()),
			/** The platforms that went because nothing defines them any more. */
			removed: z.exactOptional(z.array(z.string())),
			/** Architectures that lack something and have no runner: nobody here waits for them. */
			unserved: z.exactOptional(z.array(z.string())),
			/** The decision that made it so: what people decided is no fault of the run. */
			decision: z.exactOptional(z.enum(["stop", "hold", "rollback", "shrink"])),
			/** The registry was not asked: what it is made from is what it was when it was published. */
			remembered: z.exactOptional(z.literal(true)),
			/** The SHA-256 of what it is made from, where it lacks nothing. */
			from: z.exactOptional(z.string()),
		}),
	),
	/** What was believed of the tests of this run; not of what no test is known. */
	tests: z.exactOptional(
		z.array(
			z.strictObject({
				buildId: z.string(),
				/** Of the image's manifest. */
				digest: z.string(),
				result: z.enum(["passed", "failed", "skipped", "timed-out"]),
				/** RFC 3339, UTC. */
				start: z.string(),
				seconds: z.number(),
				log: z.nullable(z.string()),
			}),
		),
	),
	errors: z.array(failure),
});

/** Reads `report.json`, which any job may have written; `file` is for messages. Throws `handover`. */
export function readReport(bytes: Uint8Array, file: string): Report {
	const what = printable(file);
	const value = parseJsonObject(bytes, { what, maxBytes: bytes.length });
	const result = reportSchema.safeParse(value, { error: z.locales.en().localeError });
	if (result.success) return result.data;
	const [issue] = result.error.issues;
	const where = issue?.path.map(String).join(".") ?? "";
	throw new BrewlineError("handover", `${what} is no report: ${printable(`${where}: ${issue?.message ?? ""}`, 300)}`, {
		at: { file: what },
	});
}

export type Report = Readonly<z.infer<typeof reportSchema>>;
export type BuildReport = Report["builds"][number];
export type TagReport = Report["tags"][number];
export type FailureReport = z.infer<typeof failure>;
