import { writeFileSync } from "node:fs";
import type { Reporter, TestCase, TestModule } from "vitest/node";

/**
 * Prints, as the last lines of a run, what ran of the long tests, each skipped test with its reason, and the totals
 * `N passed, N failed, N skipped`.
 * With `BREWLINE_TOTALS` the totals are written to that file too.
 */
export default class Totals implements Reporter {
	onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
		const tests: TestCase[] = modules.flatMap((module) => [...module.children.allTests()]);
		const count = (state: string): number => tests.filter((test) => test.result().state === state).length;
		const broken = modules.filter((module) => module.errors().length > 0).length;
		const failed = count("failed") + broken + unhandledErrors.length;
		const long = modules.filter(({ project }) => project.name === "long");
		for (const child of long.flatMap((module) => [...module.children.array()])) console.log(`long: ${child.name}`);
		const skipped = tests.filter((test) => test.result().state === "skipped");
		for (const test of skipped) {
			const result = test.result();
			const note = result.state === "skipped" && result.note !== undefined ? ` (${result.note})` : "";
			console.log(`skipped: ${test.module.relativeModuleId} > ${test.fullName}${note}`);
		}
		const line = `${count("passed")} passed, ${failed} failed${skipped.length > 0 ? `, ${skipped.length} skipped` : ""}`;
		console.log(line);
		const file = process.env["BREWLINE_TOTALS"];
		if (file !== undefined) writeFileSync(file, `${line}\n`);
	}
}
