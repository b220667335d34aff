/**
 * `npm test`: builds the package and the bundles, then runs the unit and the end-to-end tests, and a tenth of what is long:
 * another one each day, or the one that `BREWLINE_LONG_PART` says (`4/10`). What follows goes to vitest; with it, as in
 * `npm run test:long`, what is long runs in full unless that variable is set.
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
const day = Math.floor(Date.now() / 86_400_000);
const part = process.env["BREWLINE_LONG_PART"] ?? (args.length === 0 ? `${(day % 10) + 1}/10` : "1/1");
console.log(`long tests: part ${part.replace("/", " of ")} (BREWLINE_LONG_PART=${part})`);
const coverage = args.length === 0 && existsSync(conformance()) ? ["--coverage.enabled"] : [];
const { status } = spawnSync(process.execPath, [vitest, "run", "--config", "vitest.config.ts", ...coverage, ...args], {
	cwd: root,
	env: { ...process.env, BREWLINE_LONG_PART: part },
	stdio: "inherit",
});
console.log(`all tests: ${((performance.now() - started) / 1000).toFixed(1)} s`);
process.exitCode = status ?? 1;
