import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { buildkitCommand, classicCommands } from "../../src/build/index.ts";
import type { Build, Builds } from "../../src/builds/types.ts";
import { dockerProgram, type Program } from "../../src/config/index.ts";
import { annotationsOf, builderOf, dispatchInputs, legBuildOf, wantsSbom, withCreated } from "../../src/plan/index.ts";
import { BrewlineError } from "../../src/errors.ts";
import { conformance, describeConformance } from "../support/conformance.ts";

interface Step {
	readonly argv: readonly string[];
	readonly env?: Readonly<Record<string, string>>;
}

interface Expected {
	readonly arch: string;
	readonly builder: string;
	readonly sbom: boolean;
	readonly inputs: Readonly<Record<string, string>>;
	readonly annotations?: Readonly<Record<string, string>>;
	readonly pull: readonly Step[];
	readonly build: readonly Step[];
	readonly push: readonly Step[];
}

type Environment = Readonly<Record<string, string>>;

describeConformance("pipeline/commands.json", () => {
	const data = JSON.parse(readFileSync(conformance("pipeline/commands.json"), "utf8")) as {
		readonly environment: Environment;
		readonly sbom: { readonly repositories: readonly string[]; readonly architectures: readonly string[] };
		readonly cases: readonly (Expected & { readonly file: string; readonly buildId: string })[];
		readonly synthetic: readonly {
			readonly name: string;
			readonly input: Build;
			readonly environment?: Environment;
			readonly output?: Expected;
			readonly error?: string;
		}[];
	};

	const files = new Map<string, Builds>();
	function builds(file: string): Builds {
		let found = files.get(file);
		if (found === undefined) {
			const bytes = readFileSync(conformance(file));
			found = JSON.parse((file.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("utf8")) as Builds;
			files.set(file, found);
		}
		return found;
	}

	function commands(build: Build, environment: Environment): Expected {
		const program: Program = {
			...dockerProgram,
			buildkit: { ...dockerProgram.buildkit, syntax: environment["BASHBREW_BUILDKIT_SYNTAX"]! },
			sbom: { ...data.sbom, generator: environment["BASHBREW_BUILDKIT_SBOM_GENERATOR"]! },
		};
		const builder = builderOf(build);
		const { arch } = build.build;
		const leg = { platformString: build.source.arches[arch]!.platformString, buildkit: program.buildkit };
		const record = legBuildOf(build, program, () => false);
		const epoch = builder === "oci-import" ? record.git.epoch : Number(environment["SOURCE_DATE_EPOCH"]);
		const annotations = withCreated(annotationsOf(build, program), epoch);
		const classic = builder === "classic" ? classicCommands(leg, record) : undefined;
		return {
			arch,
			builder,
			sbom: wantsSbom(build, program.sbom),
			inputs: dispatchInputs(build),
			...(builder === "classic" ? {} : { annotations }),
			pull: classic?.pull ?? [],
			build:
				builder === "buildkit"
					? [buildkitCommand(leg, record, { annotations, output: "temp.tar" })]
					: (classic?.build ?? []),
			push: classic?.push ?? [],
		};
	}

	/** As data and in key order: what an implementation without a shell has to do in the same way. */
	function comparable(expected: Expected): string {
		return JSON.stringify({
			arch: expected.arch,
			builder: expected.builder,
			sbom: expected.sbom,
			inputs: expected.inputs,
			annotations: expected.annotations,
			pull: expected.pull.map(step),
			build: expected.builder === "oci-import" ? [] : expected.build.slice(0, 1).map(step),
			push: expected.builder === "classic" ? expected.push.map(step) : [],
		});
	}

	function step({ argv, env }: Step): unknown {
		return { argv, env };
	}

	function outcome(run: () => string): string | undefined {
		try {
			return run();
		} catch (error) {
			if (error instanceof BrewlineError) {
				return undefined;
			}
			throw error;
		}
	}

	describe("real builds", () => {
		for (const example of data.cases) {
			it(`${example.inputs["firstTag"]} ${example.arch} ${example.buildId.slice(0, 8)}`, () => {
				const build = builds(example.file)[example.buildId]!;
				expect(comparable(commands(build, data.environment))).toBe(comparable(example));
			});
		}
	});

	describe("made-up builds", () => {
		for (const example of data.synthetic) {
			// One value either way: the output, or that there is none.
			it(example.name, () => {
				const expected = example.output === undefined ? undefined : comparable(example.output);
				expect(outcome(() => comparable(commands(example.input, example.environment ?? data.environment)))).toBe(
					expected,
				);
			});
		}
	});
});
