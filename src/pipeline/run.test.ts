import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { makeLeg } from "../../test/support/builds.ts";
import { stageImage } from "../../test/support/publishing.ts";
import { nodeIo } from "../io/index.ts";
import { createRegistryClient, startRegistry } from "../registry/index.ts";
import { buildLegs } from "./run.ts";

let folder: string;
beforeEach(async () => {
	folder = await mkdtemp(path.join(os.tmpdir(), "brewline-run-"));
});
afterEach(() => rm(folder, { recursive: true }));

it("gets a parent from the mirror that the environment names, and gives BuildKit a copy", async () => {
	const registry = await startRegistry();
	try {
		const platform = { os: "linux", architecture: "amd64" };
		const { image } = await stageImage(createRegistryClient(nodeIo()), `${registry.host}/library/base:1`, platform, "");
		const calls = path.join(folder, "calls");
		const docker = path.join(folder, "docker");
		await writeFile(docker, `#!/bin/sh\necho "$*" >'${calls}'\nexit 1\n`);
		await chmod(docker, 0o755);
		const repository = "https://github.com/brewline/samples-foo.git";
		const leg = makeLeg({
			git: {
				repository,
				fetchFrom: repository,
				commit: "0".repeat(40),
				ref: "refs/heads/main",
				directory: ".",
				file: "Dockerfile",
				epoch: 0,
			},
			staging: { reference: `${registry.host}/staging:x`, read: false },
			parents: [{ from: "base:1", reference: `base:1@${image.digest}`, digest: image.digest }],
		});
		const env = { ...process.env, DOCKERHUB_PUBLIC_PROXY: registry.url, DOCKER_CONFIG: folder };
		const [result] = await buildLegs([leg], nodeIo({ env }), {
			work: path.join(folder, "work"),
			findBuilder: () =>
				Promise.resolve({
					platforms: ["linux/amd64"],
					emulated: [],
					hostNetwork: true,
					env: { PATH: `${folder}${path.delimiter}${process.env["PATH"]}` },
				}),
		});
		expect(result!.builds).toMatchObject([{ status: "failed", error: { code: "build" } }]);
		expect(await readFile(calls, "utf8")).toContain(`--build-context base:1=oci-layout://parents@${image.digest}`);
	} finally {
		await registry.close();
	}
});
