import { createHash } from "node:crypto";
import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, readFile, readdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
	breakLayout,
	defects,
	layoutKinds,
	makeLayout,
	type Defect,
	type LayoutKind,
} from "../../test/fixtures/layouts/make-layout.ts";
import {
	blobFile,
	initLayout,
	layoutRules,
	mediaTypes,
	normalizeImportedIndex,
	oneDescriptor,
	readLayout,
	sha256Of,
	validateAttestation,
	validateImage,
	validateLayout,
	writeBlob,
	writeIndexJson,
	writeRootIndex,
	type Descriptor,
	type Index,
	type Manifest,
} from "./index.ts";

let scratch = "";
beforeAll(async () => {
	scratch = await mkdtemp(path.join(tmpdir(), "brewline-layout-"));
});
afterAll(() => rm(scratch, { recursive: true }));

const newFolder = () => mkdtemp(path.join(scratch, "layout-"));
const current = { attestations: "current" } as const;
const legacy = { attestations: "legacy" } as const;

async function read<T>(folder: string, digest: string): Promise<T> {
	return JSON.parse(await readFile(blobFile(folder, digest), "utf8")) as T;
}

/** Replaces the attestation of a layout by an altered one, with all digests right. */
async function alterAttestation(
	folder: string,
	change: (manifest: Manifest, descriptor: Descriptor) => { manifest?: object; descriptor?: object },
): Promise<void> {
	const [root] = (JSON.parse(await readFile(path.join(folder, "index.json"), "utf8")) as Index).manifests;
	const index = await read<Index>(folder, root!.digest);
	const [image, attestation] = index.manifests;
	const altered = change(await read<Manifest>(folder, attestation!.digest), attestation!);
	const manifest = { ...(await read<Manifest>(folder, attestation!.digest)), ...altered.manifest };
	const written = await writeBlob(folder, JSON.stringify(manifest));
	await writeRootIndex(folder, {
		...index,
		manifests: [image!, { ...attestation!, ...altered.descriptor, ...written }],
	});
}

describe("what BuildKit writes", () => {
	test.each(layoutKinds)("%s: current rules let it through, with everything below children first", async (kind) => {
		const folder = await newFolder();
		const made = await makeLayout(kind, folder, {
			platform: { architecture: "arm", os: "linux", variant: "v7" },
			annotations: { "org.opencontainers.image.version": "1" },
			layers: [{ a: "1" }, { a: "1" }, { b: "2" }],
			sbom: true,
		});
		const { root, items, index } = await readLayout(folder, current);
		expect(root).toMatchObject(made.root);
		expect(index.manifests).toHaveLength(1);

		const places = new Map(items.map(({ digest }, place) => [digest, place]));
		const image = places.get(made.image.digest)!;
		const attestation = places.get(made.attestation.digest)!;
		for (const blob of [made.config, ...made.layers]) {
			expect(places.get(blob.digest)!).toBeLessThan(image);
		}
		expect(image).toBeLessThan(attestation);
		expect(items.at(-1)).toStrictEqual({
			kind: "manifest",
			mediaType: mediaTypes.ociIndex,
			digest: made.root.digest,
			size: made.root.size,
			file: blobFile(folder, made.root.digest),
		});
		// Config, two different layers, the image; config, SBOM and provenance of the attestation, itself; the index.
		expect(items.map(({ kind }) => kind).join(" ")).toBe("blob blob blob manifest blob blob blob manifest manifest");
		expect(new Set(items.map(({ file }) => path.basename(file)))).toStrictEqual(
			new Set(await readdir(path.join(folder, "blobs/sha256"))),
		);
		for (const { file, digest } of items) {
			expect(sha256Of(await readFile(file))).toBe(digest);
		}
	});

	test.each(layoutKinds)("%s: made twice it has the same bytes", async (kind) => {
		expect(await makeLayout(kind, await newFolder())).toStrictEqual(await makeLayout(kind, await newFolder()));
	});

	test.each([
		["buildkit-0.13", /index\.json:\.mediaType is missing/],
		["provenance-v1", /predicate-type"\] is "https:\/\/slsa\.dev\/provenance\/v1"/],
		["oci-artifact", /artifactType of blobs\/sha256\/\w+ is not the one in its descriptor/],
	] as const)("%s: the old rules do not know it all", async (kind, message) => {
		const folder = await newFolder();
		await makeLayout(kind, folder);
		await expect(validateLayout(folder, legacy)).rejects.toThrow(message);
	});

	test("the old rules know provenance v0.2, once index.json says what it is", async () => {
		const folder = await newFolder();
		const { root } = await makeLayout("buildkit-0.13", folder, { sbom: true });
		await writeIndexJson(folder, { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [root] } as Index);
		await expect(readLayout(folder, legacy)).resolves.toMatchObject({ root });
	});

	test("one descriptor for each tag, reduced to one", async () => {
		const folder = await newFolder();
		await makeLayout("oci-artifact", folder, { tags: ["a:1", "a:2", "staging:3"] });
		await expect(readLayout(folder, current)).rejects.toThrow("index.json names 3 manifests");
		const { index } = await validateLayout(folder, current);
		await writeIndexJson(folder, oneDescriptor(index));
		const { root } = await readLayout(folder, current);
		expect(root.annotations?.["org.opencontainers.image.ref.name"]).toBe("1");
	});

	test("an image without layers, of which Go writes null", () => {
		const { digest } = { digest: sha256Of("x") };
		const image = {
			schemaVersion: 2,
			mediaType: mediaTypes.ociManifest,
			config: { mediaType: mediaTypes.ociConfig, digest, size: 2 },
			layers: null,
		};
		expect(validateImage(image, layoutRules.current)).toBe(image);
		expect(() => validateImage(image, layoutRules.legacy)).toThrow("layers must be a list");
		expect(() => validateImage({ ...image, layers: undefined }, layoutRules.current)).toThrow("layers must be a list");
	});

	test("a whole layout of an image without layers", async () => {
		const folder = await newFolder();
		await initLayout(folder);
		const config = { mediaType: mediaTypes.ociConfig, ...(await writeBlob(folder, "{}")) };
		const text = JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers: null });
		const image = { mediaType: mediaTypes.ociManifest, ...(await writeBlob(folder, text)) };
		await writeIndexJson(folder, { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [image] } as Index);
		const { items } = await readLayout(folder, current);
		expect(items.map(({ digest }) => digest)).toEqual([config.digest, image.digest]);
	});

	test("a layout whose folder of blobs is a file", async () => {
		const folder = await newFolder();
		await makeLayout("oci-artifact", folder);
		await rm(path.join(folder, "blobs"), { recursive: true });
		await writeFile(path.join(folder, "blobs"), "");
		await expect(readLayout(folder, current)).rejects.toMatchObject({
			code: "layout",
			message: expect.stringContaining("cannot be read"),
		});
		await expect(writeBlob(folder, "x")).rejects.toThrow("blobs in the layout is no folder");
	});
});

describe("attestations as OCI artifacts", () => {
	const artifactType = mediaTypes.attestation;
	const otherConfig = async (folder: string) => ({
		mediaType: mediaTypes.ociEmpty,
		...(await writeBlob(folder, "{ }")),
	});

	test.each([
		["on both", { manifest: {}, descriptor: { artifactType } }],
		["on the descriptor alone", { manifest: { artifactType: undefined }, descriptor: { artifactType } }],
	])("the artifact type may stand %s", async (_, change) => {
		const folder = await newFolder();
		await makeLayout("oci-artifact", folder);
		await alterAttestation(folder, () => change);
		await expect(readLayout(folder, current)).resolves.toBeDefined();
	});

	test.each([
		["no artifact type anywhere", { manifest: { artifactType: undefined } }, "artifactType is missing"],
		["another artifact type", { manifest: { artifactType: "application/x" } }, 'artifactType is "application/x"'],
		["no subject", { manifest: { subject: undefined } }, "subject is missing"],
		[
			"another descriptor's artifact type",
			{ descriptor: { artifactType: "application/x" } },
			'artifactType is "applic',
		],
		["a platform", { descriptor: { platform: { os: "linux", architecture: "amd64" } } }, "must be unknown/unknown"],
	])("%s: refused", async (_, change, message) => {
		const folder = await newFolder();
		await makeLayout("oci-artifact", folder);
		await alterAttestation(folder, () => change);
		await expect(readLayout(folder, current)).rejects.toThrow(message);
	});

	test.each([
		["digest", sha256Of("another image")],
		["size", 1],
		["mediaType", mediaTypes.dockerManifest],
	])("a subject of another %s: refused", async (key, value) => {
		const folder = await newFolder();
		await makeLayout("oci-artifact", folder);
		await alterAttestation(folder, ({ subject }) => ({ manifest: { subject: { ...subject, [key]: value } } }));
		await expect(readLayout(folder, current)).rejects.toThrow("subject is not the manifest that the index says");
	});

	test("a config that is not {}: refused", async () => {
		const folder = await newFolder();
		await makeLayout("oci-artifact", folder);
		const config = await otherConfig(folder);
		await alterAttestation(folder, () => ({ manifest: { config } }));
		await expect(readLayout(folder, current)).rejects.toThrow("config must be the two bytes {}");
	});

	test("predicates are data", () => {
		const rules = { ...layoutRules.current, predicates: ["https://example.org/mine"] };
		const manifest = (predicate: string) => ({
			schemaVersion: 2,
			mediaType: mediaTypes.ociManifest,
			config: { mediaType: mediaTypes.ociConfig, digest: sha256Of("x"), size: 2 },
			layers: [
				{
					mediaType: mediaTypes.inToto,
					digest: sha256Of("y"),
					size: 1,
					annotations: { "in-toto.io/predicate-type": predicate },
				},
			],
		});
		expect(() => validateAttestation(manifest("https://example.org/mine"), rules)).not.toThrow();
		expect(() => validateAttestation(manifest("https://slsa.dev/provenance/v1"), rules)).toThrow("predicate-type");
	});
});

describe("hostile layouts", () => {
	const messages: Readonly<Record<Defect, [code: string, message: RegExp]>> = {
		"wrong-digest": ["digest", /has the digest sha256:/],
		"wrong-size": ["digest", /has \d+ bytes, but its descriptor says \d+/],
		"cut-blob": ["digest", /has \d+ bytes, but its descriptor says \d+/],
		"missing-blob": ["layout", /is missing in the layout/],
		"climbs-out": ["layout", /is no digest/],
		"second-manifest": ["layout", /names 2 manifests/],
		"huge-manifest": ["layout", /a manifest has 3 bytes to 4 MiB/],
		symlink: ["layout", /is reached through a symbolic link/],
	};

	test.each(layoutKinds.flatMap((kind) => defects.map((defect): [LayoutKind, Defect] => [kind, defect])))(
		"%s, %s: refused",
		async (kind, defect) => {
			const folder = await newFolder();
			await breakLayout(defect, folder, await makeLayout(kind, folder));
			const [code, message] = messages[defect];
			await expect(readLayout(folder, current)).rejects.toMatchObject({
				name: "BrewlineError",
				code,
				message: expect.stringMatching(message),
			});
		},
	);

	test.each(["oci-layout", "index.json", "blobs", "blobs/sha256"])("%s as a symbolic link: refused", async (name) => {
		const folder = await newFolder();
		await makeLayout("provenance-v1", folder);
		await rename(path.join(folder, name), `${folder}.moved`);
		await symlink(`${folder}.moved`, path.join(folder, name));
		await expect(readLayout(folder, current)).rejects.toThrow("is reached through a symbolic link");
	});

	test("a named pipe is not waited for, a folder is not read", async () => {
		const folder = await newFolder();
		const { layers } = await makeLayout("provenance-v1", folder);
		const blob = blobFile(folder, layers[0]!.digest);
		await rm(blob);
		execFileSync("mkfifo", [blob]);
		await expect(readLayout(folder, current)).rejects.toThrow("is no regular file");
		await rm(blob);
		await mkdir(blob);
		await expect(readLayout(folder, current)).rejects.toThrow("is no regular file");
	});

	test("the layout itself may be reached through a link, and must be there", async () => {
		const folder = await newFolder();
		await makeLayout("provenance-v1", folder);
		await symlink(folder, `${folder}.link`);
		await expect(readLayout(`${folder}.link`, current)).resolves.toBeDefined();
		await expect(readLayout(`${folder}.none`, current)).rejects.toThrow("the layout cannot be read");
	});

	test("index.json is read up to 4 MiB", async () => {
		const folder = await newFolder();
		await makeLayout("provenance-v1", folder);
		await writeFile(path.join(folder, "index.json"), " ".repeat(4 * 1024 ** 2 + 1));
		await expect(readLayout(folder, current)).rejects.toThrow("at most 4194304 are read");
	});

	/** Indexes in which each lists the one before it several times, and the innermost is empty. */
	async function nested(folder: string, depth: number, width: number): Promise<void> {
		await initLayout(folder);
		let manifests: Descriptor[] = [];
		for (let level = 0; level < depth; level++) {
			const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests };
			const written = await writeBlob(folder, JSON.stringify(index));
			const platform = { os: "linux", architecture: "amd64" };
			manifests = Array.from({ length: width }, () => ({ mediaType: mediaTypes.ociIndex, platform, ...written }));
		}
		await writeIndexJson(folder, { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests } as Index);
	}

	test("indexes in indexes are followed so far, each once however often it is named", async () => {
		const folder = await newFolder();
		await nested(folder, 8, 100);
		const { items } = await validateLayout(folder, current);
		expect(items).toHaveLength(8);
		await nested(folder, 9, 1);
		await expect(validateLayout(folder, current)).rejects.toThrow("nested more than 8 levels deep");
	});

	test("descriptors are counted", async () => {
		const folder = await newFolder();
		await nested(folder, 2, 11_000);
		await expect(validateLayout(folder, current)).rejects.toThrow("more than 20000 descriptors");
	});

	test("one digest with two sizes: refused", async () => {
		const folder = await newFolder();
		const { image } = await makeLayout("provenance-v1", folder);
		await writeIndexJson(folder, {
			schemaVersion: 2,
			mediaType: mediaTypes.ociIndex,
			manifests: [image, { ...image, size: image.size + 1 }],
		} as Index);
		await expect(validateLayout(folder, current)).rejects.toMatchObject({ code: "digest" });
	});

	test("digests that a reference may have but a layout may not", async () => {
		const folder = await newFolder();
		const { image } = await makeLayout("provenance-v1", folder);
		for (const digest of [`sha384:${"a".repeat(96)}`, `blake3:${"a".repeat(64)}`]) {
			await writeIndexJson(folder, {
				schemaVersion: 2,
				mediaType: mediaTypes.ociIndex,
				manifests: [{ ...image, digest }],
			} as Index);
			await expect(validateLayout(folder, current)).rejects.toMatchObject({ code: "layout" });
		}
	});

	test("an end of the run is heard", async () => {
		const folder = await newFolder();
		await makeLayout("provenance-v1", folder);
		await expect(validateLayout(folder, { ...current, signal: AbortSignal.abort(new Error("over")) })).rejects.toThrow(
			"over",
		);
	});
});

describe("writing", () => {
	test("a layout of our own is valid", async () => {
		const folder = path.join(await newFolder(), "new");
		await initLayout(folder);
		const config = { mediaType: mediaTypes.ociConfig, ...(await writeBlob(folder, "{}")) };
		const image: Manifest = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers: [] };
		const descriptor = { mediaType: mediaTypes.ociManifest, ...(await writeBlob(folder, JSON.stringify(image))) };
		const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [descriptor] } as const;
		const platform = { os: "linux", architecture: "s390x" };
		const root = await writeRootIndex(
			folder,
			normalizeImportedIndex(JSON.parse(JSON.stringify(index)), { lone: false, platform, annotations: {} }),
		);
		await expect(readLayout(folder, legacy)).resolves.toMatchObject({ root });
		expect(await readdir(folder)).toStrictEqual(["blobs", "index.json", "oci-layout"]);
	});

	test("sha512 is checked too", async () => {
		const folder = await newFolder();
		await initLayout(folder);
		const bytes = JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [] });
		const encoded = createHash("sha512").update(bytes).digest("hex");
		await mkdir(path.join(folder, "blobs/sha512"));
		await writeFile(path.join(folder, "blobs/sha512", encoded), bytes);
		const descriptor = { mediaType: mediaTypes.ociIndex, digest: `sha512:${encoded}`, size: bytes.length };
		await writeIndexJson(folder, {
			manifests: [descriptor],
			schemaVersion: 2,
			mediaType: mediaTypes.ociIndex,
		} as Index);
		await expect(readLayout(folder, legacy)).resolves.toMatchObject({ root: descriptor });
	});

	test("blobs are not written through a link, and index.json replaces one", async () => {
		const folder = await newFolder();
		const outside = await newFolder();
		await symlink(outside, path.join(folder, "blobs"));
		await expect(writeBlob(folder, "x")).rejects.toThrow("blobs in the layout is no folder");
		await writeFile(path.join(outside, "kept"), "kept");
		await symlink(path.join(outside, "kept"), path.join(folder, "index.json"));
		await writeIndexJson(folder, { manifests: [] });
		expect(await readFile(path.join(outside, "kept"), "utf8")).toBe("kept");
		expect(await readFile(path.join(folder, "index.json"), "utf8")).toBe('{\n\t"manifests": []\n}\n');
	});

	test("nothing half-written stays when it fails", async () => {
		const folder = await newFolder();
		await mkdir(path.join(folder, "index.json"));
		await expect(writeIndexJson(folder, { manifests: [] })).rejects.toThrow("EISDIR");
		expect(await readdir(folder)).toStrictEqual(["index.json"]);
	});
});

describe("importing", () => {
	const platform = { os: "linux", architecture: "amd64" };
	const options = { lone: false, platform, annotations: {} };

	test("an index in the index: refused", () => {
		const manifests = [{ mediaType: mediaTypes.ociIndex, digest: sha256Of("x"), size: 3 }];
		expect(() => normalizeImportedIndex({ schemaVersion: 2, manifests }, options)).toThrow("must be an image");
	});

	test("a lone descriptor that is an index of its own is no descriptor", () => {
		expect(() => normalizeImportedIndex({ schemaVersion: 2, manifests: [] }, { ...options, lone: true })).toThrow(
			"the descriptor.manifests[0].mediaType must be a string",
		);
	});
});
