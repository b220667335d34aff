import { readFile, stat } from "node:fs/promises";
import path from "node:path";
import { BrewlineError, messageOf } from "../errors.ts";
import type { Program } from "./types.ts";

const maxConfigBytes = 1024 * 1024;

/** Reads `brewline.yaml`; folders in it count from the file's own. All errors of the file come in one. */
export async function loadConfig(file: string): Promise<Program> {
	const unreadable = (error: unknown): never => {
		throw new BrewlineError("config", `cannot read the configuration ${file}: ${messageOf(error)}`, {
			cause: error,
			hint: "name another file with --config, or leave the option out to go without one",
		});
	};
	const { size } = await stat(file).catch(unreadable);
	if (size > maxConfigBytes) {
		throw new BrewlineError("config", `the configuration is larger than ${maxConfigBytes} bytes`, { at: { file } });
	}
	// It brings a parser of YAML along, which who has no configuration need not load.
	const { parseConfig } = await import("./parse.ts");
	const program = parseConfig(await readFile(file, "utf8").catch(unreadable), file);
	const folder = path.dirname(path.resolve(file));
	return {
		...program,
		library: path.resolve(folder, program.library),
		externalPins: path.resolve(folder, program.externalPins),
	};
}
