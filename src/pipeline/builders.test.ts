import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { makeLeg } from "../../test/support/builds.ts";
import { type LogEvent, nodeIo } from "../io/index.ts";
import type { Leg } from "../plan/index.ts";
import { openBuilders } from "./builders.ts";

let folder: string;
beforeEach(async () => {
	folder = await mkdtemp(path.join(os.tmpdir(), "brewline-builders-"));
});
afterEach(() => rm(folder, { recursive: true }));

/** Answers as Docker does to what is asked of builders, and writes every call down with the builder it is for. */
async function standIn(): Promise<{ env: Record<string, string>; calls: () => Promise<string[]> }> {
	const calls = path.join(folder, "calls");
	const docker = path.join(folder, "bin/docker");
	await mkdir(path.dirname(docker));
	await writeFile(calls, "");
	await writeFile(
		docker,
		`#!/bin/sh
echo "$BUILDX_BUILDER: $*" >>${calls}
case "$BUILDX_BUILDER: $*" in
*"create "*gone*) echo "no such host" >&2; exit 1 ;;
*-remote-*": buildx inspect"*) printf 'Name: %s\\nDriver: remote\\nBuildKit version: v0.20.0\\nPlatforms: linux/riscv64\\n' "$BUILDX_BUILDER" ;;
*"buildx inspect"*) printf 'Name: default\\nDriver: docker-container\\nBuildKit version: v0.20.0\\nPlatforms: linux/amd64, linux/386\\n' ;;
esac
`,
	);
	await chmod(docker, 0o755);
	return {
		env: { PATH: `${path.dirname(docker)}${path.delimiter}${process.env["PATH"]}` },
		calls: async () => (await readFile(calls, "utf8")).trim().split("\n"),
	};
}

function legOn(builder: string | null): Leg {
	const git = {
		repository: "https://github.com/brewline/samples-foo.git",
		fetchFrom: "https://github.com/brewline/samples-foo.git",
		commit: "0".repeat(40),
		ref: "refs/heads/main",
		directory: ".",
		file: "Dockerfile",
		epoch: 0,
	};
	const leg = makeLeg({ git, staging: { reference: "example.org/staging:x", read: false } });
	return { ...leg, runner: { ...leg.runner, builder } };
}

it("gives legs the BuildKit that they name, one builder for each address, and removes it at the end", async () => {
	const { env, calls } = await standIn();
	const io = nodeIo({ env: { ...process.env, ...env } });
	const name = `brewline-${process.pid}-remote-`;
	{
		await using builders = openBuilders(io);
		const [first, again, own, other] = [
			await builders.findBuilder(legOn("tcp://riscv.example:1234")),
			await builders.findBuilder(legOn("tcp://riscv.example:1234")),
			await builders.findBuilder(legOn(null)),
			await builders.findBuilder(legOn("tcp://other.example:1234")),
		];
		expect(first).toMatchObject({ name: `${name}0`, platforms: ["linux/riscv64"], emulated: [], hostNetwork: false });
		expect(first!.env).toEqual({ BUILDX_BUILDER: `${name}0` });
		expect(again).toEqual(first);
		expect(own).toMatchObject({ name: "default", platforms: ["linux/amd64", "linux/386"], env: {} });
		expect(other).toMatchObject({ name: `${name}2`, env: { BUILDX_BUILDER: `${name}2` } });
	}
	const made = (await calls()).filter((call) => /create|rm/.test(call));
	expect(made).toEqual([
		`: buildx create --name ${name}0 --driver remote tcp://riscv.example:1234`,
		`: buildx create --name ${name}2 --driver remote tcp://other.example:1234`,
		`: buildx rm --force ${name}0`,
		`: buildx rm --force ${name}2`,
	]);
});

it("says which BuildKit cannot be used, and goes to no other", async () => {
	const { env } = await standIn();
	const events: LogEvent[] = [];
	await using builders = openBuilders(nodeIo({ env: { ...process.env, ...env }, log: (event) => events.push(event) }));
	expect(await builders.findBuilder(legOn("tcp://gone.example:1234"))).toBeUndefined();
	expect(events).toMatchObject([
		{ level: "warning", text: expect.stringMatching(/^cannot use the BuildKit at tcp:\/\/gone\.example:1234: /) },
	]);
});
