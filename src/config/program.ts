import * as z from "zod/mini";
import { BrewlineError } from "../errors.ts";
import { canonicalReference, parsePlatform, tryParseReference } from "../oci/index.ts";
import { servedArchitectures } from "./architectures.ts";
import { dockerProgram } from "./defaults.ts";
import { programSchema, type ProgramInput } from "./schema.ts";
import type { Architecture, Checks, PolicyRule, Program } from "./types.ts";

/**
 * A program from what differs from Docker's (`dockerProgram`).
 * Where `architectures` is given, it names all that are served; Docker's other ones stay known, so that definitions
 * may name them. What an architecture leaves out is Docker's value for the one of that name.
 */
export function defineProgram(input: ProgramInput = {}): Program {
	const checked = programSchema.safeParse({ program: input }, { error: z.locales.en().localeError });
	if (!checked.success) {
		const [issue] = checked.error.issues;
		throw new BrewlineError(
			"config",
			`${issue?.path.map(String).join(".") ?? "program"}: ${issue?.message ?? "invalid"}`,
		);
	}
	const base = dockerProgram;
	const program: Program = {
		...base,
		...defined({
			name: input.name,
			library: input.library,
			externalPins: input.externalPins,
			attestations: input.attestations,
			timeLimit: input.timeLimit,
		}),
		...architecturesOf(input),
		checks: checksOf(input.checks ?? {}),
		policies: (input.policies ?? []).map((rule) => defined(rule) as PolicyRule),
		registries: {
			...base.registries,
			...defined(input.registries ?? {}),
			rates: { ...base.registries.rates, ...input.registries?.rates },
		},
		annotations: { ...base.annotations, ...defined(input.annotations ?? {}) },
		buildkit: { ...base.buildkit, ...defined(input.buildkit ?? {}) },
		sbom: { ...base.sbom, ...defined(input.sbom ?? {}) },
		state: { ...base.state, ...defined(input.state ?? {}) },
		git: { ...base.git, ...(defined(input.git ?? {}) as Partial<Program["git"]>) },
	};
	checkNamespaces(program);
	checkPolicies(program);
	return program;
}

/** A list that is given takes the place of Docker's; of suppressions there are none by default. */
function checksOf(input: NonNullable<ProgramInput["checks"]>): Checks {
	const base = dockerProgram.checks;
	const unsupported = input.unsupported?.map(({ unless = [], ...rule }) => ({ unless, ...rule }));
	const suppress = input.suppress?.map((one) => defined(one) as Checks["suppress"][number]);
	return {
		...base,
		...(defined({ ...input, unsupported, suppress, archives: undefined }) as Partial<Checks>),
		archives: { ...base.archives, ...defined(input.archives ?? {}) },
	};
}

/** Each tag stands in one place alone: an architecture's own tag over another one would take its architectures away. */
function checkNamespaces(program: Program): void {
	const keyOf = (namespace: string): string => {
		const reference = tryParseReference(`${namespace}/x`);
		return reference === undefined ? namespace : canonicalReference(reference);
	};
	const taken = new Map([[keyOf(program.registries.namespace), "the joined tags"]]);
	for (const name of servedArchitectures(program)) {
		const { namespace } = program.architectures[name]!;
		if (namespace === null) continue;
		const key = keyOf(namespace);
		const other = taken.get(key);
		if (other !== undefined) {
			throw new BrewlineError("config", `program.architectures.${name}.namespace: ${namespace} has ${other} already`, {
				hint: "give each architecture a namespace of its own, or null",
			});
		}
		taken.set(key, `the tags of ${name}`);
	}
}

function checkPolicies({ architectures, policies }: Program): void {
	for (const [index, rule] of policies.entries()) {
		const at = `program.policies.${index}`;
		const named = Object.entries(rule.architectures ?? []).map(([number, name]): [key: string, name: string] => [
			`architectures.${number}`,
			name,
		]);
		if (rule.via !== undefined) named.push(["via", rule.via]);
		for (const [key, name] of named) {
			if (Object.hasOwn(architectures, name)) continue;
			throw new BrewlineError("config", `${at}.${key}: there is no architecture ${name}`, {
				hint: `known are: ${Object.keys(architectures).join(", ")}`,
			});
		}
		if (rule.deadline !== undefined && rule.platforms !== "optional") {
			throw new BrewlineError("config", `${at}.deadline: only what is optional has one`, {
				hint: "write platforms: optional into the same rule",
			});
		}
		// It would have one machine build them all, those too that nothing is to be built for.
		if (typeof rule.runner === "string" && rule.architectures === undefined) {
			throw new BrewlineError("config", `${at}.runner: it does not say for which architectures`, {
				hint: "write architectures: [...] into the same rule",
			});
		}
	}
}

function architecturesOf(input: ProgramInput): Pick<Program, "architectures" | "defaultArchitecture"> {
	const known = dockerProgram.architectures;
	const given = input.architectures;
	const architectures: Record<string, Architecture> = {};
	if (given === undefined) Object.assign(architectures, known);
	else {
		for (const [name, value] of Object.entries(given)) {
			architectures[name] = architectureOf(name, value ?? {}, known[name]);
		}
		for (const [name, value] of Object.entries(known)) architectures[name] ??= { ...value, runner: null };
	}
	for (const [name, { via }] of Object.entries(architectures)) {
		if (via !== undefined && architectures[via] === undefined) {
			throw new BrewlineError("config", `program.architectures.${name}.via: there is no architecture ${via}`);
		}
	}
	const defaultArchitecture = input.defaultArchitecture ?? dockerProgram.defaultArchitecture;
	if (architectures[defaultArchitecture] === undefined) {
		throw new BrewlineError("config", `program.defaultArchitecture: there is no architecture ${defaultArchitecture}`);
	}
	return { architectures, defaultArchitecture };
}

type ArchitectureInput = NonNullable<NonNullable<ProgramInput["architectures"]>[string]>;

function architectureOf(name: string, input: ArchitectureInput, known: Architecture | undefined): Architecture {
	const platform = input.platform === undefined ? known?.platform : parsePlatform(input.platform);
	if (platform === undefined) {
		throw new BrewlineError("config", `program.architectures.${name}: platform is missing`, {
			hint: `give one, as in platform: linux/amd64; only Docker's own architectures have a default`,
		});
	}
	const runner = input.runner === undefined ? known?.runner : input.runner;
	if (runner === undefined) {
		throw new BrewlineError("config", `program.architectures.${name}: runner is missing`, {
			hint: "give the label of the machines that build it, or null where nothing does",
		});
	}
	return {
		...known,
		...defined({ builder: input.builder, emulate: input.emulate, via: input.via }),
		platform,
		namespace: input.namespace === undefined ? (known?.namespace ?? null) : input.namespace,
		runner,
	};
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** The same without the keys whose value is undefined, which would cover the defaults. */
function defined<T extends object>(value: T): Defined<T> {
	return Object.fromEntries(Object.entries(value).filter(([, entry]) => entry !== undefined)) as Defined<T>;
}
