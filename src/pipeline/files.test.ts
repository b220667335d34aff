import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readForeign, readIfThere, readRequired } from "./files.ts";

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
		["a pipe, which nobody writes to", "is no file", () => execFileSync("mkfifo", [file])],
		["one that is not there", "ENOENT", () => {}],
	])("refuses %s", async (_, message, make) => {
		make();
		await expect(readForeign(file, 4)).rejects.toThrow(message);
	});

	it("is how hand-over files are read, with what to do about it", async () => {
		expect(await readIfThere(file)).toBeUndefined();
		symlinkSync("/dev/zero", file);
		await expect(readIfThere(file)).rejects.toMatchObject({ code: "handover" });
		rmSync(file);
		writeFileSync(file, "12345");
		await expect(readRequired(file, "plan", String, 4)).rejects.toMatchObject({
			code: "handover",
			message: `${file} has 5 bytes; at most 4 are read`,
		});
		expect(await readRequired(file, "plan", String, 5)).toBe("12345");
	});
});
