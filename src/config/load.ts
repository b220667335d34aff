import { readFileSync, statSync } from "node:fs";
import path from "node:path";
import { BrewlineError, messageOf } from "../errors.ts";
import type { Program } from "./types.ts";

const maxConfigBytes = 1024 * 1024;

/** Reads `brewline.yaml`; folders in it count from the file's own. All errors of the file come in one. */
export async function loadConfig(file: string): Promise<Program> {
	const read = <Result>(action: () => Result): Result => {
		try {
			return action();
		} catch (error) {
			throw new BrewlineError("config", `cannot read the configuration ${file}: ${messageOf(error)}`, {
				cause: error,
				hint: "name another file with --config, or leave the option out to go without one",
			});
		}
	};
	if (read(() => statSync(file)).size > maxConfigBytes) {
		throw new BrewlineError("config", `the configuration is larger than ${maxConfigBytes} bytes`, { at: { file } });
	}
	const text = read(() => readFileSync(file, "utf8"));
	// It brings a parser of YAML along, which who has no configuration need not load.
	const { parseConfig } = await import("./parse.ts");
	const program = parseConfig(text, file);
	const folder = path.dirname(path.resolve(file));
	return {
		...program,
		library: path.resolve(folder, program.library),
		externalPins: path.resolve(folder, program.externalPins),
	};
}
