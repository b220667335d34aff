import path from "node:path";
import { BrewlineError, messageOf } from "../errors.ts";
import type { Io } from "../io/types.ts";
import { engineInfo, ensureBuilder } from "./builder.ts";
import { fetchBusybox } from "./packages.ts";
import { obstacle, startPrivateEngine } from "./private.ts";
import type { Engine, EngineOptions, Unavailable } from "./types.ts";

/**
 * The Docker engine to build with. One that answers is used as it is; in mode `auto`, where there is none, a private
 * one is started on Debian as root, and nothing is installed. The caller calls `close` at the end, whatever happened.
 *
 * Where there is none: the reason. Throws only `cancelled`, and has put everything back by then.
 */
export async function useEngine(io: Io, options: EngineOptions): Promise<Engine | Unavailable> {
	if (options.mode === "none") return { unavailable: "none is to be used" };
	const present = await presentEngine(io, options);
	if (!("unavailable" in present) || options.mode === "present") return present;
	const reason = await obstacle();
	if (reason !== undefined) return { unavailable: `${present.unavailable}, and none can be started: ${reason}` };
	try {
		return await startPrivateEngine(io, options);
	} catch (error) {
		return giveReason(io, error);
	}
}

async function presentEngine(io: Io, options: EngineOptions): Promise<Engine | Unavailable> {
	try {
		const { version } = await engineInfo(io);
		const busybox = await fetchBusybox(io, path.resolve(options.directory), options.architectures);
		const { builder, env, remove } = await ensureBuilder(
			io,
			{},
			{
				image: options.buildkitImage ?? null,
				name: `brewline-${process.pid}`,
				...(options.insecureRegistries === undefined ? {} : { insecureRegistries: options.insecureRegistries }),
			},
		);
		return {
			kind: "present",
			description: `Docker ${version}, the engine that is there`,
			env,
			builder,
			platforms: builder.platforms,
			busybox,
			close: remove,
		};
	} catch (error) {
		return giveReason(io, error);
	}
}

function giveReason(io: Io, error: unknown): Unavailable {
	if (io.signal.aborted) throw new BrewlineError("cancelled", "ended while the engine started", { cause: error });
	if (error instanceof BrewlineError && error.code === "engine") return { unavailable: messageOf(error) };
	throw error;
}
