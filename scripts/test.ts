/**
 * `npm test`: builds the package and the bundles, then runs the unit and the end-to-end tests. What follows goes to vitest.
 * A whole run with the conformance data at hand also holds the code under `coverage` of vitest.config.ts to its thresholds.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import { conformance } from "../test/support/conformance-data.ts";
import { build } from "./build.ts";

const root = path.dirname(import.meta.dirname);
const started = performance.now();
const args = process.argv.slice(2);
await build();
console.log(`build: ${((performance.now() - started) / 1000).toFixed(1)} s`);
const vitest = path.join(root, "node_modules/vitest/vitest.mjs");
const coverage = args.length === 0 && existsSync(conformance()) ? ["--coverage.enabled"] : [];
const { status } = spawnSync(process.execPath, [vitest, "run", "--config", "vitest.config.ts", ...coverage, ...args], {
	cwd: root,
	stdio: "inherit",
});
console.log(`all tests: ${((performance.now() - started) / 1000).toFixed(1)} s`);
process.exitCode = status ?? 1;
