import path from "node:path";
import * as z from "zod/mini";
import { writeWhole } from "../io/files.ts";
import { BrewlineError } from "../errors.ts";
import { readHandover, writeHandover, type HandoverFormat } from "../plan/index.ts";

const buildResult = z.strictObject({
	buildId: z.string().check(z.regex(/^[0-9a-f]{64}$/)),
	status: z.enum(["built", "present", "failed", "timed-out", "cancelled"]),
	/** What the staging reference holds; null where nothing was built. Believed only after a look at the registry. */
	digest: z.nullable(z.string().check(z.regex(/^sha(?:256:[0-9a-f]{64}|512:[0-9a-f]{128})$/))),
	/** RFC 3339, UTC. */
	start: z.string().check(z.regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{3})?Z$/)),
	seconds: z.number().check(z.minimum(0)),
	emulated: z.boolean(),
	/** Address or file of the log; null: there is none. */
	log: z.nullable(z.string().check(z.maxLength(2000))),
	error: z.nullable(
		z.strictObject({
			code: z.string().check(z.regex(/^[a-z-]{1,40}$/)),
			message: z.string().check(z.maxLength(5000)),
			hint: z.nullable(z.string().check(z.maxLength(2000))),
			/** The last lines of the log. */
			lines: z.array(z.string().check(z.maxLength(600))).check(z.maxLength(50)),
		}),
	),
});

const legResult = z.strictObject({
	format: z.literal("brewline-result"),
	version: z.literal(1),
	leg: z.string().check(z.regex(/^[a-z0-9][a-z0-9-]{0,62}$/)),
	run: z.strictObject({
		id: z.string().check(z.regex(/^[A-Za-z0-9._-]{1,100}$/)),
		attempt: z.int().check(z.minimum(1)),
	}),
	builds: z.array(buildResult).check(z.maxLength(256)),
});

type LegResultSchema = z.infer<typeof legResult>;

/** The run of a workflow that a result belongs to. */
export type Run = Readonly<LegResultSchema["run"]>;
export type BuildResult = Readonly<z.infer<typeof buildResult>>;

/** `results/ID.json`: it tells time, log and reason. What was built is read from the registry (docs/design.md). */
export interface LegResult extends Readonly<Omit<LegResultSchema, "builds">> {
	/** In the order of the leg. */
	readonly builds: readonly BuildResult[];
}

export const resultFormat: HandoverFormat<LegResult> = {
	format: "brewline-result",
	version: 1,
	schema: legResult,
	maxBytes: 4 * 1024 * 1024,
};

export function printResult(result: LegResult): string {
	return writeHandover(result, resultFormat, `results/${result.leg}.json`);
}

/** Reads `results/ID.json`, which any job may have written: leg and run must be the ones that are expected. */
export function readResult(
	bytes: Uint8Array | string,
	options: { readonly file: string; readonly leg?: string; readonly run?: Run },
): LegResult {
	const result = readHandover(bytes, resultFormat, { file: options.file });
	if (options.leg !== undefined && options.leg !== result.leg) {
		throw new BrewlineError("handover", `${options.file} is the result of ${result.leg}, not of ${options.leg}`);
	}
	const { run } = options;
	if (run !== undefined && (run.id !== result.run.id || run.attempt !== result.run.attempt)) {
		throw new BrewlineError(
			"handover",
			`${options.file} belongs to run ${result.run.id}, attempt ${result.run.attempt}, not to run ${run.id}, attempt ${run.attempt}`,
		);
	}
	return result;
}

/** Writes `ID.json` into a folder, whole or not at all. */
export async function writeResult(directory: string, result: LegResult): Promise<void> {
	await writeWhole(path.join(directory, `${result.leg}.json`), printResult(result));
}
