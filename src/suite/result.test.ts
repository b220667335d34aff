import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { sha256Of } from "../oci/index.ts";
import { printSuiteResult, readSuiteResult, verdicts, writeSuiteResult, type TestResult } from "./index.ts";

const hex = (text: string): string => sha256Of(text).slice("sha256:".length);
const made = (digest: string, result: TestResult["result"] = "passed"): TestResult => ({
	buildId: hex("build"),
	digest,
	result,
	start: "2026-01-01T00:00:00.000Z",
	seconds: 1.5,
	log: null,
});
const file = (tests: readonly TestResult[]) => ({ format: "brewline-tests", version: 1, id: "amd64", tests }) as const;

describe("tests/ID.json", () => {
	it("is read as it was written, to the byte", () => {
		const results = fc.constantFrom<TestResult["result"][]>("passed", "failed", "skipped", "timed-out");
		const some = fc.array(fc.tuple(fc.string(), results), { maxLength: 20 });
		fc.assert(
			fc.property(some, (pairs) => {
				const text = printSuiteResult(file(pairs.map(([name, result]) => made(sha256Of(name), result))));
				expect(printSuiteResult(readSuiteResult(text, { file: "amd64.json", id: "amd64" }))).toBe(text);
			}),
			{ seed: 1, numRuns: 50 },
		);
	});

	it.each([
		[{ ...file([]), format: "brewline-result" }, "is no brewline-tests file"],
		[{ ...file([]), version: 2 }, "has version 2 of the format brewline-tests; this program knows version 1"],
		[{ ...file([]), id: "arm64v8" }, "is of arm64v8, not of amd64"],
		[{ ...file([]), id: "../x" }, "must be a leg's id"],
		[{ ...file([]), more: true }, "more"],
		[file([{ ...made("sha256:1") }]), "must be a sha256 or sha512 digest"],
		[file([{ ...made(sha256Of("x")), result: "good" as "passed" }]), "tests.0.result"],
		[file([{ ...made(sha256Of("x")), log: "a\nb" }]), "must have no control characters"],
		[file([{ ...made(sha256Of("x")), seconds: -1 }]), "tests.0.seconds"],
	])("is refused where it is anything else: %j", (value, message) => {
		const read = () => readSuiteResult(JSON.stringify(value), { file: "amd64.json", id: "amd64" });
		expect(read).toThrow(expect.objectContaining({ code: "handover", message: expect.stringContaining(message) }));
	});

	it("grows result by result, each digest once, and its digest is that of its bytes", async () => {
		const folder = await mkdtemp(path.join(tmpdir(), "brewline-suite-"));
		const [a, b] = [sha256Of("a"), sha256Of("b")];
		const first = await writeSuiteResult(folder, "amd64", [made(a, "failed"), made(b)], undefined);
		const read = async () => readSuiteResult(await readFile(first.file), { file: first.file, id: "amd64" });
		await writeSuiteResult(folder, "amd64", [made(a)], await read());
		const after = await writeSuiteResult(folder, "amd64", [], await read());
		expect(after.digest).toBe(sha256Of(await readFile(first.file)));
		expect((await read()).tests).toEqual([made(a), made(b)].toSorted((x, y) => (x.digest < y.digest ? -1 : 1)));
		await rm(folder, { recursive: true });
	});
});

it("of what several steps say of a digest the worst counts, in whichever order", () => {
	const [a, b, c] = [sha256Of("a"), sha256Of("b"), sha256Of("c")];
	const files = [
		file([made(a), made(b, "skipped"), made(c, "skipped")]),
		file([made(a, "failed")]),
		file([made(a, "timed-out"), made(b), made(c, "timed-out")]),
	];
	for (const some of [files, files.toReversed()]) {
		const said = verdicts(some);
		expect([a, b, c].map((digest) => said.get(digest)?.result)).toEqual(["failed", "skipped", "timed-out"]);
	}
});
