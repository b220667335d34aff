import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { reply, scripted, testIo } from "../../test/support/scripted.ts";
import { mediaTypes, parseReference } from "../oci/index.ts";
import { createRegistryClient, readBack, registries, startRegistry } from "./index.ts";

const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [] }));
const digest = `sha256:${createHash("sha256").update(manifest).digest("hex")}`;
const before = `sha256:${"0".repeat(64)}`;
const random = () => 0.5;

/** A registry whose reads show a write only so many seconds after it; `old`: what they show until then. */
async function lagging(seconds: number, old?: string) {
	const io = testIo();
	const start = io.clock.now();
	const server = await scripted((_, response) => {
		const there = io.clock.now() - start >= seconds * 1000 ? digest : old;
		if (there === undefined) reply(response, 404);
		else response.writeHead(200, { "docker-content-digest": there, "content-length": "7" }).end();
	});
	const client = createRegistryClient(io);
	const back = (options = {}) =>
		readBack(client, io, parseReference(`${server.host}/name:tag`), digest, { random, ...options });
	return { io, server, back, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

describe("reading back", () => {
	test("what is there at once takes one request", async () => {
		await using server = await startRegistry().then((it) => ({ ...it, [Symbol.asyncDispose]: () => it.close() }));
		const io = testIo();
		const client = createRegistryClient(io);
		const reference = parseReference(`${server.host}/name:tag`);
		await client.putManifest(reference, mediaTypes.ociIndex, manifest);
		expect(await readBack(client, io, reference, digest)).toBe(0);
		expect(io.clock.slept).toEqual([]);
	});

	test.each([
		["nothing", undefined],
		["what was there before", before],
	])("a registry that says for 20 s that %s is there is waited for, with few requests", async (_, old) => {
		await using world = await lagging(20, old);
		const taken = await world.back();
		expect(taken).toBeGreaterThanOrEqual(20_000);
		expect(taken).toBeLessThan(registries.unknown.lag * 1500);
		expect(world.server.requests.length).toBeLessThan(12);
	});

	test.each([
		["nothing", undefined],
		[before, before],
	])("patience ends, with what is there: %s", async (text, old) => {
		await using world = await lagging(3600, old);
		await expect(world.back()).rejects.toMatchObject({
			code: "registry",
			message: expect.stringContaining(`30 s later the registry has ${text} there`),
			hint: expect.stringContaining("Somebody else"),
		});
		expect(world.io.clock.slept.reduce((sum, one) => sum + one, 0)).toBe(30_000);
		await using hasty = await lagging(3600, old);
		await expect(hasty.back({ patience: 0 })).rejects.toMatchObject({ code: "registry" });
		expect(hasty.server.requests).toHaveLength(1);
	});

	test("who is asked to end does not wait", async () => {
		const ending = new AbortController();
		const io = testIo({ signal: ending.signal });
		const client = {
			headManifest: () => {
				ending.abort();
				return Promise.resolve(undefined);
			},
		};
		const reading = readBack(client, io, parseReference("localhost:1/name:tag"), digest);
		await expect(reading).rejects.toMatchObject({ code: "cancelled" });
	});
});
