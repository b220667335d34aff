import { BrewlineError, messageOf } from "../errors.ts";
import { isRunning, runCommand } from "../io/command.ts";
import { printable } from "../io/printable.ts";
import type { Io } from "../io/types.ts";
import type { Builder, EngineEnv } from "./types.ts";

/** What `docker info` says of an engine, as far as it matters here. */
export interface EngineInfo {
	readonly version: string;
	readonly containerImageStore: boolean;
}

/** Asks the engine that `docker` finds. Throws `engine` where none answers within 20 s. */
export async function engineInfo(io: Io, env: EngineEnv = {}): Promise<EngineInfo> {
	const info = await docker(io, env, ["info", "--format", "{{json .}}"]);
	let json: unknown;
	try {
		json = JSON.parse(info);
	} catch (error) {
		throw new BrewlineError("engine", "docker info printed something else than JSON", { cause: error });
	}
	const fields = (typeof json === "object" && json !== null ? json : {}) as Record<string, unknown>;
	const version = fields["ServerVersion"];
	if (typeof version !== "string" || version === "") {
		const errors = Array.isArray(fields["ServerErrors"]) ? fields["ServerErrors"].join("; ") : "no server version";
		throw new BrewlineError("engine", `no Docker engine answers: ${printable(errors)}`);
	}
	return {
		version,
		containerImageStore: JSON.stringify(fields["DriverStatus"] ?? null).includes("io.containerd.snapshotter"),
	};
}

/** What the builder can do that `docker buildx build` would use with these variables. Throws `engine` where there is none. */
export async function inspectBuilder(io: Io, env: EngineEnv = {}): Promise<Builder> {
	const version = await docker(io, env, ["buildx", "version"]).catch((cause: unknown) => {
		throw new BrewlineError("engine", "there is no docker with buildx here", {
			hint: "Install Docker with its plugin buildx; `docker buildx version` must answer.",
			cause,
		});
	});
	const text = await docker(io, env, ["buildx", "inspect", "--bootstrap"], 120_000);
	const driver = parseInspect(text).driver;
	const containerImageStore = driver === "docker" && (await engineInfo(io, env)).containerImageStore;
	const annotationLists = takesAnnotationLists(version);
	return { ...describeBuilder(text, containerImageStore), annotationLists };
}

/** Reads what `docker buildx version` prints: `github.com/docker/buildx v0.13.1 …`, of Debian's packages without the `v`. */
export function takesAnnotationLists(text: string): boolean {
	const [, major, minor] = /^\S+ v?(\d+)\.(\d+)\./.exec(text) ?? [];
	// Levels given one by one are understood by every version.
	return major !== undefined && (Number(major) > 0 || Number(minor) >= 16);
}

/** Reads what `docker buildx inspect` prints; of several nodes, all platforms and the first one's version. */
export function describeBuilder(text: string, containerImageStore: boolean): Omit<Builder, "annotationLists"> {
	const { name, driver, platforms, version, networks } = parseInspect(text);
	if (name === "" || driver === "")
		throw new BrewlineError("engine", "docker buildx inspect printed no builder", {
			hint: "`docker buildx ls` lists the builders; `docker buildx use NAME` chooses one.",
		});
	if (platforms.length === 0)
		throw new BrewlineError("engine", `the builder ${name} is not running`, {
			hint: `Look at \`docker buildx inspect --bootstrap ${name}\`.`,
		});
	return {
		name,
		driver,
		ociExport: driver !== "docker" || containerImageStore,
		containerImageStore,
		// A builder in a container says so of its workers, but it is the container's own network unless told otherwise.
		hostNetwork: driver === "docker" && networks.every((network) => network === "host"),
		platforms,
		emulated: platforms.filter((platform) => !runsNatively(platform, platforms[0]!)),
		buildkitVersion: /^v?0\.0\.0/.test(version) || version === "" ? null : version,
	};
}

function parseInspect(text: string) {
	const all = (key: string) =>
		[...text.matchAll(new RegExp(`^[ \\t]*${key}:[ \\t]*(.*)$`, "gm"))].map((match) => printable(match[1]!.trim()));
	const platforms = all("Platforms").flatMap((line) =>
		line
			.split(",")
			// The star marks what a user set.
			.map((platform) => platform.trim().replace(/\*$/, ""))
			.filter((platform) => platform !== ""),
	);
	return {
		name: all("Name")[0] ?? "",
		driver: all("Driver")[0] ?? "",
		platforms: [...new Set(platforms)],
		version: all("BuildKit(?: version)?")[0] ?? "",
		networks: all("org\\.mobyproject\\.buildkit\\.worker\\.network"),
	};
}

/** Processors that run another architecture's programs themselves. */
const families: readonly (readonly string[])[] = [["amd64", "386"]];

function runsNatively(platform: string, native: string): boolean {
	const [os, architecture] = platform.split("/");
	const [nativeOs, nativeArchitecture] = native.split("/");
	if (os !== nativeOs) return false;
	return (
		architecture === nativeArchitecture ||
		families.some((family) => family.includes(architecture ?? "") && family[0] === nativeArchitecture)
	);
}

export interface EnsureOptions {
	/** The BuildKit image of a builder that has to be made; null: none is made. */
	readonly image: string | null;
	/** Of the builder that has to be made; `brewline-PID` is removed by a later run where this process is killed. */
	readonly name: string;
	/** `HOST:PORT` without TLS. */
	readonly insecureRegistries?: readonly string[];
}

export interface EnsuredBuilder {
	readonly builder: Builder;
	/** Those given, and the choice of a builder that was made. */
	readonly env: EngineEnv;
	/** Removes the builder if it was made; says what it did. */
	readonly remove: () => Promise<readonly string[]>;
}

/**
 * A builder that writes OCI layouts: the one there is, or, where its image store cannot (docs/design.md, Builders), one
 * made of a container in the host's network.
 */
export async function ensureBuilder(io: Io, env: EngineEnv, options: EnsureOptions): Promise<EnsuredBuilder> {
	const there = await inspectBuilder(io, env);
	if (there.ociExport) return { builder: there, env, remove: () => Promise.resolve([]) };
	if (options.image === null)
		throw new BrewlineError("engine", `the builder ${there.name} cannot write OCI layouts`, {
			hint: "Switch the engine's containerd image store on, or configure the image of a BuildKit.",
		});
	const made = { ...env, BUILDX_BUILDER: options.name };
	const remove = removal(io, env, options.name);
	const args = ["buildx", "create", "--name", options.name, "--driver", "docker-container"];
	args.push("--driver-opt", `image=${options.image}`, "--driver-opt", "network=host");
	const toml = (options.insecureRegistries ?? [])
		.map((host) => `[registry.${JSON.stringify(host)}]\n\thttp = true\n`)
		.join("");
	if (toml !== "") args.push("--config", "/dev/stdin");
	await removeAbandoned(io, env);
	try {
		await docker(io, env, args, 20_000, toml);
		const builder = await inspectBuilder(io, made);
		return { builder: { ...builder, hostNetwork: true }, env: made, remove };
	} catch (error) {
		await remove().catch(() => []);
		throw new BrewlineError("engine", `cannot make a builder of ${options.image}: ${messageOf(error)}`, {
			hint: "Switch the engine's containerd image store on; then none has to be made.",
			cause: error,
		});
	}
}

/** A BuildKit on another machine, `tcp://HOST:PORT`, as a builder of that name, until it is removed. */
export async function remoteBuilder(
	io: Io,
	env: EngineEnv,
	options: { readonly name: string; readonly address: string },
): Promise<EnsuredBuilder> {
	const { name, address } = options;
	const made = { ...env, BUILDX_BUILDER: name };
	const remove = removal(io, env, name);
	await removeAbandoned(io, env);
	try {
		await docker(io, env, ["buildx", "create", "--name", name, "--driver", "remote", address], 20_000);
		return { builder: await inspectBuilder(io, made), env: made, remove };
	} catch (error) {
		await remove().catch(() => []);
		throw new BrewlineError("engine", `cannot use the BuildKit at ${address}: ${messageOf(error)}`, {
			hint: "Look whether it answers: docker buildx create --driver remote --bootstrap " + address,
			cause: error,
		});
	}
}

function removal(io: Io, env: EngineEnv, name: string): () => Promise<readonly string[]> {
	return once(async () => {
		const calm: Io = { ...io, signal: new AbortController().signal };
		await docker(calm, env, ["buildx", "rm", "--force", name], 20_000);
		return [`removed the builder ${name}`];
	});
}

/** Removes the builders of runs that were killed: their names have the number of a process that is no more. */
async function removeAbandoned(io: Io, env: EngineEnv): Promise<void> {
	for (const [, name, pid] of (await docker(io, env, ["buildx", "ls"])).matchAll(
		/^(brewline-(\d+)(?:-remote-\d+)?)(?=[*\s])/gm,
	)) {
		if (isRunning(Number(pid))) continue;
		await docker(io, env, ["buildx", "rm", "--force", name!]);
		io.log({ type: "message", level: "notice", text: `removed the builder ${name!}, left by a run that was killed` });
	}
}

function once<T>(action: () => Promise<T>): () => Promise<T> {
	let running: Promise<T> | undefined;
	return () => (running ??= action());
}

async function docker(io: Io, env: EngineEnv, args: readonly string[], limit = 20_000, input = ""): Promise<string> {
	const signal = AbortSignal.any([io.signal, AbortSignal.timeout(limit)]);
	try {
		const { stdout } = await runCommand(io, ["docker", ...args], { env, signal, input, code: "engine" });
		return stdout.toString("utf8");
	} catch (error) {
		if (signal.aborted && !io.signal.aborted)
			throw new BrewlineError("engine", `docker ${args[0]!} did not answer within ${limit / 1000} s`);
		throw error;
	}
}
