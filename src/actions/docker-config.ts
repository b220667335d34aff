import { chmod, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import path from "node:path";
import type { Io } from "../io/index.ts";

const prefix = "brewline-docker-";

export interface Login {
	readonly registry: string;
	readonly username: string;
	readonly password: string;
}

/**
 * A Docker configuration of this step's own with one log-in, so that nothing else on the machine can use it, and no
 * other log-in is used here. Returns the folder and the environment for everything that this step starts.
 */
export async function ownDockerConfig(io: Io, login: Login): Promise<{ directory: string; env: Io["env"] }> {
	const temporary = io.env["RUNNER_TEMP"] ?? tmpdir();
	await removeLeftovers(temporary);
	const directory = await mkdtemp(path.join(temporary, prefix));
	await chmod(directory, 0o700);
	const users = io.env["DOCKER_CONFIG"] ?? path.join(io.env["HOME"] ?? homedir(), ".docker");
	const key = /^(?:index\.|registry-1\.|registry\.hub\.)?docker\.(?:io|com)$/.test(login.registry)
		? "https://index.docker.io/v1/"
		: login.registry;
	const auth = Buffer.from(`${login.username}:${login.password}`).toString("base64");
	await writeFile(path.join(directory, "config.json"), JSON.stringify({ auths: { [key]: { auth } } }), { mode: 0o600 });
	await mkdir(users, { recursive: true });
	await symlink(path.join(users, "cli-plugins"), path.join(directory, "cli-plugins"));
	return {
		directory,
		env: { ...io.env, DOCKER_CONFIG: directory, BUILDX_CONFIG: io.env["BUILDX_CONFIG"] ?? path.join(users, "buildx") },
	};
}

/** What a step that was killed left behind: a runner has one job at a time. */
async function removeLeftovers(temporary: string): Promise<void> {
	for (const name of await readdir(temporary)) {
		if (name.startsWith(prefix)) await rm(path.join(temporary, name), { recursive: true, force: true });
	}
}
