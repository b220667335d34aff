import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { nodeIo } from "../../src/io/index.ts";
import { parsePlatform, parseReference } from "../../src/oci/index.ts";
import { createRegistryClient, startRegistry, type RunningRegistry } from "../../src/registry/index.ts";
import { type CommandWorld, openCommandWorld, type Place } from "../support/command.ts";
import { dockerRegistryBinary, startDockerRegistry } from "../support/docker-registry.ts";
import { contentAt, stageImage } from "../support/publishing.ts";

// `brewline copy` as a user has it, from one registry to another.

let world: CommandWorld;
let place: Place;
let other: RunningRegistry;
let refusing: RunningRegistry;
beforeAll(async () => {
	world = await openCommandWorld();
	other = await startRegistry();
	refusing = await startRegistry({ fault: () => ({ kind: "answer", status: 403 }) });
});
afterAll(async () => {
	await other.close();
	await refusing.close();
	await world[Symbol.asyncDispose]();
});
beforeEach(async () => {
	place = await world.place();
});

const client = createRegistryClient(nodeIo());

async function staged(name: string) {
	const source = `${place.registry.host}/${name}`;
	const { image } = await stageImage(client, source, parsePlatform("linux/arm64/v8"), name, undefined, "artifact");
	await contentAt(client, parseReference(source)).artifact(image, name);
	const { digest } = (await client.headManifest(parseReference(source)))!;
	return { source, image, digest };
}

describe("copy", () => {
	it("says for each target what it did, and the second time that nothing was to do", async () => {
		const { source, digest } = await staged("src/a:1");
		const targets = [`${other.host}/a:1`, `${other.host}/a:latest`];
		const dry = await place.brewline(["copy", source, ...targets, "--dry-run"]);
		expect(dry).toMatchObject({ code: 0, stdout: expect.stringMatching(/^would copy .*\nwould copy .*\n$/) });
		expect(dry.stderr.match(/^✔ copied .* \(dry run\)$/gm)).toHaveLength(2);
		const dryJson = await place.brewline(["copy", source, ...targets, "--dry-run", "--json"]);
		expect(JSON.parse(dryJson.stdout)).toMatchObject({
			dryRun: true,
			targets: [{ state: "copied" }, { state: "copied" }],
		});
		expect(await client.headManifest(parseReference(targets[0]!))).toBeUndefined();
		const first = await place.brewline(["copy", source, ...targets]);
		const [one, two] = first.stdout.split("\n");
		expect(first.code).toBe(0);
		expect(one).toMatch(new RegExp(`^copied ${targets[0]} ${digest}: 4 manifests and 5 blobs copied \\(.* kB\\)$`));
		expect(two).toMatch(new RegExp(`^copied ${targets[1]} ${digest}: 1 manifest copied`));
		expect(first.stderr).toMatch(/running .*: 5 blobs, \d+ B\n/);
		const second = await place.brewline(["copy", source, ...targets]);
		expect(second.stdout).toMatch(/^unchanged .*\nunchanged .*\n$/);
	});

	it("prints JSON, with what failed; the exit code is that of the error", async () => {
		const { source, digest } = await staged("src/b:1");
		const targets = [`${refusing.host}/b:1`, `${other.host}/b:1`];
		const ended = await place.brewline(["copy", source, ...targets, "--json", "--platform", "linux/arm64"]);
		const result = JSON.parse(ended.stdout) as { digest: string; targets: readonly object[] };
		expect(ended.code).toBe(5);
		expect(result.targets).toMatchObject([
			{ reference: targets[0], state: "failed", errors: [{ code: "credentials" }] },
			{ reference: targets[1], state: "copied", present: { manifests: 0 } },
		]);
		expect(result.digest).not.toBe(digest);
		expect((await client.headManifest(parseReference(`${other.host}/b:1`)))?.digest).toBe(result.digest);
	});

	it("explains what it cannot do", async () => {
		const { source } = await staged("src/c:1");
		for (const [args, code, message] of [
			[[source], 2, /missing required argument 'target'/],
			[[source.replace(":1", ":2"), `${other.host}/c`], 3, /which is to be copied, is not there/],
			[[source, `${other.host}/c`, "--platform", "linux"], 2, /is not a platform/],
			[[source, `${other.host}/c`, "--platform", "linux/s390x"], 3, /nothing for linux\/s390x/],
		] as const) {
			const ended = await place.brewline(["copy", ...args]);
			expect(ended.code).toBe(code);
			expect(ended.stderr).toMatch(message);
		}
	});

	it("leaves artifacts out where it is told to", async () => {
		const { source, image } = await staged("src/d:1");
		await place.brewline(["copy", source, `${other.host}/d:1`, "--no-referrers"]);
		const subject = { ...parseReference(`${other.host}/d`), digest: image.digest };
		expect(await client.listReferrers(subject)).toHaveLength(1);
		await place.brewline(["copy", source, `${other.host}/d:1`]);
		expect(await client.listReferrers(subject)).toHaveLength(2);
	});
});

const found = await dockerRegistryBinary();
const why = "unavailable" in found ? ` (${found.unavailable})` : "";

describe("Debian's docker-registry, which lists no referrers", () => {
	it.skipIf("unavailable" in found)(
		`takes all that there is, and gives it on${why}`,
		async () => {
			const folder = mkdtempSync(path.join(os.tmpdir(), "brewline-copy-"));
			const debian = await startDockerRegistry((found as { binary: string }).binary, folder);
			try {
				const { source, image, digest } = await staged("src/e:1");
				const there = `${debian.host}/e:1`;
				const first = await place.brewline(["copy", source, there]);
				expect(first.stdout).toMatch(new RegExp(`^copied ${there} ${digest}: 4 manifests and 5 blobs copied`));
				const again = await place.brewline(["copy", source, there]);
				expect(again.stdout).toMatch(/^unchanged /);
				// On the same host its layers are mounted.
				const beside = await place.brewline(["copy", there, `${debian.host}/f:1`]);
				expect(beside.stdout).toMatch(/: 4 manifests copied .*, 5 blobs mounted/);
				const back = `${other.host}/e:1`;
				await place.brewline(["copy", `${debian.host}/f:1`, back]);
				const of = async (reference: string) => {
					const listed = await client.listReferrers({ ...parseReference(reference), digest: image.digest });
					return listed.map((one) => one.digest).toSorted();
				};
				expect(await of(back)).toEqual(await of(source));
				expect(await of(source)).toHaveLength(2);
				expect((await client.headManifest(parseReference(back)))?.digest).toBe(digest);
			} finally {
				await debian.close();
				rmSync(folder, { recursive: true });
			}
		},
		60_000,
	);
});
