import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { nodeIo, type LogEvent } from "../io/index.ts";
import { sha256Of } from "../oci/index.ts";
import { emptyState, type State } from "../state/index.ts";
import { printSuiteResult } from "../suite/index.ts";
import { knownTests, recordTest, type TestRecord } from "./tests.ts";

let work: string;
let said: string[];
beforeEach(async () => {
	work = await mkdtemp(path.join(tmpdir(), "brewline-tests-"));
	said = [];
});
afterEach(() => rm(work, { recursive: true }));

const io = nodeIo({
	log: (event: LogEvent) => {
		if (event.type === "message") said.push(event.text);
	},
});
const buildId = "0".repeat(64);
const [a, b] = [sha256Of("a"), sha256Of("b")];
const record = (digest: string, more: Partial<TestRecord> = {}) =>
	recordTest(work, io, { build: buildId, digest, result: "passed", ...more });
const known = async (believed?: readonly string[], state?: State) =>
	[...(await knownTests(work, io, state, believed))].map(([digest, { result, remembered }]) => [
		digest,
		remembered ? `${result} before` : result,
	]);

describe("what is believed of tests", () => {
	it("on a laptop is whatever the work folder has", async () => {
		expect(await known()).toEqual([]);
		await record(a);
		await record(b, { result: "failed", id: "other" });
		expect(await known()).toEqual([
			[b, "failed"],
			[a, "passed"],
		]);
		expect(said).toEqual([]);
	});

	it("in a workflow are the files whose digests were named, to the byte", async () => {
		const { file, digest } = await record(a);
		await record(b, { id: "forged" });
		expect(await known([digest])).toEqual([[a, "passed"]]);
		expect(said).toEqual([expect.stringMatching(/forged\.json is not believed: no job that tests named its digest/)]);
		// Another job's file in its place.
		said.length = 0;
		await writeFile(file, `${await readFile(file, "utf8")}\n`);
		expect(await known([digest])).toEqual([]);
		expect(said.join("\n")).toMatch(/tests\.json is not believed/);
		expect(said.at(-1)).toMatch(new RegExp(`there is no file with the digest ${digest}`));
		expect(await known([])).toEqual([]);
	});

	it("is nothing that is too large, a link, of another name, or no such file, each told; the others count", async () => {
		await record(a);
		const folder = path.join(work, "tests");
		await writeFile(path.join(folder, "large.json"), Buffer.alloc(4 * 1024 * 1024 + 1, " "));
		await writeFile(path.join(folder, "broken.json"), "{");
		await writeFile(
			path.join(folder, "named.json"),
			printSuiteResult({ format: "brewline-tests", version: 1, id: "other", tests: [] }),
		);
		await symlink("/etc/passwd", path.join(folder, "link.json"));
		await mkdir(path.join(folder, "folder.json"));
		await writeFile(path.join(folder, "UPPER.json"), "not looked at");
		expect(await known()).toEqual([[a, "passed"]]);
		expect(said.map((text) => text.replaceAll(folder, ""))).toEqual([
			expect.stringContaining("/broken.json"),
			"not used: /folder.json is no file",
			expect.stringMatching(/^not used: \/large\.json has 4194305 bytes; at most 4194304 are read$/),
			"not used: /link.json is no file, but a link",
			"not used: /named.json is of other, not of named",
		]);
	});

	it("is what earlier runs saw, unless this one says something else of the same digest", async () => {
		const when = "2026-01-01T00:00:00Z";
		const state: State = {
			...emptyState,
			tested: { x: { [a]: { when, log: "https://example.com/1" }, [b]: { when } } },
		};
		await record(a, { result: "failed" });
		expect(await known(undefined, state)).toEqual([
			[a, "failed"],
			[b, "passed before"],
		]);
		expect((await knownTests(work, io, state)).get(b)).toEqual({
			result: "passed",
			start: when,
			log: null,
			remembered: true,
		});
	});
});

describe("recordTest", () => {
	it("takes the build by its id or its staging reference, and says when the test began", async () => {
		const clock = { ...io.clock, now: () => Date.parse("2026-01-01T00:01:00Z") };
		const reference = `registry.example.com/staging-amd64:${buildId}`;
		const { file } = await recordTest(
			work,
			{ clock },
			{ build: reference, digest: a, result: "timed-out", seconds: 60, log: "https://example.com/1" },
		);
		expect(JSON.parse(await readFile(file, "utf8"))).toEqual({
			format: "brewline-tests",
			version: 1,
			id: "tests",
			tests: [
				{
					buildId,
					digest: a,
					result: "timed-out",
					start: "2026-01-01T00:00:00.000Z",
					seconds: 60,
					log: "https://example.com/1",
				},
			],
		});
	});

	it.each<[Partial<TestRecord>, string]>([
		[{ build: "hello:1" }, "hello:1 is neither the id of a build nor its staging reference"],
		[{ digest: "latest" }, "latest is no digest"],
		[{ id: "../x" }, "../x is no id"],
	])("refuses %j", async (more, message) => {
		await expect(record(a, more)).rejects.toMatchObject({ code: "usage", message });
	});

	it("adds to no file that is not its own kind", async () => {
		await mkdir(path.join(work, "tests"));
		await writeFile(path.join(work, "tests/tests.json"), "{}");
		await expect(record(a)).rejects.toMatchObject({ code: "handover" });
	});
});
