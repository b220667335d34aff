import { readFileSync, statSync } from "node:fs";
import path from "node:path";
import { BrewlineError, messageOf } from "../errors.ts";
import type { ImageConfig } from "./images.ts";
import type { Configuration, Program } from "./types.ts";

/** Bytes; a larger `brewline.yaml` is not read. */
export const configurationLimit = 1024 * 1024;

/** Reads `brewline.yaml`; folders in it count from the file's own. All errors of the file come in one. */
export async function loadConfig(file: string): Promise<Program> {
	const text = readConfig(file);
	// It brings a parser of YAML along, which who has no configuration need not load.
	const { parseConfig } = await import("./parse.ts");
	return resolved(parseConfig(text, file), file);
}

/** Both blocks of a `brewline.yaml`; `images` is empty where there is none. */
export async function loadConfiguration(file: string): Promise<Configuration> {
	const text = readConfig(file);
	const { parseFile } = await import("./file.ts");
	const { program, ...images } = parseFile(text, file);
	return { program: resolved(program, file), ...images };
}

/** The images of a `brewline.yaml`, one at least. */
export async function loadImages(file: string): Promise<readonly ImageConfig[]> {
	const { images } = await loadConfiguration(file);
	if (images.length === 0) throw withoutImages(file);
	return images;
}

/** What is wrong with a configuration that describes no image, where one is needed. */
export function withoutImages(file: string): BrewlineError {
	return new BrewlineError("config", "the configuration has no images", {
		at: { file },
		hint: "Describe the image of this repository in the block images; examples/ has some to copy.",
	});
}

function readConfig(file: string): string {
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
	if (read(() => statSync(file)).size > configurationLimit) {
		throw new BrewlineError("config", `the configuration is larger than ${configurationLimit} bytes`, { at: { file } });
	}
	return read(() => readFileSync(file, "utf8"));
}

function resolved(program: Program, file: string): Program {
	const folder = path.dirname(path.resolve(file));
	return {
		...program,
		library: path.resolve(folder, program.library),
		externalPins: path.resolve(folder, program.externalPins),
	};
}
