import { expect, test } from "vitest";
import { contentAt, pipeline, sourcesOf } from "../../test/support/publishing.ts";
import { mediaTypes, parseReference, type Descriptor, type Index, type Platform } from "../oci/index.ts";
import { waitingRule, type TestVerdict } from "./index.ts";

// What whoever holds the credential of one architecture's staging repository can put there beside an image.

const arches = ["amd64", "arm32v7", "arm64v8"] as const;
const arm: Platform = { os: "linux", architecture: "arm64", variant: "v8" };
const amd: Platform = { os: "linux", architecture: "amd64" };
const type = { "vnd.docker.reference.type": "attestation-manifest" };

test.each([
	["for another architecture, called an attestation", arm, type],
	["that was not tested, called an attestation", amd, type],
	["without a platform where it is listed, called an attestation", undefined, type],
	["that is about another one", amd, {}],
])("an image %s reaches no tag", async (_, platform, annotations) => {
	await using at = await pipeline();
	const of = Object.fromEntries(arches.map((arch) => [arch, ["x:1"]]));
	const sources = sourcesOf(at.program, [{ name: "x", version: "1", arches: of }]);
	for (const arch of arches) await at.stage(sources, arch);
	const builds = Object.values(await at.find(sources));
	const place = parseReference(builds.find(({ build }) => build.arch === "amd64")!.build.img);
	const index = JSON.parse(Buffer.from((await at.client.getManifest(place))!.bytes).toString()) as Index;
	const { blob, manifest } = contentAt(at.client, place);
	const config = await blob(mediaTypes.ociConfig, JSON.stringify(platform ?? amd));
	const forged: Descriptor = {
		...(await manifest({ config, layers: [] })),
		annotations: { ...annotations, "vnd.docker.reference.digest": index.manifests[0]!.digest },
		...(platform === undefined ? {} : { platform }),
	};
	const manifests = [index.manifests[0]!, forged];
	await at.client.putManifest(place, mediaTypes.ociIndex, Buffer.from(JSON.stringify({ ...index, manifests })));

	const passed: TestVerdict = { result: "passed", start: "2026-01-01T00:00:00Z", log: null };
	const tests = new Map(builds.map(({ build }) => [build.resolved!.manifests[0]!.digest, passed]));
	const program = { ...at.program, policies: [{ images: ["x"], require: ["test" as const] }] };
	await at.publish(sources, { program, tests, mustWait: waitingRule(program, new Set()) });
	const published = await Promise.all(["library/x:1", "amd64/x:1", "arm64v8/x:1"].map(at.index));
	const digests = published.map((one) => (one?.manifests ?? []).map(({ digest }) => digest));
	expect(digests.flat()).not.toContain(forged.digest);
	// The others are published all the same.
	expect(digests[0]).toContain(
		builds.find(({ build }) => build.arch === "arm64v8")!.build.resolved!.manifests[0]!.digest,
	);
	expect(digests[2]).toHaveLength(2);
});
