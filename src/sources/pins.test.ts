import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { BrewlineError } from "../errors.ts";
import { readExternalPins } from "./pins.ts";

const digest = `sha256:${"a".repeat(64)}`;
let folder = "";

beforeEach(async () => {
	folder = await mkdtemp(path.join(tmpdir(), "pins-"));
});
afterEach(() => rm(folder, { recursive: true }));

async function write(file: string, content = `${digest}\n`): Promise<void> {
	await mkdir(path.dirname(path.join(folder, file)), { recursive: true });
	await writeFile(path.join(folder, file), content);
}

async function problems(): Promise<readonly string[]> {
	try {
		await readExternalPins(folder);
	} catch (error) {
		if (!(error instanceof BrewlineError && error.code === "definition")) throw error;
		return (error.errors.length > 0 ? error.errors : [error]).map(({ message }) => message);
	}
	return [];
}

test("pins are known by what a FROM says", async () => {
	await write("library/debian___bookworm-slim");
	await write("tianon/buildkit___0.13", digest);
	await write("mcr.microsoft.com/windows/servercore___ltsc2022", `${digest}\n\n`);
	await write("localhost:5000/library/x___a___b");
	await write("list.sh", "#!/bin/sh\n");
	expect(await readExternalPins(folder)).toEqual(
		new Map([
			["debian:bookworm-slim", digest],
			["localhost:5000/library/x:a___b", digest],
			["mcr.microsoft.com/windows/servercore:ltsc2022", digest],
			["tianon/buildkit:0.13", digest],
		]),
	);
});

test("a folder that is not there has no pins", async () => {
	expect(await readExternalPins(path.join(folder, "none"))).toEqual(new Map());
});

test("all that is wrong is told at once", async () => {
	await write("debian___12");
	await write("library/Upper___1");
	await write("library/tag___a b");
	await write("library/empty___1", "");
	await write("library/two___1", `${digest}\n${digest}\n`);
	await write("library/spaces___1", ` ${digest}`);
	await write("library/long___1", "a".repeat(5000));
	await symlink("/etc/passwd", path.join(folder, "library/link___1"));
	await mkdir(path.join(folder, "a/a/a/a/a/a/a/a/a"), { recursive: true });
	expect([...(await problems())].sort()).toEqual([
		"external pin a/a/a/a/a/a/a/a/a: lies too deep",
		"external pin debian___12: its repository must be written in full",
		"external pin library/Upper___1: the path is no REPOSITORY___TAG",
		'external pin library/empty___1: "" is no digest',
		"external pin library/link___1: is no plain file",
		`external pin library/long___1: "${"a".repeat(80)}…" is no digest`,
		`external pin library/spaces___1: " ${digest}" is no digest`,
		"external pin library/tag___a b: the path is no REPOSITORY___TAG",
		`external pin library/two___1: "${digest}\\u{a}${digest.slice(0, 8)}…" is no digest`,
	]);
});
