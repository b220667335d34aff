import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { afterAll, expect, test } from "vitest";
import { mediaTypes, sha256Of } from "../../src/oci/index.ts";
import { startRegistry } from "../../src/registry/index.ts";
import { partName, partOf } from "../support/part.ts";

/** Whatever the embedded registry was doing when it was killed: what it had answered is there, and nothing points at nothing. */
const folder = await mkdtemp(path.join(tmpdir(), "brewline-kills-"));
afterAll(() => rm(folder, { recursive: true }));
const program = path.join(import.meta.dirname, "../support/registry-process.ts");

interface Request {
	readonly method: string;
	/** `ID` stands for the upload that was opened last. */
	readonly path: string;
	readonly body?: string;
	readonly headers?: Readonly<Record<string, string>>;
}

const type = { "content-type": mediaTypes.ociManifest };
const layer = "a layer that comes in pieces";
const descriptor = (content: string, mediaType: string) => ({
	mediaType,
	digest: sha256Of(content),
	size: content.length,
});
const manifest = (name: string): string =>
	JSON.stringify({
		schemaVersion: 2,
		mediaType: mediaTypes.ociManifest,
		config: descriptor("{}", mediaTypes.ociConfig),
		layers: [descriptor(layer, "application/vnd.oci.image.layer.v1.tar")],
		annotations: { name },
	});
const referring = JSON.stringify({
	...(JSON.parse(manifest("referring")) as object),
	subject: descriptor(manifest("one"), mediaTypes.ociManifest),
});
const requests: readonly Request[] = [
	{ method: "POST", path: `/v2/a/blobs/uploads/?digest=${sha256Of("{}")}`, body: "{}" },
	{ method: "POST", path: "/v2/a/blobs/uploads/" },
	{ method: "PATCH", path: "/v2/a/blobs/uploads/ID", body: layer.slice(0, 9), headers: { "content-range": "0-8" } },
	{ method: "PUT", path: `/v2/a/blobs/uploads/ID?digest=${sha256Of(layer)}`, body: layer.slice(9) },
	{ method: "POST", path: `/v2/b/blobs/uploads/?mount=${sha256Of("{}")}&from=a` },
	{ method: "POST", path: `/v2/b/blobs/uploads/?mount=${sha256Of(layer)}&from=a` },
	{ method: "PUT", path: "/v2/a/manifests/1", body: manifest("one"), headers: type },
	{ method: "PUT", path: "/v2/b/manifests/1", body: manifest("one"), headers: type },
	{ method: "PUT", path: "/v2/a/manifests/1", body: manifest("two"), headers: type },
	{ method: "PUT", path: "/v2/a/manifests/2", body: manifest("two"), headers: type },
	{ method: "PUT", path: `/v2/b/manifests/${sha256Of(referring)}`, body: referring, headers: type },
	{ method: "POST", path: "/v2/a/blobs/uploads/" },
	{ method: "DELETE", path: "/v2/a/blobs/uploads/ID" },
	{ method: "DELETE", path: "/v2/a/manifests/2" },
	{ method: "DELETE", path: `/v2/a/manifests/${sha256Of(manifest("two"))}` },
	{ method: "DELETE", path: `/v2/a/blobs/${sha256Of(layer)}` },
];

/** Asks one after the other, the first so many, until no answer comes; how many were answered. */
async function askAll(url: string, count = requests.length): Promise<number> {
	let upload = "";
	for (const [number, { method, path: target, body, headers }] of requests.slice(0, count).entries()) {
		const asking = fetch(new URL(target.replace("ID", upload), url), {
			method,
			...(body === undefined ? {} : { body }),
			headers: { connection: "close", ...headers },
		});
		const response = await asking.catch(() => undefined);
		if (response === undefined) return number;
		expect(response.status).toBeLessThan(300);
		upload = /[\w-]+$/.exec(response.headers.get("location") ?? "")?.[0] ?? upload;
		await response.text().catch(() => {});
	}
	return count;
}

async function killedAt(
	directory: string,
	point: number,
): Promise<{ readonly answered: number; readonly points: number }> {
	const child = spawn(process.execPath, [program, directory, String(point)], { stdio: ["pipe", "pipe", "inherit"] });
	const exited = once(child, "exit");
	const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
	const url = (await lines.next()).value as string;
	const answered = await askAll(url);
	child.stdin.on("error", () => {}).end();
	const last = await lines.next();
	await exited;
	return { answered, points: Number(last.value ?? NaN) };
}

/** What a registry has, by what is asked of it. */
async function contentOf(url: string): Promise<Readonly<Record<string, string>>> {
	const found: Record<string, string> = {};
	const digests = [manifest("one"), manifest("two"), referring].map(sha256Of);
	for (const repository of ["a", "b"]) {
		for (const target of [
			...["1", "2", ...digests].map((reference) => `manifests/${reference}`),
			...["{}", layer].map((content) => `blobs/${sha256Of(content)}`),
			"tags/list",
			`referrers/${sha256Of(manifest("one"))}`,
		]) {
			const response = await fetch(new URL(`/v2/${repository}/${target}`, url));
			const text = await response.text();
			found[`${repository}/${target}`] = response.status === 200 ? text : String(response.status);
		}
	}
	return found;
}

/** What a registry has that did the first so many of the requests, in memory and undisturbed. */
const expected = await Promise.all(
	Array.from({ length: requests.length + 1 }, async (_, count) => {
		const registry = await startRegistry();
		await askAll(registry.url, count);
		const content = await contentOf(registry.url);
		await registry.close();
		return content;
	}),
);

const { points } = await killedAt(path.join(folder, "undisturbed"), -1);
const cases = partOf(Array.from({ length: points }, (_, point) => point));

test(`killed at each of ${points} points (${partName()}, ${cases.length} kills)`, async () => {
	expect(points).toBeGreaterThan(requests.length);
	for (const point of cases) {
		const directory = path.join(folder, String(point));
		const { answered } = await killedAt(directory, point);
		expect(answered).toBeLessThan(requests.length);
		const registry = await startRegistry({ directory });
		const content = await contentOf(registry.url);
		await registry.close();
		// What was asked last may have been done, or not, and of several parts some: but no tag without what it points at.
		for (const [target, text] of Object.entries(content)) {
			const possible = [expected[answered]![target], expected[answered + 1]![target]];
			expect(possible.includes(text), `${target} after a kill at ${point}, ${answered} answered: ${text}`).toBe(true);
		}
		expect(await readdir(path.join(directory, "uploads"))).toEqual([]);
		for (const encoded of await readdir(path.join(directory, "blobs/sha256")).catch(() => [])) {
			expect(sha256Of(await readFile(path.join(directory, "blobs/sha256", encoded)))).toBe(`sha256:${encoded}`);
		}
		await rm(directory, { recursive: true });
	}
});
