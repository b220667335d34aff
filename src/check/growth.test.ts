import { expect, test } from "vitest";
import { defineProgram } from "../config/index.ts";
import type { SourceCandidate } from "../sources/index.ts";
import { check, type DefinitionText } from "./check.ts";
import { entrypointFile } from "./entrypoint.ts";
import { type RuleId, rules } from "./rules.ts";
import { versionBehind } from "./versions.ts";

const head = (more = ""): string => `Maintainers: A (@a)
GitRepo: https://git.example.com/app.git
GitFetch: refs/heads/main
GitCommit: 0123456789012345678901234567890123456789
${more}

`;
const list = (count: number, item: (index: number) => string, between = ", "): string =>
	Array.from({ length: count }, (_, index) => item(index)).join(between);
const entries = (count: number, entry: (index: number) => string): string => list(count, entry, "\n");

interface World {
	readonly text: string;
	readonly published?: string;
	readonly dockerfile?: string;
}

const program = defineProgram({});
const wanted = new Set((Object.keys(rules) as RuleId[]).filter((id) => rules[id].needs !== "history"));

async function run({ text, published, dockerfile = "FROM scratch\n" }: World): Promise<number> {
	const definition = (content: string): DefinitionText => ({ name: "app", file: "library/app", text: content });
	const before = process.cpuUsage();
	const { findings } = await check(
		{ definitions: [definition(text)] },
		{
			find: async () => await Promise.resolve(undefined),
			dockerfiles: async (candidates) =>
				await Promise.resolve({
					texts: new Map(candidates.map((one): [SourceCandidate, string] => [one, dockerfile])),
					errors: new Map(),
				}),
			git: {
				repository: () => {
					throw new Error("there is no git here");
				},
			},
			...(published === undefined ? {} : { published: async () => await Promise.resolve(definition(published)) }),
		},
		{ program, rules: wanted },
	);
	expect(findings.length).toBeGreaterThan(0);
	return process.cpuUsage(before).user;
}

// Each of these took the square of the time: sixteen times as long for four times as much.
const linear = 9;

/**
 * How many times as long the second takes as the first: of each the least of up to five tries, which end where that is less than
 * `limit`. What else a machine does makes some of them longer.
 */
async function timesAsLong(first: Timed, second: Timed, limit: number): Promise<number> {
	await first();
	let [least, other] = [Infinity, Infinity];
	for (let tries = 0; tries < 5 && !(other / least < limit); tries++) {
		least = Math.min(least, await first());
		other = Math.min(other, await second());
	}
	return other / least;
}

/** Gives what it took of the processor's time. */
type Timed = () => number | Promise<number>;

test.each<readonly [what: string, world: (count: number) => World]>([
	[
		"tags of one entry with a finding for each",
		(count) => ({ text: `${head()}Tags: ${list(count, (i) => `latest${i}`)}\n` }),
	],
	[
		"entries of one build with a finding for each",
		(count) => ({ text: head() + entries(count, (i) => `Tags: latest${i}\n`) }),
	],
	[
		"clones of git in a Dockerfile",
		(count) => ({
			text: `${head()}Tags: 1\n`,
			dockerfile: `FROM a\nRUN ${list(count, (i) => `git clone x${i}`, "; ")}\n`,
		}),
	],
	[
		"packages without a version in a Dockerfile",
		(count) => ({
			text: `${head()}Tags: 1\n`,
			dockerfile: `FROM a\nRUN ${list(count, (i) => `pip install x${i} y=${i}`, "; ")}\n`,
		}),
	],
])("the time to check %s grows with their number", async (_, world) => {
	const [small, large] = [world(8_000), world(32_000)];
	const times = await timesAsLong(
		() => run(small),
		() => run(large),
		linear,
	);
	expect(times).toBeLessThan(linear);
});

test.each([
	["files that are copied", (i: number) => `COPY a${i} b${i}`],
	["stages that stand on one another", (i: number) => `FROM s${i} AS s${i + 1}\nCOPY a${i} /`],
])("the time to find an entrypoint grows with the number of %s", async (_, line) => {
	const of = (count: number) => (): number => {
		const text = `FROM a AS s0\nCOPY x /\n${list(count, line, "\n")}\nENTRYPOINT ["none", "x"]\n`;
		const before = process.cpuUsage();
		expect(entrypointFile(text, "Dockerfile")).toBe("x");
		return process.cpuUsage(before).user;
	};
	expect(await timesAsLong(of(4_000), of(16_000), linear)).toBeLessThan(linear);
});

test("the time to find the version behind tags that have none grows with their number", async () => {
	const of = (count: number) => (): number => {
		const entry = { Tags: Array.from({ length: count }, (_, i) => `1-x${i}`), SharedTags: [] };
		const before = process.cpuUsage();
		for (let i = 0; i < count; i++) expect(versionBehind(entry, `b${i}`)?.suffix).toBe("-x0");
		return process.cpuUsage(before).user;
	};
	expect(await timesAsLong(of(4_000), of(16_000), linear)).toBeLessThan(linear);
});

test("tags that go are compared with those of few entries, however many could follow", async () => {
	const shared = head(`SharedTags: ${list(400, (i) => `s${i}`)}`);
	const of = (name: string): string => shared + entries(300, (i) => `Tags: ${name}${i}\nFile: ${i}\n`);
	const nearly = { text: of("new"), published: of("new").replace("new0", "old0") };
	// Each of the tags of each entry is had by each of the others.
	const all = { text: of("new"), published: of("old") };
	const times = await timesAsLong(
		() => run(nearly),
		() => run(all),
		10,
	);
	expect(times).toBeLessThan(10);
});
