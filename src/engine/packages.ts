import { access, mkdir, readdir, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { BrewlineError, messageOf } from "../errors.ts";
import { runCommand } from "../io/command.ts";
import type { Io } from "../io/types.ts";
import { mirrorsOf, readAptSources, writeAptConfig, writeSources } from "./apt.ts";
import { takeLock } from "./lock.ts";
import { hosts, targets } from "./targets.ts";

export interface Package {
	readonly name: string;
	readonly suite: string;
	/** Debian's name of the architecture. */
	readonly architecture: string;
	/** A file that it must hold. */
	readonly file: string;
}

/**
 * The packages of a private engine. The engine is of the release after bookworm, whose BuildKit writes OCI layouts;
 * the rest is bookworm's, so that one C library, the machine's, serves them all.
 */
export function enginePackages(architecture: string): Package[] {
	const trixie = { suite: "trixie", architecture };
	const bookworm = { suite: "bookworm", architecture };
	return [
		{ name: "docker.io", ...trixie, file: "usr/sbin/dockerd" },
		{ name: "docker-cli", ...trixie, file: "usr/bin/docker" },
		{ name: "docker-buildx", ...trixie, file: "usr/libexec/docker/cli-plugins/docker-buildx" },
		{ name: "containerd", ...trixie, file: "usr/bin/containerd" },
		{ name: "runc", ...bookworm, file: "usr/sbin/runc" },
		{ name: "tini", ...bookworm, file: "usr/bin/tini-static" },
		{ name: "qemu-user-static", ...bookworm, file: "usr/lib/binfmt.d/qemu-s390x.conf" },
		{ name: "docker-registry", ...bookworm, file: "usr/bin/docker-registry" },
		busyboxPackage(architecture, "bookworm"),
	];
}

export function busyboxPackage(architecture: string, suite: string): Package {
	return { name: "busybox-static", suite, architecture, file: "bin/busybox" };
}

/**
 * Static busybox binaries by bashbrew architecture, for use beside an engine that is there: those that could be had from
 * the machine's own mirrors. Needs apt and dpkg, not root; never throws but when the program is ended.
 */
export async function fetchBusybox(
	io: Io,
	directory: string,
	architectures: readonly string[],
): Promise<Readonly<Record<string, string>>> {
	const host = hosts[process.arch];
	const release = await readOsRelease();
	const codename = release.get("VERSION_CODENAME");
	if (host === undefined || codename === undefined || !(await exists("/usr/bin/apt-get"))) return {};
	const debian = release.get("ID") === "debian";
	const wanted = architectures.flatMap((name) => {
		const target = targets[name];
		// Other distributions of the family have other processors' packages under other addresses.
		if (target === undefined || (!debian && target.debian !== host.debian)) return [];
		return [{ name, item: busyboxPackage(target.debian, debian ? target.suite : codename) }];
	});
	const all = wanted.map(({ item }) => item);
	// Together in one go; where that fails, those that can be had.
	for (const items of [all, ...all.map((item) => [item])])
		await fetchPackages(io, directory, codename, host.debian, items).catch((error: unknown) => {
			if (io.signal.aborted) throw error;
			say(io, messageOf(error));
		});
	const missing = await missingPackages(directory, all);
	return Object.fromEntries(
		wanted.filter(({ item }) => !missing.includes(item)).map(({ name, item }) => [name, packageFile(directory, item)]),
	);
}

/** Where a package is unpacked below the folder of the downloads. */
export function packageFolder(directory: string, item: Package): string {
	return path.join(directory, "packages", `${item.name}_${item.suite}_${item.architecture}`);
}

export function packageFile(directory: string, item: Package): string {
	return path.join(packageFolder(directory, item), item.file);
}

/** Those that are not unpacked yet. */
async function missingPackages(directory: string, wanted: readonly Package[]): Promise<Package[]> {
	const missing: Package[] = [];
	for (const item of wanted) if (!(await exists(packageFile(directory, item)))) missing.push(item);
	return missing;
}

/**
 * Brings packages of Debian's releases into a folder, by the mirrors and keys that the machine's own apt uses and a
 * private state; installs nothing. What is there already is not fetched again; a download or unpacking that was cut
 * off is taken up again.
 */
export async function fetchPackages(
	io: Io,
	directory: string,
	codename: string,
	host: string,
	wanted: readonly Package[],
): Promise<void> {
	if ((await missingPackages(directory, wanted)).length === 0) return;
	const patience = 600_000;
	const lock = await takeLock(io, "brewline-packages", { holder: `process ${process.pid}`, patience });
	try {
		await fetchMissing(io, directory, codename, host, await missingPackages(directory, wanted));
	} finally {
		await lock.release();
	}
}

async function fetchMissing(
	io: Io,
	directory: string,
	codename: string,
	host: string,
	missing: readonly Package[],
): Promise<void> {
	// Another program may have brought them meanwhile.
	if (missing.length === 0) return;
	const mirrors = mirrorsOf(await readAptSources(), codename);
	if (mirrors.length === 0)
		throw new BrewlineError("engine", `the machine's apt sources name no mirror of ${codename} main`, {
			hint: "Give /etc/apt/sources.list.d a source for it, or start a Docker engine yourself.",
		});
	const apt = path.join(directory, "apt");
	const downloads = path.join(directory, "downloads");
	for (const folder of ["sources", "lists/partial", "cache/archives/partial"])
		await mkdir(path.join(apt, folder), { recursive: true });
	await mkdir(downloads, { recursive: true });
	await mkdir(path.join(directory, "packages"), { recursive: true });
	const architectures = [...new Set([host, ...missing.map((item) => item.architecture)])];
	const releases = [...new Set(missing.map((item) => item.suite))].map((suite) => ({
		suite,
		architectures: [...new Set(missing.filter((item) => item.suite === suite).map((item) => item.architecture))],
	}));
	const dump = await runCommand(io, ["apt-config", "dump"], { code: "engine" });
	const config = path.join(apt, "apt.conf");
	await writeFile(config, writeAptConfig(dump.stdout.toString("utf8"), apt, architectures));
	await writeFile(path.join(apt, "sources/brewline.sources"), writeSources(mirrors, releases));
	const options = { cwd: downloads, env: { APT_CONFIG: config, LC_ALL: "C" }, code: "engine" } as const;
	say(io, `fetching ${missing.map((item) => item.name).join(", ")} (Debian packages; nothing is installed)`);
	// An index that does not fit its release for the moment (a mirror being updated) need not be one that is used.
	const update = await runCommand(io, ["apt-get", "update", "-q"], options).catch((error: unknown) => {
		if (io.signal.aborted) throw error;
		return messageOf(error);
	});
	const names = missing.map((item) => `${item.name}:${item.architecture}/${item.suite}`);
	await runCommand(io, ["apt-get", "download", "-q", ...names], options).catch((error: unknown) => {
		throw new BrewlineError("engine", messageOf(error), {
			hint: typeof update === "string" ? update : "Look at the machine's apt sources and its network.",
			cause: error,
		});
	});
	for (const item of missing) await unpack(io, directory, downloads, item);
	await rm(path.join(apt, "lists"), { recursive: true, force: true });
	await rm(path.join(apt, "cache"), { recursive: true, force: true });
}

async function unpack(io: Io, directory: string, downloads: string, item: Package): Promise<void> {
	const files = (await readdir(downloads)).filter(
		(name) => name.startsWith(`${item.name}_`) && name.endsWith(`_${item.architecture}.deb`),
	);
	if (files.length !== 1) throw new BrewlineError("engine", `${files.length} files of ${item.name} were downloaded`);
	const file = path.join(downloads, files[0]!);
	const target = packageFolder(directory, item);
	const half = `${target}.unpacking`;
	await rm(half, { recursive: true, force: true });
	await runCommand(io, ["dpkg", "-x", file, half], { code: "engine" });
	if (!(await exists(path.join(half, item.file))))
		throw new BrewlineError("engine", `${files[0]!} holds no ${item.file}: another package than expected`);
	if (item.name === "qemu-user-static") await keepOnlyKnownEmulators(half);
	await rm(target, { recursive: true, force: true });
	await rename(half, target);
	await rm(file);
}

/** The package has 33 emulators of some 15 MB each. */
async function keepOnlyKnownEmulators(root: string): Promise<void> {
	const known = new Set(Object.values(targets).map((target) => `qemu-${target.qemu}-static`));
	const bin = path.join(root, "usr/bin");
	for (const name of await readdir(bin)) if (!known.has(name)) await rm(path.join(bin, name));
}

/**
 * One folder with links to all programs of the packages, to stand first in `PATH`: `docker-init` is a link to `tini-static`,
 * which another package has.
 */
export async function linkPrograms(directory: string, packages: readonly Package[]): Promise<string> {
	const bin = path.join(directory, "bin");
	await rm(bin, { recursive: true, force: true });
	await mkdir(bin, { recursive: true });
	for (const item of packages) {
		if (item.name === "busybox-static" || item.name === "qemu-user-static") continue;
		for (const folder of ["usr/bin", "usr/sbin"]) {
			const from = path.join(packageFolder(directory, item), folder);
			for (const name of await readdir(from).catch(() => [])) {
				const to = name === "docker-init" ? "tini-static" : path.join(from, name);
				await symlink(to, path.join(bin, name)).catch((error: NodeJS.ErrnoException) => {
					// runc stands in both folders, once as a link to the other.
					if (error.code !== "EEXIST") throw error;
				});
			}
		}
	}
	return bin;
}

/** `os-release` as key and value. */
export async function readOsRelease(): Promise<Map<string, string>> {
	const text = await readFile("/etc/os-release", "utf8").catch(() => "");
	return new Map(
		text.split("\n").flatMap((line) => {
			const match = /^([A-Z_]+)="?([^"]*)"?$/.exec(line.trim());
			return match === null ? [] : [[match[1]!, match[2]!] as const];
		}),
	);
}

function say(io: Io, text: string): void {
	io.log({ type: "message", level: "info", text });
}

export async function exists(file: string): Promise<boolean> {
	return access(file).then(
		() => true,
		() => false,
	);
}
