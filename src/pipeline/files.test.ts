import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readForeign } from "./files.ts";

describe("readForeign", () => {
	let folder: string;
	let file: string;
	beforeEach(() => {
		folder = mkdtempSync(path.join(tmpdir(), "foreign-"));
		file = path.join(folder, "file");
	});
	afterEach(() => {
		rmSync(folder, { recursive: true });
	});

	it("reads a file that is as large as it may be", async () => {
		writeFileSync(file, "1234");
		expect((await readForeign(file, 4)).toString()).toBe("1234");
	});

	it.each([
		["a larger one", "has 5 bytes", () => (writeFileSync(file, ""), truncateSync(file, 5))],
		["a link", "is no file, but a link", () => symlinkSync("/dev/null", file)],
		["a folder", "is no file", () => mkdirSync(file)],
		["one that is not there", "ENOENT", () => {}],
	])("refuses %s", async (_, message, make) => {
		make();
		await expect(readForeign(file, 4)).rejects.toThrow(message);
	});
});
