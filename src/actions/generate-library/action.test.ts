import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, it } from "vitest";
import { branch, libraryWorld, token } from "../../../test/support/library-world.ts";
import { makeToolRepository } from "../../../test/support/tool-repository.ts";
import { nodeIo } from "../../io/index.ts";
import { action } from "./action.ts";

it("gives up a pull request whose servers take their time", async () => {
	await using w = await libraryWorld();
	const asked = Promise.withResolvers<void>();
	const server = createServer(() => {
		asked.resolve();
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	const folder = mkdtempSync(path.join(tmpdir(), "brewline-unmerged-"));
	try {
		const image = makeToolRepository(w, folder);
		const config = path.join(folder, "brewline.yaml");
		const slow = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
		image.commit("Go elsewhere", { "brewline.yaml": readFileSync(config, "utf8").replace(w.git.url, slow) });
		const real = nodeIo({ env: { ...process.env, GITHUB_EVENT_NAME: "pull_request", RUNNER_TEMP: folder } });
		const waits: number[] = [];
		const clock = {
			...real.clock,
			sleep: async (milliseconds: number) => {
				waits.push(milliseconds);
				await asked.promise;
			},
		};
		const given = { config, steps: "generate, check", output: path.join(folder, ".brewline/library") };
		const flags = { security: false, overwrite: false, again: false, "dry-run": false };
		await expect(action.run({ ...given, ...flags }, { ...real, clock })).rejects.toMatchObject({
			code: "limit",
			message: expect.stringContaining("30 minutes") as string,
		});
		expect(waits[0]).toBe(30 * 60_000);
	} finally {
		server.closeAllConnections();
		server.close();
		rmSync(folder, { recursive: true });
	}
});

it("tries the other images where the proposal of one fails, and tells what became of each", async () => {
	await using w = await libraryWorld();
	const folder = mkdtempSync(path.join(tmpdir(), "brewline-several-"));
	try {
		const image = makeToolRepository(w, folder);
		const config = path.join(folder, "brewline.yaml");
		const [, one] = readFileSync(config, "utf8").split("images:\n  image: tool\n");
		const of = (name: string) => `  - image: ${name}\n${one!.replaceAll(/^(?=.)/gm, "  ")}`;
		image.commit("Have two", { "brewline.yaml": `images:\n${of("tool")}${of("extra")}` });
		w.fail.api = ({ body }) => (body?.["head"] === `official:${branch}` ? { status: 404 } : undefined);
		const given = { config, steps: "generate, propose", output: path.join(folder, ".brewline/library"), token };
		const flags = { security: false, overwrite: false, again: false, "dry-run": false };
		const env = { ...process.env, GITHUB_EVENT_NAME: "push", GITHUB_EVENT_PATH: "", RUNNER_TEMP: folder };
		const { outputs, told } = await action.run({ ...given, ...flags }, nodeIo({ env }));
		expect(outputs).toMatchObject({
			outcome: "failed\nproposed",
			proposal: "https://github.example/official/images/pull/1",
		});
		expect(told).toMatchObject({
			exitCode: 5,
			annotations: [{ code: "github", message: expect.stringContaining("tool: cannot open a pull request") as string }],
		});
		expect(told?.text).toMatch(/^tool: failed: cannot open a pull request: HTTP 404\n[^]*^extra: proposed: /m);
		expect(told?.markdown).toMatch(/### Proposal: tool\n\n\*\*failed\*\*: [^]*### Proposal: extra\n\n\*\*proposed\*\*/);
		expect(w.at("brewline/extra")).toBeDefined();
	} finally {
		rmSync(folder, { recursive: true });
	}
});

it("says in a dry run that the token is missing", async () => {
	await using w = await libraryWorld();
	const folder = mkdtempSync(path.join(tmpdir(), "brewline-dry-"));
	try {
		makeToolRepository(w, folder);
		const config = path.join(folder, "brewline.yaml");
		const given = { config, steps: "generate, propose", output: path.join(folder, ".brewline/library") };
		const flags = { security: false, overwrite: false, again: false };
		const env = { ...process.env, GITHUB_EVENT_NAME: "push", GITHUB_EVENT_PATH: "", RUNNER_TEMP: folder };
		const said: string[] = [];
		const io = nodeIo({ env, log: (event) => said.push(event.type === "message" ? event.text : "") });
		const { outputs } = await action.run({ ...given, ...flags, "dry-run": true }, io);
		expect(outputs).toMatchObject({ outcome: "proposed" });
		expect(said.join("\n")).toContain(
			"there is no token to open a pull request with: without the dry run this would fail",
		);
		await expect(action.run({ ...given, ...flags, "dry-run": false }, io)).rejects.toMatchObject({
			code: "credentials",
		});
	} finally {
		rmSync(folder, { recursive: true });
	}
});
