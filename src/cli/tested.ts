import { printable } from "../io/index.ts";
import { tabJson } from "../json/index.ts";
import { recordTest, type TestRecord } from "../pipeline/index.ts";
import type { Context } from "./context.ts";

/** Writes down what came of a test. */
export async function testedStep(
	context: Context,
	options: { digest: string; result: TestRecord["result"]; seconds?: number; log?: string; id: string },
	args: string[],
): Promise<number> {
	const [build = ""] = args;
	const written = await recordTest(context.work, context.io, { build, ...options });
	context.print(
		context.json
			? tabJson(written)
			: `${printable(options.digest)} ${options.result}: it is in ${written.file}, whose digest is ${written.digest}\n`,
	);
	return 0;
}
