#!/usr/bin/env node
// This file alone is read by whatever Node there is, so it imports nothing before it has looked at the version.
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 24 || (major === 24 && minor < 5)) {
	process.stderr.write(`brewline needs Node.js 24.5 or newer; this is ${process.version}\n`);
	process.exitCode = 8;
} else {
	// What was compiled once need not be again; a folder that cannot be written to is no error.
	const [{ enableCompileCache }, os, path] = await Promise.all([
		import("node:module"),
		import("node:os"),
		import("node:path"),
	]);
	// Below the user's own folder: whoever can write to the cache decides what is run.
	enableCompileCache(
		process.env["NODE_COMPILE_CACHE"] ??
			path.join(process.env["XDG_CACHE_HOME"] ?? path.join(os.homedir(), ".cache"), "brewline"),
	);
	const { main } = await import("./program.ts");
	const { isUnread, whenOutputIsLost } = await import("../io/index.ts");
	whenOutputIsLost((error) => {
		// Who has read enough of a result is content with it, as of `head`.
		if (isUnread(error)) return;
		process.stderr.write(`brewline: cannot write the output: ${error.message}\n`);
		process.exitCode = 1;
	});
	process.exitCode = (await main(process.argv)) || process.exitCode;
}
