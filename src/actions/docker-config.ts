import { chmod, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import path from "node:path";
import type { Io } from "../io/index.ts";
import { hubHosts } from "../oci/index.ts";

const prefix = "brewline-docker-";

export interface Login {
	readonly registry: string;
	readonly username: string;
	readonly password: string;
}

/**
 * A Docker configuration of this step's own with one log-in, so that nothing else on the machine can use it, and no
 * other log-in is used here. The user's plugins, builders and contexts stay usable.
 * Returns the folder and the environment for everything that this step starts.
 */
export async function ownDockerConfig(io: Io, login: Login): Promise<{ directory: string; env: Io["env"] }> {
	const directory = await mkdtemp(path.join(io.env["RUNNER_TEMP"] ?? tmpdir(), prefix));
	await chmod(directory, 0o700);
	const users = io.env["DOCKER_CONFIG"] ?? path.join(io.env["HOME"] ?? homedir(), ".docker");
	const key = hubHosts.includes(login.registry) ? "https://index.docker.io/v1/" : login.registry;
	const config = { ...(await currentContext(users)), auths: { [key]: { auth: basicAuth(login) } } };
	await writeFile(path.join(directory, "config.json"), JSON.stringify(config), { mode: 0o600 });
	for (const name of ["cli-plugins", "contexts"]) await symlink(path.join(users, name), path.join(directory, name));
	return {
		directory,
		env: { ...io.env, DOCKER_CONFIG: directory, BUILDX_CONFIG: io.env["BUILDX_CONFIG"] ?? path.join(users, "buildx") },
	};
}

/** How a log-in stands in a configuration; as secret as its password. */
export function basicAuth({ username, password }: Login): string {
	return Buffer.from(`${username}:${password}`).toString("base64");
}

/** Removes what steps that were killed left on this runner, which has one job at a time. */
export async function removeLeftovers({ env }: Io): Promise<void> {
	const temporary = env["RUNNER_TEMP"];
	if (temporary === undefined) return;
	for (const name of await readdir(temporary)) {
		if (name.startsWith(prefix)) await rm(path.join(temporary, name), { recursive: true, force: true });
	}
}

/** Which engine the user's commands go to: a rootless one or one that an earlier step made is not where Docker looks by itself. */
async function currentContext(users: string): Promise<{ currentContext?: string }> {
	try {
		const config = JSON.parse(await readFile(path.join(users, "config.json"), "utf8")) as { currentContext?: unknown };
		return typeof config.currentContext === "string" ? { currentContext: config.currentContext } : {};
	} catch {
		// None, or one that Docker cannot read either.
		return {};
	}
}
