import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, it } from "vitest";
import { libraryWorld } from "../../../test/support/library-world.ts";
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
