import { mkdtemp, readFile, readdir, readlink, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parse } from "yaml";
import * as z from "zod/mini";
import { nodeIo } from "../io/index.ts";
import * as buildAction from "./build/action.ts";
import { ownDockerConfig, removeLeftovers } from "./docker-config.ts";
import { flag, type InputSchema, optionalText, readInputs, sha256Digest } from "./inputs.ts";
import * as generateLibraryAction from "./generate-library/action.ts";
import * as planAction from "./plan/action.ts";
import * as publishAction from "./publish/action.ts";
import * as rememberAction from "./remember/action.ts";
import * as testedAction from "./tested/action.ts";
import { limits } from "./limits.ts";
import { harmless } from "./runner.ts";

const folder = path.resolve(import.meta.dirname, "../../actions");
const schemas: Readonly<Record<string, InputSchema>> = {
	"generate-library": generateLibraryAction.inputs,
	plan: planAction.inputs,
	build: buildAction.inputs,
	publish: publishAction.inputs,
	remember: rememberAction.inputs,
	tested: testedAction.inputs,
};

interface ActionFile {
	readonly inputs: Readonly<Record<string, { description: string; required?: boolean; default?: string }>>;
	readonly outputs: Readonly<Record<string, { description: string }>>;
	readonly runs: { readonly using: string; readonly main: string; readonly post?: string };
}

describe("action.yml", () => {
	it("is there for every action and for no other", async () => {
		expect((await readdir(folder)).sort()).toEqual(Object.keys(schemas).sort());
	});

	it.each(Object.keys(schemas))("of %s agrees with the schema", async (name) => {
		const file = parse(await readFile(path.join(folder, name, "action.yml"), "utf8")) as ActionFile;
		const { shape } = schemas[name]!.def;
		expect(Object.keys(file.inputs)).toEqual(Object.keys(shape));
		const said = Object.entries(file.inputs).map(([input, { required = false, default: value = "" }]) => ({
			input,
			required,
			// What the runner itself fills in may be empty.
			value: required ? undefined : value.replace(/^\$\{\{.*\}\}$/, ""),
		}));
		const read = Object.entries(shape).map(([input, schema]) => {
			const { success, data } = schema.safeParse(undefined) as { success: boolean; data?: string | boolean };
			return { input, required: !success, value: success ? String(data ?? "") : undefined };
		});
		expect(said).toEqual(read);
		expect(Object.values(file.inputs).filter(({ description }) => description === "")).toEqual([]);
		// Who logs in, logs out.
		const post = "password" in shape ? { post: `../../dist/${name}-post.js` } : {};
		expect(file.runs).toEqual({ using: "node24", main: `../../dist/${name}.js`, ...post });
	});
});

describe("readInputs", () => {
	const schema = z.object({ leg: z.string(), digest: sha256Digest, "dry-run": flag, config: optionalText });
	const good = { INPUT_LEG: " base-amd64 ", INPUT_DIGEST: `sha256:${"a".repeat(64)}` };

	it("reads what the runner passes, trimmed, with defaults", () => {
		expect(readInputs(schema, { ...good, INPUT_CONFIG: "" }, expect.unreachable)).toEqual({
			leg: "base-amd64",
			digest: good.INPUT_DIGEST,
			"dry-run": false,
		});
		expect(readInputs(schema, { ...good, "INPUT_DRY-RUN": "true" }, expect.unreachable)["dry-run"]).toBe(true);
	});

	it("names what is missing or wrong, all at once", () => {
		expect(() => readInputs(schema, { INPUT_DIGEST: "x" }, expect.unreachable)).toThrow("2 inputs cannot be used");
		expect(() => readInputs(schema, { ...good, "INPUT_DRY-RUN": "yes" }, expect.unreachable)).toThrow(
			/^input dry-run: /,
		);
		expect(() => readInputs(schema, { ...good, INPUT_LEG: "" }, expect.unreachable)).toThrow("input leg: is required");
	});

	it("warns of inputs that there are none of", () => {
		const warnings: string[] = [];
		readInputs(schema, { ...good, INPUT_LEGS: "x" }, (warning) => warnings.push(warning));
		expect(warnings).toEqual(["there is no input legs; the inputs are: leg, digest, dry-run, config"]);
	});
});

describe("matricesOf", () => {
	const legs = (count: number) =>
		Array.from({ length: count }, (_, number) => ({
			id: `leg-${number}-${"x".repeat(50)}`,
			arch: "windows-amd64",
			runner: "ubuntu-24.04-arm",
			wave: 0,
			digest: `sha256:${"a".repeat(64)}`,
			builds: [{ id: "a".repeat(64), reason: "never built" }],
		}));
	const parsed = (text: string | undefined) => JSON.parse(text!) as Record<string, string>[];

	it("gives each matrix what it may have, in order, and of a leg nothing but data", () => {
		// Those of php.
		const all = legs(694);
		const outputs = planAction.matricesOf(all);
		expect(Object.keys(outputs)).toEqual(["matrix", "matrix-2", "matrix-3", "matrix-4"]);
		const matrices = Object.values(outputs).map(parsed);
		expect(matrices.map(({ length }) => length)).toEqual([256, 256, 182, 0]);
		expect(matrices.flat().map(({ id }) => id)).toEqual(all.map(({ id }) => id));
		expect(Object.keys(matrices[0]![255]!)).toEqual(["id", "arch", "runner", "digest"]);
		expect(outputs["matrix-4"]).toBe("[]");
	});

	it("stays within what a job may put out, as full as can be", () => {
		const texts = Object.values(planAction.matricesOf(legs(1024)));
		expect(texts.reduce((sum, text) => sum + text.length, 0)).toBeLessThan(limits.outputUnits);
		for (const text of texts) expect(text.length / 256).toBeLessThan(220);
	});
});

describe("harmless", () => {
	it.each([
		["::set-output name=a::b", ": :set-output name=a::b"],
		["  ::error::x", "  : :error::x"],
		["a\n::error::x", "a ::error::x"],
		["a ##[group]b", "a # #[group]b"],
		["a::b", "a::b"],
	])("makes %j no command", (text, expected) => {
		expect(harmless(text)).toBe(expected);
	});
});

describe("ownDockerConfig", () => {
	let temporary: string;
	beforeEach(async () => {
		temporary = await mkdtemp(path.join(tmpdir(), "login-"));
	});
	afterEach(() => rm(temporary, { recursive: true }));
	const login = { registry: "docker.io", username: "somebody", password: "secret" };
	const open = () =>
		ownDockerConfig(nodeIo({ env: { RUNNER_TEMP: temporary, HOME: path.join(temporary, "home") } }), login);

	it("has this log-in alone, for nobody else to read, and the user's plugins and builders", async () => {
		const { directory, env } = await open();
		expect(JSON.parse(await readFile(path.join(directory, "config.json"), "utf8"))).toEqual({
			auths: { "https://index.docker.io/v1/": { auth: Buffer.from("somebody:secret").toString("base64") } },
		});
		expect((await stat(directory)).mode & 0o777).toBe(0o700);
		expect((await stat(path.join(directory, "config.json"))).mode & 0o777).toBe(0o600);
		expect(await readlink(path.join(directory, "cli-plugins"))).toBe(path.join(temporary, "home/.docker/cli-plugins"));
		expect(env["DOCKER_CONFIG"]).toBe(directory);
		expect(env["BUILDX_CONFIG"]).toBe(path.join(temporary, "home/.docker/buildx"));
	});

	it("removes what a step that was killed left", async () => {
		const { directory } = await open();
		await removeLeftovers(nodeIo({ env: { RUNNER_TEMP: temporary } }));
		await expect(stat(directory)).rejects.toThrow("ENOENT");
	});
});
