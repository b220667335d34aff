/**
 * `npm run demo`: the pipeline over the samples, for three architectures, against the embedded registry, and the published
 * images run on each platform. What it published stays in `.cache/demo`, so a second run has nothing to build.
 *   --change-base   the base and the tool get another commit each: they and what stands on them are built
 *   --reset         forget what was published
 *   --verbose       show the output of the builds
 */
import { rm } from "node:fs/promises";
import path from "node:path";
import { parseArgs } from "node:util";
import { type Engine, recover, useEngine } from "../src/engine/index.ts";
import { nodeIo, runCommand, whenOutputIsLost } from "../src/io/index.ts";
import { run } from "../src/pipeline/index.ts";
import { startRegistry } from "../src/registry/index.ts";
import {
	exitCodeOf,
	exitCodeOfReport,
	failuresOf,
	failureText,
	renderText,
	type Report,
	styleFor,
	terminalLog,
} from "../src/report/index.ts";
import { sampleArchitectures } from "../test/fixtures/samples/make.ts";
import { openSampleWorld } from "../test/support/sample-world.ts";

const cache = path.join(import.meta.dirname, "../.cache");
const options = parseArgs({
	options: {
		"change-base": { type: "boolean", default: false },
		reset: { type: "boolean", default: false },
		verbose: { type: "boolean", short: "v", default: false },
	},
}).values;

const style = styleFor(process.stdout, process.env);
const terminal = terminalLog(process.stdout, {
	style,
	live: process.stdout.isTTY && !options.verbose,
	verbose: options.verbose,
	now: () => Date.now(),
});
const say = (text: string): void => {
	terminal.log({ type: "message", level: "info", text });
};
const ending = new AbortController();
let endedAt = 0;
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
	process.on(signal, () => {
		if (ending.signal.aborted) {
			// One Ctrl-C can come twice: from the terminal and from who started this.
			if (Date.now() - endedAt < 1000) return;
			say("leaving at once; the next start puts the rest back");
			process.exit(130);
		}
		endedAt = Date.now();
		say("ending; what was started is put back first (once more to leave at once)");
		ending.abort(new Error(`ended by ${signal}`));
	});
}
// A closed terminal or pipe must not keep the machine from being put in order either.
whenOutputIsLost((error) => {
	ending.abort(error);
});
const io = nodeIo({ log: terminal.log, signal: ending.signal });
process.exitCode = await main().catch((error: unknown) => {
	terminal.end();
	for (const failure of failuresOf(error)) console.error(`${style.red(failure.code)}: ${failureText(failure)}`);
	return exitCodeOf(error);
});
terminal.end();

async function main(): Promise<number> {
	const directory = path.join(cache, "demo");
	if (options.reset) await rm(directory, { recursive: true, force: true });
	for (const line of await recover(io)) say(`left by a run that was killed: ${line}`);
	const mode = engineMode(io.env["BREWLINE_ENGINE"]);
	const engine = await useEngine(io, {
		directory: path.join(cache, "engine"),
		mode,
		architectures: sampleArchitectures,
	});
	const registry = await startRegistry({ directory: path.join(directory, "registry") });
	try {
		if ("unavailable" in engine) {
			say(`No engine: ${engine.unavailable}. Only the sample that needs none is built; nothing can be run.`);
			return await demonstrate(directory, registry.host, undefined);
		}
		say(`Engine: ${engine.description}`);
		return await demonstrate(directory, registry.host, engine);
	} finally {
		await registry.close();
		if ("close" in engine) for (const line of await engine.close()) say(line);
	}
}

async function demonstrate(directory: string, registry: string, engine: Engine | undefined): Promise<number> {
	await using world = await openSampleWorld(io, {
		directory,
		registry,
		...(engine === undefined ? { withoutEngine: true } : { busybox: engine.busybox }),
		changes: options["change-base"] ? ["base", "tool"] : [],
	});
	const report = await run(world.program, io, {
		work: path.join(directory, "work"),
		findBuilder: () => Promise.resolve(engine && { ...engine.builder, env: engine.env }),
	});
	terminal.end();
	process.stdout.write(renderText(report, style));
	const exitCode = exitCodeOfReport(report);
	if (engine === undefined || exitCode !== 0) return exitCode;
	return await runImages(report, engine);
}

/** Runs what was published on each of its platforms, as a user would. */
async function runImages(report: Report, engine: Engine): Promise<number> {
	process.stdout.write(`${style.bold("Run from the registry")}\n`);
	const { env } = engine;
	for (const { reference, platforms } of report.tags) {
		if (!/\/(?:tool|app|bundle):latest$/.test(reference)) continue;
		for (const platform of platforms) {
			const command = [
				"docker",
				"run",
				"--rm",
				"--pull",
				"always",
				"--quiet",
				"--network",
				"none",
				"--platform",
				platform,
				reference,
			] as const;
			const { stdout } = await runCommand(io, command, { code: "engine", env });
			process.stdout.write(`  ${reference} ${platform}: ${stdout.toString("utf8").trim().split("\n").join(" | ")}\n`);
		}
		if (engine.kind === "present")
			await runCommand(io, ["docker", "image", "rm", "--force", reference], { code: "engine", env });
	}
	return 0;
}

function engineMode(value = "auto"): "auto" | "present" | "none" {
	if (value === "auto" || value === "present" || value === "none") return value;
	throw new Error(`BREWLINE_ENGINE must be auto, present or none, not ${value}`);
}
