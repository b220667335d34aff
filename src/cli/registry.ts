import { once } from "node:events";
import { startRegistry } from "../registry/index.ts";
import type { Context } from "./context.ts";

/** Serves the embedded registry until the command is ended. */
export async function registryStep(context: Context, options: { port: number; storage?: string }): Promise<number> {
	const { io } = context;
	const registry = await startRegistry({
		port: options.port,
		log: io.log,
		...(options.storage === undefined ? {} : { directory: options.storage }),
	});
	context.print(`${registry.url}\n`);
	if (!io.signal.aborted) await once(io.signal, "abort");
	await registry.close();
	return 0;
}
