import type { Builder } from "../build/index.ts";
import type { Leg } from "../plan/index.ts";
import { BrewlineError } from "../errors.ts";
import { ensureBuilder, type EnsuredBuilder, remoteBuilder } from "../engine/index.ts";
import type { Io } from "../io/index.ts";
import type { FindBuilder } from "./run.ts";

export interface Builders extends AsyncDisposable {
	readonly findBuilder: FindBuilder;
}

/**
 * The engine of this machine as a builder, or for legs that name one, the BuildKit of another machine: looked for when the
 * first leg needs it. What has to be made for that is removed at the end.
 */
export function openBuilders(io: Io, env: Readonly<Record<string, string>> = {}): Builders {
	/** By address; the engine of this machine by the empty one. */
	const found = new Map<string, Promise<EnsuredBuilder | undefined>>();
	const name = `brewline-${process.pid}`;
	const make = ({ buildkit, registries, runner }: Leg): Promise<EnsuredBuilder> =>
		runner.builder === null
			? ensureBuilder(io, env, { image: buildkit.image, name, insecureRegistries: registries.plainHttp })
			: remoteBuilder(io, env, { name: `${name}-remote-${found.size}`, address: runner.builder });
	const find = async (leg: Leg): Promise<EnsuredBuilder | undefined> => {
		try {
			return await make(leg);
		} catch (error) {
			if (!(error instanceof BrewlineError) || error.code !== "engine") throw error;
			io.log({
				type: "message",
				level: "warning",
				text: error.message,
				...(error.hint === undefined ? {} : { hint: error.hint }),
			});
			return undefined;
		}
	};
	return {
		findBuilder: async (leg): Promise<Builder | undefined> => {
			const address = leg.runner.builder ?? "";
			const ensured = await (found.get(address) ?? remember(found, address, find(leg)));
			return ensured === undefined ? undefined : { ...ensured.builder, env: ensured.env };
		},
		[Symbol.asyncDispose]: async () => {
			for (const ensured of found.values()) await (await ensured.catch(() => undefined))?.remove();
		},
	};
}

function remember<Value>(map: Map<string, Value>, key: string, value: Value): Value {
	map.set(key, value);
	return value;
}
