import * as z from "zod/mini";
import { recordTest } from "../../pipeline/index.ts";
import { count, optionalText } from "../inputs.ts";
import type { Action } from "../runner.ts";

export const inputs = z.object({
	work: z._default(z.string(), ".brewline"),
	build: z.string(),
	digest: z.string(),
	result: z.enum(["passed", "failed", "skipped", "timed-out"]),
	seconds: count(0, 0, 999_999_999),
	log: optionalText,
	id: z._default(z.string(), "tests"),
});

/** `actions/tested`: what came of a test of a staged image, for publishing. It asks no registry, and needs no configuration. */
export const action: Action<typeof inputs> = {
	inputs,
	run: async ({ work, log, ...test }, io) => {
		const written = await recordTest(work, io, { ...test, ...(log === undefined ? {} : { log }) });
		io.log({ type: "message", level: "info", text: `${test.digest}: ${test.result}` });
		return { outputs: { file: written.file, "file-digest": written.digest } };
	},
};
