/** `npm test`: builds the package and the bundles, then runs the unit and the end-to-end tests. */
import { spawnSync } from "node:child_process";
import path from "node:path";
import { build } from "./build.ts";

const root = path.dirname(import.meta.dirname);
const started = performance.now();
await build();
console.log(`build: ${((performance.now() - started) / 1000).toFixed(1)} s`);
const vitest = path.join(root, "node_modules/vitest/vitest.mjs");
const { status } = spawnSync(
	process.execPath,
	[vitest, "run", "--config", "vitest.config.ts", ...process.argv.slice(2)],
	{
		cwd: root,
		stdio: "inherit",
	},
);
console.log(`all tests: ${((performance.now() - started) / 1000).toFixed(1)} s`);
process.exitCode = status ?? 1;
