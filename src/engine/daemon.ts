import { mkdir, readFile, rm, statfs, writeFile } from "node:fs/promises";
import path from "node:path";
import { BrewlineError } from "../errors.ts";
import { printable } from "../io/printable.ts";
import type { Child, Exit, Io } from "../io/types.ts";
import { engineInfo } from "./builder.ts";
import type { Journal } from "./journal.ts";
import { exists } from "./packages.ts";
import type { EngineEnv, EngineOptions } from "./types.ts";
import { cables } from "./undo.ts";

/**
 * What concerns the whole machine (journal, sockets) stands here and not in the project's folder: there is one set of
 * emulators and one bridge, whichever folder the engine was started from; and the path of a socket must be short.
 */
export const state = "/run/brewline";
export const socket = `unix://${state}/docker.sock`;
const logFile = `${state}/dockerd.log`;
const bridge = "docker0";
const cgroup = "brewline-engine";
/** Folders that dockerd and its helpers write to, whatever they are told; hidden from the machine's own by a tmpfs. */
const hidden = ["/run/docker", "/run/containerd", "/run/runc"];

/** The scripts are constant; what differs comes as arguments: `PIDFILE LOG PROGRAM [ARG…]`, `BUSYBOX PROGRAM [ARG…]`. */
const outsideScript = 'echo $$ >"$1"; log=$2; shift 2; exec "$@" >"$log" 2>&1';
const insideScript = `set -e
busybox=$1
shift
for folder in ${hidden.join(" ")}; do "$busybox" mount -t tmpfs -o mode=0711 brewline "$folder"; done
exec "$@"`;

/**
 * The engine runs in mount and PID namespaces of its own: its mounts are never seen outside, and with its first process
 * all others end, whatever they are. That happens too when this process dies, by `--pdeathsig` and `--kill-child`.
 * The terminal's Ctrl-C does not reach it (`exec` gives each child a session of its own): it must end after the builds.
 */
export async function startDaemon(
	io: Io,
	journal: Journal,
	directory: string,
	busybox: string,
	searchPath: string,
	options: EngineOptions,
): Promise<Child> {
	const data = path.join(directory, "brewline-engine-data");
	await journal.record({ kind: "data", path: data });
	await rm(data, { recursive: true, force: true });
	await mkdir(data, { recursive: true });
	for (const folder of hidden) {
		if (await exists(folder)) continue;
		await journal.record({ kind: "empty-folder", path: folder });
		await mkdir(folder, { mode: 0o711 });
	}
	if (!(await exists(`/sys/class/net/${bridge}`))) {
		await journal.record({ kind: "cables", others: await cables() });
		await journal.record({ kind: "bridge", name: bridge });
	}
	await journal.record({ kind: "cgroup", name: cgroup });
	const config = `${state}/daemon.json`;
	const pidFile = `${state}/engine.pid`;
	await writeFile(config, `${JSON.stringify(await daemonConfig(data, options), null, "\t")}\n`);
	await journal.record({ kind: "process", pidFile, argument: config });
	const outside = ["/bin/sh", "-c", outsideScript, "sh", pidFile, logFile] as const;
	const spaces = ["unshare", "--mount", "--propagation", "slave", "--pid", "--fork", "--kill-child", "--mount-proc"];
	const inside = ["/bin/sh", "-c", insideScript, "sh", busybox];
	const daemon = ["tini-static", "--", "dockerd", "--config-file", config];
	const child = io.exec([...outside, "setpriv", "--pdeathsig", "KILL", ...spaces, ...inside, ...daemon], {
		cwd: "/",
		env: { PATH: searchPath },
	});
	child.stdin.end();
	return child;
}

async function daemonConfig(data: string, options: EngineOptions): Promise<object> {
	return {
		hosts: [socket],
		"data-root": data,
		"exec-root": `${state}/exec`,
		pidfile: `${state}/dockerd.pid`,
		features: { "containerd-snapshotter": true },
		"insecure-registries": options.insecureRegistries ?? [],
		// The machine's packet filter and routing stay as they are; builds use the machine's own network.
		iptables: false,
		ip6tables: false,
		"ip-forward": false,
		"cgroup-parent": `/${cgroup}`,
		"exec-opts": ["native.cgroupdriver=cgroupfs"],
		// Overlays cannot be stacked on the root of a container that is one itself.
		...((await statfs(data)).type === overlayMagic ? { "storage-driver": "native" } : {}),
	};
}

const overlayMagic = 0x794c7630;

/** Waits until it answers; throws `engine` where it ends before, or takes longer than a minute. */
export async function untilReady(io: Io, child: Child, env: EngineEnv): Promise<void> {
	let exit: Exit | undefined;
	child.exited.then(
		(value) => (exit = value),
		() => (exit = { code: null, signal: null }),
	);
	const deadline = io.clock.now() + 60_000;
	for (;;) {
		await io.clock.sleep(100, io.signal);
		if (exit !== undefined) throw new BrewlineError("engine", "the private engine ended while it started");
		if (!(await exists(`${state}/docker.sock`))) {
			if (io.clock.now() > deadline) throw new BrewlineError("engine", "the private engine is not ready after 60 s");
			continue;
		}
		const error = await engineInfo(io, env).then(
			() => undefined,
			(failure: unknown) => failure,
		);
		if (error === undefined) return;
		if (io.signal.aborted || io.clock.now() > deadline) throw error;
	}
}

/** What the engine last complained about. */
export async function lastComplaints(): Promise<string> {
	const log = await readFile(logFile, "utf8").catch(() => "");
	return log
		.split("\n")
		.filter((line) => line !== "" && !/level=(info|debug|warning)/.test(line))
		.slice(-3)
		.map((line) => printable(line))
		.join("; ");
}
