import { expect, it } from "vitest";
import { takenNames } from "../config/names.ts";
import { candidatesOf, suffixesOfToday } from "./variables.ts";

it("no variable is called what a name of every configuration is, whatever the data is called", () => {
	const data = Object.fromEntries([...takenNames, "suite"].map((name) => [name, "trixie"]));
	const { versionVars, vars } = candidatesOf({}, new Map(), [data]);
	const names = [...Object.keys(versionVars), ...Object.keys(vars)];
	expect(names).toEqual(expect.arrayContaining(["suite", "stable2", "any2", "latestVersion2"]));
	expect(names.filter((name) => takenNames.has(name))).toEqual([]);
});

it("suffixes that somebody has to change with a release are found", () => {
	const tags = ["", "{variant}", "alpine{alpine}", { suffix: "slim-trixie", if: { variant: "slim-*" } }];
	expect(suffixesOfToday({ tags, sharedTags: ["alpine3.24", "alpine3.24"] })).toEqual(["slim-trixie", "alpine3.24"]);
});
