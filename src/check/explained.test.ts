import { expect, test } from "vitest";
import type { Generated } from "../generate/index.ts";
import { tabJson } from "../json/index.ts";
import { readExplanations } from "./explained.ts";

const reasonOf = (tag: string) => ({ tag, rule: "tags.0", alias: tag, aliasRule: "aliases.list.0" });
const generated: Pick<Generated, "image" | "entries"> = {
	image: "app",
	entries: [
		{
			version: "1",
			axes: {},
			directory: "1",
			file: "Dockerfile",
			tags: [reasonOf("1.2"), reasonOf("1")],
			sharedTags: [reasonOf("latest")],
			architectures: ["amd64"],
			missing: [{ architecture: "s390x", rule: "architectures.0", reason: "its parent has none" }],
		},
	],
};

test("every tag of an entry has the reasons of the entry, and no other has", () => {
	const explained = readExplanations(tabJson({ images: [generated] }), "generated.json");
	for (const tag of ["1.2", "1", "latest"]) expect(explained("app", tag, "s390x")).toBe("its parent has none");
	expect(explained("app", "2", "s390x")).toBeUndefined();
	expect(explained("app", "1", "amd64")).toBeUndefined();
	expect(explained("other", "1", "s390x")).toBeUndefined();
});

test.each([
	["", "it is no JSON"],
	["[]", ": Invalid input"],
	['{"images":[{"image":"a"}]}', "images.0.entries: "],
	[
		'{"images":[{"image":"a","entries":[{"tags":[{}],"sharedTags":[],"missing":[]}]}]}',
		"images.0.entries.0.tags.0.tag: ",
	],
])("%j is not what the generator prints", (text, problem) => {
	expect(() => readExplanations(text, "x\u001b.json")).toThrow(
		expect.objectContaining({ code: "handover", message: expect.stringContaining(`x\\u{1b}.json: ${problem}`) }),
	);
});
