import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createReadStream } from "node:fs";
import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { setTimeout as wait } from "node:timers/promises";
import { unpackTar } from "modern-tar/fs";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import {
	canStartEngine,
	inspectBuilder,
	recover,
	useEngine,
	type Engine,
	type EngineEnv,
} from "../../src/engine/index.ts";
import { BrewlineError } from "../../src/errors.ts";
import { nodeIo, runCommand, type Io } from "../../src/io/index.ts";
import { startRegistry, type RunningRegistry } from "../../src/registry/index.ts";
import { engineFolder, engineMode } from "../support/engine.ts";

const logged: string[] = [];
const io = nodeIo({
	log: (event) => {
		if (event.type === "message") logged.push(event.text);
	},
});
const options = { directory: engineFolder, mode: "auto", architectures: ["amd64", "arm64v8", "s390x"] } as const;
const platforms = ["linux/amd64", "linux/arm64", "linux/s390x"];
const reason =
	engineMode() !== "auto"
		? `BREWLINE_ENGINE is ${engineMode()}`
		: (await canStartEngine())
			? undefined
			: "no engine can be started here";
const scratch = await mkdtemp(path.join(tmpdir(), "brewline-engine-"));
afterAll(() => rm(scratch, { recursive: true, force: true }));

/** All of the machine that an engine touches. */
async function machine(): Promise<Record<string, unknown>> {
	const cgroups: string[] = [];
	for (const name of await readdir("/sys/fs/cgroup"))
		for (const child of await readdir(path.join("/sys/fs/cgroup", name)).catch(() => []))
			if (/docker|brewline|buildkit/.test(child)) cgroups.push(`${name}/${child}`);
	return {
		mounts: (await readFile("/proc/self/mountinfo", "utf8"))
			.split("\n")
			.map((line) => line.split(" ").slice(2).join(" ")),
		interfaces: await readdir("/sys/class/net"),
		emulators: await readdir("/proc/sys/fs/binfmt_misc"),
		forwarding: await readFile("/proc/sys/net/ipv4/ip_forward", "utf8"),
		run: await readdir("/run"),
		folder: (await readdir(engineFolder).catch(() => [])).filter((name) => name.startsWith("brewline")),
		cgroups,
		processes: await engineProcesses(),
	};
}

/** Processes whose program is one of the engine's packages; those that have ended and wait for their parent do not count. */
async function engineProcesses(): Promise<string[]> {
	const found: string[] = [];
	for (const pid of await readdir("/proc")) {
		if (!/^\d+$/.test(pid)) continue;
		const file = await readlink(`/proc/${pid}/exe`).catch(() => "");
		if (file.startsWith(path.join(engineFolder, "packages"))) found.push(`${pid} ${file}`);
	}
	return found;
}

async function until(what: string, condition: () => Promise<boolean>, limit = 5000): Promise<void> {
	const deadline = performance.now() + limit;
	while (!(await condition())) {
		if (performance.now() > deadline) throw new Error(`not within ${limit} ms: ${what}`);
		await wait(20);
	}
}

function docker(engine: { readonly env: EngineEnv }, ...args: string[]): Promise<string> {
	return runCommand(io, ["docker", ...args], { env: engine.env, cwd: scratch }).then(({ stdout }) => stdout.toString());
}

/** A build context with the busybox of each platform. */
async function baseContext(engine: Engine): Promise<string> {
	const folder = await mkdtemp(path.join(scratch, "base-"));
	for (const [arch, name] of Object.entries({ amd64: "amd64", arm64v8: "arm64", s390x: "s390x" })) {
		await copyFile(engine.busybox[arch]!, path.join(folder, `busybox-${name}`));
		await chmod(path.join(folder, `busybox-${name}`), 0o755);
	}
	await writeFile(
		path.join(folder, "Dockerfile"),
		'FROM scratch\nARG TARGETARCH\nCOPY busybox-$TARGETARCH /bin/busybox\nRUN ["/bin/busybox", "--install", "-s", "/bin"]\n',
	);
	return folder;
}

interface Holder {
	readonly child: ChildProcess;
	readonly env: EngineEnv;
	/** What it printed at its end. */
	readonly end: Promise<{ code: number | null; lines: string[] }>;
}

const holders: ChildProcess[] = [];

async function hold(directory = engineFolder): Promise<Holder> {
	const child = spawn(process.execPath, [path.join(import.meta.dirname, "../support/engine-holder.ts"), directory], {
		stdio: ["pipe", "pipe", "pipe"],
	});
	holders.push(child);
	const lines: string[] = [];
	const errors = text(child.stderr);
	const exit = once(child, "close");
	const reader = createInterface(child.stdout);
	const first = new Promise<string>((resolve, reject) => {
		reader.on("line", (line) => {
			lines.push(line);
			resolve(line);
		});
		exit.then(
			async () => reject(new Error(`the holder ended: ${await errors}`)),
			(error: unknown) => reject(error as Error),
		);
	});
	const env = JSON.parse(await first) as EngineEnv;
	return { child, env, end: exit.then(([code]) => ({ code: code as number | null, lines: lines.slice(1) })) };
}

describe.skipIf(reason !== undefined)(`a private engine${reason === undefined ? "" : ` (${reason})`}`, () => {
	let before: Record<string, unknown>;
	beforeAll(async () => {
		// Other programs of this project may have been killed, or may still hold an engine: this waits for its end.
		await (await use(io)).close();
		before = await machine();
		const left = [before["processes"], before["cgroups"], before["folder"]].flat();
		if (left.length > 0) throw new Error(`an earlier engine left: ${left.join(", ")}`);
	});
	afterEach(async () => {
		for (const child of holders.splice(0)) child.kill("SIGKILL");
		logged.length = 0;
		await until("the engine's processes end", async () => (await engineProcesses()).length === 0);
		await recover(io);
	});

	it("builds, pushes and runs images for three platforms, and leaves nothing", async () => {
		const engine = await use(io);
		let registry: RunningRegistry | undefined;
		try {
			expect(engine.kind).toBe("private");
			expect(engine.builder).toMatchObject({
				driver: "docker",
				ociExport: true,
				containerImageStore: true,
				hostNetwork: true,
				// Debian's buildx is 0.13.
				annotationLists: false,
			});
			expect(engine.platforms).toEqual(expect.arrayContaining(platforms));
			expect(engine.builder.emulated).toEqual(["linux/arm64", "linux/s390x"]);
			expect(await inspectBuilder(io, engine.env)).toEqual(engine.builder);

			registry = await startRegistry();
			// Both names of this machine, neither given to the engine beforehand.
			for (const host of [registry.host, `localhost:${registry.port}`]) {
				const base = `${host}/base:1`;
				const all = ["--platform", platforms.join(","), "--provenance", "mode=max"];
				await docker(engine, "buildx", "build", ...all, "--push", "--tag", base, await baseContext(engine));

				const context = await mkdtemp(path.join(scratch, "image-"));
				await writeFile(
					path.join(context, "Dockerfile"),
					`FROM ${base}\nRUN uname -m > /machine && tr -d '\\0' < /proc/1/cmdline | wc -c\nCMD ["sh", "-c", "cat /machine; uname -m"]\n`,
				);
				const image = `${host}/image:1`;
				await docker(engine, "buildx", "build", ...all, "--no-cache", "--push", "--tag", image, context);
				for (const [platform, name] of [
					["linux/amd64", "x86_64"],
					["linux/arm64", "aarch64"],
					["linux/s390x", "s390x"],
				] as const) {
					const output = await docker(
						engine,
						"run",
						"--rm",
						"--pull",
						"always",
						"--quiet",
						"--platform",
						platform,
						image,
					);
					expect(output.trim().split("\n")).toEqual([name, name]);
				}

				const layout = path.join(scratch, "layout.tar");
				await docker(engine, "buildx", "build", ...all, "--output", `type=oci,dest=${layout}`, context);
				const content = await mkdtemp(path.join(scratch, "layout-"));
				await new Promise((resolve, reject) => {
					createReadStream(layout).pipe(unpackTar(content)).once("finish", resolve).once("error", reject);
				});
				const read = async (file: string) => JSON.parse(await readFile(path.join(content, file), "utf8")) as OciIndex;
				const root = await read("index.json");
				const index = await read(`blobs/sha256/${root.manifests[0]!.digest.slice(7)}`);
				const found = index.manifests.map(({ platform }) => `${platform.os}/${platform.architecture}`);
				expect(found.slice(0, 3).sort()).toEqual(platforms);
				expect(found.slice(3)).toEqual(["unknown/unknown", "unknown/unknown", "unknown/unknown"]);
			}
		} finally {
			await registry?.close();
			const back = await engine.close();
			expect(back).toEqual([
				expect.stringMatching(/^ended the engine \(process \d+\)$/),
				"removed the engine's control groups",
				"removed the bridge docker0",
				"deleted the engine's images and cache",
				"took back the emulator brewline-s390x",
				"took back the emulator brewline-aarch64",
				"unmounted /proc/sys/fs/binfmt_misc",
			]);
			expect(await engine.close()).toBe(back);
		}
		expect(await machine()).toEqual(before);
	});

	it("starts again without fetching anything", async () => {
		const fetching: string[] = [];
		const offline: Io = {
			...io,
			exec: (argv, settings) => {
				if (/apt|dpkg/.test(argv[0])) fetching.push(argv.join(" "));
				return io.exec(argv, settings);
			},
		};
		const started = performance.now();
		const engine = await use(offline);
		const seconds = (performance.now() - started) / 1000;
		await engine.close();
		expect(fetching).toEqual([]);
		expect(seconds).toBeLessThan(15);
		expect(await machine()).toEqual(before);
	});

	it("is used as it is where it was there before", async () => {
		const holder = await hold();
		const there = nodeIo({ env: { ...process.env, ...holder.env } });
		const engine = await useEngine(there, { ...options, mode: "present" });
		if ("unavailable" in engine) throw new Error(engine.unavailable);
		expect(engine).toMatchObject({ kind: "present", env: {} });
		expect(Object.keys(engine.busybox)).toEqual(["amd64", "arm64v8", "s390x"]);
		expect(engine.platforms).toContain("linux/s390x");
		expect(await engine.close()).toEqual([]);
		expect(await docker({ env: holder.env }, "version", "--format", "{{.Server.Os}}")).toBe("linux\n");
		holder.child.kill("SIGTERM");
		await holder.end;
		expect(await machine()).toEqual(before);
	});

	it.for(["SIGINT", "SIGTERM"] as const)("is gone within 5 s of %s, in the middle of a build", async (signal) => {
		const holder = await hold();
		const build = await busyBuild(holder.env);
		const started = performance.now();
		holder.child.kill(signal);
		const { code, lines } = await holder.end;
		expect(performance.now() - started).toBeLessThan(5000);
		expect(code).toBe(0);
		expect(JSON.parse(lines[0]!)).toContain("removed the bridge docker0");
		await build.ended;
		expect(await machine()).toEqual(before);
	});

	it("ends with a program that is killed, and the next one puts the rest back", async () => {
		const holder = await hold();
		const build = await busyBuild(holder.env);
		holder.child.kill("SIGKILL");
		await holder.end;
		await build.ended;
		await until("all processes of the engine end", async () => (await engineProcesses()).length === 0);
		const left = await machine();
		expect(left["emulators"]).toContain("brewline-s390x");
		expect(left["interfaces"]).toContain("docker0");
		expect(left["mounts"]).not.toContainEqual(expect.stringContaining("brewline-engine-data"));
		// As an engine leaves it that ends while it makes one for a container.
		const architecture = process.arch === "arm64" ? "arm64" : "amd64";
		const busybox = path.join(engineFolder, `packages/busybox-static_bookworm_${architecture}/bin/busybox`);
		await runCommand(io, [busybox, "ip", "link", "add", "veth0000001", "type", "veth"], { code: "engine" });
		expect((await machine())["interfaces"]).toContain("veth0000001");

		expect(await recover(io)).toEqual([
			"removed the engine's control groups",
			"removed the bridge docker0",
			"deleted the engine's images and cache",
			"took back the emulator brewline-s390x",
			"unmounted /proc/sys/fs/binfmt_misc",
		]);
		expect(await machine()).toEqual(before);
		expect(await recover(io)).toEqual([]);
	});

	it("starts where another one was killed, and tells what that left", async () => {
		const holder = await hold();
		holder.child.kill("SIGKILL");
		await holder.end;
		const engine = await use(io);
		expect(logged).toContainEqual("left by an engine that was killed: removed the bridge docker0");
		await engine.close();
		expect(await machine()).toEqual(before);
	});

	it("is put back where it is killed or ended while it starts", async () => {
		// Delays spread over the start; each finds it at another point.
		for (const delay of [50, 200, 400, 800]) {
			const ending = new AbortController();
			const started = useEngine(nodeIo({ signal: ending.signal }), options);
			setTimeout(() => {
				ending.abort();
			}, delay);
			const engine = await started.catch((error: unknown) => {
				if (!(error instanceof BrewlineError && error.code === "cancelled")) throw error;
			});
			if (engine !== undefined && "close" in engine) await engine.close();
			expect(await machine()).toEqual(before);
		}
	});

	it("waits for one that runs already, and says for which", async () => {
		const holder = await hold();
		const tooLong = await useEngine(io, { ...options, patience: 0 });
		expect(tooLong).toEqual({ unavailable: expect.stringContaining("another program holds the engine") });

		const waiting = use(io);
		await until("it says that it waits", () => Promise.resolve(logged.length > 0));
		expect(logged).toEqual([
			`an engine of ours runs already (process ${holder.child.pid} in ${process.cwd()}): waiting for its end`,
		]);
		holder.child.kill("SIGINT");
		const engine = await waiting;
		expect((await holder.end).code).toBe(0);
		await engine.close();
		expect(await machine()).toEqual(before);
	});

	it("says why it does not start, and puts everything back", async () => {
		const directory = path.join(scratch, "broken");
		await mkdir(directory, { recursive: true });
		// The real packages, but an engine that ends at once.
		await runCommand(io, ["cp", "-al", path.join(engineFolder, "packages"), directory]);
		const file = path.join(directory, "packages/docker.io_trixie_amd64/usr/sbin/dockerd");
		await rm(file);
		await writeFile(file, "#!/bin/sh\necho 'failed to start daemon: no luck today' >&2\nexit 1\n", { mode: 0o755 });
		const engine = await useEngine(io, { ...options, directory });
		expect(engine).toEqual({
			unavailable: "the private engine ended while it started; it says: failed to start daemon: no luck today",
		});
		expect(await machine()).toEqual(before);
	});

	it("brings packages again that were cut off", async () => {
		const directory = path.join(scratch, "cut-off");
		await mkdir(path.join(directory, "downloads"), { recursive: true });
		await mkdir(path.join(directory, "packages/tini_bookworm_amd64.unpacking/usr/bin"), { recursive: true });
		// All but one are there; of that one an unpacking and a download that were cut off.
		await runCommand(io, ["cp", "-al", path.join(engineFolder, "packages"), directory]);
		await rm(path.join(directory, "packages/tini_bookworm_amd64"), { recursive: true });
		const fetched = await tiniName();
		await writeFile(path.join(directory, "downloads", fetched), "!<arch>\n cut off");
		const engine = await useEngine(io, { ...options, directory });
		if ("unavailable" in engine) throw new Error(engine.unavailable);
		await engine.close();
		expect(await readdir(path.join(directory, "downloads"))).toEqual([]);
		expect(await machine()).toEqual(before);
	});

	async function use(world: Io): Promise<Engine> {
		const engine = await useEngine(world, options);
		if ("unavailable" in engine) throw new Error(engine.unavailable);
		return engine;
	}

	/**
	 * Starts a container and a build that would take ten minutes, both emulated, and waits until both run. The end of the
	 * build's client comes in an object: a promise returned by itself would be awaited with this function.
	 */
	async function busyBuild(env: EngineEnv): Promise<{ readonly ended: Promise<unknown> }> {
		const context = await mkdtemp(path.join(scratch, "busy-"));
		await copyFile(
			path.join(engineFolder, "packages/busybox-static_bookworm_s390x/bin/busybox"),
			path.join(context, "busybox"),
		);
		await writeFile(
			path.join(context, "Dockerfile"),
			'FROM scratch AS base\nCOPY --chmod=755 busybox /busybox\nFROM base\nRUN ["/busybox", "sleep", "600"]\n',
		);
		const platform = ["--platform", "linux/s390x"];
		await docker({ env }, "buildx", "build", ...platform, "--target", "base", "--load", "--tag", "base", context);
		await docker({ env }, "run", "--detach", ...platform, "base", "/busybox", "sleep", "600");
		const ended = docker({ env }, "buildx", "build", ...platform, context).catch(() => undefined);
		const sleepers = async () => {
			const running = (await engineProcesses()).filter((line) => line.includes("qemu-s390x"));
			return running.length >= 2;
		};
		await until("the container and the build run", sleepers, 30_000);
		return { ended };
	}

	async function tiniName(): Promise<string> {
		const { stdout } = await runCommand(io, ["apt-cache", "show", "--no-all-versions", "tini"]);
		const version = /^Version: (.*)$/m.exec(stdout.toString())?.[1] ?? "0";
		return `tini_${version.replaceAll(":", "%3a")}_amd64.deb`;
	}
});

interface OciIndex {
	readonly manifests: readonly {
		readonly digest: string;
		readonly platform: { readonly os: string; readonly architecture: string };
	}[];
}
