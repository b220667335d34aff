import { defineConfig } from "vitest/config";

export default defineConfig({
	test: {
		reporters: [process.env["CI"] ? "dot" : "default", "./scripts/reporter.ts"],
		projects: [
			{
				test: {
					name: "unit",
					include: ["src/**/*.test.ts", "test/conformance/**/*.test.ts", "test/fixtures/**/*.test.ts"],
					testTimeout: 60_000,
				},
			},
			{
				test: {
					name: "e2e",
					include: ["test/e2e/**/*.test.ts"],
					testTimeout: 600_000,
					hookTimeout: 600_000,
					fileParallelism: false,
				},
			},
		],
	},
});
