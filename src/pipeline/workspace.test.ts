import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { stageImage } from "../../test/support/publishing.ts";
import { defineProgram } from "../config/index.ts";
import { nodeIo } from "../io/index.ts";
import { parseReference } from "../oci/index.ts";
import { createRegistryClient, startRegistry, type RunningRegistry } from "../registry/index.ts";
import { openWorkspace } from "./workspace.ts";

let work: string;
let registry: RunningRegistry;
let denied: RegExp;
beforeEach(async () => {
	work = await mkdtemp(path.join(tmpdir(), "brewline-workspace-"));
	denied = /^$/;
	registry = await startRegistry({
		fault: (request) => (denied.test(request.path) ? { kind: "answer", status: 403 } : undefined),
	});
});
afterEach(async () => {
	await registry.close();
	await rm(work, { recursive: true });
});

it.each(["library/x", "amd64/x", "staging-amd64"])(
	"a 403 means that nothing is there only until something was read from our own %s",
	async (name) => {
		const io = nodeIo();
		const program = defineProgram({
			architectures: { amd64: { namespace: `${registry.host}/amd64` } },
			registries: { namespace: `${registry.host}/library`, staging: `${registry.host}/staging-ARCH:BUILD` },
		});
		await stageImage(
			createRegistryClient(io),
			`${registry.host}/${name}:1`,
			{ os: "linux", architecture: "amd64" },
			"",
		);
		await using workspace = openWorkspace(program, io, { work });
		const [there, hidden] = ["1", "2"].map((tag) => parseReference(`${registry.host}/${name}:${tag}`));
		denied = /\/manifests\/2$/;
		expect(await workspace.client.headManifest(hidden!)).toBeUndefined();
		expect(await workspace.client.headManifest(there!)).toBeDefined();
		await expect(workspace.client.headManifest(hidden!)).rejects.toMatchObject({ code: "credentials" });
		await expect(workspace.client.getManifest(hidden!)).rejects.toMatchObject({ code: "credentials" });
	},
);

it("in others' repositories a 403 always means that nothing is there", async () => {
	const io = nodeIo();
	await stageImage(createRegistryClient(io), `${registry.host}/base:1`, { os: "linux", architecture: "amd64" }, "");
	await using workspace = openWorkspace(defineProgram(), io, { work });
	denied = /\/manifests\/2$/;
	expect(await workspace.client.getManifest(parseReference(`${registry.host}/base:1`))).toBeDefined();
	expect(await workspace.client.getManifest(parseReference(`${registry.host}/base:2`))).toBeUndefined();
});
