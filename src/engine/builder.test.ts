import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, it } from "vitest";
import { nodeIo } from "../io/index.ts";
import { inspectBuilder, takesAnnotationLists } from "./builder.ts";

it.each([
	["github.com/docker/buildx 0.13.1+ds1 0.13.1+ds1-3", false],
	["github.com/docker/buildx v0.15.1 1c1dbb2", false],
	["github.com/docker/buildx v0.16.0 10c9ff9", true],
	["github.com/docker/buildx v0.30.1 9e66234", true],
	["github.com/docker/buildx v1.0.0 abcdef0", true],
	["github.com/docker/buildx v0.0.0+unknown", false],
	["", false],
])("reads the version of buildx: %s", (text, takes) => {
	expect(takesAnnotationLists(text)).toBe(takes);
});

it("says that buildx is missing where docker does not know it", async () => {
	const folder = await mkdtemp(path.join(tmpdir(), "brewline-docker-"));
	const docker = path.join(folder, "docker");
	await writeFile(docker, "#!/bin/sh\necho \"docker: 'buildx' is not a docker command.\" >&2\nexit 1\n");
	await chmod(docker, 0o755);
	await expect(inspectBuilder(nodeIo({ env: { PATH: folder } }))).rejects.toMatchObject({
		code: "engine",
		message: "there is no docker with buildx here",
		hint: expect.stringContaining("buildx"),
	});
	await rm(folder, { recursive: true });
});
