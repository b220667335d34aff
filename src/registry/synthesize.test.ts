import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import { mediaTypes, parseReference } from "../oci/index.ts";
import { synthesize, type RegistryClient } from "./index.ts";

const sha256 = (text: string) => `sha256:${createHash("sha256").update(text).digest("hex")}`;
const options = {
	architectures: { amd64: { platform: { os: "linux", architecture: "amd64" } } },
	architectureAnnotation: "org.example.arch",
};
const reference = parseReference("localhost:5000/org/name:tag");

/** What a registry holds, by digest; `tag` is what the tag points at. */
function holding(
	tag: { readonly mediaType?: string; readonly text: string },
	contents: readonly string[] = [],
): Pick<RegistryClient, "getManifest" | "getBlob"> {
	const all = new Map(contents.map((text) => [sha256(text), text]));
	return {
		getManifest: ({ digest }) => {
			const text = digest === undefined ? tag.text : all.get(digest);
			return Promise.resolve(
				text === undefined
					? undefined
					: { mediaType: tag.mediaType ?? mediaTypes.ociIndex, digest: sha256(text), bytes: Buffer.from(text) },
			);
		},
		getBlob: (_, { digest }) => {
			const text = all.get(digest);
			return Promise.resolve(text === undefined ? undefined : Readable.from([Buffer.from(text)]));
		},
	};
}

const image = (extra: object = {}) => ({ mediaType: mediaTypes.ociManifest, digest: sha256("x"), size: 1, ...extra });
const indexOf = (manifests: unknown, extra: object = {}) =>
	JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests, ...extra });

test("a platform without an architecture is none: the image's config has it", async () => {
	const config = JSON.stringify({ os: "linux", architecture: "amd64" });
	const text = JSON.stringify({
		schemaVersion: 2,
		config: { mediaType: mediaTypes.ociConfig, digest: sha256(config), size: config.length },
	});
	const descriptor = { ...image(), digest: sha256(text), size: text.length, platform: { os: "linux" } };
	const index = await synthesize(holding({ text: indexOf([descriptor]) }, [config, text]), reference, options);
	expect(index?.manifests[0]?.platform).toEqual({ os: "linux", architecture: "amd64" });
});

describe("what does not have the form of an index", () => {
	test.each([
		["a list that is none", indexOf({})],
		["a descriptor that is none", indexOf([7])],
		["a descriptor that is null", indexOf([null])],
		["no digest", indexOf([image({ digest: undefined })])],
		["a digest that is a path", indexOf([image({ digest: "../../x" })])],
		["a negative size", indexOf([image({ size: -1 })])],
		["half a size", indexOf([image({ size: 0.5 })])],
		["no size", indexOf([image({ size: "1" })])],
		["a media type that is no text", indexOf([image({ mediaType: 7 })])],
		["a platform that is none", indexOf([image({ platform: "linux/amd64" })])],
		["an os that is none", indexOf([image({ platform: { os: 7, architecture: "amd64" } })])],
		["features that are none", indexOf([image({ platform: { os: "a", architecture: "b", "os.features": [7] } })])],
		["annotations that are a list", indexOf([image({ annotations: [] })])],
		["annotations that are no texts", indexOf([], { annotations: { a: 7 } })],
		["a subject that is none", indexOf([], { subject: 7 })],
		["a list instead", "[]"],
	])("%s", async (_, text) => {
		await expect(synthesize(holding({ text }), reference, options)).rejects.toMatchObject({
			name: "BrewlineError",
			code: "registry",
			message: expect.stringContaining("localhost:5000/org/name:tag"),
		});
	});
});

test("what is null is absent, as Go reads it", async () => {
	const nulls = { platform: null, annotations: null, urls: null, data: null, artifactType: null };
	const text = indexOf([image({ mediaType: null, ...nulls })], {
		subject: null,
		annotations: null,
		schemaVersion: null,
	});
	const index = await synthesize(holding({ text }), reference, options);
	expect(index?.manifests).toEqual([
		{
			mediaType: "",
			digest: sha256("x"),
			size: 1,
			annotations: { "org.opencontainers.image.ref.name": `localhost:5000/org/name:tag@${sha256("x")}` },
		},
	]);
});

test("an index that asks for hundreds of look-ups is refused", async () => {
	const config = `{"os":"linux","architecture":"amd64"}`;
	const manifests = Array.from({ length: 201 }, (_, at) =>
		JSON.stringify({ at, config: { mediaType: mediaTypes.ociConfig, digest: sha256(config), size: config.length } }),
	);
	const descriptors = manifests.map((text) => image({ digest: sha256(text), size: text.length }));
	const client = (count: number) => holding({ text: indexOf(descriptors.slice(0, count)) }, [config, ...manifests]);
	expect((await synthesize(client(200), reference, options))?.manifests).toHaveLength(200);
	await expect(synthesize(client(201), reference, options)).rejects.toThrow("more than 200 images without a platform");
});

test("a config that is too large is not asked for", async () => {
	const text = JSON.stringify({ config: { mediaType: mediaTypes.ociConfig, digest: sha256("x"), size: 5_000_000 } });
	const client = holding({ mediaType: mediaTypes.ociManifest, text });
	await expect(synthesize(client, reference, options)).rejects.toThrow("larger than 4194304 bytes");
});

test("a manifest of another size than its descriptor says is an error", async () => {
	const text = "{}";
	const client = holding({ text: indexOf([image({ digest: sha256(text), size: 3 })]) }, [text]);
	await expect(synthesize(client, reference, options)).rejects.toMatchObject({ code: "digest" });
});

test("an image without a config is an error", async () => {
	const client = holding({ mediaType: mediaTypes.dockerManifest, text: "{}" });
	await expect(synthesize(client, reference, options)).rejects.toThrow("config");
});

test("a subject keeps what OCI knows of it, and an unknown Content-Type is shown escaped", async () => {
	const subject = { ...image(), x: 1 };
	const index = await synthesize(holding({ text: indexOf([], { subject }) }), reference, options);
	expect(index?.subject).toEqual(image());
	const client = holding({ mediaType: "text/\u001b", text: "" });
	await expect(synthesize(client, reference, options)).rejects.toThrow('"text/\\u{1b}"');
});

test("the architecture is of the caller's annotation and table", async () => {
	const text = indexOf([
		image({ platform: { os: "linux", architecture: "x86_64" }, annotations: { "org.example.arch": "evil" } }),
	]);
	const index = await synthesize(holding({ text }), reference, options);
	expect(index?.manifests[0]?.annotations?.["org.example.arch"]).toBe("amd64");
});
