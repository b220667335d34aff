import { doctor } from "../engine/index.ts";
import { errorCodes } from "../errors.ts";
import { tabJson } from "../json/index.ts";
import { type Context, sayUnconfigured } from "./context.ts";

/** Checks this machine for the program; 0 only where nothing that is needed is missing. */
export async function doctorStep(context: Context): Promise<number> {
	const { io, program, style, json, work } = context;
	sayUnconfigured(context);
	const checks = await doctor(io, { program, directory: work });
	if (json) context.print(tabJson(checks));
	else {
		const marks = { ok: style.green("ok     "), warning: style.yellow("warning"), missing: style.red("missing") };
		for (const { name, status, detail, mend } of checks) {
			context.print(`${marks[status]} ${name}: ${detail}${mend === undefined ? "" : `\n        ${mend}`}\n`);
		}
	}
	return checks.some(({ status }) => status === "missing") ? errorCodes.engine.exit : 0;
}
