import type { ImageConfig } from "../config/index.ts";
import type { Io } from "../io/index.ts";
import { dayOf } from "../matrix/index.ts";
import { firstOf, type Definitions } from "./definitions.ts";
import { generate, type GenerateInput } from "./generate.ts";
import type { Generated } from "./types.ts";
import { sayDoubts } from "./doubts.ts";

/**
 * The definitions of several images of one repository, in order: a later one may stand on those before it. What is doubtful
 * about them is said in the log, once for all of them.
 */
export async function generateAll(
	images: readonly ImageConfig[],
	input: Omit<GenerateInput, "config" | "today"> & {
		/** Default: the clock's day (UTC). */
		readonly today?: string;
	},
	io: Io,
): Promise<ReadonlyMap<string, Generated>> {
	const today = dayOf(io, input.today);
	const done = new Map<string, Generated>();
	const earlier: Definitions = async (image) => await Promise.resolve(done.get(image)?.text);
	const definitions = firstOf(earlier, input.definitions);
	for (const config of images) done.set(config.image, await generate({ ...input, config, definitions, today }, io));
	sayDoubts(images, done, io);
	return done;
}
