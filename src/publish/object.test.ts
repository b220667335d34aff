import { describe, expect, test } from "vitest";
import { mediaTypes, printReference, sha256Of } from "../oci/index.ts";
import { readDeployObjects, writeDeployObjects, type DeployObject } from "./index.ts";
import { prepare } from "./object.ts";

const one = `sha256:${"1".repeat(64)}`;
const two = `sha256:${"2".repeat(64)}`;
const empty = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [] };
const emptyText = `{\n\t"schemaVersion": 2,\n\t"mediaType": "${mediaTypes.ociIndex}",\n\t"manifests": []\n}\n`;

const manifest = (rest: Partial<DeployObject>): DeployObject => ({ type: "manifest", refs: ["x:1"], ...rest });

function copied(object: DeployObject): string {
	const { content, digest } = prepare(object);
	return "copyFrom" in content ? `${printReference(content.copyFrom)} ${digest ?? "unknown"}` : "data";
}

describe("deploy objects", () => {
	test("JSON is pushed with tabs and a final newline", () => {
		const { content, digest } = prepare(manifest({ data: empty }));
		expect(content).toEqual({ bytes: Buffer.from(emptyText), mediaType: mediaTypes.ociIndex });
		expect(digest).toBe(sha256Of(emptyText));
	});

	test("a value of one line gets no newline", () => {
		expect(prepare({ type: "blob", refs: ["x"], data: {} }).digest).toBe(sha256Of("{}"));
	});

	test("a string is base64, and pushed as it is", () => {
		const raw = JSON.stringify(empty);
		const { content, digest } = prepare(manifest({ data: Buffer.from(raw).toString("base64") }));
		expect(content).toEqual({ bytes: Buffer.from(raw), mediaType: mediaTypes.ociIndex });
		expect(digest).toBe(sha256Of(raw));
	});

	test("targets lose their digest, and keep their tag", () => {
		const refs = ["x:1", `y@${sha256Of(emptyText)}`];
		expect(prepare(manifest({ refs, data: empty })).targets).toEqual([
			{ host: "docker.io", repository: "library/x", tag: "1" },
			{ host: "docker.io", repository: "library/y" },
		]);
	});

	test.each<[string, DeployObject, string]>([
		[
			"what the refs' digest is listed at",
			manifest({ refs: [`x@${one}`], lookup: { [one]: "a", [two]: "b" } }),
			`a@${one} ${one}`,
		],
		["the only entry", manifest({ lookup: { [one]: "a:1" } }), `a:1@${one} ${one}`],
		["the only entry, by tag", manifest({ lookup: { "": "a:1" } }), "a:1 unknown"],
		["the only entry, by its digest", manifest({ lookup: { "": `a@${one}` } }), `a@${one} ${one}`],
		["the fallback at the refs' digest", manifest({ refs: [`x@${one}`], lookup: { "": "a" } }), `a@${one} ${one}`],
		[
			"the fallback at the refs' digest, with others listed",
			manifest({ refs: [`x@${one}`], lookup: { "": "a:1", [two]: "b" } }),
			`a:1@${one} ${one}`,
		],
		["null is no data", manifest({ lookup: { "": "a:1" }, data: null }), "a:1 unknown"],
		["a blob by digest", { type: "blob", refs: ["x"], lookup: { [one]: "a" } }, `a@${one} ${one}`],
	])("what is copied: %s", (_, object, expected) => {
		expect(copied(object)).toBe(expected);
	});

	test("children: where they are listed, else the fallback, else nowhere else", () => {
		const find = (lookup: Record<string, string>, data?: object) => {
			const found = prepare(manifest({ lookup, ...(data === undefined ? {} : { data: empty }) })).find(one);
			return found === undefined ? undefined : printReference(found);
		};
		expect(find({ [one]: "a:1", "": "b" }, empty)).toBe("a");
		expect(find({ [two]: "a", "": `b:1@${two}` }, empty)).toBe("b");
		expect(find({ [two]: "a" }, empty)).toBeUndefined();
		// Of a copy: beside it.
		expect(find({ "": "b:1" })).toBe("b");
		expect(find({ [two]: "a:1" })).toBe("a");
	});

	test.each<[string, unknown]>([
		["no refs", manifest({ refs: [] })],
		["a type that is not known", { type: "index", refs: ["x:1"], data: empty }],
		["no type", { refs: ["x:1"], data: empty }],
		["a ref that is none", manifest({ refs: ["X"], data: empty })],
		["refs with different digests", manifest({ refs: [`x@${one}`, `y@${two}`], lookup: { "": "a:1" } })],
		["a digest that is not the data's", manifest({ refs: [`x@${one}`], data: empty })],
		["a blob for a tag", { type: "blob", refs: ["x:1"], data: {} }],
		["a manifest that does not state its media type", manifest({ data: { schemaVersion: 2 } })],
		["a manifest that is no JSON", manifest({ data: "AAAA" })],
		["a manifest with what is no descriptor", manifest({ data: { ...empty, manifests: [{ digest: "x" }] } })],
		["data that is not base64", manifest({ data: "a" })],
		["data that is a list", manifest({ data: [] as never })],
		["nothing to copy", manifest({})],
		["a fallback without tag or digest", manifest({ lookup: { "": "a" } })],
		["two places to copy from", manifest({ lookup: { [one]: "a", [two]: "b" } })],
		["a blob to copy without digest", { type: "blob", refs: ["x"], lookup: { "": "a:1" } }],
		["a lookup key that is no digest", manifest({ lookup: { x: "a:1" } })],
		["a lookup with another digest than its key", manifest({ lookup: { [one]: `a@${two}` } })],
		["a copy of another digest than the refs'", manifest({ refs: [`x@${one}`], lookup: { [two]: "a" } })],
	])("%s is an error", (_, object) => {
		expect(() => readDeployObjects(JSON.stringify([object]), { file: "deploy.json" })).toThrow(
			expect.objectContaining({ code: "handover" }) as Error,
		);
	});

	test("a file is a list or one object; what is written is read", () => {
		const object = manifest({ data: empty });
		expect(readDeployObjects(JSON.stringify(object), { file: "x" })).toEqual([object]);
		expect(readDeployObjects(writeDeployObjects([object, object]), { file: "x" })).toEqual([object, object]);
	});
});
