import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, expect, it } from "vitest";
import { printResult, readResult, writeResult, type LegResult } from "./index.ts";

const result: LegResult = {
	format: "brewline-result",
	version: 1,
	leg: "foo-1-amd64-aaaaaaaa",
	run: { id: "9001", attempt: 2 },
	builds: [
		{
			buildId: "a".repeat(64),
			status: "failed",
			digest: null,
			start: "2026-01-02T03:04:05.678Z",
			seconds: 1.5,
			emulated: true,
			log: "https://github.com/o/r/actions/runs/9001/job/1",
			error: { code: "build", message: "exit code 1", hint: null, lines: ["last line"] },
		},
	],
};

const folders: string[] = [];
afterEach(async () => {
	await Promise.all(folders.splice(0).map((folder) => rm(folder, { recursive: true })));
});

it("is read back as it was written, as a whole file", async () => {
	const folder = await mkdtemp(path.join(os.tmpdir(), "result-"));
	folders.push(folder);
	await writeResult(path.join(folder, "results"), result);
	expect(await readdir(path.join(folder, "results"))).toEqual(["foo-1-amd64-aaaaaaaa.json"]);
	const text = await readFile(path.join(folder, "results", "foo-1-amd64-aaaaaaaa.json"), "utf8");
	expect(text).toBe(printResult(result));
	expect(readResult(text, { file: "x.json", leg: "foo-1-amd64-aaaaaaaa", run: { id: "9001", attempt: 2 } })).toEqual(
		result,
	);
});

it.each([
	["of another leg", { leg: "bar-1-amd64-bbbbbbbb" }, /is the result of foo-1-amd64-aaaaaaaa, not of bar/],
	["of another run", { run: { id: "9002", attempt: 2 } }, /belongs to run 9001, attempt 2, not to run 9002/],
	["of another attempt", { run: { id: "9001", attempt: 1 } }, /attempt 2, not to run 9001, attempt 1/],
])("%s is refused", (_, expected, message) => {
	expect(() => readResult(printResult(result), { file: "x.json", ...expected })).toThrow(
		expect.objectContaining({ code: "handover", message: expect.stringMatching(message) }),
	);
});

it.each([
	["a status that is none", { status: "won" }],
	["a digest that is none", { digest: "sha256:12" }],
	["a time that is none", { start: "yesterday" }],
	["endless lines", { error: { code: "build", message: "x", hint: null, lines: Array(51).fill("x") } }],
])("%s is refused", (_, change) => {
	const text = JSON.stringify({ ...result, builds: [{ ...result.builds[0], ...change }] });
	expect(() => readResult(text, { file: "x.json" })).toThrow(expect.objectContaining({ code: "handover" }));
});
