import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { loadJq, type Jq as Instance } from "jq-wasm";
import { BrewlineError } from "../errors.ts";
import { printable } from "../io/printable.ts";
import { withMaximumMemory } from "./wasm.ts";

/** What jq said: its outputs as the lines of compact JSON that it wrote, and what it complained about. */
export interface JqResult {
	readonly lines: readonly string[];
	/** Empty where nothing went wrong. */
	readonly error: string;
}

export interface Jq {
	/** Runs a program once over a text of JSON. To be called in a thread that can be ended: a program may loop for ever. */
	run(program: string, input: string): Promise<JqResult>;
}

/** Programs are passed on jq's stack, which has some megabytes; real ones have some kilobytes. */
const maxProgramBytes = 1024 * 1024;

/**
 * jq without a binary. Its memory has a maximum; an instance that ran into it, or that ended in any other way than jq does by
 * itself, is given up, and the next program gets a new one.
 */
export function openJq({ memoryLimit }: { /** Bytes. */ readonly memoryLimit: number }): Jq {
	let module: Promise<WebAssembly.Module> | undefined;
	let instance: Promise<Instance> | undefined;
	return {
		run: async (program, input) => {
			if (Buffer.byteLength(program) > maxProgramBytes) {
				throw new BrewlineError("template", `a jq program of more than ${maxProgramBytes} bytes is not run`);
			}
			if (program.includes("\0")) {
				throw new BrewlineError("template", "a jq program holds a NUL character");
			}
			// Only a module that could be read is kept.
			module ??= compile(memoryLimit).catch((error: unknown) => {
				module = undefined;
				throw error;
			});
			const wasmModule = await module;
			instance ??= loadJq({ wasmModule });
			const jq = await instance;
			try {
				const { stdout, stderr, exitCode } = jq.raw(input, program, ["-c"]);
				const error = exitCode === 0 ? "" : stderr || `jq ended with exit code ${exitCode}`;
				return { lines: stdout === "" ? [] : stdout.split("\n"), error };
			} catch (error) {
				instance = undefined;
				throw new BrewlineError("limit", "jq ran out of memory, or into recursion without an end", {
					hint: `A program may use ${Math.round(memoryLimit / 1024 / 1024)} MiB.`,
					cause: error,
				});
			}
		},
	};
}

async function compile(memoryLimit: number): Promise<WebAssembly.Module> {
	const bytes = await readModule();
	return WebAssembly.compile(withMaximumMemory(bytes, memoryLimit));
}

/** Beside a bundle where the build put it there, else in the package that it comes from. */
async function readModule(): Promise<Uint8Array> {
	try {
		return await readFile(new URL("./jq.wasm", import.meta.url));
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
	}
	const file = createRequire(fileURLToPath(import.meta.url)).resolve("jq-wasm/jq.wasm");
	return readFile(file);
}

/** What jq complained about in one line that is safe to show, without the name that it gives itself. */
export function complaint(error: string): string {
	const [first = ""] = error.split("\n").filter((line) => line.trim() !== "");
	return printable(first.replace(/^jq: error(?: \(at [^)]*\))?: /, ""));
}
