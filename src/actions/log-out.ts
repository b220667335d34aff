import { rm } from "node:fs/promises";
import * as core from "@actions/core";

/** Removes the log-in that the main step wrote; that step saved where it is. */
export async function logOut(): Promise<void> {
	const directory = core.getState("docker-config");
	if (directory !== "") await rm(directory, { recursive: true, force: true });
}
