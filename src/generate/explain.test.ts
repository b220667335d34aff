import { expect, it } from "vitest";
import { composed, imageConfig, versionsFile } from "../../test/support/image-repository.ts";
import { explainTag, explanationText } from "./index.ts";

const long = Array.from({ length: 40 }, (_, index) => `value-${index}`);
const config = imageConfig(`
header:
  repository: https://git.example.com/app
  self: generate.sh
  maintainers: ["A <a@example.com> (@a)"]
  fields: { GitCommit: { head: true } }
versions: { list: ["2", "1"] }
aliases: { list: ["{version}"], extra: { "2": [two] } }
matrix: { variant: [a, b, gone] }
directory: ""
file: "{variant}.Dockerfile"
commit: none
tags: ["{variant}", { suffix: "", aliases: ["only-{version}-{variant}"], if: { variant: ${JSON.stringify([...long, "*"])} } }]
sharedTags: [ { suffix: "", if: { version: "2" } } ]
architectures: [ { static: [amd64] } ]`);
const files = { "a.Dockerfile": "FROM x/y\n", "b.Dockerfile": "FROM x/y\n" };
const generated = composed(config, { ...files, "versions.json": versionsFile([]) }, { architectures: ["amd64"] });

it("a shared tag has an explanation of each entry, which lies at the top and has no commit of its own", () => {
	const text = (variant: string): string => `app:two, a shared tag, is version 2, variant "${variant}"
  from          ${variant}.Dockerfile
  tag           sharedTags.0: {"suffix":"","if":{"version":"2"}}
  alias         two, by aliases.extra: {"2":["two"]}
  built for     amd64`;
	expect(explanationText(config, explainTag(generated, "two"))).toBe(`${text("a")}\n\n${text("b")}`);
});

it("a long rule is cut, and is that of the alias too where it has aliases of its own", () => {
	const [, , tag, alias] = explanationText(config, explainTag(generated, "only-1-b")).split("\n");
	expect(tag).toMatch(/^ {2}tag {11}tags\.1: \{"suffix":"","aliases":\["only-\{version\}-\{variant\}"\],.{80,120}…$/);
	expect(alias).toMatch(/^ {2}alias {9}only-1-b, by tags\.1: \{"suffix"/);
	expect(tag!.length).toBeLessThan(200);
});

it("a tag that is not there has its neighbour named, and what was left out", () => {
	const left =
		"Left out: gone.Dockerfile: there is no such file (requireDockerfile); gone.Dockerfile: there is no such file (requireDockerfile).";
	const hint = (tag: string): unknown => {
		try {
			return explainTag(generated, tag);
		} catch (error) {
			return (error as { readonly hint?: string }).hint;
		}
	};
	expect(hint("only-1-bb")).toBe(`Did you mean only-1-b? ${left}`);
	expect(hint("nothing-at-all-like-it")).toBe(`--json lists all tags with their rules. ${left}`);
});
