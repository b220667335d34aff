/**
 * Starts an engine in a process of its own, for tests that end it: `node engine-holder.ts DIRECTORY`. Prints the engine's
 * variables as JSON once it is ready; SIGINT, SIGTERM or the end of its standard input (of the tests, where they are
 * killed) ends it in order, with one line of what was put back.
 */
import { useEngine } from "../../src/engine/index.ts";
import { nodeIo } from "../../src/io/index.ts";

const ending = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const)
	process.on(signal, () => {
		ending.abort();
	});
process.stdin.resume().once("close", () => {
	ending.abort();
});
const io = nodeIo({
	signal: ending.signal,
	log: (event) => {
		if (event.type === "message") console.error(event.text);
	},
});
const engine = await useEngine(io, {
	directory: process.argv[2] ?? "",
	mode: "auto",
	architectures: ["amd64", "s390x"],
});
if ("unavailable" in engine) throw new Error(engine.unavailable);
process.stdout.write(`${JSON.stringify(engine.env)}\n`);
if (!ending.signal.aborted)
	await new Promise((resolve) => {
		ending.signal.addEventListener("abort", resolve);
	});
process.stdout.write(`${JSON.stringify(await engine.close())}\n`);
process.stdin.destroy();
