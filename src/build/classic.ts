import type { Readable } from "node:stream";
import { BrewlineError } from "../errors.ts";
import { classicCommands, type Command } from "./commands.ts";
import { contextFor, environmentOf, needBuilder } from "./buildkit.ts";
import type { BuilderContext } from "./context.ts";
import { openContext } from "./git-context.ts";
import { runLogged } from "./log.ts";
import { stagedDigest } from "./platforms.ts";

/**
 * Builds and pushes with Docker's classic builder, which has no layout to look at: what it pushed is read back, and
 * must be for the platform. Returns its digest.
 */
export async function buildWithClassic(context: BuilderContext): Promise<string> {
	const { io, leg, build, client, scratch, log, progress } = context;
	const builder = needBuilder(context);
	const url = contextFor(context, builder);
	const commands = classicCommands(leg, build, url);
	const run = (command: Command, input?: Readable) =>
		runLogged(io, command, {
			cwd: scratch,
			log,
			env: environmentOf(builder),
			...(input === undefined ? {} : { input }),
		});
	progress("pulling parents");
	for (const command of commands.pull) {
		await run(command);
	}
	progress("building");
	for (const command of commands.build) {
		await run(command, url === "-" ? await openContext(context) : undefined);
	}
	progress("pushing");
	for (const command of commands.push) {
		await run(command);
	}
	const digest = await stagedDigest(client, build.staging.reference, leg.platform);
	if (digest === undefined) {
		throw new BrewlineError("build", `${build.staging.reference} does not hold ${leg.platformString} after the push`);
	}
	return digest;
}
