import { randomBytes } from "node:crypto";
import { finished } from "node:stream/promises";
import { setTimeout as wait } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { contentAt, stageImage, world, type AttestationShape, type World } from "../../test/support/publishing.ts";
import { scripted, reply } from "../../test/support/scripted.ts";
import { nodeIo, type LogEvent } from "../io/index.ts";
import { tabJson } from "../json/index.ts";
import {
	mediaTypes,
	normalizeManifest,
	parsePlatform,
	parseReference,
	repositoryOf,
	sha256Of,
	type Descriptor,
	type Index,
} from "../oci/index.ts";
import { createRegistryClient, startRegistry, type Fault, type Incoming } from "../registry/index.ts";
import { copyImage, type CopyOptions } from "./index.ts";

const platforms = ["linux/amd64", "linux/arm64/v8", "linux/arm/v7"];
const shapes: readonly AttestationShape[] = ["image", "artifact", "none"];

/** An image for three platforms, whose attestations are of all three shapes; what is signed are index, image and signature. */
async function stage(at: World, name = "src/x:1") {
	const reference = `${at.registry.host}/${name}`;
	const target = parseReference(reference);
	const manifests: Descriptor[] = [];
	const images: Descriptor[] = [];
	for (const [number, text] of platforms.entries()) {
		const shape = shapes[number]!;
		const made = await stageImage(at.client, `${reference}-${number}`, parsePlatform(text), text, undefined, shape);
		images.push(made.image);
		manifests.push(made.image, ...(shape === "none" ? [] : [made.attestation]));
	}
	const bytes = Buffer.from(
		JSON.stringify({
			annotations: { note: "as it is" },
			schemaVersion: 2,
			mediaType: mediaTypes.ociIndex,
			// Neither sorted, nor are attestations behind what they are about.
			manifests: manifests.toReversed(),
			unknown: [1],
		}),
	);
	const { digest } = await at.client.putManifest(target, mediaTypes.ociIndex, bytes);
	const root = { mediaType: mediaTypes.ociIndex, digest, size: bytes.length };
	const { artifact } = contentAt(at.client, target);
	const ofIndex = await artifact(root, "of the index");
	const ofImage = await artifact(images[2]!, "of an image");
	const ofSignature = await artifact(ofIndex, "of the signature");
	at.requests.length = 0;
	return { reference, root, bytes, images, manifests, artifacts: [ofIndex, ofImage, ofSignature] };
}

type Staged = Awaited<ReturnType<typeof stage>>;

/** Everything that is staged, as it is in a repository. */
async function contentOf(at: World, repository: string, staged: Staged) {
	const place = parseReference(`${at.registry.host}/${repository}`);
	const manifests = [staged.root, ...staged.manifests, ...staged.artifacts];
	return Promise.all(
		manifests.map(async ({ digest }) => {
			const found = await at.client.getManifest({ ...place, digest });
			const text = Buffer.from(found?.bytes ?? "{}").toString();
			const { config, layers = [] } = JSON.parse(text) as { config?: Descriptor; layers?: readonly Descriptor[] };
			const blobs = [...(config === undefined ? [] : [config]), ...layers];
			const referrers = await at.client.listReferrers({ ...place, digest });
			return {
				text,
				mediaType: found?.mediaType,
				blobs: await Promise.all(blobs.map((blob) => at.client.blobSize(place, blob.digest))),
				referrers: referrers.map((one) => one.digest).toSorted(),
			};
		}),
	);
}

/** Everything that is at the source is at this repository, byte by byte. */
async function expectAll(at: World, repository: string, staged: Staged, from: World): Promise<void> {
	expect(await contentOf(at, repository, staged)).toEqual(await contentOf(from, "src/x", staged));
}

function copy(source: string, targets: readonly string[], at: World, options: Partial<CopyOptions> = {}) {
	return copyImage(source, targets, at.io, { client: at.client, ...options });
}

const short = (at: World) => at.requests.map((request) => request.replace("/v2/", ""));
const puts = (at: World) => short(at).filter((request) => /^PUT .*\/manifests\//.test(request));

describe.each([
	[true, true],
	[true, false],
	[false, true],
	[false, false],
])("from a registry that lists referrers: %s, to one that does: %s", (fromLists, toLists) => {
	test("an index comes with all of its attestations and artifacts, and a second copy changes nothing", async () => {
		await using from = await world({ referrers: fromLists });
		await using to = await world({ referrers: toLists });
		const staged = await stage(from);
		const target = `${to.registry.host}/dst/x:1`;
		const first = await copy(staged.reference, [target], to);
		expect(first).toMatchObject({ digest: staged.root.digest, targets: [{ reference: target, state: "copied" }] });
		expect(first.targets[0]!.copied).toMatchObject({ manifests: 9 });
		expect(first.targets[0]!.present).toEqual({ manifests: 0, blobs: 0, bytes: 0 });
		expect(Buffer.from((await to.client.getManifest(parseReference(target)))!.bytes)).toEqual(staged.bytes);
		await expectAll(to, "dst/x", staged, from);

		from.requests.length = 0;
		to.requests.length = 0;
		const second = await copy(staged.reference, [target], to);
		expect(second.targets).toMatchObject([{ state: "present", copied: { manifests: 0, blobs: 0, bytes: 0 } }]);
		expect(to.writes()).toEqual([]);
	});
});

describe("copyImage", () => {
	test("children come before parents, subjects before artifacts, and the tag last", async () => {
		await using from = await world();
		await using to = await world();
		const staged = await stage(from);
		await copy(staged.reference, [`${to.registry.host}/dst/x:1`], to);
		const order = puts(to).map((request) => request.replace("PUT dst/x/manifests/", ""));
		expect(order.at(-1)).toBe("1");
		expect(new Set(order).size).toBe(order.length);
		const at = (digest: string) => order.indexOf(digest);
		for (const { digest } of staged.manifests) {
			expect(at(digest)).toBeGreaterThanOrEqual(0);
			expect(at(digest)).toBeLessThan(at(staged.root.digest));
		}
		// The second image and its artifact.
		expect(at(staged.manifests[3]!.digest)).toBeGreaterThan(at(staged.manifests[2]!.digest));
		const [ofIndex, ofImage, ofSignature] = staged.artifacts.map(({ digest }) => at(digest));
		expect(ofIndex).toBeGreaterThan(at(staged.root.digest));
		expect(ofSignature).toBeGreaterThan(ofIndex!);
		expect(ofImage).toBeGreaterThan(at(staged.images[2]!.digest));
	});

	test("what is there is not asked for again, and unchanged it takes a question for each subject", async () => {
		await using from = await world();
		await using to = await world();
		const staged = await stage(from);
		const target = `${to.registry.host}/dst/x:1`;
		await copy(staged.reference, [target], to);
		for (const at of [from, to]) at.requests.length = 0;
		await copy(staged.reference, [target], to);
		const [referrers, others] = [/^GET .*\/referrers\//, /^(?!.*\/referrers\/)/];
		// Six manifests of the index and three artifacts; of the four that have any the target is asked, too.
		expect(short(from).filter((request) => referrers.test(request))).toHaveLength(9);
		expect(short(from).filter((request) => others.test(request))).toEqual([
			"HEAD src/x/manifests/1",
			`GET src/x/manifests/${staged.root.digest}`,
			...staged.artifacts.map(() => expect.stringMatching(/^GET src\/x\/manifests\/sha256:/) as string),
		]);
		expect(short(to).filter((request) => referrers.test(request))).toHaveLength(4);
		expect(short(to).filter((request) => others.test(request))).toEqual(["HEAD dst/x/manifests/1"]);

		for (const at of [from, to]) at.requests.length = 0;
		await copy(staged.reference, [target], to, { referrers: false });
		expect([...short(from), ...short(to)]).toEqual(["HEAD src/x/manifests/1", "HEAD dst/x/manifests/1"]);
	});

	test("on one host nothing is sent but manifests; in one repository only the tag", async () => {
		await using at = await world();
		const staged = await stage(at);
		const { targets } = await copy(staged.reference, [`${at.registry.host}/dst/x:1`], at);
		expect(targets[0]!.copied.blobs).toBe(0);
		expect(targets[0]!.mounted.blobs).toBeGreaterThan(8);
		expect(at.writes().filter((request) => /uploads\/[\w-]+(\?|$)/.test(request) && !/mount=/.test(request))).toEqual(
			[],
		);
		await expectAll(at, "dst/x", staged, at);
		at.requests.length = 0;
		const retagged = await copy(staged.reference, [`${at.registry.host}/src/x:2`], at);
		expect(retagged.targets[0]).toMatchObject({ state: "copied", copied: { manifests: 1, blobs: 0 } });
		expect(at.requests).toHaveLength(5);
		expect(puts(at)).toEqual(["PUT src/x/manifests/2"]);
	});

	test("of several targets, each host is sent a blob once; one that fails keeps none from being copied", async () => {
		await using from = await world();
		await using to = await world();
		await using down = await scripted((_, response) => reply(response, 403));
		const staged = await stage(from);
		const targets = [`${down.host}/dst/x:1`, `${to.registry.host}/dst/x:1`, `${to.registry.host}/dst/y:1`];
		const result = await copy(staged.reference, targets, to);
		expect(result.targets).toMatchObject([
			{ state: "failed", error: { code: "credentials" }, copied: { bytes: 0 } },
			{ state: "copied", mounted: { blobs: 0 } },
			{ state: "copied", copied: { manifests: 9, blobs: 0 } },
		]);
		await expectAll(to, "dst/y", staged, from);
		const read = short(from).filter((request) => /^GET .*\/blobs\//.test(request));
		expect(new Set(read).size).toBe(read.length);
	});

	test("by digest, to a digest; another digest is refused before anything is done", async () => {
		await using from = await world();
		await using to = await world();
		const staged = await stage(from);
		const repository = staged.reference.replace(":1", "");
		const target = `${to.registry.host}/dst/x`;
		const { targets } = await copy(`${repository}@${staged.root.digest}`, [`${target}@${staged.root.digest}`], to);
		expect(targets).toMatchObject([{ reference: target, state: "copied" }]);
		await expectAll(to, "dst/x", staged, from);
		expect(await to.client.headManifest(parseReference(`${target}:latest`))).toBeUndefined();
		to.requests.length = 0;
		await expect(
			copy(staged.reference, [`${target}:1`, `${target}@${staged.images[0]!.digest}`], to),
		).rejects.toMatchObject({ code: "reference" });
		await expect(copy(`${repository}:none`, [target], to)).rejects.toMatchObject({ code: "reference" });
		expect(to.requests).toEqual([]);
	});

	test("a dry run changes nothing, and says what a run then does", async () => {
		await using from = await world();
		await using to = await world();
		const staged = await stage(from);
		const targets = [`${to.registry.host}/dst/x:1`, `${to.registry.host}/dst/x:2`, `${to.registry.host}/dst/y:1`];
		const dry = await copy(staged.reference, targets, to, { dryRun: true });
		expect(to.writes()).toEqual([]);
		expect(dry).toEqual(await copy(staged.reference, targets, to));
		expect(dry.targets.map(({ state }) => state)).toEqual(["copied", "copied", "copied"]);
		const after = await copy(staged.reference, targets, to, { dryRun: true });
		expect(after.targets.map(({ state }) => state)).toEqual(["present", "present", "present"]);
	});

	test("ended at any request, no tag is incomplete, and the next copy finishes it", async () => {
		await using from = await world();
		const staged = await stage(from);
		const whole = await contentOf(from, "src/x", staged);
		let request = 0;
		for (let ended = true; ended; request += 2) {
			await using to = await world({ referrers: request % 3 > 0 });
			const target = `${to.registry.host}/dst/x:1`;
			const client = to.killedAt(request, request % 4 === 0);
			const killed = await copy(staged.reference, [target], to, { client }).catch(() => undefined);
			ended = killed?.targets[0]!.state !== "copied";
			const tagged = (await to.client.headManifest(parseReference(target))) !== undefined;
			expect(tagged ? await contentOf(to, "dst/x", staged) : whole).toEqual(whole);
			expect((await copy(staged.reference, [target], to)).targets[0]!.state).not.toBe("failed");
			expect(await contentOf(to, "dst/x", staged)).toEqual(whole);
		}
		expect(request).toBeGreaterThan(60);
	}, 60_000);

	test.each([
		["three blobs are under way", "POST", 3],
		["six blobs are sent, and not stored yet", "PUT", 6],
	])("never more than %s, whatever of them is slow", async (_, slow, limit) => {
		const open = new Set<number>();
		let most = 0;
		const held = Promise.withResolvers<void>();
		const fault = ({ method, path, number }: Incoming): Fault | undefined => {
			if (method !== slow || !path.includes("/uploads/")) return undefined;
			open.add(number);
			most = Math.max(most, open.size);
			if (open.size === limit) held.resolve();
			return { kind: "wait", until: held.promise.then(() => open.delete(number)) };
		};
		const server = await startRegistry({ fault });
		await using from = await world();
		const staged = await stage(from);
		const { targets } = await copy(staged.reference, [`${server.host}/dst/x:1`], from);
		expect(targets[0]).toMatchObject({ state: "copied" });
		expect(most).toBe(limit);
		await server.close();
	});

	test("blobs that are large enough for connections of their own come whole", async () => {
		await using from = await world();
		await using to = await world();
		const { blob, manifest } = contentAt(from.client, parseReference(`${from.registry.host}/src/large`));
		const layers = await Promise.all([1, 2, 3, 4].map(() => blob("layer", randomBytes(9_000_000))));
		const config = await blob(mediaTypes.ociConfig, "{}");
		const { digest } = await manifest({ config, layers });
		const target = `${to.registry.host}/dst/x:1`;
		const { targets } = await copy(`${from.registry.host}/src/large@${digest}`, [target], to);
		expect(targets).toMatchObject([{ state: "copied", copied: { manifests: 1, blobs: 5 } }]);
		for (const layer of layers) {
			// To its end, where it is checked.
			await finished((await to.client.getBlob(parseReference(target), layer))!.resume());
		}
	});

	test("a large blob that breaks off before the other registry has said where it goes comes whole", async () => {
		const broken = new Set<string>();
		const fault = ({ method, path }: Incoming): Fault | undefined => {
			if (method !== "GET" || !path.includes("/blobs/") || broken.has(path)) return undefined;
			broken.add(path);
			return { kind: "truncate", bytes: 1000 };
		};
		const from = await startRegistry({ fault });
		const to = await startRegistry({
			fault: ({ method }) => (method === "POST" ? { kind: "wait", until: wait(200) } : undefined),
		});
		const io = nodeIo();
		const client = createRegistryClient(io);
		const { blob, manifest } = contentAt(client, parseReference(`${from.host}/src/large`));
		const layers = [await blob("layer", randomBytes(9_000_000))];
		const { digest } = await manifest({ config: await blob(mediaTypes.ociConfig, "{}"), layers });
		const { targets } = await copyImage(`${from.host}/src/large@${digest}`, [`${to.host}/dst/x:1`], io, { client });
		expect(targets).toMatchObject([{ state: "copied", copied: { blobs: 2 } }]);
		expect(broken.size).toBe(2);
		expect(await client.blobSize(parseReference(`${to.host}/dst/x`), layers[0]!.digest)).toBe(9_000_000);
		await from.close();
		await to.close();
	});

	test("progress says how far it is", async () => {
		await using from = await world();
		await using to = await world();
		const staged = await stage(from);
		const logged: LogEvent[] = [];
		let now = 0;
		const io = nodeIo({ log: (event) => logged.push(event) });
		const clock = { ...io.clock, now: () => (now += 600) };
		const target = `${to.registry.host}/dst/x:1`;
		await copyImage(staged.reference, [target], { ...io, clock }, { client: to.client });
		const details = logged.map((event) =>
			event.type === "progress" ? `${event.task} ${event.state} ${event.detail}` : "",
		);
		expect(details[0]).toBe(`${target} running asking what is there`);
		expect(details[1]).toMatch(/running \d+ blobs, \d+ B$/);
		expect(details[2]).toMatch(/running \d of \d+ blobs, \d+ B of \d+ B$/);
		expect(details.at(-1)).toMatch(/ copied 9 manifests and \d+ blobs copied \(\d+\.\d kB\)$/);
	});
});

describe("some platforms", () => {
	test("are a new index in normal form, with their attestations and artifacts", async () => {
		await using from = await world();
		await using to = await world();
		const staged = await stage(from);
		const target = `${to.registry.host}/dst/x:1`;
		const wanted = ["linux/arm64", "linux/arm/v7"].map(parsePlatform);
		const { digest, targets } = await copy(staged.reference, [target], to, { platforms: wanted });
		const manifests = [staged.manifests[2], staged.manifests[3], staged.manifests[4]];
		const { manifests: _, ...rest } = JSON.parse(staged.bytes.toString()) as Index;
		const expected = tabJson(normalizeManifest({ ...rest, manifests }));
		const found = (await to.client.getManifest(parseReference(target)))!;
		expect(Buffer.from(found.bytes).toString()).toBe(expected);
		expect(found).toMatchObject({ digest, mediaType: mediaTypes.ociIndex });
		expect(digest).toBe(sha256Of(expected));
		// Three of the index, the index, and the artifact of an image; those of the whole index have nothing to stand on.
		expect(targets[0]).toMatchObject({ state: "copied", copied: { manifests: 5 } });
		const repository = repositoryOf(parseReference(target));
		const listed = await to.client.listReferrers({ ...repository, digest: staged.images[2]!.digest });
		expect(listed.map((one) => one.digest)).toEqual([staged.artifacts[1]!.digest]);
		expect(await to.client.headManifest({ ...repository, digest: staged.images[0]!.digest })).toBeUndefined();
		const again = await copy(staged.reference, [target], to, { platforms: wanted });
		expect(again.targets[0]!.state).toBe("present");
	});

	test("one that is not there is an error; an image is what its config says", async () => {
		await using from = await world();
		await using to = await world();
		const staged = await stage(from);
		const target = `${to.registry.host}/dst/x:1`;
		const s390x = [parsePlatform("linux/amd64"), parsePlatform("linux/s390x")];
		await expect(copy(staged.reference, [target], to, { platforms: s390x })).rejects.toMatchObject({
			code: "reference",
			message: expect.stringMatching(/nothing for linux\/s390x$/),
		});
		const image = `${staged.reference.replace(":1", "")}@${staged.images[0]!.digest}`;
		const amd64 = await copy(image, [target], to, { platforms: [parsePlatform("linux/x86_64")] });
		expect(amd64.digest).toBe(staged.images[0]!.digest);
		await expect(copy(image, [target], to, { platforms: [parsePlatform("linux/arm64")] })).rejects.toMatchObject({
			code: "reference",
		});
	});
});

describe("what a registry should not do", () => {
	test("referrers that are none are left out, with a word", async () => {
		await using from = await world({ referrers: false });
		await using to = await world();
		const staged = await stage(from);
		const { digest, size, mediaType } = staged.images[0]!;
		const missing = { mediaType, digest: sha256Of("missing"), size: 5 };
		const lies = {
			schemaVersion: 2,
			mediaType: mediaTypes.ociIndex,
			manifests: [missing, { mediaType, digest, size }],
		};
		const single = staged.images[1]!;
		const tag = { ...repositoryOf(parseReference(staged.reference)), tag: single.digest.replace(":", "-") };
		await from.client.putManifest(tag, mediaTypes.ociIndex, Buffer.from(JSON.stringify(lies))).catch(() => {});
		const logged: LogEvent[] = [];
		const io = nodeIo({ log: (event) => logged.push(event) });
		const client = createRegistryClient(io);
		const listReferrers: typeof client.listReferrers = (subject, options) =>
			subject.digest === single.digest ? Promise.resolve(lies.manifests) : client.listReferrers(subject, options);
		const source = `${staged.reference.replace(":1", "")}@${single.digest}`;
		const { targets } = await copyImage(source, [`${to.registry.host}/dst/x:1`], io, {
			client: { ...client, listReferrers },
		});
		expect(targets[0]).toMatchObject({ state: "copied", copied: { manifests: 1 } });
		expect(logged.filter((event) => event.type === "message").map(({ text }) => text)).toEqual([
			expect.stringContaining(missing.digest),
			expect.stringContaining(digest),
		]);
	});

	test("one that refuses subjects leaves the tag alone, and says why", async () => {
		await using from = await world();
		const staged = await stage(from);
		const refused = new Set([...staged.artifacts, staged.manifests[3]!].map(({ digest }) => digest));
		const server = await startRegistry({
			fault: ({ method, path }) =>
				method === "PUT" && refused.has(path.split("/").at(-1)!)
					? { kind: "answer", status: 400, body: '{"errors":[{"code":"MANIFEST_INVALID"}]}' }
					: undefined,
		});
		const target = `${server.host}/dst/x:1`;
		const { targets } = await copy(staged.reference, [target], from);
		expect(targets[0]).toMatchObject({ state: "failed", error: { hint: expect.stringContaining("subject") } });
		expect(await from.client.headManifest(parseReference(target))).toBeUndefined();
		// Without artifacts in the index there is a way.
		const source = `${staged.reference.replace(":1", "")}@${staged.images[2]!.digest}`;
		expect((await copy(source, [target], from)).targets[0]!.state).toBe("failed");
		expect((await copy(source, [target], from, { referrers: false })).targets[0]).toMatchObject({ state: "copied" });
		await server.close();
	});

	test("a child of another size, and more manifests than memory holds, are errors", async () => {
		await using from = await world();
		await using to = await world();
		const staged = await stage(from);
		const repository = repositoryOf(parseReference(staged.reference));
		const put = async (manifests: readonly object[]) => {
			const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }));
			await from.client.putManifest({ ...repository, tag: "bad" }, mediaTypes.ociIndex, bytes);
			const { targets } = await copy(staged.reference.replace(":1", ":bad"), [`${to.registry.host}/dst/x:1`], to);
			expect(await to.client.headManifest(parseReference(`${to.registry.host}/dst/x:1`))).toBeUndefined();
			return targets[0];
		};
		expect(await put([{ ...staged.images[0]!, size: 1 }])).toMatchObject({
			state: "failed",
			error: { code: "digest" },
		});
		const large: Descriptor[] = [];
		for (let number = 0; number < 5; number++) {
			const note = String(number).repeat(4_000_000);
			const bytes = Buffer.from(
				JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [], note }),
			);
			const { digest } = await from.client.putManifest(repository, mediaTypes.ociIndex, bytes);
			large.push({ mediaType: mediaTypes.ociIndex, digest, size: bytes.length });
		}
		expect(await put(large)).toMatchObject({ state: "failed", error: { code: "registry" } });
	});
});
