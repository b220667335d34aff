import { existsSync } from "node:fs";
import { defineProgram, loadConfig, type Program } from "../config/index.ts";
import type { Io } from "../io/index.ts";

/** The program of a configuration file; Docker's where there is no such file. */
export async function programOf(file: string, io: Io): Promise<Program> {
	if (existsSync(file)) return await loadConfig(file);
	io.log({ type: "message", level: "notice", text: `there is no ${file}: Docker's values hold` });
	return defineProgram();
}
