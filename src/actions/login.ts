import * as core from "@actions/core";
import * as z from "zod/mini";
import { BrewlineError } from "../errors.ts";
import { type Io, nodeIo } from "../io/index.ts";
import { basicAuth, ownDockerConfig, removeLeftovers } from "./docker-config.ts";
import { optionalText } from "./inputs.ts";

/** The inputs of a log-in. */
export const loginInputs = {
	registry: z.optional(
		z
			.string()
			.check(z.regex(/^(?:[a-z0-9.-]+|\[[0-9a-f:]+\])(?::[0-9]{1,5})?$/i, { error: "must be HOST or HOST:PORT" })),
	),
	// A colon ends the name, wherever the two are sent together.
	username: z.optional(z.string().check(z.regex(/^[^:\p{Cc}]+$/u, { error: "must have no colon" }))),
	password: optionalText,
} as const;

const login = z.object(loginInputs);

/**
 * The world with the log-in of this step, and no other, if the inputs have one. The post step removes it.
 * As it stands in the configuration it is as secret as the password, which is masked already.
 */
export async function loggedIn(io: Io, { registry, username, password }: z.infer<typeof login>): Promise<Io> {
	await removeLeftovers(io);
	if (username === undefined && password === undefined) {
		if (registry !== undefined) {
			io.log({ type: "message", level: "notice", text: `no log-in for ${registry}: username and password are empty` });
		}
		return io;
	}
	if (registry === undefined || username === undefined || password === undefined) {
		throw new BrewlineError("usage", "the log-in is not whole: registry, username and password belong together", {
			hint: "a secret that is empty here may be missing in the job's environment",
		});
	}
	core.setSecret(basicAuth({ registry, username, password }));
	const { directory, env } = await ownDockerConfig(io, { registry, username, password });
	core.saveState("docker-config", directory);
	return nodeIo({ env, log: io.log, signal: io.signal });
}
