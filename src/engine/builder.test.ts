import { expect, it } from "vitest";
import { takesAnnotationLists } from "./builder.ts";

it.each([
	["github.com/docker/buildx 0.13.1+ds1 0.13.1+ds1-3", false],
	["github.com/docker/buildx v0.15.1 1c1dbb2", false],
	["github.com/docker/buildx v0.16.0 10c9ff9", true],
	["github.com/docker/buildx v0.30.1 9e66234", true],
	["github.com/docker/buildx v1.0.0 abcdef0", true],
	["github.com/docker/buildx v0.0.0+unknown", false],
	["", false],
])("reads the version of buildx: %s", (text, takes) => {
	expect(takesAnnotationLists(text)).toBe(takes);
});
