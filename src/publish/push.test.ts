import { Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import { createRegistryClient, startRegistry } from "../registry/index.ts";
import { mediaTypes, parseReference, repositoryOf, sha256Of, withDigest, type Descriptor } from "../oci/index.ts";
import { tabJson } from "../json/index.ts";
import { stageImage, world, type AttestationShape, type World } from "../../test/support/publishing.ts";
import { push, readDeployObjects, writeDeployObjects, type DeployObject } from "./index.ts";

const signal = new AbortController().signal;
const linux = { architecture: "amd64", os: "linux" };

async function staged(at: World) {
	const from = `${at.registry.host}/staging/x:1`;
	const { image, attestation } = await stageImage(at.client, from, linux, "one");
	at.requests.length = 0;
	return { from, image, attestation };
}

function indexOf(...manifests: readonly Descriptor[]) {
	return { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests };
}

function objectFor(refs: readonly string[], from: string, ...manifests: readonly Descriptor[]): DeployObject {
	const lookup = Object.fromEntries(manifests.map(({ digest }) => [digest, from]));
	return { type: "manifest", refs, lookup, data: indexOf(...manifests) as never };
}

async function bytesAt(at: World, reference: string): Promise<string | undefined> {
	const found = await at.client.getManifest(parseReference(reference));
	return found && Buffer.from(found.bytes).toString();
}

/** Puts, mounts and uploads, short: `PUT x/manifests/1`. */
function writes(at: World): string[] {
	return at.writes().map((request) => request.replace("/v2/", ""));
}

describe("push", () => {
	test("brings an index and all below it, mounted, children before parents", async () => {
		await using at = await world();
		const { from, image, attestation } = await staged(at);
		const ref = `${at.registry.host}/library/x:1`;
		const { outcomes } = await push([objectFor([ref], from, image, attestation)], at.client, { signal });
		const text = tabJson(indexOf(image, attestation));
		expect(outcomes).toEqual([{ ref, digest: sha256Of(text), state: "pushed", before: "nothing" }]);
		expect(await bytesAt(at, ref)).toBe(text);
		const puts = writes(at).filter((request) => request.startsWith("PUT"));
		expect(puts).toEqual([
			...[image, attestation].map(({ digest }) => `PUT library/x/manifests/${digest}`),
			"PUT library/x/manifests/1",
		]);
		// Four blobs, none of them sent.
		expect(writes(at).filter((request) => request.startsWith("POST"))).toHaveLength(4);
		expect(writes(at).filter((request) => request.startsWith("PATCH"))).toEqual([]);
	});

	test("what is there already is left alone, with one request", async () => {
		await using at = await world();
		const { from, image } = await staged(at);
		const object = objectFor([`${at.registry.host}/library/x:1`], from, image);
		await push([object], at.client, { signal });
		at.requests.length = 0;
		const { outcomes, changes } = await push([object], at.client, { signal });
		expect(outcomes[0]!.state).toBe("present");
		expect(changes).toEqual([]);
		expect(at.requests).toEqual(["HEAD /v2/library/x/manifests/1"]);
	});

	test("a tag that points elsewhere is moved, though the digest is there", async () => {
		await using at = await world();
		const { from, image, attestation } = await staged(at);
		const ref = `${at.registry.host}/library/x:1`;
		const first = objectFor([ref], from, image);
		await push([first, objectFor([ref.replace(":1", ":2")], from, image, attestation)], at.client, { signal });
		const second = { ...objectFor([ref], from, image, attestation) };
		expect((await push([second], at.client, { signal, dryRun: true })).changes).toEqual([second]);
		expect((await push([second], at.client, { signal })).outcomes[0]).toMatchObject({
			state: "pushed",
			before: "other",
		});
	});

	test("a dry run changes nothing, says what a run would change, and after it says nothing", async () => {
		await using at = await world();
		const { from, image, attestation } = await staged(at);
		const refs = ["library/x:1", "library/x:2", "library/y:1"].map((name) => `${at.registry.host}/${name}`);
		const objects = [
			objectFor(refs, from, image, attestation),
			{ type: "manifest", refs: [`${at.registry.host}/copy:1`], lookup: { "": from } } as const,
		];
		await push([objectFor([refs[1]!], from, image, attestation)], at.client, { signal });
		at.requests.length = 0;
		const { changes } = await push(objects, at.client, { signal, dryRun: true });
		expect(writes(at)).toEqual([]);
		expect(changes.map((change) => change.refs)).toEqual([[refs[0]], [refs[2]], [objects[1]!.refs[0]]]);
		// What it says is input.
		const output = await push(readDeployObjects(writeDeployObjects(changes), { file: "changes" }), at.client, {
			signal,
		});
		expect(output.outcomes.map(({ state }) => state)).toEqual(["pushed", "pushed", "pushed"]);
		expect((await push(objects, at.client, { signal, dryRun: true })).changes).toEqual([]);
	});

	test("of several references in one repository the first goes alone", async () => {
		await using at = await world();
		const { from, image } = await staged(at);
		const refs = ["1", "2", "3"].map((tag) => `${at.registry.host}/library/x:${tag}`);
		await push([objectFor(refs, from, image)], at.client, { signal });
		const puts = writes(at).filter((request) => request.startsWith("PUT library/x/manifests/"));
		expect(puts.slice(0, 2)).toEqual([`PUT library/x/manifests/${image.digest}`, "PUT library/x/manifests/1"]);
		expect(puts.slice(2).toSorted()).toEqual(["PUT library/x/manifests/2", "PUT library/x/manifests/3"]);
	});

	test("an object waits for those that hold its children, wherever they stand", async () => {
		await using at = await world();
		const repository = `${at.registry.host}/made`;
		const layer = { mediaType: "application/octet-stream", digest: sha256Of("layer"), size: 5 };
		const config = { mediaType: mediaTypes.ociConfig, digest: sha256Of("{}"), size: 2 };
		const manifest = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers: [layer] };
		const text = tabJson(manifest);
		const child = { mediaType: mediaTypes.ociManifest, digest: sha256Of(text), size: text.length, platform: linux };
		const { outcomes } = await push(
			[
				{ type: "manifest", refs: [`${repository}:1`], data: indexOf(child) as never },
				{ type: "manifest", refs: [repository], data: manifest },
				{ type: "blob", refs: [repository], data: Buffer.from("layer").toString("base64") },
				{ type: "blob", refs: [`${repository}@${config.digest}`], data: {} },
			],
			at.client,
			{ signal },
		);
		expect(outcomes.map(({ state }) => state)).toEqual(["pushed", "pushed", "pushed", "pushed"]);
		// Nothing was tried in vain.
		expect(writes(at).filter((request) => request.includes("/manifests/"))).toEqual([
			`PUT made/manifests/${child.digest}`,
			"PUT made/manifests/1",
		]);
	});

	test("copies of tags, digests and blobs, within a host and between two", async () => {
		await using at = await world();
		const other = await startRegistry();
		const { from, image } = await staged(at);
		const root = (await at.client.headManifest(parseReference(from)))!.digest;
		const repository = from.slice(0, -2);
		const layer = sha256Of("layer of one");
		const refs = [
			`${at.registry.host}/a:1`,
			`${other.host}/b:1`,
			`${other.host}/b@${root}`,
			`${at.registry.host}/c@${layer}`,
		];
		const { outcomes } = await push(
			[
				{ type: "manifest", refs: [refs[0]!], lookup: { "": from } },
				{ type: "manifest", refs: [refs[1]!], lookup: { [root]: repository } },
				{ type: "manifest", refs: [refs[2]!], lookup: { "": repository } },
				{ type: "blob", refs: [refs[3]!], lookup: { "": repository } },
				{ type: "blob", refs: [`${other.host}/c@${layer}`], lookup: { [layer]: repository } },
				{ type: "blob", refs: [`${other.host}/d`], lookup: { [image.digest]: repository } },
			],
			at.client,
			{ signal },
		);
		expect(outcomes.map(({ state, digest }) => `${state} ${digest}`).slice(0, 5)).toEqual([
			`pushed ${root}`,
			`pushed ${root}`,
			`present ${root}`,
			`pushed ${layer}`,
			`pushed ${layer}`,
		]);
		expect(await at.client.hasBlob(parseReference(`${other.host}/c`), layer)).toBe(true);
		// A manifest is no blob, though its bytes may lie in the same place.
		expect(outcomes[5]!.error).toMatchObject({ code: "reference", message: expect.stringContaining("is not there") });
		expect(await bytesAt(at, refs[1]!)).toBe(await bytesAt(at, from));
		await other.close();
	});

	test("a blob whose mount is answered with an upload is copied", async () => {
		await using at = await world();
		const { from } = await staged(at);
		const repository = from.slice(0, -2);
		const layer = sha256Of("layer of one");
		const http: typeof at.io.http = (request) => {
			request.url.searchParams.delete("mount");
			return at.io.http(request);
		};
		const client = createRegistryClient({ ...at.io, http });
		const target = `${at.registry.host}/c@${layer}`;
		const { outcomes } = await push([{ type: "blob", refs: [target], lookup: { "": repository } }], client, { signal });
		expect(outcomes).toMatchObject([{ state: "pushed", digest: layer }]);
		expect(await client.hasBlob(parseReference(`${at.registry.host}/c`), layer)).toBe(true);
	});

	test("large blobs are asked for before they are copied to another host", async () => {
		await using at = await world();
		const requests: string[] = [];
		const other = await startRegistry({
			fault: ({ method, path }) => {
				requests.push(`${method} ${path.replace(/[?].*/, "")}`);
				return undefined;
			},
		});
		const sizes = [65_535, 65_536];
		const from = `${at.registry.host}/big`;
		const layers = await Promise.all(
			sizes.map(async (size) => {
				const bytes = Buffer.alloc(size, "x");
				const blob = { mediaType: "application/octet-stream", digest: sha256Of(bytes), size };
				await at.client.putBlob(parseReference(from), blob, () => Readable.from([bytes], { objectMode: false }));
				return blob;
			}),
		);
		const config = { mediaType: "application/x", digest: layers[0]!.digest, size: sizes[0] };
		const manifest = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers };
		const { outcomes } = await push(
			[{ type: "manifest", refs: [`${other.host}/big:1`], lookup: { "": from }, data: manifest as never }],
			at.client,
			{ signal },
		);
		expect(outcomes.map(({ state }) => state)).toEqual(["pushed"]);
		expect(requests.filter((request) => request.startsWith("HEAD /v2/big/blobs"))).toEqual([
			`HEAD /v2/big/blobs/${layers[1]!.digest}`,
		]);
		await other.close();
	});

	test("a child that is nowhere, and a source that is not there, fail without stopping others", async () => {
		await using at = await world();
		const { from, image } = await staged(at);
		const host = at.registry.host;
		const lost = { ...image, digest: sha256Of("lost") };
		const { outcomes } = await push(
			[
				objectFor([`${host}/a:1`, `${host}/a:2`], from, lost),
				{ type: "manifest", refs: [`${host}/b:1`], lookup: { "": `${host}/none:1` } },
				objectFor([`${host}/c:1`], from, image),
				{ type: "manifest", refs: [`${host}/d:1`], data: indexOf(image) as never },
			],
			at.client,
			{ signal },
		);
		expect(outcomes.map(({ state, error }) => [state, error?.code])).toEqual([
			["failed", "reference"],
			["failed", "reference"],
			["failed", "reference"],
			["pushed", undefined],
			["failed", "reference"],
		]);
		expect(await bytesAt(at, `${host}/a:1`)).toBeUndefined();
	});

	test("a child whose size is not what its descriptor says fails", async () => {
		await using at = await world();
		const { from, image } = await staged(at);
		const object = objectFor([`${at.registry.host}/a:1`], from, { ...image, size: image.size + 1 });
		expect((await push([object], at.client, { signal })).outcomes[0]!.error?.code).toBe("digest");
	});

	test("a registry that stores something else than it was sent fails", async () => {
		await using at = await world();
		const { from, image } = await staged(at);
		const liar = await startRegistry({
			fault: ({ method, path }) =>
				method === "PUT" && path.endsWith("/manifests/1")
					? { kind: "answer", status: 201, headers: { "docker-content-digest": sha256Of("other") } }
					: undefined,
		});
		const { outcomes } = await push([objectFor([`${liar.host}/a:1`], from, image)], at.client, { signal });
		expect(outcomes[0]!.error?.code).toBe("digest");
		await liar.close();
	});

	describe("an index of eleven images of eleven staging repositories", () => {
		/** With what it takes to look, and how often each kind of request was made. */
		async function eleven(at: World, shape: AttestationShape) {
			const manifests: Descriptor[] = [];
			const lookup: Record<string, string> = {};
			for (const name of Array.from({ length: 11 }, (_, number) => `arch${number}`)) {
				const from = `${at.registry.host}/staging-${name}:1`;
				const { image, attestation } = await stageImage(
					at.client,
					from,
					{ os: "linux", architecture: name },
					name,
					undefined,
					shape,
				);
				for (const one of shape === "none" ? [image] : [image, attestation]) {
					manifests.push(one);
					lookup[one.digest] = from;
				}
			}
			at.requests.length = 0;
			const ref = `${at.registry.host}/library/x:1`;
			const object: DeployObject = { type: "manifest", refs: [ref], lookup, data: indexOf(...manifests) as never };
			const counts = () =>
				Object.entries(Object.groupBy(at.requests.splice(0), (request) => request.split(" ")[0]!))
					.map(([method, all]) => `${all!.length} ${method}`)
					.toSorted()
					.join(", ");
			return { ref, object, manifests, lookup, counts };
		}

		test.each([
			// 2 for each manifest, 1 for each distinct blob, and 2 for the tag: 46, and 90 where all are attested.
			["none", "1 HEAD, 11 GET, 12 PUT, 22 POST"],
			["image", "1 HEAD, 22 GET, 23 PUT, 44 POST"],
			// Artifacts have the empty config in common: 80.
			["artifact", "1 HEAD, 22 GET, 23 PUT, 34 POST"],
		] as const)("attestations: %s; takes %s the first time, and then one request", async (shape, expected) => {
			await using at = await world();
			const { object, counts } = await eleven(at, shape);
			await push([object], at.client, { signal });
			expect(counts()).toBe(expected);
			await push([object], at.client, { signal });
			expect(counts()).toBe("1 HEAD");
		});

		test("of which one is new: only that is asked about, and what the tag had is read once", async () => {
			await using at = await world();
			const { ref, object, manifests, lookup, counts } = await eleven(at, "image");
			await push([object], at.client, { signal });
			const from = `${at.registry.host}/staging-arch3:2`;
			const next = await stageImage(at.client, from, { os: "linux", architecture: "arch3" }, "new");
			const changed = manifests.with(6, next.image).with(7, next.attestation);
			const all = { ...lookup, [next.image.digest]: from, [next.attestation.digest]: from };
			at.requests.length = 0;
			const moved: DeployObject = { type: "manifest", refs: [ref], lookup: all, data: indexOf(...changed) as never };
			await push([moved], at.client, { signal });
			expect(counts()).toBe("1 HEAD, 3 GET, 3 PUT, 4 POST");
			// The same elsewhere, known from this run's own questions.
			const present = changed.map(({ digest }) => withDigest(repositoryOf(parseReference(ref)), digest));
			await push([{ ...moved, refs: [ref.replace(":1", ":2")] }], at.client, { signal, present });
			expect(counts()).toBe("1 HEAD, 1 PUT");
		});

		test("what was taken to be there and is not is brought once the registry says so", async () => {
			await using at = await world();
			const { ref, object, manifests, counts } = await eleven(at, "image");
			const present = manifests.map(({ digest }) => withDigest(repositoryOf(parseReference(ref)), digest));
			const other = `${at.registry.host}/library/x:2`;
			const { outcomes } = await push([object, { ...object, refs: [other] }], at.client, { signal, present });
			expect(outcomes.map(({ state }) => state)).toEqual(["pushed", "pushed"]);
			// Each manifest is asked for, got and put, and the tag is put twice.
			expect(counts()).toBe("22 GET, 24 HEAD, 25 PUT, 44 POST");
		});
	});

	test("a refusal is not taken for missing children", async () => {
		await using at = await world();
		const { from, image } = await staged(at);
		const requests: string[] = [];
		const closed = await startRegistry({
			fault: ({ method, path }) => {
				requests.push(`${method} ${path}`);
				return method === "PUT" ? { kind: "answer", status: 403 } : undefined;
			},
		});
		const { outcomes } = await push([objectFor([`${closed.host}/a:1`], from, image)], at.client, { signal });
		expect(outcomes[0]!.error?.code).toBe("credentials");
		expect(requests).toEqual(["HEAD /v2/a/manifests/1", "PUT /v2/a/manifests/1"]);
		await closed.close();
	});

	test("1,200 tags of 300 indexes, then again: no deadlock, and the second run writes nothing", async () => {
		await using at = await world();
		const { from, image } = await staged(at);
		const objects = Array.from({ length: 300 }, (_, number) => {
			const annotated = { ...image, annotations: { number: String(number) } };
			const refs = Array.from({ length: 4 }, (_, tag) => `${at.registry.host}/repo${number % 7}:${number}-${tag}`);
			return objectFor(refs, from, annotated);
		});
		const first = await push(objects, at.client, { signal });
		expect(first.changes).toHaveLength(1200);
		at.requests.length = 0;
		const second = await push(objects, at.client, { signal });
		expect(second.changes).toEqual([]);
		expect(writes(at)).toEqual([]);
		expect(at.requests).toHaveLength(1200);
	});

	test("an aborted run begins nothing", async () => {
		await using at = await world();
		const { from, image } = await staged(at);
		const object = objectFor([`${at.registry.host}/a:1`], from, image);
		const { outcomes } = await push([object], at.client, { signal: AbortSignal.abort() });
		expect(outcomes[0]!.error?.code).toBe("cancelled");
		expect(at.requests).toEqual([]);
	});
});
