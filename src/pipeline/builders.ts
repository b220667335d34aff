import type { Builder } from "../build/index.ts";
import type { Leg } from "../plan/index.ts";
import { BrewlineError } from "../errors.ts";
import { ensureBuilder, type EnsuredBuilder } from "../engine/index.ts";
import type { Io } from "../io/index.ts";
import type { FindBuilder } from "./run.ts";

export interface Builders extends AsyncDisposable {
	readonly findBuilder: FindBuilder;
}

/** The engine of this machine as a builder, looked for when the first leg needs it; one that has to be made is removed at the end. */
export function openBuilders(io: Io, env: Readonly<Record<string, string>> = {}): Builders {
	let found: Promise<EnsuredBuilder | undefined> | undefined;
	const find = async ({ buildkit, registries }: Leg): Promise<EnsuredBuilder | undefined> => {
		try {
			return await ensureBuilder(io, env, {
				image: buildkit.image,
				name: `brewline-${process.pid}`,
				insecureRegistries: registries.plainHttp,
			});
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
			found ??= find(leg);
			const ensured = await found;
			return ensured === undefined ? undefined : { ...ensured.builder, env: ensured.env };
		},
		[Symbol.asyncDispose]: async () => {
			await (await found?.catch(() => undefined))?.remove();
		},
	};
}
