import { existsSync } from "node:fs";
import { statfs } from "node:fs/promises";
import path from "node:path";
import { platformString } from "../oci/index.ts";
import { dockerProgram, servedArchitectures, type Program } from "../config/index.ts";
import { BrewlineError, messageOf } from "../errors.ts";
import { runCommand } from "../io/command.ts";
import { printable } from "../io/printable.ts";
import type { Io } from "../io/types.ts";
import { engineInfo, inspectBuilder } from "./builder.ts";
import { readRegistrations } from "./emulators.ts";
import { checkRegistries } from "./access.ts";
import { obstacle } from "./private.ts";
import { hosts, targets } from "./targets.ts";
import type { Builder } from "./types.ts";

export interface Check {
	/** What was looked at: `git`, `emulator s390x`, `push to registry.example/staging`. */
	readonly name: string;
	/** `missing`: something does not work without it. `warning`: something works otherwise, or elsewhere only. */
	readonly status: "ok" | "warning" | "missing";
	readonly detail: string;
	/** How to mend it, where it is not `ok`. */
	readonly mend?: string;
}

export interface DoctorOptions {
	/** Whose architectures and registries are looked at; default Docker's. */
	readonly program?: Program;
	/** Where builds and downloads go; default the working folder. */
	readonly directory?: string;
	/** Images whose published repositories are tried too: `NAME` is below the program's namespace. */
	readonly images?: readonly string[];
}

/**
 * Looks at what the pipeline needs of this machine, in an order to read in. Changes nothing, here or in a registry;
 * what fails is a check that says so, never an error (apart from `cancelled`).
 */
export async function doctor(io: Io, options: DoctorOptions = {}): Promise<readonly Check[]> {
	const program = options.program ?? dockerProgram;
	const checks = [checkNode(process.version), await checkGit(io)];
	const engine = await checkEngine(io);
	checks.push(...engine.checks, ...(await checkArchitectures(program, engine.builder)));
	checks.push(await checkDisk(options.directory ?? "."));
	checks.push(...(await checkRegistries(io, program, options.images ?? [])));
	if (io.signal.aborted) throw new BrewlineError("cancelled", "ended while it looked at the machine");
	return checks;
}

/** `version` as `process.version` has it. */
function checkNode(version: string): Check {
	const [major = 0, minor = 0] = version.replace(/^v/, "").split(".").map(Number);
	const enough = major > 24 || (major === 24 && minor >= 5);
	return enough
		? { name: "node", status: "ok", detail: version }
		: { name: "node", status: "missing", detail: `${version} is too old`, mend: "Install Node.js 24.5 or later." };
}

/** Commits are fetched by their id, bare, and read in batches: git 2.36 has all of it. */
async function checkGit(io: Io): Promise<Check> {
	const text = await output(io, ["git", "--version"]);
	const [, major, minor] = /(\d+)\.(\d+)/.exec(text ?? "") ?? [];
	const mend = "Install git 2.36 or later.";
	if (text === undefined || major === undefined)
		return { name: "git", status: "missing", detail: "git does not start", mend };
	const old = Number(major) < 2 || (Number(major) === 2 && Number(minor) < 36);
	return { name: "git", status: old ? "warning" : "ok", detail: text, ...(old ? { mend } : {}) };
}

async function checkEngine(io: Io): Promise<{ checks: Check[]; builder?: Builder }> {
	const client = await output(io, ["docker", "--version"]);
	const checks: Check[] = [
		client === undefined
			? { name: "docker", status: "warning", detail: "no client", mend: "Install Docker, with its buildx plugin." }
			: { name: "docker", status: "ok", detail: client },
	];
	try {
		const info = await engineInfo(io);
		checks.push({ name: "engine", status: "ok", detail: `Docker ${printable(info.version)}` });
	} catch (error) {
		const reason = await obstacle();
		const privately =
			reason === undefined
				? "the demo and the tests start a private one here by themselves"
				: `the demo and the tests cannot start a private one here: ${reason}`;
		checks.push({
			name: "engine",
			status: "missing",
			detail: `${messageOf(error)}; without one only oci-import builds`,
			mend: `Start Docker (${privately}).`,
		});
		return { checks };
	}
	try {
		const builder = await inspectBuilder(io);
		checks.push({
			name: "buildkit",
			status: "ok",
			detail: `${builder.buildkitVersion ?? "of the engine"}, builder ${builder.name} (${builder.driver})`,
		});
		checks.push(
			builder.ociExport
				? { name: "oci layouts", status: "ok", detail: "the builder writes them, with attestations" }
				: {
						name: "oci layouts",
						status: "warning",
						detail: "the engine's image store cannot write them; a builder will be made for each run",
						mend: 'Switch the containerd image store on ("features": {"containerd-snapshotter": true} in daemon.json).',
					},
		);
		return { checks, builder };
	} catch (error) {
		const mend = "Install the buildx plugin; `docker buildx inspect --bootstrap` must work.";
		checks.push({ name: "buildkit", status: "missing", detail: messageOf(error), mend });
		return { checks };
	}
}

/** One check for each architecture: whether it is built here, by the processor itself or by an emulator. */
async function checkArchitectures(program: Program, builder: Builder | undefined): Promise<Check[]> {
	const listed = builder === undefined ? await platformsHere() : builder;
	// Variants are not compared: BuildKit lists but some of those that a machine runs.
	const family = (platform: string) => platform.split("/").slice(0, 2).join("/");
	const has = (list: readonly string[], wanted: string) => list.some((text) => family(text) === family(wanted));
	return servedArchitectures(program).map((arch) => {
		const { platform, emulate, runner } = program.architectures[arch]!;
		const label = runner === null ? "" : ` (${runner})`;
		const someEmulated = program.policies.some(
			(rule) => rule.emulate === true && (rule.architectures?.includes(arch) ?? true),
		);
		const name = `architecture ${arch}`;
		const wanted = platformString(platform);
		if (!has(listed.platforms, wanted)) {
			const mend =
				platform.os === "linux"
					? `Build it on a runner for it${label}, or register an emulator (package qemu-user-static).`
					: `Build it on a runner for it${label}.`;
			return { name, status: "warning", detail: `${wanted} is not built on this machine`, mend };
		}
		if (!has(listed.emulated, wanted)) return { name, status: "ok", detail: `${wanted}, native` };
		if (emulate === true) return { name, status: "ok", detail: `${wanted}, emulated` };
		if (someEmulated)
			return { name, status: "ok", detail: `${wanted}, emulated for the images that a policy allows it` };
		return {
			name,
			status: "warning",
			detail: `${wanted} could be emulated, but the configuration does not allow it`,
			mend: `Set architectures.${arch}.emulate to true, or build it on a runner for it${label}.`,
		};
	});
}

/** Without an engine: what the kernel would run. */
async function platformsHere(): Promise<Pick<Builder, "platforms" | "emulated">> {
	const native = (hosts[process.arch]?.native ?? []).map((arch) => targets[arch]!.platform);
	const registered = (await readRegistrations()).filter(({ enabled, flags }) => enabled && flags.includes("F"));
	const emulated = Object.values(targets)
		.filter(({ qemu }) => registered.some(({ interpreter }) => new RegExp(`[-/]${qemu}(-|$)`).test(interpreter)))
		.map(({ platform }) => platform)
		.filter((platform) => !native.includes(platform));
	return { platforms: [...native, ...emulated], emulated };
}

/** `directory` may not be there yet: then it is made on the disk of the first folder above it that is. */
async function checkDisk(directory: string): Promise<Check> {
	let folder = path.resolve(directory);
	while (!existsSync(folder)) folder = path.dirname(folder);
	const { bavail, bsize } = await statfs(folder);
	const free = (bavail * bsize) / 2 ** 30;
	const detail = `${free.toFixed(1)} GiB are free`;
	if (free >= 10) return { name: "disk", status: "ok", detail };
	const mend = "Make room: builds keep their layers until they are pushed.";
	return { name: "disk", status: free < 2 ? "missing" : "warning", detail, mend };
}

/** The first line that a program prints; undefined where it cannot be started or fails. */
async function output(io: Io, argv: readonly [string, ...string[]]): Promise<string | undefined> {
	const result = await runCommand(io, argv).catch(() => undefined);
	return result === undefined ? undefined : printable(result.stdout.toString("utf8").trim().split("\n")[0] ?? "");
}
