import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { makeLayout } from "../../test/fixtures/layouts/make-layout.ts";
import { contentAt, pipeline, programAt, sourcesOf, type AttestationShape } from "../../test/support/publishing.ts";
import { pushLayout } from "../build/push.ts";
import { nodeIo } from "../io/index.ts";
import {
	isAttestation,
	parseReference,
	readLayout,
	repositoryOf,
	withDigest,
	type Descriptor,
	type Index,
	type Reference,
} from "../oci/index.ts";
import { createRegistryClient, startRegistry } from "../registry/index.ts";

// All that attests to an image gets from staging to the architecture's tag and to the joined index.

const shapes: Readonly<Record<string, AttestationShape>> = { amd64: "image", arm64v8: "artifact", arm32v7: "none" };

/** Three architectures with attestations of each shape, and a signature of each image, which is signed itself. */
async function staged(options: { readonly referrers?: boolean } = {}) {
	const at = await pipeline(options);
	const sources = sourcesOf(at.program, [
		{ name: "x", version: "1", arches: Object.fromEntries(Object.keys(shapes).map((arch) => [arch, ["x:1", "x:2"]])) },
	]);
	const signatures: Record<string, readonly [of: Descriptor, signature: Descriptor][]> = {};
	for (const [arch, shape] of Object.entries(shapes)) await at.stage(sources, arch, { shape });
	for (const { build } of Object.values(await at.find(sources))) {
		const staging = parseReference(build.img);
		const index = JSON.parse(Buffer.from((await at.client.getManifest(staging))!.bytes).toString()) as Index;
		const image = index.manifests.find((one) => !isAttestation(one))!;
		const { artifact } = contentAt(at.client, staging);
		const signature = await artifact(image, build.arch);
		const stamp = await artifact(signature, `stamp of ${build.arch}`);
		signatures[build.arch] = [
			[image, signature],
			[signature, stamp],
			...index.manifests.filter(isAttestation).map((one): [Descriptor, Descriptor] => [image, one]),
		];
	}
	at.requests.length = 0;
	return { at, sources, signatures };
}

type Staged = Awaited<ReturnType<typeof staged>>;

/** What is listed for each subject in a repository. */
async function listed({ at, signatures }: Staged, repository: string, arch: string): Promise<string[]> {
	const place = parseReference(`${at.registry.host}/${repository}`);
	const found = await Promise.all(
		signatures[arch]!.slice(0, 2).map(([{ digest }]) => at.client.listReferrers({ ...place, digest })),
	);
	return found
		.flat()
		.map(({ digest }) => digest)
		.toSorted();
}

/** Those of an architecture's attestations that name a subject. */
const withSubject = ({ signatures }: Staged, arch: string): string[] =>
	signatures[arch]!.slice(0, shapes[arch] === "artifact" ? 3 : 2)
		.map(([, { digest }]) => digest)
		.toSorted();

async function expectAll(all: Staged): Promise<void> {
	for (const arch of Object.keys(shapes)) {
		for (const repository of [`${arch}/x`, "library/x"]) {
			expect(await listed(all, repository, arch)).toEqual(withSubject(all, arch));
			for (const [, { digest }] of all.signatures[arch]!) {
				const reference = withDigest(parseReference(`${all.at.registry.host}/${repository}`), digest);
				expect(await all.at.client.getManifest(reference)).toBeDefined();
			}
		}
	}
	const index = (await all.at.index("library/x:1"))!;
	expect(index.manifests.map((one) => (isAttestation(one) ? "attestation" : one.platform!.architecture))).toEqual(
		"amd64 attestation arm64 attestation arm".split(" "),
	);
}

describe.each([
	["lists referrers", true],
	["does not", false],
])("in a registry that %s", (_, referrers) => {
	test("attestations of all shapes and artifacts about them come along, and the second time nothing is done", async () => {
		const all = await staged({ referrers });
		await using at = all.at;
		const { counts } = await at.publish(all.sources);
		expect(counts).toMatchObject({ created: 2, failed: 0 });
		await expectAll(all);
		// Subjects first, and tags last.
		for (const [arch, pairs] of Object.entries(all.signatures)) {
			for (const repository of [`${arch}/x`, "library/x"]) {
				const puts = at.requests
					.filter((request) => request.startsWith(`PUT /v2/${repository}/manifests/`))
					.map((request) => request.split("/").at(-1)!);
				for (const [{ digest: of }, { digest }] of pairs) {
					expect(puts).toContain(of);
					expect(puts.indexOf(digest)).toBeGreaterThan(puts.indexOf(of));
					expect(puts.indexOf("1")).toBeGreaterThan(puts.indexOf(digest));
				}
			}
		}
		at.requests.length = 0;
		expect((await at.publish(all.sources)).counts).toMatchObject({ unchanged: 2 });
		expect(at.writes()).toEqual([]);
		expect(at.requests.filter((request) => request.includes("/referrers/"))).toEqual([]);
	});

	test("ended at any request, the next run brings what is missing", async () => {
		let ended = 0;
		for (let request = 7; ; request += 17) {
			const all = await staged({ referrers });
			await using at = all.at;
			const builds = await at.find(all.sources);
			const killed = at.killedAt(request, request % 2 === 0);
			const { counts } = await at.publish(all.sources, { client: killed }, builds);
			if (counts.failed === 0) break;
			ended++;
			await at.publish(all.sources);
			await expectAll(all);
		}
		expect(ended).toBeGreaterThan(5);
	}, 60_000);
});

describe("staging", () => {
	test("an artifact that was put, and not listed before the push was ended, is listed by the next", async () => {
		await using at = await pipeline({ referrers: false });
		const folder = await mkdtemp(path.join(tmpdir(), "brewline-attestations-"));
		const { image, attestation } = await makeLayout("oci-artifact", folder, { tags: ["x:1"] });
		const layout = await readLayout(folder, { attestations: "current" });
		const reference = parseReference(`${at.registry.host}/staging:1`);
		const subject = withDigest(repositoryOf(reference), image.digest) as Reference & { digest: string };
		await pushLayout(at.client, layout, reference);
		expect(await at.client.listReferrers(subject)).toMatchObject([{ digest: attestation.digest }]);
		for (const tag of ["1", image.digest.replace(":", "-")]) {
			expect(await at.client.deleteManifest({ ...repositoryOf(reference), tag })).toBe(true);
		}
		await pushLayout(at.client, layout, reference);
		expect(await at.client.listReferrers(subject)).toMatchObject([{ digest: attestation.digest }]);
		await rm(folder, { recursive: true });
	});
});

describe("publish", () => {
	test("leaves artifacts that stand in no index where they are, if it is told so", async () => {
		const all = await staged();
		await using at = all.at;
		await at.publish(all.sources, { referrers: false });
		expect(at.requests.filter((request) => request.includes("/referrers/"))).toEqual([]);
		const attestation = all.signatures["arm64v8"]![2]![1].digest;
		expect(await listed(all, "library/x", "arm64v8")).toEqual([attestation]);
	});

	test("between two registries artifacts come along, also where a run was ended before they did", async () => {
		const all = await staged();
		await using at = all.at;
		await using other = await startOther();
		const target = programAt({ registry: other });
		const program = { ...target, registries: { ...target.registries, staging: at.program.registries.staging } };
		const sources = sourcesOf(program, [
			{ name: "x", version: "1", arches: Object.fromEntries(Object.keys(shapes).map((arch) => [arch, ["x:1"]])) },
		]);
		const builds = await at.find(all.sources);
		const image = all.signatures["amd64"]![0]![0].digest;
		other.fail((request) => /^PUT .*\/manifests\//.test(request) && !request.includes(image));
		const broken = await at.publish(sources, { program }, builds);
		expect(broken.counts).toMatchObject({ created: 0 });
		other.fail(() => false);
		const again = await at.publish(sources, { program }, builds);
		expect(again.counts).toMatchObject({ created: 1, failed: 0 });
		for (const arch of Object.keys(shapes)) {
			const there = { ...all, at: { ...at, registry: other, client: at.client } } as unknown as Staged;
			expect(await listed(there, "library/x", arch)).toEqual(withSubject(all, arch));
		}
	});

	test("a registry that refuses subjects fails the tags that have them, says why, and no other", async () => {
		const all = await staged();
		await using at = all.at;
		const refused = new Set(Object.keys(shapes).flatMap((arch) => withSubject(all, arch)));
		const io = nodeIo();
		const client = createRegistryClient({
			...io,
			http: (request) =>
				request.method === "PUT" && refused.has(request.url.pathname.split("/").at(-1)!)
					? io.http({ ...request, body: Buffer.from("not one of ours") })
					: io.http(request),
		});
		const result = await at.publish(all.sources, { client, referrers: false });
		const states = result.archTags.map(({ reference, change }) => `${reference.split("/")[1]} ${change}`);
		expect(new Set(states)).toEqual(new Set(["amd64 created", "arm64v8 failed", "arm32v7 created"]));
		expect(result.archTags.find(({ change }) => change === "failed")!.error).toMatchObject({
			code: "registry",
			hint: expect.stringContaining("subject"),
		});
	});

	test("where the question for referrers is refused there are none; lists that lie do no harm", async () => {
		for (const answer of ["refused", "lies"]) {
			const all = await staged();
			await using at = all.at;
			const io = nodeIo();
			const client = createRegistryClient(io);
			const [image, signature] = all.signatures["amd64"]![0]!;
			const listReferrers: typeof client.listReferrers = async (subject) => {
				if (answer === "refused") return createRegistryClient(refusing(io)).listReferrers(subject);
				// Not there, not about this, and itself.
				return [{ ...image, digest: image.digest.replace(/.$/, "0") }, image, signature];
			};
			const { counts } = await at.publish(all.sources, { client: { ...client, listReferrers } });
			expect(counts).toMatchObject({ created: 2, failed: 0 });
		}
	});
});

function refusing(io: ReturnType<typeof nodeIo>): ReturnType<typeof nodeIo> {
	return { ...io, http: async (request) => ({ ...(await io.http(request)), status: 403, headers: {} }) };
}

/** Another registry, which refuses what it is told to. */
async function startOther() {
	let fails = (_request: string): boolean => false;
	const registry = await startRegistry({
		fault: ({ method, path }) => (fails(`${method} ${path}`) ? { kind: "answer", status: 403 } : undefined),
	});
	return {
		...registry,
		fail: (which: typeof fails): void => {
			fails = which;
		},
		[Symbol.asyncDispose]: () => registry.close(),
	};
}
