import { mkdir, symlink } from "node:fs/promises";
import path from "node:path";
import { BrewlineError, messageOf } from "../errors.ts";
import { runCommand } from "../io/command.ts";
import { printable } from "../io/printable.ts";
import type { Io } from "../io/types.ts";
import { engineInfo, inspectBuilder } from "./builder.ts";
import { lastComplaints, socket, startDaemon, state, untilReady } from "./daemon.ts";
import { emulatorFolder, readRegistrations, register, wantedRegistration } from "./emulators.ts";
import { beginJournal, recoverJournal, type Journal } from "./journal.ts";
import { takeLock } from "./lock.ts";
import {
	busyboxPackage,
	enginePackages,
	exists,
	fetchBusybox,
	fetchPackages,
	linkPrograms,
	packageFile,
	packageFolder,
	readOsRelease,
	type Package,
} from "./packages.ts";
import { hasCapability } from "./processes.ts";
import { hosts, targets } from "./targets.ts";
import type { Engine, EngineOptions } from "./types.ts";

const lockName = "brewline-engine";

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

/** Whether `useEngine` can start a private engine here: Linux, Debian, root, and the right to mount. */
export async function canStartEngine(): Promise<boolean> {
	return (await obstacle()) === undefined;
}

/**
 * Puts back what an engine of ours left that was killed, as the next start does by itself; does nothing while one runs,
 * and for others than root. Says what it put back.
 */
export async function recover(io: Io): Promise<readonly string[]> {
	if (process.getuid?.() !== 0 || !(await exists(state))) return [];
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
			DOCKER_HOST: socket,
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
	await fetchPackages(io, directory, codename, host, engine);
	return {
		engine,
		busybox: await fetchBusybox(io, directory, architectures),
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
	const tolerant = async (what: string, action: () => Promise<void>) => {
		await action().catch((error: unknown) => {
			if (io.signal.aborted) throw error;
			say(io, "warning", `${what}: ${messageOf(error)}`);
		});
	};
	if (foreign.length > 0 && !(await exists(path.join(emulatorFolder, "register"))))
		await tolerant("no emulators", async () => {
			await journal.record({ kind: "mount", at: emulatorFolder });
			const mount = [packages.busyboxHere, "mount", "-t", "binfmt_misc", "binfmt_misc", emulatorFolder] as const;
			await runCommand(io, mount, { code: "engine" });
		});
	for (const qemu of new Set(foreign.map((name) => targets[name]!.qemu)))
		await tolerant(`no emulator for ${qemu}`, async () => {
			const wanted = await wantedRegistration(packages.emulators, qemu, await readRegistrations());
			if (wanted === undefined) return;
			await journal.record({ kind: "emulator", name: wanted.name });
			await register(wanted);
		});
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

function say(io: Io, level: "info" | "notice" | "warning", text: string): void {
	io.log({ type: "message", level, text });
}
