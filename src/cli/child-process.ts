import type * as childProcess from "node:child_process";

/**
 * Stands in the bundled command line for `node:child_process`, which what parses the options imports: it is loaded where a
 * process is started, which most commands do not do.
 */
export const spawn = ((command: string, args: readonly string[], options: childProcess.SpawnOptions) =>
	globalThis.process.getBuiltinModule("node:child_process").spawn(command, args, options)) as typeof childProcess.spawn;

export default { spawn };
