import { chmodSync, existsSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { isRunning, nodeIo } from "../io/index.ts";
import { runScript } from "./script.ts";

let folder: string;
beforeEach(() => {
	folder = realpathSync(mkdtempSync(path.join(tmpdir(), "script-")));
});
afterEach(() => rmSync(folder, { recursive: true }));

function write(lines: string): void {
	const file = path.join(folder, "generate.sh");
	writeFileSync(file, `#!/bin/sh\n${lines}\n`);
	chmodSync(file, 0o755);
}

const secrets = { GITHUB_TOKEN: "t", ACTIONS_ID_TOKEN_REQUEST_TOKEN: "t", SSH_AUTH_SOCK: "/s", GIT_DIR: "/g" };
const io = nodeIo({ env: { ...process.env, ...secrets } });

describe("runScript", () => {
	it("gives what is printed, from the folder of the repository, with an environment of its own", async () => {
		write(
			'pwd; env | cut -d= -f1 | grep -v "^_$\\|^PWD$\\|^SHLVL$\\|^OLDPWD$" | sort; echo "$BASHBREW_LIBRARY"; ls -A "$HOME"',
		);
		const told = await runScript({ folder, script: "generate.sh", library: "/library" }, io);
		const [where, ...names] = told.trim().split("\n");
		expect(where).toBe(folder);
		expect(names.filter((name) => name !== "TZ")).toEqual([
			"BASHBREW_LIBRARY",
			"HOME",
			"LC_ALL",
			"PATH",
			"TMPDIR",
			"/library",
		]);
	});

	it("ends one that goes on for ever, and one that fails is an error", async () => {
		write("while :; do :; done");
		const late = runScript({ folder, script: "generate.sh", timeLimit: 200 }, io);
		await expect(late).rejects.toMatchObject({ code: "limit", message: expect.stringContaining("0.2 s") as string });
		write("echo half; echo bad >&2; exit 3");
		const failed = runScript({ folder, script: "generate.sh" }, io);
		await expect(failed).rejects.toMatchObject({ code: "failed", message: expect.stringContaining("bad") as string });
	});

	it("ends what it started with it, and waits for nothing that got away", async () => {
		const file = path.join(folder, "pid");
		const pid = (): number => Number(readFileSync(file, "utf8"));
		// Without job control such a program takes no notice of an interruption.
		const sleeper = "sh -c 'echo $$ > pid; exec sleep 300' &\nuntil [ -s pid ]; do :; done";
		write(`${sleeper}\necho said`);
		expect(await runScript({ folder, script: "generate.sh" }, io)).toBe("said\n");
		await expect.poll(() => isRunning(pid())).toBe(false);
		rmSync(file);
		write(`${sleeper}\nwait`);
		const ending = new AbortController();
		const ended = runScript({ folder, script: "generate.sh" }, { ...io, signal: ending.signal });
		await expect.poll(() => existsSync(file) && pid() > 0).toBe(true);
		ending.abort();
		await expect(ended).rejects.toMatchObject({ code: "cancelled" });
		await expect.poll(() => isRunning(pid())).toBe(false);
		rmSync(file);
		write(`setsid ${sleeper}\necho said`);
		await expect(runScript({ folder, script: "generate.sh" }, io)).rejects.toThrow(/left a program running/);
		process.kill(pid());
	});

	it("reads no more than a definition can have", async () => {
		write('while :; do echo "$PATH$PATH$PATH$PATH"; done');
		await expect(runScript({ folder, script: "generate.sh" }, io)).rejects.toThrow(/more than 1048576 bytes/);
	});
});
