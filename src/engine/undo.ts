import { readdir, readFile, rm, rmdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { BrewlineError } from "../errors.ts";
import { runCommand } from "../io/command.ts";
import type { Io } from "../io/types.ts";
import { emulatorFolder } from "./emulators.ts";
import type { Step } from "./journal.ts";
import { exists } from "./packages.ts";
import { argumentsOf, childrenOf, mounts } from "./processes.ts";

/**
 * Puts one change back. What is not there (any more) is no error: the journal is written before the change is made, so
 * the change may never have happened. Undefined: there was nothing to do worth telling.
 */
export async function undoStep(caller: Io, step: Step, busybox: string): Promise<string | undefined> {
	// Putting back happens just when the program is asked to end.
	const io: Io = { ...caller, signal: new AbortController().signal };
	switch (step.kind) {
		case "process":
			return endProcess(io, step.pidFile, step.argument);
		case "bridge":
			if (!(await exists(`/sys/class/net/${step.name}`))) return undefined;
			await runCommand(io, [busybox, "ip", "link", "delete", step.name], { code: "engine" });
			return `removed the bridge ${step.name}`;
		case "cables": {
			// An engine that ends while it makes one leaves both ends of it, which belong to no container and no bridge yet.
			for (const name of await cables()) {
				const folder = `/sys/class/net/${name}`;
				if (step.others.includes(name) || !(await exists(folder)) || (await exists(`${folder}/master`))) continue;
				await runCommand(io, [busybox, "ip", "link", "delete", name], { code: "engine" });
			}
			return undefined;
		}
		case "cgroup":
			return (await removeCgroups(io, step.name)) ? "removed the engine's control groups" : undefined;
		case "emulator": {
			const entry = path.join(emulatorFolder, step.name);
			if (!(await exists(entry))) return undefined;
			await writeFile(entry, "-1");
			return `took back the emulator ${step.name}`;
		}
		case "mount":
			if (!(await mounts()).some((mount) => mount.at === step.at)) return undefined;
			await runCommand(io, [busybox, "umount", step.at], { code: "engine" });
			return `unmounted ${step.at}`;
		case "empty-folder":
			await rmdir(step.path).catch((error: NodeJS.ErrnoException) => {
				// Somebody else's files are there by now.
				if (error.code !== "ENOENT" && error.code !== "ENOTEMPTY") throw error;
			});
			return undefined;
		default:
			if (!(await exists(step.path))) return undefined;
			await rm(step.path, { recursive: true, force: true });
			return "deleted the engine's images and cache";
	}
}

/** The ends of cables to containers that are in this network, as Docker names them. */
export async function cables(): Promise<string[]> {
	const names = await readdir("/sys/class/net").catch(() => []);
	return names.filter((name) => /^veth[0-9a-f]{7}$/.test(name));
}

/**
 * The process is `unshare`, whose only child is the first of a PID namespace: with that one the kernel ends all others
 * in it (engine, containers, builds), and their mounts go with them.
 */
async function endProcess(io: Io, pidFile: string, argument: string): Promise<string | undefined> {
	const pid = Number(await readFile(pidFile, "utf8").catch(() => ""));
	if (!Number.isInteger(pid) || pid < 2) return undefined;
	const runs = async () => (await argumentsOf(pid)).includes(argument);
	if (!(await runs())) return undefined;
	const inner = await childrenOf(pid);
	for (const child of inner.length > 0 ? inner : [pid]) kill(child);
	const deadline = io.clock.now() + 3000;
	while (await runs()) {
		// It waits for its child, and then ends by itself.
		if (io.clock.now() > deadline) kill(pid);
		if (io.clock.now() > deadline + 1000) throw new BrewlineError("engine", `the engine (process ${pid}) does not end`);
		await io.clock.sleep(20);
	}
	return `ended the engine (process ${pid})`;
}

function kill(pid: number): void {
	try {
		process.kill(pid, "SIGKILL");
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
	}
}

async function removeCgroups(io: Io, name: string): Promise<boolean> {
	let removed = false;
	for (const mount of await mounts()) {
		if (mount.type !== "cgroup" && mount.type !== "cgroup2") continue;
		const root = path.join(mount.at, name);
		if (!(await exists(root))) continue;
		for (const folder of [...(await foldersBelow(root)).toReversed(), root]) {
			const deadline = io.clock.now() + 2000;
			for (;;) {
				const error = await rmdir(folder).then(
					() => undefined,
					(failure: NodeJS.ErrnoException) => failure,
				);
				if (error === undefined || error.code === "ENOENT") break;
				if (error.code !== "EBUSY" || io.clock.now() > deadline)
					throw new BrewlineError("engine", `cannot remove the control group ${folder}`, { cause: error });
				for (const pid of (await readFile(path.join(folder, "cgroup.procs"), "utf8").catch(() => "")).split("\n"))
					if (Number(pid) > 1) kill(Number(pid));
				await io.clock.sleep(20);
			}
			removed = true;
		}
	}
	return removed;
}

/** Parents before children. */
async function foldersBelow(folder: string): Promise<string[]> {
	const below: string[] = [];
	for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => []))
		if (entry.isDirectory()) {
			const child = path.join(folder, entry.name);
			below.push(child, ...(await foldersBelow(child)));
		}
	return below;
}
