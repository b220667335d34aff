import { readFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, it } from "vitest";
import {
	configSchema,
	defineProgram,
	dockerProgram,
	durationOf,
	parseConfig,
	policyOf,
} from "../../src/config/index.ts";

const root = path.join(import.meta.dirname, "../..");
const page = await readFile(path.join(root, "docs/configuration.md"), "utf8");
const example = yamlBlocks(page)[0]!;

interface SchemaLike {
	readonly def: {
		readonly type: string;
		readonly innerType?: SchemaLike;
		readonly valueType?: SchemaLike;
		readonly element?: SchemaLike;
		readonly shape?: Readonly<Record<string, SchemaLike>>;
		readonly options?: readonly SchemaLike[];
	};
}

/** The paths of all keys of a schema; `names` stand for the keys of its records and lists, by their path. */
function keysOf({ def }: SchemaLike, at: string, names: Readonly<Record<string, string>>): string[] {
	if (def.innerType !== undefined) return keysOf(def.innerType, at, names);
	if (def.options !== undefined) return def.options.flatMap((option) => keysOf(option, at, names));
	const below = def.type === "record" ? def.valueType : def.type === "array" ? def.element : undefined;
	if (below !== undefined && at in names) return keysOf(below, `${at}.${names[at]!}`, names);
	return Object.entries(def.shape ?? {}).flatMap(([name, value]) => {
		const below = at === "" ? name : `${at}.${name}`;
		return [below, ...keysOf(value, below, names)];
	});
}

// The other block has a page of its own, which is written from its schema.
const keys = keysOf({ def: { type: "object", shape: { program: configSchema.def.shape.program } } }, "", {
	"program.architectures": "ARCH",
	"program.git.credentials": "PREFIX",
	"program.policies": "N",
	"program.checks.unsupported": "N",
	"program.checks.repeatable": "N",
	"program.checks.demands": "N",
	"program.checks.suppress": "N",
});
const rows = new Map(
	[...page.matchAll(/^\| `(program[^`]*)` \| (.*?) ?\| (.*) \|$/gm)].map(([, key, value, meaning]) => [
		key!,
		{ value: value!, meaning: meaning! },
	]),
);
const headings = new Set([...page.matchAll(/^## `(.*)`$/gm)].map(([, key]) => key!));

describe("docs/configuration.md", () => {
	it("has every key of the schema, and no other", () => {
		expect([...headings, ...rows.keys()].sort()).toEqual([...new Set(keys)].sort());
		for (const { meaning } of rows.values()) expect(meaning.length).toBeGreaterThan(10);
	});

	it("states the defaults that the code has", () => {
		for (const [key, { value }] of rows) {
			if (/\.(?:ARCH|PREFIX|N)\./.test(key)) continue;
			const found = key
				.split(".")
				.slice(1)
				.reduce<unknown>((at, name) => (at as Readonly<Record<string, unknown>>)[name], dockerProgram);
			expect(`${key}: ${value}`).toBe(`${key}: ${written(found)}`);
		}
	});

	it("states the architectures' defaults", () => {
		const own = (key: string): string => rows.get(`program.architectures.ARCH.${key}`)!.value;
		for (const [name, { runner, via, namespace, builder, emulate }] of Object.entries(dockerProgram.architectures)) {
			expect(own("runner").includes(`\`${runner}\``) || runner === name).toBe(true);
			expect(via === undefined || own("via").includes(`\`${name}\`: \`${via}\``)).toBe(true);
			expect(namespace).toBe(name === "windows-amd64" ? "winamd64" : name);
			expect([builder, emulate]).toEqual([undefined, undefined]);
		}
	});

	it("states what holds where no policy says anything", () => {
		const own = (key: string): string => rows.get(`program.policies.N.${key}`)!.value;
		const program = defineProgram({ policies: [{ images: ["php"], platforms: "optional" }] });
		expect(own("platforms")).toBe(`\`${policyOf(program, ["node:1"], "amd64").platforms}\``);
		expect(durationOf(own("deadline").replaceAll("`", ""))).toBe(policyOf(program, ["php:8"], "amd64").deadline);
	});

	it("has an example with every key, which is read as it stands there", () => {
		const { architectures, ...rest } = parseConfig(example, "brewline.yaml");
		expect(architectures["loong64"]).toEqual({
			platform: { os: "linux", architecture: "loong64" },
			namespace: null,
			runner: null,
		});
		expect(architectures["arm32v7"]).toMatchObject({ via: "arm64v8", runner: "ubuntu-24.04-arm" });
		expect(rest.git.credentials["https://github.com/example/"]).toEqual({
			tokenVariable: "EXAMPLE_TOKEN",
			username: "x-access-token",
		});
		expect(rest.policies[1]).toMatchObject({
			images: ["php", "node:*-alpine*"],
			platforms: "optional",
			deadline: "48h",
		});
		const missing = [...new Set(keys)].filter((key) => !new RegExp(`\\b${key.split(".").at(-1)!}:`).test(example));
		// There is no node to name in an example that is to work.
		expect(missing).toEqual(["program.architectures.ARCH.builder", "program.policies.N.builder"]);
	});
});

it("the README's configuration is read", async () => {
	const readme = await readFile(path.join(root, "README.md"), "utf8");
	const [text] = yamlBlocks(readme).filter((block) => block.startsWith("program:"));
	const program = parseConfig(text!, "brewline.yaml");
	expect(program.registries.staging).toBe("registry.example.org/staging-ARCH:BUILD");
	expect(program.architectures["s390x"]!.runner).toBeNull();
	expect(program.timeLimit).toBe(defineProgram().timeLimit);
});

/** A default as the page writes it. */
function written(value: unknown): string {
	if (typeof value === "object" && value !== null) {
		const entries = Array.isArray(value) ? value : Object.keys(value);
		return entries.length === 0 ? "none" : entries.map((entry) => `\`${String(nameOf(entry))}\``).join(", ");
	}
	return `\`${String(value)}\``;
}

/** Of a rule, what it is about. */
function nameOf(entry: unknown): unknown {
	return typeof entry === "object" && entry !== null ? Object.values(entry)[0] : entry;
}

function yamlBlocks(text: string): string[] {
	return [...text.matchAll(/^```yaml\n(.*?)^```$/gms)].map(([, block]) => block!);
}
