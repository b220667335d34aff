import { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { testIo } from "../../test/support/scripted.ts";
import { registryLookup } from "../builds/index.ts";
import { dockerProgram } from "../config/index.ts";
import { mediaTypes, parseReference, sha256Of } from "../oci/index.ts";
import { createRegistryClient, startRegistry, type RunningRegistry } from "../registry/index.ts";
import { noProof, provenanceOf } from "./proof.ts";

const hex = (digit: string): string => digit.repeat(64);
const materials = ["a", "b"].map((digit) => ({ uri: "pkg:docker/x", digest: { sha256: hex(digit) } }));
const source = { uri: "https://example.org/x.git#main:dir", digest: { sha1: "1".repeat(40) } };

let registry: RunningRegistry;
beforeAll(async () => {
	registry = await startRegistry();
});
afterAll(() => registry.close());

const client = createRegistryClient(testIo());

/** The provenance of an image with a statement of this type, by the registry's content; null: it has none. */
async function proofOf(statement: string | null, type = "https://slsa.dev/provenance/v0.2", size?: number) {
	const reference = parseReference(`${registry.host}/x:${sha256Of(`${statement} ${type} ${size}`).slice(7)}`);
	const blob = async (mediaType: string, text: string) => {
		const descriptor = { mediaType, digest: sha256Of(text), size: Buffer.byteLength(text) };
		await client.putBlob(reference, descriptor, () => Readable.from([Buffer.from(text)], { objectMode: false }));
		return descriptor;
	};
	const manifest = async (config: object, layers: readonly object[]) => {
		const value = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers };
		const bytes = Buffer.from(JSON.stringify(value));
		const { digest } = await client.putManifest(
			{ ...reference, digest: sha256Of(bytes) },
			mediaTypes.ociManifest,
			bytes,
		);
		return { mediaType: mediaTypes.ociManifest, digest, size: bytes.length };
	};
	const platform = { os: "linux", architecture: "amd64" };
	const image = { ...(await manifest(await blob(mediaTypes.ociConfig, JSON.stringify(platform)), [])), platform };
	const manifests: object[] = [image];
	if (statement !== null) {
		const layer = {
			...(await blob(mediaTypes.inToto, statement)),
			...(size === undefined ? {} : { size }),
			annotations: { "in-toto.io/predicate-type": type },
		};
		manifests.push({
			...(await manifest(await blob(mediaTypes.ociConfig, "{}"), [layer])),
			platform: { os: "unknown", architecture: "unknown" },
			annotations: {
				"vnd.docker.reference.type": "attestation-manifest",
				"vnd.docker.reference.digest": image.digest,
			},
		});
	}
	const index = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }));
	await client.putManifest(reference, mediaTypes.ociIndex, index);
	const lookup = registryLookup(client, dockerProgram);
	return provenanceOf(client, (await lookup(`${registry.host}/x:${reference.tag}`))!);
}

const all = { digests: new Set([`sha256:${hex("a")}`, `sha256:${hex("b")}`]), file: "sub/Dockerfile" };

describe("what an image was built from", () => {
	it("is read from both versions of provenance", async () => {
		const first = { materials, invocation: { configSource: { ...source, entryPoint: "./sub/Dockerfile" } } };
		expect(await proofOf(JSON.stringify({ predicate: first }))).toEqual(all);
		const second = {
			buildDefinition: {
				externalParameters: { configSource: { ...source, path: "sub/Dockerfile" } },
				resolvedDependencies: materials,
			},
		};
		expect(await proofOf(JSON.stringify({ predicate: second }), "https://slsa.dev/provenance/v1")).toEqual(all);
	});

	it.each([
		["there is none", null, undefined],
		["it is an SBOM", "{}", "https://spdx.dev/Document"],
		["it says nothing", "{}", undefined],
		["it says something else", '{"predicate":{"materials":[1,{"digest":"x"}],"invocation":null}}', undefined],
	])("is not known where %s", async (_, statement, type) => {
		expect(await proofOf(statement, type)).toEqual(noProof);
	});

	it.each([
		["no JSON", "x", undefined],
		["too large", "{} ", 2 ** 30],
	])("is no provenance where that is %s", async (_, statement, size) => {
		await expect(proofOf(statement, undefined, size)).rejects.toMatchObject({ code: "layout" });
	});
});
