import * as core from "@actions/core";
import * as z from "zod/mini";
import { BrewlineError } from "../errors.ts";
import { type Io, nodeIo } from "../io/index.ts";
import { ownDockerConfig } from "./docker-config.ts";
import { optionalText } from "./inputs.ts";

/** The inputs of a log-in; all three or none. */
export const loginInputs = {
	registry: optionalText,
	username: optionalText,
	password: optionalText,
} as const;

const login = z.object(loginInputs);

/**
 * The world with the log-in of this step, and no other, if the inputs have one. The post step removes it.
 * The password is masked in the log, whoever prints it.
 */
export async function loggedIn(io: Io, { registry, username, password }: z.infer<typeof login>): Promise<Io> {
	if (registry === undefined || (username === undefined && password === undefined)) return io;
	if (username === undefined || password === undefined) {
		throw new BrewlineError("usage", `the log-in for ${registry} is not whole: username and password belong together`, {
			hint: "a secret that is empty here may be missing in the job's environment",
		});
	}
	core.setSecret(password);
	const { directory, env } = await ownDockerConfig(io, { registry, username, password });
	core.saveState("docker-config", directory);
	return nodeIo({ env, log: io.log, signal: io.signal });
}
