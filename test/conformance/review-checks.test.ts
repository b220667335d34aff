import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { check, type CheckIo, type Finding, type RuleId, rules } from "../../src/check/index.ts";
import { dockerProgram } from "../../src/config/index.ts";
import { BrewlineError } from "../../src/errors.ts";
import { type GitStore, openGitStore } from "../../src/git/index.ts";
import { nodeIo } from "../../src/io/index.ts";
import type { SourceCandidate } from "../../src/sources/index.ts";
import { conformance, describeConformance } from "../support/conformance.ts";

interface Case {
	readonly name: string;
	readonly check: string;
	readonly images: readonly string[];
	readonly library: Readonly<Record<string, string>>;
	readonly with?: string;
	readonly pins?: Readonly<Record<string, string>>;
	readonly registry?: Readonly<Record<string, readonly string[] | null>>;
	readonly findings?: readonly Reported[];
	readonly error?: boolean;
	readonly warning?: boolean;
	readonly exit?: number;
	readonly differs?: { readonly expected?: readonly Reported[]; readonly note?: string };
}

type Reported = Readonly<Record<string, unknown>>;

interface Data {
	readonly dockerfiles: Readonly<Record<string, string>>;
	readonly libraries: Readonly<Record<string, Readonly<Record<string, string>>>>;
	readonly cases: readonly Case[];
}

/** Which of our rules each of the old programs has. */
const ofProgram: Readonly<Record<string, readonly RuleId[]>> = {
	latest: ["definition", "latest"],
	"naughty-sharedtags": ["definition", "shared-tags"],
	"naughty-from": ["definition", "dockerfile", "from", "pin"],
	"naughty-constraints": ["definition", "dockerfile", "constraints", "constraints-unknown"],
	"naughty-commits": ["definition", "commits", "history"],
	from: ["definition", "dockerfile"],
	naughty: [
		"definition",
		"latest",
		"shared-tags",
		"dockerfile",
		"from",
		"pin",
		"constraints",
		"constraints-unknown",
		"commits",
		"history",
	],
};

/** What the data says in words alone: the old program misses it, and a new one should not. */
const better: Readonly<Record<string, readonly Reported[]>> = {
	"commits/unicode": [
		{
			rule: "commits",
			image: "app",
			commit: "2ea9c37d21907fdb8e0d73bbae8fbb2a7be38f24",
			problems: [{ kind: "modified", path: "é.tar.xz", mebibytes: 4 }],
		},
	],
};

const oldNames: Readonly<Partial<Record<RuleId, string>>> = { "shared-tags": "sharedtags" };

describeConformance("review", () => {
	const data = JSON.parse(readFileSync(conformance("review/checks.json"), "utf8")) as Data;
	const root = mkdtempSync(path.join(tmpdir(), "brewline-review-"));
	const repository = path.join(root, "review.git");
	const io = nodeIo({ log: () => {} });
	let git: GitStore;

	beforeAll(() => {
		execFileSync("git", ["init", "--quiet", "--bare", repository]);
		execFileSync("git", ["--git-dir", repository, "fast-import", "--quiet"], {
			input: gunzipSync(readFileSync(conformance("review/repository.fast-import.gz"))),
		});
		git = openGitStore(io, {
			directory: path.join(root, "cache"),
			rewrite: { "https://git.example.com/review.git": repository },
		});
	});

	afterAll(async () => {
		await git.close();
		rmSync(root, { recursive: true });
	});

	/** The Dockerfiles are given in the data, by their directory. */
	const dockerfiles: CheckIo["dockerfiles"] = async (candidates) => {
		const texts = new Map<SourceCandidate, string>();
		const errors = new Map<SourceCandidate, BrewlineError>();
		for (const candidate of candidates) {
			const { GitFetch, Directory } = candidate.place;
			const text = GitFetch.startsWith("refs/heads/checks/commits/") ? "FROM scratch\n" : data.dockerfiles[Directory];
			if (text === undefined) errors.set(candidate, new BrewlineError("git", `there is no ${Directory}`));
			else texts.set(candidate, text);
		}
		return { texts, errors };
	};

	async function findingsOf(one: Case): Promise<readonly Finding[]> {
		const library = { ...(one.with === undefined ? {} : data.libraries[one.with]), ...one.library };
		const definition = (name: string) => ({ name, file: `library/${name}`, text: library[name]! });
		const result = await check(
			{ definitions: one.images.map(definition), pins: new Map(Object.entries(one.pins ?? {})) },
			{
				find: async (name) => (Object.hasOwn(library, name) ? definition(name) : undefined),
				dockerfiles,
				architecturesOf: async (reference) => {
					const found = one.registry?.[reference];
					return found === undefined || found === null ? undefined : new Set(found);
				},
				git,
			},
			{ program: dockerProgram, rules: new Set(ofProgram[one.check]) },
		);
		return result.findings;
	}

	const comparable = (found: readonly Reported[]): readonly string[] =>
		found.map((one) => JSON.stringify(one, [...new Set(found.flatMap(keysOf))].sort())).sort();

	/** What the old programs say of it, in the data's form; of a FROM that matters for constraints they name the last one only. */
	function reported(findings: readonly Finding[]): readonly Reported[] {
		const said = findings.flatMap(({ rule, details }): Reported[] => {
			if (rules[rule].severity !== "error") return [];
			const { exception: _, ...rest } = details ?? {};
			return [withoutLast({ rule: oldNames[rule] ?? rule, ...rest })];
		});
		// About `scratch` on Windows they say nothing further.
		const exceptions = findings.flatMap(({ details }) => {
			const exception = details?.["exception"] as { readonly from: string } | undefined;
			return exception === undefined || exception.from === "scratch" ? [] : [exception.from];
		});
		return [...said, ...[...new Set(exceptions)].map(() => ({ rule: "from-exception" }))];
	}

	/** The words of an exception are ours. */
	function withoutWords(one: Reported): Reported {
		return one["rule"] === "from-exception" ? { rule: "from-exception" } : one;
	}

	function keysOf(value: unknown): readonly string[] {
		if (typeof value !== "object" || value === null) return [];
		return Array.isArray(value)
			? value.flatMap(keysOf)
			: [...Object.keys(value), ...Object.values(value).flatMap(keysOf)];
	}

	function withoutLast({ from, ...rest }: Reported): Reported {
		return rest["rule"] === "constraints" ? rest : { ...rest, from };
	}

	describe.each([...Map.groupBy(data.cases, (one) => one.check)])("%s", (_, cases) => {
		test.each(cases)("$name", async (one) => {
			const findings = await findingsOf(one);
			const kinds = new Set(findings.map(({ rule }) => rule)).size;
			// A program that ends with an error says nothing else.
			const outcome = findings.some(({ rule }) => "blind" in rules[rule])
				? "error"
				: {
						findings: comparable(reported(findings)),
						warning: findings.some(({ rule }) => rule === "pin"),
						...(one.exit === undefined ? {} : { exit: kinds }),
					};
			const { expected = better[one.name] } = one.differs ?? {};
			expect(outcome).toEqual(
				one.error === true && expected === undefined
					? "error"
					: {
							findings: comparable((expected ?? one.findings ?? []).map((each) => withoutWords(withoutLast(each)))),
							warning: one.warning === true,
							...(one.exit === undefined ? {} : { exit: one.exit }),
						},
			);
		});
	});
});
