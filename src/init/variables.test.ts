import { expect, it } from "vitest";
import { takenNames } from "../config/names.ts";
import { candidatesOf } from "./variables.ts";

it("no variable is called what a name of every configuration is, whatever the data is called", () => {
	const data = Object.fromEntries([...takenNames, "suite"].map((name) => [name, "trixie"]));
	const { versionVars, vars } = candidatesOf({}, new Map(), [data]);
	const names = [...Object.keys(versionVars), ...Object.keys(vars)];
	expect(names).toEqual(expect.arrayContaining(["suite", "stable2", "any2", "latestVersion2"]));
	expect(names.filter((name) => takenNames.has(name))).toEqual([]);
});
