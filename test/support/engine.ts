import { afterAll, describe, it } from "vitest";
import {
	canStartEngine,
	useEngine,
	type Engine,
	type EngineOptions,
	type Unavailable,
} from "../../src/engine/index.ts";
import { nodeIo, type LogEvent } from "../../src/io/index.ts";

/** Where the private engine's packages are kept between runs; ignored by git. */
export const engineFolder = new URL("../../.cache/engine", import.meta.url).pathname;

/** `BREWLINE_ENGINE`: whether tests may start an engine (docs/design.md, Tests). */
export function engineMode(): EngineOptions["mode"] {
	const mode = process.env["BREWLINE_ENGINE"] ?? "auto";
	if (mode === "auto" || mode === "present" || mode === "none") return mode;
	throw new Error(`BREWLINE_ENGINE is ${JSON.stringify(mode)}: auto, present or none`);
}

/**
 * The engine of one test file, closed after its last test: `const engine = await testEngine();` at the top. Says what it
 * starts, and at the end what it put back. A private engine is ready in about two seconds once its packages are there.
 *
 * Throws where one could be started and was not: tests that skip because of a defect would be seen by nobody.
 */
export async function testEngine(
	options: Partial<Omit<EngineOptions, "directory" | "mode">> = {},
): Promise<Engine | Unavailable> {
	const mode = engineMode();
	const io = nodeIo({ log: print });
	const able = mode === "auto" && (await canStartEngine());
	console.log(
		`engine: ${able ? "using what answers, or starting a private one of Debian's packages" : `mode ${mode}, none is started`}`,
	);
	const engine = await useEngine(io, {
		directory: engineFolder,
		mode,
		architectures: ["amd64", "arm64v8", "s390x"],
		...options,
	});
	if ("unavailable" in engine) {
		if (able) throw new Error(`no engine: ${engine.unavailable} (BREWLINE_ENGINE=none does without)`);
		return engine;
	}
	console.log(`engine: ${engine.description}; ${engine.platforms.join(", ")}`);
	afterAll(async () => {
		console.log(`engine: ${(await engine.close()).join("; ") || "nothing to put back"}`);
	});
	return engine;
}

/** A `describe` that needs an engine; without one, a single skipped test says why. */
export function describeEngine(name: string, engine: Engine | Unavailable, tests: (engine: Engine) => void): void {
	if (!("unavailable" in engine))
		describe(name, () => {
			tests(engine);
		});
	// oxlint-disable-next-line vitest/no-disabled-tests -- it is counted and named at the end of every run
	else it.skip(`${name} (no engine: ${engine.unavailable})`, () => {});
}

function print(event: LogEvent): void {
	if (event.type === "message" && event.level !== "debug") console.log(`engine: ${event.text}`);
}
