import { defineConfig } from "vitest/config";

const setupFiles = "test/support/environment.ts";

export default defineConfig({
	test: {
		reporters: [process.env["CI"] ? "dot" : "default", "./scripts/reporter.ts"],
		// V8's baseline compiler is behind rare segmentation faults in Node 24 (nodejs/node#62393): one whole run died of one.
		execArgv: ["--no-sparkplug"],
		coverage: {
			// Publishing stands on these: every branch of them is reached by some test, most through the embedded registry.
			include: ["src/oci/**/*.ts", "src/registry/**/*.ts"],
			exclude: ["**/*.test.ts", "**/types.ts", "src/{oci,registry}/index.ts"],
			reporter: [["text", { skipFull: true }]],
			reportsDirectory: ".cache/coverage",
			thresholds: { branches: 100, functions: 100, lines: 100, statements: 100 },
		},
		projects: [
			{
				test: {
					name: "unit",
					setupFiles,
					include: ["src/**/*.test.ts", "test/conformance/**/*.test.ts", "test/{docs,fixtures}/**/*.test.ts"],
					testTimeout: 60_000,
					hookTimeout: 60_000,
					// By default there is a second for what is waited for, which a busy machine is too slow for.
					expect: { poll: { timeout: 50_000 } },
				},
			},
			{
				test: {
					name: "e2e",
					setupFiles,
					include: ["test/e2e/**/*.test.ts"],
					testTimeout: 600_000,
					hookTimeout: 600_000,
					fileParallelism: false,
				},
			},
			{
				test: {
					name: "long",
					setupFiles,
					include: ["test/long/**/*.test.ts"],
					testTimeout: 3_600_000,
					hookTimeout: 600_000,
				},
			},
		],
	},
});
