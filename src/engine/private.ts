import { mkdir, readFile, rm, statfs, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { BrewlineError, messageOf } from "../errors.ts";
import { printable, runCommand, type Child, type Exit, type Io } from "../io/index.ts";
import { engineInfo, inspectBuilder } from "./builder.ts";
import { emulatorFolder, readRegistrations, register, wantedRegistration } from "./emulators.ts";
import { beginJournal, recoverJournal, type Journal } from "./journal.ts";
import { takeLock } from "./lock.ts";
import {
	busyboxPackage,
	enginePackages,
	exists,
	fetchPackages,
	linkPrograms,
	packageFile,
	packageFolder,
	readOsRelease,
	type Package,
} from "./packages.ts";
import { hasCapability } from "./processes.ts";
import { hosts, targets } from "./targets.ts";
import type { Engine, EngineEnv, EngineOptions } from "./types.ts";

/**
 * What concerns the whole machine (journal, sockets) stands here and not in the project's folder: there is one set of
 * emulators and one bridge, whichever folder the engine was started from; and the path of a socket must be short.
 */
const state = "/run/brewline";
const logFile = `${state}/dockerd.log`;
const lockName = "brewline-engine";
const bridge = "docker0";
const cgroup = "brewline-engine";
/** Folders that dockerd and its helpers write to, whatever they are told; hidden from the machine's own by a tmpfs. */
const hidden = ["/run/docker", "/run/containerd", "/run/runc"];

/** Why no engine can be started on this machine; undefined where one can. */
export async function obstacle(): Promise<string | undefined> {
	if (process.platform !== "linux") return `this is not Linux (${process.platform})`;
	if (hosts[process.arch] === undefined) return `no engine is known for ${process.arch}`;
	const release = await readOsRelease();
	if (release.get("ID") !== "debian") return `this is not Debian (${printable(release.get("ID") ?? "unknown")})`;
	// The engine's programs need bookworm's C library.
	if (!(Number(release.get("VERSION_ID") ?? "99") >= 12)) return "this Debian is older than bookworm";
	if (process.getuid?.() !== 0) return "this is not root";
	const rights = { 12: "network devices", 21: "mounting" };
	for (const [capability, name] of Object.entries(rights))
		if (!(await hasCapability(Number(capability)))) return `there is no right to ${name} (a container?)`;
	for (const program of ["/usr/bin/apt-get", "/usr/bin/dpkg", "/usr/bin/unshare", "/usr/bin/setpriv"])
		if (!(await exists(program))) return `${program} is missing`;
	return undefined;
}

/** Puts back what an engine of ours left that was killed; does nothing while one runs. Says what it put back. */
export async function recover(io: Io): Promise<readonly string[]> {
	if (process.platform !== "linux" || !(await exists(state))) return [];
	const lock = await takeLock(io, lockName, { holder: holderName(), patience: 0 }).catch(() => undefined);
	if (lock === undefined) return [];
	try {
		return await recoverJournal(io, state);
	} finally {
		await lock.release();
	}
}

/** Starts an engine of Debian's packages; the caller asked `obstacle` before. Throws `engine`. */
export async function startPrivateEngine(io: Io, options: EngineOptions): Promise<Engine> {
	const directory = path.resolve(options.directory);
	const lock = await takeLock(io, lockName, {
		holder: holderName(),
		patience: options.patience ?? 600_000,
		onWait: (holder) => {
			say(io, "notice", `an engine of ours runs already (${holder}): waiting for its end`);
		},
	});
	let journal: Journal | undefined;
	const undo = async () => {
		try {
			return (await journal?.undo()) ?? [];
		} finally {
			await lock.release();
		}
	};
	try {
		for (const text of await recoverJournal(io, state)) say(io, "notice", `left by an engine that was killed: ${text}`);
		const packages = await bringPackages(io, directory, options.architectures);
		const bin = await linkPrograms(directory, packages.engine);
		journal = await beginJournal(io, state, packages.busyboxHere);
		await registerEmulators(io, journal, packages, options.architectures);
		const env = {
			DOCKER_HOST: `unix://${state}/docker.sock`,
			DOCKER_CONFIG: `${state}/config`,
			PATH: `${bin}:${io.env["PATH"] ?? "/usr/bin:/bin"}`,
		};
		await configureClient(io, directory, packages.engine);
		const child = await startDaemon(io, journal, directory, packages.busyboxHere, env.PATH, options);
		await untilReady(io, child, env);
		const builder = await inspectBuilder(io, env);
		const { version } = await engineInfo(io, env);
		let closing: Promise<readonly string[]> | undefined;
		return {
			kind: "private",
			description: `Docker ${version}, a private engine of Debian's packages`,
			env,
			builder,
			platforms: builder.platforms,
			registryBinary: path.join(bin, "docker-registry"),
			busybox: packages.busybox,
			close: () => (closing ??= undo()),
		};
	} catch (error) {
		const log = journal === undefined ? "" : await lastComplaints();
		await undo();
		if (io.signal.aborted || log === "") throw error;
		throw new BrewlineError("engine", `${messageOf(error)}; it says: ${log}`, { cause: error });
	}
}

function holderName(): string {
	return `process ${process.pid} in ${process.cwd()}`;
}

interface Packages {
	readonly engine: readonly Package[];
	readonly busybox: Readonly<Record<string, string>>;
	readonly busyboxHere: string;
	readonly emulators: string;
}

async function bringPackages(io: Io, directory: string, architectures: readonly string[]): Promise<Packages> {
	const host = hosts[process.arch]!.debian;
	const codename = (await readOsRelease()).get("VERSION_CODENAME") ?? "";
	const engine = enginePackages(host);
	const busybox = architectures.flatMap((name) => {
		const target = targets[name];
		return target === undefined ? [] : [[name, busyboxPackage(target.debian, target.suite)] as const];
	});
	const wanted = new Map(
		[...engine, ...busybox.map(([, item]) => item)].map((item) => [packageFolder("", item), item]),
	);
	await fetchPackages(io, directory, codename, host, [...wanted.values()]);
	return {
		engine,
		busybox: Object.fromEntries(busybox.map(([name, item]) => [name, packageFile(directory, item)])),
		busyboxHere: packageFile(directory, busyboxPackage(host, "bookworm")),
		emulators: packageFolder(
			directory,
			engine.find((item) => item.name === "qemu-user-static")!,
		),
	};
}

/** A missing emulator costs its architecture only: everything else goes on. */
async function registerEmulators(
	io: Io,
	journal: Journal,
	packages: Packages,
	architectures: readonly string[],
): Promise<void> {
	const native = hosts[process.arch]!.native;
	const foreign = architectures.filter((name) => !native.includes(name) && targets[name] !== undefined);
	try {
		if (foreign.length > 0 && !(await exists(path.join(emulatorFolder, "register")))) {
			await journal.record({ kind: "mount", at: emulatorFolder });
			await run(io, [packages.busyboxHere, "mount", "-t", "binfmt_misc", "binfmt_misc", emulatorFolder]);
		}
		for (const qemu of new Set(foreign.map((name) => targets[name]!.qemu))) {
			const wanted = await wantedRegistration(packages.emulators, qemu, await readRegistrations());
			if (wanted === undefined) continue;
			await journal.record({ kind: "emulator", name: wanted.name });
			await register(wanted);
		}
	} catch (error) {
		if (io.signal.aborted) throw error;
		say(io, "warning", `no emulators: ${messageOf(error)}`);
	}
}

/** Credentials stay those of the user, read where they are. */
async function configureClient(io: Io, directory: string, engine: readonly Package[]): Promise<void> {
	const config = path.join(state, "config");
	await mkdir(path.join(config, "cli-plugins"), { recursive: true });
	const buildx = engine.find((item) => item.name === "docker-buildx")!;
	await symlink(packageFile(directory, buildx), path.join(config, "cli-plugins/docker-buildx"));
	const home = io.env["DOCKER_CONFIG"] ?? path.join(io.env["HOME"] ?? "/root", ".docker");
	const own = path.resolve(home, "config.json");
	if (await exists(own)) await symlink(own, path.join(config, "config.json"));
}

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
 * `setsid` keeps the terminal's Ctrl-C from it: it must end after the builds.
 */
async function startDaemon(
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
	if (!(await exists(`/sys/class/net/${bridge}`))) await journal.record({ kind: "bridge", name: bridge });
	await journal.record({ kind: "cgroup", name: cgroup });
	const config = `${state}/daemon.json`;
	const pidFile = `${state}/engine.pid`;
	await writeFile(config, `${JSON.stringify(await daemonConfig(data, options), null, "\t")}\n`);
	await journal.record({ kind: "process", pidFile, argument: config });
	const outside = ["/bin/sh", "-c", outsideScript, "sh", pidFile, logFile] as const;
	const spaces = ["unshare", "--mount", "--propagation", "slave", "--pid", "--fork", "--kill-child", "--mount-proc"];
	const inside = ["/bin/sh", "-c", insideScript, "sh", busybox];
	const daemon = ["tini-static", "--", "dockerd", "--config-file", config];
	const child = io.exec([...outside, "setsid", "setpriv", "--pdeathsig", "KILL", ...spaces, ...inside, ...daemon], {
		cwd: "/",
		env: { PATH: searchPath },
	});
	child.stdin.end();
	return child;
}

async function daemonConfig(data: string, options: EngineOptions): Promise<object> {
	return {
		hosts: [`unix://${state}/docker.sock`],
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

async function untilReady(io: Io, child: Child, env: EngineEnv): Promise<void> {
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

async function run(io: Io, argv: readonly [string, ...string[]]): Promise<void> {
	await runCommand(io, argv, { code: "engine" });
}

/** What the engine last complained about. */
async function lastComplaints(): Promise<string> {
	const log = await readFile(logFile, "utf8").catch(() => "");
	return log
		.split("\n")
		.filter((line) => line !== "" && !/level=(info|debug|warning)/.test(line))
		.slice(-3)
		.map((line) => printable(line))
		.join("; ");
}

function say(io: Io, level: "info" | "notice" | "warning", text: string): void {
	io.log({ type: "message", level, text });
}
