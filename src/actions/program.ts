import { existsSync } from "node:fs";
import * as z from "zod/mini";
import { defineProgram, loadConfig, type Program } from "../config/index.ts";
import type { Io } from "../io/index.ts";

const usual = "brewline.yaml";

/** The input that names the configuration. */
export const configInput = z._default(z.string(), usual);

/** The program of a configuration file; Docker's where there is none of the usual name. */
export async function programOf(file: string, io: Io): Promise<Program> {
	// A name that somebody wrote is not a typing error away from Docker's own repositories.
	if (file !== usual || existsSync(file)) return await loadConfig(file);
	io.log({ type: "message", level: "notice", text: `there is no ${file}: Docker's values hold` });
	return defineProgram();
}
