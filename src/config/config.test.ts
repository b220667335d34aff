import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { BrewlineError } from "../errors.ts";
import { defineProgram, dockerProgram, loadConfig, parseConfig, servedArchitectures } from "./index.ts";

function failure(text: string): BrewlineError {
	try {
		parseConfig(text, "brewline.yaml");
	} catch (error) {
		if (error instanceof BrewlineError) return error;
		throw error;
	}
	throw new Error("it was accepted");
}

describe("defineProgram", () => {
	it("is Docker's program where nothing is given", () => {
		expect(defineProgram()).toEqual(dockerProgram);
		expect(parseConfig("", "brewline.yaml")).toEqual(dockerProgram);
	});

	it("fills what an architecture leaves out, and knows Docker's others without serving them", () => {
		const program = defineProgram({ architectures: { s390x: null, amd64: { namespace: "localhost:5000/amd64" } } });
		expect(servedArchitectures(program)).toEqual(["s390x", "amd64"]);
		expect(program.architectures["s390x"]).toEqual(dockerProgram.architectures["s390x"]);
		expect(program.architectures["amd64"]?.namespace).toBe("localhost:5000/amd64");
		expect(program.architectures["arm64v8"]).toEqual({ ...dockerProgram.architectures["arm64v8"], runner: null });
	});

	it("takes an architecture that Docker does not have, if its platform and runner are given", () => {
		const program = defineProgram({
			architectures: { loong64: { platform: "linux/loong64", runner: "loong" }, amd64: {} },
		});
		expect(program.architectures["loong64"]).toEqual({
			platform: { os: "linux", architecture: "loong64" },
			namespace: null,
			runner: "loong",
		});
		expect(() => defineProgram({ architectures: { loong64: { runner: "loong" }, amd64: {} } })).toThrow(
			/platform is missing/,
		);
		expect(() => defineProgram({ architectures: { i386: { via: "vax" }, amd64: {} } })).toThrow(/no architecture vax/);
	});
});

describe("namespaces", () => {
	it("refuses two architectures with one: the tags of one would take the place of the other's", () => {
		const error = failure(
			"program:\n  architectures:\n    amd64: { namespace: docker.io/us }\n    s390x: { namespace: us }\n",
		);
		expect(error.message).toBe("program.architectures.s390x.namespace: us has the tags of amd64 already");
		expect(error.at).toEqual({ file: "brewline.yaml", line: 4, column: 14 });
	});

	it("refuses an architecture's that is the one of the joined tags", () => {
		const error = failure(
			"program: { registries: { namespace: localhost:5000/us }, architectures: { amd64: { namespace: localhost:5000/us } } }\n",
		);
		expect(error.message).toBe("program.architectures.amd64.namespace: localhost:5000/us has the joined tags already");
	});

	it("lets architectures have none, and those that nothing builds have any", () => {
		const runner = "x";
		const platform = "linux/loong64";
		const program = defineProgram({
			architectures: {
				a: { platform, runner, namespace: null },
				b: { platform, runner, namespace: null },
				c: { platform, runner, namespace: "amd64" },
			},
		});
		expect(servedArchitectures(program)).toEqual(["a", "b", "c"]);
	});
});

describe("policies", () => {
	it("are read as they are written, in their order", () => {
		const program = parseConfig(
			`program:
  policies:
    - { platforms: required, architectures: [amd64, arm64v8] }
    - { images: [php, "node:*-alpine*"], architectures: [s390x], platforms: optional, deadline: 48h, timeLimit: 120, runner: big-s390x }
`,
			"brewline.yaml",
		);
		expect(program.policies).toEqual([
			{ platforms: "required", architectures: ["amd64", "arm64v8"] },
			{
				images: ["php", "node:*-alpine*"],
				architectures: ["s390x"],
				platforms: "optional",
				deadline: "48h",
				timeLimit: 120,
				runner: "big-s390x",
			},
		]);
	});

	it("leave out what is undefined: it must not cover what an earlier rule says", () => {
		const rule = { timeLimit: undefined, runner: undefined, emulate: true } as object;
		expect(defineProgram({ policies: [rule] }).policies).toEqual([{ emulate: true }]);
	});

	it.each([
		[
			"an unknown architecture",
			"{ architectures: [amd64, vax] }",
			"0.architectures.1: there is no architecture vax",
			26,
		],
		["an unknown one as via", "{ via: vax }", "0.via: there is no architecture vax", 3],
		["a deadline without optional", "{ deadline: 7d }", "0.deadline: only what is optional has one", 3],
		[
			"a deadline of what is required",
			"{ platforms: required, deadline: 7d }",
			"0.deadline: only what is optional",
			24,
		],
		["a runner for whatever architecture", "{ runner: big }", "0.runner: it does not say for which", 3],
		["a key that is none", "{ image: [php] }", "0.image: no such key", 3],
		["a deadline that is no time", "{ platforms: optional, deadline: 2w }", "0.deadline: must be a time", 24],
		["a pattern with a meaning of its own", '{ images: ["[a-z]+"] }', "0.images.0: must be NAME or NAME:TAG", 12],
		["no image at all", "{ images: [] }", "0.images: ", 3],
		["no architecture at all", "{ architectures: [] }", "0.architectures: ", 3],
		["another answer", "{ platforms: maybe }", "0.platforms: ", 3],
		["no time at all", "{ timeLimit: 0 }", "0.timeLimit: ", 3],
		["a builder that is no address", "{ builder: box }", "0.builder: must be tcp://HOST:PORT", 3],
	])("refuses %s, with its place", (_what, rule, message, column) => {
		const error = failure(`program:\n  policies:\n  - ${rule}\n`);
		expect(error.message).toContain(`program.policies.${message}`);
		expect(error.at).toEqual({ file: "brewline.yaml", line: 3, column: column + 4 });
	});

	it("make an architecture served that has no runner of its own", () => {
		const program = defineProgram({
			architectures: { amd64: {} },
			policies: [
				{ architectures: ["s390x", "arm64v8"], images: ["php"], runner: "big" },
				{ architectures: ["arm64v8"], runner: null },
			],
		});
		expect(servedArchitectures(program)).toEqual(["amd64", "arm64v8", "s390x"]);
	});
});

describe("parseConfig", () => {
	it("names an unknown key with its place, and the nearest one", () => {
		const error = failure("program:\n  registries:\n    stagng: x/staging-ARCH:BUILD\n");
		expect(error.code).toBe("config");
		expect(error.message).toBe("program.registries.stagng: no such key");
		expect(error.at).toEqual({ file: "brewline.yaml", line: 3, column: 5 });
		expect(error.hint).toContain("did you mean staging?");
	});

	it("names a key under an architecture", () => {
		const error = failure("program:\n  architectures:\n    amd64: { runer: x }\n");
		expect(error.message).toBe("program.architectures.amd64.runer: no such key");
		expect(error.hint).toContain("did you mean runner?");
	});

	it("reports all errors at once", () => {
		const error = failure("program:\n  nme: x\n  timeLimit: 0\n  registries: { staging: nothing }\n");
		expect(error.errors.map(({ at }) => at?.line)).toEqual(expect.arrayContaining([2, 3, 4]));
	});

	it.each([
		["not YAML", "program: [\n", /./],
		["tabs", "program:\n\tname: x\n  library: y\n", /^Tabs are not allowed as indentation$/],
		["a key twice", "program: { name: a, name: b }\n", /unique/i],
		["a list", "- a\n", /object|expected/i],
		["a mirror with a path", "program: { registries: { mirrors: { docker.io: 'http://x/y' } } }\n", /without a path/],
		["a namespace in upper case", "program: { registries: { namespace: LIBRARY } }\n", /namespace/],
		["aliases that grow without bound", `a: &a [1]\n${bomb()}`, /./],
	])("refuses %s", (_name, text, message) => {
		expect(failure(text).message).toMatch(message);
	});
});

function bomb(): string {
	let text = "";
	for (let i = 0; i < 20; i++) {
		const before = i === 0 ? "a" : `b${i - 1}`;
		text += `b${i}: &b${i} [${Array.from({ length: 20 }, () => `*${before}`).join(", ")}]\n`;
	}
	return text;
}

describe("loadConfig", () => {
	it("counts folders from the file's own", async () => {
		const folder = await mkdtemp(path.join(tmpdir(), "config-"));
		try {
			await writeFile(path.join(folder, "brewline.yaml"), "program: { library: ../images }\n");
			const program = await loadConfig(path.join(folder, "brewline.yaml"));
			expect(program.library).toBe(path.join(path.dirname(folder), "images"));
			expect(program.externalPins).toBe(path.join(folder, ".external-pins"));
			await expect(loadConfig(path.join(folder, "none.yaml"))).rejects.toMatchObject({ code: "config" });
		} finally {
			await rm(folder, { recursive: true });
		}
	});
});
