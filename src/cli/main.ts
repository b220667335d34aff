#!/usr/bin/env node
// This file alone is read by whatever Node there is, so it imports nothing before it has looked at the version.
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 24 || (major === 24 && minor < 5)) {
	process.stderr.write(`brewline needs Node.js 24.5 or newer; this is ${process.version}\n`);
	process.exitCode = 8;
} else {
	const path = process.getBuiltinModule("node:path");
	const { NODE_COMPILE_CACHE, XDG_CACHE_HOME, LOCALAPPDATA, HOME } = process.env;
	const caches = XDG_CACHE_HOME || LOCALAPPDATA || (HOME && path.join(HOME, ".cache"));
	if (NODE_COMPILE_CACHE || caches) {
		// What was compiled once need not be again. Below the user's own folder: whoever can write there decides what is run.
		const { enableCompileCache } = process.getBuiltinModule("node:module");
		enableCompileCache(NODE_COMPILE_CACHE || path.join(caches!, "brewline"));
	}
	void start();
}

async function start(): Promise<void> {
	// If nothing is left to wait for before the command has come to its end, it has failed.
	process.exitCode = 1;
	let lost = 0;
	const { isUnread, main, standardError, whenOutputIsLost } = await import("./program.ts");
	whenOutputIsLost((error) => {
		// Who has read enough of a result is content with it, as of `head`.
		if (isUnread(error)) return;
		standardError().write(`brewline: cannot write the output: ${error.message}\n`);
		lost = 1;
		if (process.exitCode === 0) process.exitCode = lost;
	});
	process.exitCode = (await main(process.argv)) || lost;
}
