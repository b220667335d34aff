import { describe, expect, test } from "vitest";
import { defineProgram, type ProgramInput } from "../config/index.ts";
import { BrewlineError } from "../errors.ts";
import type { SourceCandidate } from "../sources/index.ts";
import { check, type Checked, type CheckIo, type CheckOptions } from "./check.ts";

const head = `Maintainers: Ada Lovelace <ada@example.com> (@ada)
GitRepo: https://git.example.com/app.git
GitFetch: refs/heads/main
GitCommit: 0123456789012345678901234567890123456789
`;

/** Dockerfiles by directory. */
type Dockerfiles = Readonly<Record<string, string>>;

interface World {
	/** Definitions that are checked, and those that are only there; entries as lines of fields. */
	readonly checked: Readonly<Record<string, readonly string[]>>;
	readonly library?: Readonly<Record<string, readonly string[]>>;
	/** What is published; without it nothing is compared. */
	readonly published?: Readonly<Record<string, readonly string[]>>;
	readonly dockerfiles?: Dockerfiles;
	readonly pins?: Readonly<Record<string, string>> | undefined;
	readonly pinned?: Readonly<Record<string, readonly string[] | BrewlineError>>;
	readonly checks?: ProgramInput["checks"];
	readonly options?: Partial<CheckOptions>;
}

async function run(world: World): Promise<Checked> {
	const text = (name: string, entries: readonly string[]) => ({
		name,
		file: `library/${name}`,
		text: [head, ...entries.map((entry) => `${entry.replaceAll("; ", "\n")}\n`)].join("\n"),
	});
	const { published } = world;
	const io: CheckIo = {
		...(published === undefined ? {} : { published: async (name) => text(name, published[name]!) }),
		find: async (name) => (world.library?.[name] === undefined ? undefined : text(name, world.library[name])),
		dockerfiles: async (candidates) => {
			const texts = new Map<SourceCandidate, string>();
			const errors = new Map<SourceCandidate, BrewlineError>();
			for (const candidate of candidates) {
				const found = world.dockerfiles?.[candidate.place.Directory];
				const cause = new BrewlineError("git", "it is not there");
				if (found === undefined) errors.set(candidate, new BrewlineError("git", "app:b (amd64): …", { cause }));
				else texts.set(candidate, found);
			}
			return { texts, errors };
		},
		architecturesOf: async (reference) => {
			const found = world.pinned?.[reference];
			if (found instanceof BrewlineError) throw found;
			return found === undefined ? undefined : new Set(found);
		},
		git: {
			repository: () => {
				throw new BrewlineError("git", "there is no git here");
			},
		},
	};
	return await check(
		{
			definitions: Object.entries(world.checked).map(([name, entries]) => text(name, entries)),
			...("pins" in world && world.pins === undefined ? {} : { pins: new Map(Object.entries(world.pins ?? {})) }),
		},
		io,
		{
			program: defineProgram(world.checks === undefined ? {} : { checks: world.checks }),
			...world.options,
		},
	);
}

const withoutHistory = {
	rules: new Set([
		"definition",
		"definition-doubtful",
		"latest",
		"shared-tags",
		"dockerfile",
		"from",
		"pin",
		"constraints",
		"constraints-unknown",
		"shell-form",
		"unused-suppression",
	] as const),
};

async function found(world: World): Promise<readonly string[]> {
	const { findings } = await run({ options: withoutHistory, ...world });
	return findings.map(({ rule, image, tag, at }) => `${rule} ${image}:${tag} ${at?.line}`);
}

const base = ["Tags: 1, latest; Architectures: amd64, arm64v8; Directory: scratch"];
const scratch = { scratch: "FROM scratch", app: "FROM base:1" };

describe("bases", () => {
	test("of the library are looked up once each, and only where they are needed", async () => {
		const asked: string[] = [];
		const world: World = {
			checked: { app: ["Tags: a; Directory: app", "Tags: b; Directory: two"] },
			dockerfiles: { app: "FROM base:1\nFROM other:2\nFROM scratch", two: "FROM base\nFROM x/y:1" },
			library: new Proxy({ base }, { get: (target, name) => (asked.push(String(name)), Reflect.get(target, name)) }),
		};
		expect(await found(world)).toEqual(["from app:a 6", "from app:b 9"]);
		expect([...new Set(asked)]).toEqual(["base", "other"]);
	});

	test("that are checked too are those that are checked, not those of the library", async () => {
		const checked = {
			app: ["Tags: a; Architectures: amd64, s390x; Directory: app"],
			base: [base[0]!.replace("arm64v8", "s390x")],
		};
		expect(await found({ checked, library: { base }, dockerfiles: scratch })).toEqual([]);
		expect(await found({ checked: { app: checked.app }, library: { base }, dockerfiles: scratch })).toEqual([
			"from app:a 7",
		]);
	});

	test("that are pinned have what is behind the pin", async () => {
		const digest = `sha256:${"1".repeat(64)}`;
		const world: World = {
			checked: { app: ["Tags: a; Architectures: amd64, s390x; Directory: app"] },
			dockerfiles: { app: "FROM example/base:1" },
			pins: { "example/base:1": digest },
		};
		expect(await found({ ...world, pinned: { [`example/base:1@${digest}`]: ["amd64", "s390x"] } })).toEqual([]);
		expect(await found({ ...world, pinned: { [`example/base:1@${digest}`]: ["amd64"] } })).toEqual(["from app:a 7"]);
		expect(await found(world)).toEqual(["pin app:a 6", "from app:a 7"]);
		const down = new BrewlineError("registry", "it is down");
		expect(await found({ ...world, pinned: { [`example/base:1@${digest}`]: down } })).toEqual([
			"pin app:a 6",
			"from app:a 7",
		]);
		expect(await found({ ...world, pins: undefined })).toEqual([]);
		expect(await found({ ...world, pins: {} })).toEqual(["from app:a 7"]);
		expect(await found({ ...world, pins: undefined, dockerfiles: { app: `FROM example/base@${digest}` } })).toEqual([
			"from app:a 7",
		]);
		const ended = new BrewlineError("cancelled", "ended");
		await expect(found({ ...world, pinned: { [`example/base:1@${digest}`]: ended } })).rejects.toThrow("ended");
	});

	test("are not served where the configuration says so, with its reason", async () => {
		const world: World = {
			checked: { app: ["Tags: a; Architectures: amd64, arm64v8; Directory: app"] },
			library: { base },
			dockerfiles: scratch,
			options: withoutHistory,
		};
		const rule = { from: "base", architectures: ["arm64v8"], reason: "no machine has it" };
		const { findings } = await run({ ...world, checks: { unsupported: [rule] } });
		expect(findings.map(({ message }) => message)).toEqual([
			"FROM base:1 cannot be built on arm64v8: not supported on arm64v8: no machine has it",
		]);
		expect(await found({ ...world, checks: { unsupported: [{ ...rule, unless: ["lat*"] }] } })).toEqual([]);
		expect(await found({ ...world, checks: { unsupported: [{ ...rule, unless: ["2"] }] } })).toEqual(["from app:a 7"]);
		const shared = [base[0]!.replace("1, latest", "1; SharedTags: s")];
		const unless = { unsupported: [{ ...rule, unless: ["s"] }] };
		expect(await found({ ...world, library: { base: shared }, checks: unless })).toEqual([]);
		const other = { library: { baseline: base }, dockerfiles: { ...scratch, app: "FROM baseline:1" } };
		expect(await found({ ...world, ...other, checks: { unsupported: [rule] } })).toEqual([]);
	});

	test("that have an architecture no more explain that it goes", async () => {
		const { findings } = await run({
			checked: { app: ["Tags: a; Architectures: amd64; Directory: app"] },
			library: { base },
			published: { app: ["Tags: a; Architectures: amd64, arm32v7, arm64v8; Directory: app"] },
			dockerfiles: scratch,
			options: { rules: new Set(["from", "architecture-lost", "architecture-ends"]) },
		});
		expect(findings.map(({ rule, details }) => [rule, details?.["architectures"], details?.["reason"]])).toEqual([
			["architecture-ends", ["arm32v7"], "FROM base:1: it has no arm32v7"],
			["architecture-lost", ["arm64v8"], undefined],
		]);
	});

	test("demand the constraints that the configuration says", async () => {
		const world: World = {
			checked: { app: ["Tags: a; Architectures: amd64, arm64v8; Constraints: big; Directory: app"] },
			dockerfiles: { app: "FROM example/base:1" },
		};
		const rule = { from: "example/*", constraint: "big", reason: "it needs much" };
		expect((await found(world)).filter((one) => one.startsWith("constraints"))).toEqual(["constraints app:a 8"]);
		const constraints = async (checks: ProgramInput["checks"]) => {
			const { findings } = await run({
				...world,
				checks,
				options: { rules: new Set(["constraints", "constraints-unknown"]) },
			});
			return findings.map(({ rule, message }) => `${rule}: ${message}`);
		};
		expect(await constraints({ demands: [{ ...rule, from: "example/base" }] })).toEqual([
			"constraints: FROM example/base:1 on amd64 demands the constraint big-1",
			"constraints: no FROM on amd64 demands the constraint big",
		]);
		expect(await constraints({ demands: [{ ...rule, constraint: null }] })).toEqual([
			"constraints-unknown: nobody knows which constraints FROM example/base:1 demands",
		]);
	});
});

describe("what cannot be looked at", () => {
	test("is said of a definition with the line of each error; the others are checked", async () => {
		const checked = { bad: ["Tags: a; Architectures: amd65", "Directory: x"], app: ["Tags: latest-x; Directory: app"] };
		expect(await found({ checked, library: { base }, dockerfiles: scratch })).toEqual([
			"definition bad:undefined 7",
			"definition bad:undefined 9",
			"latest app:latest-x 6",
		]);
	});

	test("is said of a Dockerfile once, with its line", async () => {
		const { findings } = await run({
			checked: { app: ["Tags: a; Architectures: amd64, s390x; Directory: app", "Tags: b; Directory: gone"] },
			dockerfiles: { app: "FROM a\nRUN <<EOF\n" },
			options: withoutHistory,
		});
		expect(findings.map(({ rule, tag, source }) => [rule, tag, source?.file, source?.line])).toEqual([
			["dockerfile", "a", "app/Dockerfile", 2],
			["dockerfile", "b", "gone/Dockerfile", undefined],
		]);
		// Entry and architecture are said already.
		expect(findings[1]!.message).toBe("it is not there");
	});

	test("is said of a history; of what was not asked for, nothing is", async () => {
		const checked = { app: ["Tags: latest-x; Directory: app"] };
		const rulesOf = async (rules: CheckOptions["rules"]) =>
			(await run({ checked, options: rules === undefined ? {} : { rules } })).findings.map(({ rule }) => rule);
		expect(await rulesOf(new Set(["commits", "history"]))).toEqual(["history"]);
		expect(await rulesOf(new Set(["latest"]))).toEqual(["latest"]);
		expect(await rulesOf(undefined)).toEqual(["latest", "dockerfile", "history"]);
	});
});

describe("suppressions", () => {
	const world: World = {
		checked: {
			app: [
				"Tags: latest-a, latest-b; Directory: app",
				"Tags: c; SharedTags: s, t; Directory: app",
				"Tags: d; SharedTags: s, t; Directory: shell",
			],
		},
		library: { base },
		dockerfiles: { ...scratch, shell: "FROM base:1\nCMD x" },
		options: { ...withoutHistory, whole: true },
	};
	const suppress = (rule: string, images?: string[]) => ({
		checks: { suppress: [{ rule, reason: "it is meant", ...(images === undefined ? {} : { images }) }] },
	});
	const all = ["latest app:latest-a 6", "latest app:latest-b 6", "shared-tags app:s 10", "shell-form app:d 13"];

	test.each<[rule: string, images: string[] | undefined, left: readonly string[]]>([
		["latest", undefined, all.slice(2)],
		["latest", ["app"], all.slice(2)],
		["latest", ["app:*-a"], all.slice(1)],
		["shared-tags", ["app:s", "app:t"], all.filter((one) => !one.startsWith("shared-tags"))],
		["shell-form", ["*"], all.slice(0, 3)],
	])("%s %j", async (rule, images, left) => {
		expect(await found(world)).toEqual(all);
		const result = await run({ ...world, ...suppress(rule, images) });
		expect(result.findings.map(({ rule, image, tag, at }) => `${rule} ${image}:${tag} ${at?.line}`)).toEqual(left);
		expect(result.suppressed.length).toBe(all.length - left.length);
		expect(result.suppressed.map(({ reason }) => reason)).toContain("it is meant");
	});

	test("of some of a finding's tags do nothing", async () => {
		const left = await found({ ...world, ...suppress("shared-tags", ["app:s"]) });
		expect(left).toEqual(
			["unused-suppression app:undefined undefined", ...all].toSorted((a, b) => all.indexOf(a) - all.indexOf(b)),
		);
	});

	test("that suppress nothing are told, where that can be said", async () => {
		const unused = "unused-suppression app:undefined undefined";
		expect(await found({ ...world, ...suppress("from", ["app"]) })).toContain(unused);
		expect(await found({ ...world, ...suppress("from") })).toContain(unused.replace("app", "*"));
		const some = { ...world, options: withoutHistory };
		expect(await found({ ...some, ...suppress("from", ["app:x"]) })).toContain(unused);
		expect(await found({ ...some, ...suppress("from", ["other"]) })).toEqual(all);
		expect(await found({ ...some, ...suppress("from") })).toEqual(all);
		// Nothing was compared, no history was looked at, and one Dockerfile could not be read.
		expect(await found({ ...world, ...suppress("tag-vanished") })).toEqual(all);
		const compared = { whole: true, rules: new Set([...withoutHistory.rules, "tag-vanished" as const]) };
		expect(await found({ ...world, options: compared, ...suppress("tag-vanished") })).toEqual(all);
		const published = { ...world, published: world.checked, options: compared };
		expect(await found({ ...published, ...suppress("tag-vanished") })).toContain(unused.replace("app", "*"));
		expect(await found({ ...world, ...suppress("commits") })).toEqual(all);
		expect(await found({ ...world, dockerfiles: scratch, ...suppress("from", ["app"]) })).not.toContain(unused);
	});

	test.each([
		["lates", "there is no rule lates", "did you mean latest?"],
		[
			"unused-suppression",
			"unused-suppression cannot be suppressed",
			"it says that something could not be checked at all",
		],
		["definition", "definition cannot be suppressed", "it says that something could not be checked at all"],
		["\u001b[2J", "there is no rule \\u{1b}[2J", "brewline check --rules lists them"],
	])("of %j are an error of the configuration", async (rule, message, hint) => {
		await expect(run({ ...world, ...suppress(rule) })).rejects.toMatchObject({
			code: "config",
			message: `program.checks.suppress.0.rule: ${message}`,
			hint,
		});
	});
});
